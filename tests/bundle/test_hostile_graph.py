"""Hostile bundles whose graph is not closed, or has more than it should."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.inventory import Link, Omitted
from airgap.bundle.reader import open_bundle
from airgap.errors import FormatError, NotFoundError
from airgap.oci.digest import Digest
from tests.bundle.forgery import Part, read, reason, signed, take_apart
from tests.bundle.samples import Recipe, inventory, omitted
from tests.bundle.shelf import Shelf, referrer

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor


def test_a_referrer_names_its_subject_itself_or_a_tag_does(tmp_path: Path) -> None:
    shelf = Shelf()
    root, other = shelf.image(b"layer"), shelf.image(b"other")
    stray = shelf.signature(other, b"signature")
    for found in ("api", "fallback"):
        with pytest.raises(FormatError) as caught:
            Recipe(shelf, inventory(shelf.item(root, referrer(stray, root, found)))).layout()
        assert caught.value.reason == "referrer-subject-mismatch"
    tagged = Recipe(shelf, inventory(shelf.item(root, referrer(stray, root, "sig"))))
    read(tagged.pack(tmp_path / "b.tar"))


def incremental(*blobs: Descriptor) -> Recipe:
    recipe = signed()
    changed = replace(
        recipe.inventory,
        sequence=2,
        previous=Link(sequence=1, inventory=Digest.of(b"1")),
        base=Link(sequence=1, inventory=Digest.of(b"1")),
        omitted=omitted(*blobs),
    )
    return replace(recipe, inventory=changed)


def test_omitted_blobs_do_not_travel(tmp_path: Path) -> None:
    config, layer = signed().arrangement().body
    path = incremental(config).pack(tmp_path / "b.tar")
    read(path)
    with open_bundle(path) as bundle:
        bundle.survey()
        assert bundle.body == (layer,)
        assert bundle.inventory.content.blobs == 1
        with pytest.raises(NotFoundError) as caught:
            bundle.position(config.digest)
        assert caught.value.reason == "blob-omitted"
    whole = incremental(config, layer).pack(tmp_path / "all.tar")
    read(whole)
    with open_bundle(whole) as bundle:
        bundle.survey()
        assert (bundle.body, bundle.inventory.content.body_at) == ((), None)


def test_only_body_blobs_are_omitted(tmp_path: Path) -> None:
    recipe = signed()
    layer = recipe.arrangement().body[1]
    manifest = recipe.inventory.items[0].descriptor
    for blob in (manifest, replace(layer, size=3), replace(layer, digest=Digest.of(b"?"))):
        with pytest.raises(FormatError) as caught:
            incremental(blob).layout()
        assert caught.value.reason == "omitted-unknown"
    wrong = Omitted(digest=manifest.digest, size=manifest.size).to_json()
    forgery = take_apart(
        incremental(layer), inventory=lambda document: document["omitted"].append(wrong)
    )
    assert reason(forgery.write(tmp_path / "b.tar")) in {"omitted-unknown", "inventory-not-sorted"}


def test_an_omitted_blob_that_is_there_is_refused(tmp_path: Path) -> None:
    config, layer = signed().arrangement().body
    forgery = take_apart(incremental(config))
    forgery.parts.append(Part.blob(signed().shelf.blobs[config.digest]))
    assert reason(forgery.write(tmp_path / "b.tar")) == "member-out-of-order"
    assert layer.size == 9
