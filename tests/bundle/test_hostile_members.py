"""Hostile bundles, one fault in the members each: the reason code says which."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.bundle.head import LAYOUT_BYTES
from airgap.bundle.reader import open_bundle
from airgap.bundle.tar import END, header
from airgap.errors import ContentError, FormatError, IntegrityError
from tests.bundle import samples
from tests.bundle.forgery import Forgery, Part, read, reason, signed, spell, take_apart
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import Shelf, noise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_is_only_taken_apart_is_good(tmp_path: Path) -> None:
    for recipe in (signed(), samples.varied(), samples.bodiless()):
        path = take_apart(recipe).write(tmp_path / "b.tar")
        read(path)
        assert path.read_bytes() == recipe.pack(tmp_path / "packed.tar").read_bytes()


def swap_last(forgery: Forgery) -> None:
    last = forgery.parts.pop()
    before = forgery.parts.pop()
    last.pad, last.body_at, before.pad = None, before.body_at, 0
    forgery.parts += [last, before]


def change_blob(data: bytes) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        part = forgery.parts[forgery.find(data)]
        part.data = data[:-1] + b"?"

    return change


def drop(number: int) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.parts.remove(forgery.parts[number])


def insert(number: int, part: Part) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.parts.insert(number, part)


def edit(number: int, **fields: object) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        for name, value in fields.items():
            setattr(forgery.parts[number], name, value)

    return change


def end_with(end: bytes) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        forgery.end = end

    return change


MEMBERS: dict[str, tuple[Callable[[Forgery], None], str]] = {
    "another oci-layout": (
        edit(0, data=LAYOUT_BYTES.replace(b"1", b"2")),
        "layout-not-as-generated",
    ),
    "a member first": (insert(0, Part("blobs/x", b"")), "member-out-of-order"),
    "a path": (insert(2, Part("../../etc/passwd", b"")), "member-out-of-order"),
    "no index.json": (drop(1), "member-out-of-order"),
    "index.json of nothing": (edit(1, data=b"{}"), "index-not-as-generated"),
    "no inventory": (drop(3), "member-out-of-order"),
    "document twice": (insert(4, Part("blobs/sha256/" + "0" * 64, b"")), "member-out-of-order"),
    "changed document": (change_blob(b"key"), "blob-digest-mismatch"),
    "changed signature": (change_blob(b"signature"), "blob-digest-mismatch"),
    "changed layer": (change_blob(b"one layer"), "blob-digest-mismatch"),
    "body swapped": (swap_last, "member-out-of-order"),
    "body blob missing": (drop(-1), "tar-header-not-canonical"),
    "first body blob missing": (drop(-2), "tar-pad-not-canonical"),
    "an extra blob": (
        lambda forgery: forgery.parts.append(Part.blob(b"extra")),
        "member-out-of-order",
    ),
    "a blob again": (
        lambda forgery: forgery.parts.append(forgery.parts[-1]),
        "member-out-of-order",
    ),
    "another body_at": (edit(-2, body_at=1 << 17), "tar-pad-not-canonical"),
    "a pad where none is": (edit(-1, pad=1024), "tar-header-not-canonical"),
    "a pad in the head": (edit(-3, pad=1024), "tar-header-not-canonical"),
    "no end": (end_with(b""), "bundle-truncated"),
    "half an end": (end_with(bytes(512)), "bundle-truncated"),
    "a record's end": (end_with(bytes(10_240)), "bundle-trailing-bytes"),
    "one byte more": (end_with(END + b"\0"), "bundle-trailing-bytes"),
    "another archive": (end_with(END + header("a", 0) + END), "bundle-trailing-bytes"),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members(tmp_path: Path, name: str) -> None:
    change, expected = MEMBERS[name]
    forgery = take_apart(signed())
    change(forgery)
    assert reason(forgery.write(tmp_path / "b.tar")) == expected


def test_a_manifest_that_was_changed_is_not_parsed(tmp_path: Path) -> None:
    recipe = signed()
    forgery = take_apart(recipe)
    root = recipe.shelf.blobs[recipe.inventory.items[0].descriptor.digest]
    part = forgery.parts[forgery.find(root)]
    part.data = b"[" * len(root)
    assert reason(forgery.write(tmp_path / "b.tar")) == "blob-digest-mismatch"


def test_every_cut_at_a_block_is_refused(tmp_path: Path) -> None:
    path = samples.varied().pack(tmp_path / "b.tar")
    size = path.stat().st_size
    for length in range(size - 512, 0, -50 * 512):
        os.truncate(path, length)
        assert reason(path) == "bundle-truncated"


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = samples.varied().pack(tmp_path / "b.tar")
    with open_bundle(path) as bundle:
        bundle.survey()
        last = bundle.body[-1]
        large = max(bundle.body, key=lambda blob: blob.size)
        root = bundle.inventory.items[0].descriptor
        with path.open("r+b") as file:
            for digest in (large.digest, root.digest):
                file.seek(bundle.position(digest).offset)
                file.write(b"\xff")
        with pytest.raises(IntegrityError, match=str(root.digest)):
            bundle.read_manifest(root)
        with bundle.open_blob(large) as stream, pytest.raises(IntegrityError):
            stream.read()
        with pytest.raises(IntegrityError, match=str(root.digest)):
            bundle.verify_blobs()
        with path.open("r+b") as file:
            file.seek(bundle.position(root.digest).offset)
            file.write(b"{")
        with pytest.raises(IntegrityError, match=str(large.digest)):
            bundle.verify_blobs(threads=1)
        os.truncate(path, bundle.position(last.digest).offset)
        with bundle.open_blob(last) as stream, pytest.raises(FormatError) as caught:
            stream.read()
        assert caught.value.reason == "bundle-truncated"


def test_a_large_blob_is_not_read_as_a_manifest(tmp_path: Path) -> None:
    shelf = Shelf()
    recipe = Recipe(shelf, inventory(shelf.item(shelf.image(noise((4 << 20) + 1)))))
    with open_bundle(recipe.pack(tmp_path / "b.tar")) as bundle:
        bundle.survey()
        with pytest.raises(FormatError) as caught:
            bundle.read_manifest(bundle.body[-1])
        assert caught.value.reason == "manifest-too-large"


@given(st.binary(max_size=3000))
def test_any_file_ends_in_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.tar"
    path.write_bytes(data)
    with pytest.raises(ContentError):
        read(path)


@given(st.data())
def test_any_documents_are_read_or_end_in_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    )
    recipe = samples.bodiless()
    document = data.draw(st.sampled_from(["inventory", "manifest", "index"]))
    forgery = take_apart(recipe)
    number = {"index": 1, "manifest": 2, "inventory": 3}[document]
    value = json.loads(forgery.parts[number].data)
    key = data.draw(st.sampled_from(sorted(value)))
    value[key] = data.draw(json_value.filter(lambda drawn: spell(drawn) != spell(value[key])))
    changed = take_apart(recipe, **{document: lambda target: target.update(value)})
    path = tmp_path_factory.getbasetemp() / f"documents-{os.getpid()}.tar"
    with suppress(ContentError):
        read(changed.write(path))
