"""Hostile bundles, one fault in the documents each, and the limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap.bundle import head, limits, trust_files
from airgap.bundle.head import compose
from airgap.bundle.tar import header
from airgap.errors import FormatError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from tests.bundle.forgery import Forgery, Part, read, reason, set_key, signed, take_apart
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import CONFIG, SOURCE, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.bundle.trust_files import TrustFiles


INVENTORIES = {
    "later format": (set_key("format", 2), "format-unsupported"),
    "feature": (set_key("requires", ["deltas"]), "feature-unsupported"),
    "unknown field": (set_key("extra", 1), "field-unknown"),
    "another number": (set_key("sequence", 2), "inventory-inconsistent"),
    "more blobs": (set_key("content/blobs", 3), "content-mismatch"),
    "more bytes": (set_key("content/bytes", 3), "content-mismatch"),
    "no body": (set_key("content", {"blobs": 0, "bytes": 0}), "content-mismatch"),
    "body_at": (set_key("content/body_at", 4097), "body-at-invalid"),
    "body_at in the head": (set_key("content/body_at", 8192), "body-at-invalid"),
    "body_at far off": (set_key("content/body_at", 1 << 22), "body-at-invalid"),
    "body_at elsewhere": (set_key("content/body_at", 94_208), "tar-pad-not-canonical"),
    "item of another kind": (set_key("items/0/kind", "artifact"), "item-kind-mismatch"),
    "foreign subject": (
        set_key("items/0/referrers/0/subject", f"sha256:{'0' * 64}"),
        "referrer-subject-unknown",
    ),
    "frozen of another digest": (
        set_key("frozen/0/digest", f"sha256:{'0' * 64}"),
        "frozen-mismatch",
    ),
    "frozen elsewhere": (set_key("frozen/0/path", "trust/other"), "frozen-mismatch"),
    "frozen nothing": (set_key("frozen", []), "frozen-mismatch"),
}


@pytest.mark.parametrize("name", INVENTORIES)
def test_inventories(tmp_path: Path, name: str) -> None:
    change, expected = INVENTORIES[name]
    forgery = take_apart(signed(), inventory=change)
    assert reason(forgery.write(tmp_path / "b.tar")) == expected


def drop_layer(number: int) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        del document["layers"][number]

    return change


def swap_layers(document: dict[str, Any]) -> None:
    layers = document["layers"]
    layers[-1], layers[-2] = layers[-2], layers[-1]


MANIFESTS = {
    "unknown field": set_key("annotations", {"a": "b"}),
    "another title": set_key("layers/4/annotations/org.opencontainers.image.title", "targets/x"),
    "no targets prefix": set_key("layers/4/annotations/org.opencontainers.image.title", "x"),
    "no title": set_key("layers/1/annotations", {}),
    "another number": set_key(
        "layers/2/annotations/org.opencontainers.image.title", "metadata/2.snapshot.json"
    ),
    "no number": set_key(
        "layers/2/annotations/org.opencontainers.image.title", "metadata/x.snapshot.json"
    ),
    "no files": set_key("layers", []),
    "targets in another order": swap_layers,
    "another type": set_key("layers/0/mediaType", "a/b"),
    "another inventory type": set_key("config/mediaType", "a/b"),
    "another bundle type": set_key("artifactType", "a/b"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(tmp_path: Path, name: str) -> None:
    recipe = signed()
    forgery = take_apart(recipe, manifest=MANIFESTS[name])
    documents = json.loads(forgery.parts[2].data)
    # The members follow the changed manifest, so that it alone is at fault.
    order = [documents["config"], *documents["layers"]]
    by_path = {part.name: part for part in forgery.parts}
    named = [by_path[Digest.parse(one["digest"]).blob_path] for one in order]
    rest = [part for part in forgery.parts[3:] if part not in named]
    if name == "no files":
        rest = rest[-4:]
    forgery.parts[3:] = [*named, *rest]
    assert reason(forgery.write(tmp_path / "b.tar")) == "manifest-not-as-generated"


def test_a_manifest_that_is_an_index_is_none(tmp_path: Path) -> None:
    forgery = take_apart(
        signed(), manifest=set_key("mediaType", "application/vnd.oci.image.index.v1+json")
    )
    assert reason(forgery.write(tmp_path / "b.tar")) == "media-type-mismatch"


def test_one_digest_with_two_sizes(tmp_path: Path) -> None:
    forgery = take_apart(
        replace(signed(), files={"a": b"same", "b": b"same"}), manifest=set_key("layers/5/size", 9)
    )
    assert reason(forgery.write(tmp_path / "b.tar")) == "descriptor-size-mismatch"


def test_a_layer_that_is_a_target_has_the_targets_size(tmp_path: Path) -> None:
    shelf = Shelf()
    layer = shelf.add(b"key of somebody")
    lying = shelf.manifest(shelf.add(b"{}", CONFIG), replace(layer, size=3))
    recipe = Recipe(shelf, inventory(shelf.item(lying)), files={"a": b"key of somebody"})
    path = take_apart(recipe).write(tmp_path / "b.tar")
    assert reason(path) == "descriptor-size-mismatch"


TRUST: dict[str, tuple[Callable[[TrustFiles], TrustFiles], str]] = {
    "no root": (lambda files: replace(files, roots=()), "manifest-not-as-generated"),
    "another number": (lambda files: replace(files, number=2), "manifest-not-as-generated"),
    "inventory again": (
        lambda files: replace(files, files={"inventory.json": b"x"}),
        "target-path-invalid",
    ),
    "a path that climbs": (
        lambda files: replace(files, files={"../a": b"x"}),
        "target-path-invalid",
    ),
    "trust that is not stated": (
        lambda files: replace(files, files={**files.files, "trust/z": b"x"}),
        "frozen-mismatch",
    ),
}


@pytest.mark.parametrize("name", TRUST)
def test_trust_files(tmp_path: Path, name: str) -> None:
    change, expected = TRUST[name]
    assert reason(take_apart(signed(), trust=change).write(tmp_path / "b.tar")) == expected
    # The writer does not write what the reader refuses.
    recipe = signed()
    data, files = recipe.draft(recipe.layout().body_at)
    with pytest.raises(FormatError) as caught:
        compose(data, change(files), recipe.arrangement())
    assert caught.value.reason == expected


INDEXES = {
    "an entry more": lambda document: document["manifests"].append(document["manifests"][1]),
    "an entry less": lambda document: document["manifests"].pop(),
    "another name": set_key("manifests/1/annotations/io.containerd.image.name", "a.b/c:d"),
    "annotations": set_key("annotations", {"a": "b"}),
    "another bundle manifest type": set_key("manifests/0/mediaType", "a/b"),
    "a number with a zero": set_key("manifests/0/size", "01"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_index_json(tmp_path: Path, name: str) -> None:
    path = take_apart(signed(), index=INDEXES[name]).write(tmp_path / "b.tar")
    assert reason(path) == "index-not-as-generated"


def test_nothing_is_read_before_its_bound_is_known(tmp_path: Path) -> None:
    recipe = signed()
    cases: dict[str, Forgery] = {
        "index.json": take_apart(recipe),
        "the bundle manifest": take_apart(recipe, index=set_key("manifests/0/size", 1 << 29)),
        "the inventory": take_apart(recipe, manifest=set_key("config/size", 1 << 40)),
        "TUF files": take_apart(recipe, manifest=set_key("layers/0/size", 1 << 40)),
    }
    for name, forgery in cases.items():
        path = forgery.write(tmp_path / "b.tar")
        if name == "index.json":
            data = bytearray(path.read_bytes())
            data[1024:1536] = header("index.json", (64 << 20) + 1)
            path.write_bytes(data)
        with pytest.raises(FormatError, match=name) as caught:
            read(path)
        assert caught.value.reason == "member-too-large"


def test_a_manifest_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    shelf = Shelf()
    child = Descriptor(
        media_type=shelf.index().media_type, digest=Digest.of(b"huge"), size=(4 << 20) + 1
    )
    root = shelf.index(child)
    small = Recipe(shelf, inventory(shelf.item(shelf.index())))
    item = shelf.item(root)
    changed = take_apart(
        small,
        inventory=lambda document: document.update(
            items=[item.to_json()], names={f"{SOURCE}:1": str(root.digest)}
        ),
    )
    changed.parts[-1] = Part.blob(shelf.blobs[root.digest])
    assert reason(changed.write(tmp_path / "b.tar")) == "manifest-too-large"


def test_the_writer_keeps_to_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = signed()
    data, files = recipe.draft(recipe.layout().body_at)
    for module, name, expected in (
        (head, "INDEX_LIMIT", "member-too-large"),
        (head, "BUNDLE_MANIFEST_LIMIT", "member-too-large"),
        (trust_files, "TRUST_LIMIT", "trust-too-large"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 100)
            with pytest.raises(FormatError) as caught:
                compose(data, files, recipe.arrangement())
            assert caught.value.reason == expected
    assert limits.INDEX_LIMIT == limits.TRUST_LIMIT == limits.INVENTORY_LIMIT == 64 << 20
    assert limits.BUNDLE_MANIFEST_LIMIT == 4 << 20
