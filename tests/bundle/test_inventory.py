from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from airgap.bundle import inventory as inventory_module
from airgap.bundle import limits
from airgap.bundle.inventory import Content, Inventory, Link
from airgap.errors import ContentError, FormatError, UnsupportedVersionError
from airgap.oci.digest import Digest
from airgap.oci.graph import Root
from tests.bundle import samples
from tests.bundle.samples import inventory
from tests.bundle.shelf import Shelf, referrer

if TYPE_CHECKING:
    from collections.abc import Callable
from tests.bundle.inventories import RELATIONS, VALIDATOR, A, B, C, document, spell, verdicts


def decode(value: object) -> Inventory:
    return Inventory.decode(spell(value))


def edit(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(target: dict[str, Any]) -> None:
        holder: Any = target
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value

    return change


def test_the_full_document_is_read_and_written_again() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    data = spell(document())
    read = Inventory.decode(data)
    assert read.encode() == data
    assert verdicts(document()) == (True, None)
    assert read.previous == Link(sequence=6, inventory=Digest.parse(A))
    assert read.content == Content(blobs=2, size=1000, body_at=81_920)
    assert read.audience == ("site-a", "site-b")
    item = read.items[0]
    assert item.root == Root(
        descriptor=item.descriptor,
        children=frozenset({Digest.parse(B), Digest.parse(C)}),
        referrers=(item.referrers[0].descriptor,),
    )
    assert read.items[1].root.children is None


def test_what_is_written_is_read() -> None:
    shelf = Shelf()
    root = shelf.image(b"layer")
    signed = shelf.signature(root, b"signature")
    made = inventory(shelf.item(root, referrer(signed, root)))
    made = replace(made, content=Content(blobs=1, size=5, body_at=8192))
    assert Inventory.decode(made.encode()) == made
    first = inventory()
    assert Inventory.decode(first.encode()) == first
    assert json.loads(first.encode())["previous"] is None


SHAPES = {
    "not an object": [],
    "unknown field": {**document(), "extra": 1},
    "null audience": {**document(), "audience": None},
}


@pytest.mark.parametrize("name", SHAPES)
def test_other_shapes_are_refused(name: str) -> None:
    valid, reason = verdicts(SHAPES[name])
    assert not valid
    assert reason in {"field-invalid", "field-unknown"}


@pytest.mark.parametrize("field", sorted(document()))
def test_each_field_is_required_but_those_that_need_not_apply(field: str) -> None:
    value = document()
    del value[field]
    if field == "audience":
        assert verdicts(value) == (True, None)
    elif field == "base":
        assert verdicts(value) == (True, "inventory-inconsistent")  # something is omitted
    else:
        assert verdicts(value) == (False, "field-missing")


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "later format": (edit("format", value=2), "format-unsupported"),
    "format as text": (edit("format", value="1"), "field-invalid"),
    "format true": (edit("format", value=True), "field-invalid"),
    "feature": (edit("requires", value=["deltas"]), "feature-unsupported"),
    "kind": (edit("kind", value="other"), "field-invalid"),
    "authority": (edit("authority", value=samples.AUTHORITY.upper()), "field-invalid"),
    "authority newline": (edit("authority", value=samples.AUTHORITY + "\n"), "field-invalid"),
    "stream": (edit("stream", value="Prod"), "field-invalid"),
    "stream newline": (edit("stream", value="prod\n"), "field-invalid"),
    "stream long": (edit("stream", value="a" * 64), "field-invalid"),
    "sequence zero": (edit("sequence", value=0), "field-invalid"),
    "offset time": (edit("created", value="2026-11-22T10:00:00+00:00"), "field-invalid"),
    "fraction time": (edit("created", value="2026-11-22T10:00:00.5Z"), "field-invalid"),
    "year zero": (edit("created", value="0000-11-22T10:00:00Z"), "field-invalid"),
    "leap second": (edit("created", value="2026-12-31T23:59:60Z"), "field-invalid"),
    "30 February": (edit("created", value="2026-02-30T10:00:00Z"), "time-impossible"),
    "audience empty": (edit("audience", value=[]), "inventory-inconsistent"),
    "audience unsorted": (edit("audience", value=["b", "a"]), "inventory-not-sorted"),
    "audience twice": (edit("audience", value=["a", "a"]), "inventory-not-sorted"),
    "audience grammar": (edit("audience", value=["A"]), "field-invalid"),
    "previous later": (edit("previous", "sequence", value=9), "inventory-inconsistent"),
    "previous unknown field": (edit("previous", "x", value=9), "field-unknown"),
    "previous null": (edit("previous", value=None), "inventory-inconsistent"),
    "skips unsorted": (edit("skips", value=[8, 7, 3]), "inventory-not-sorted"),
    "skips zero": (edit("skips", value=[0, 7, 8]), "field-invalid"),
    "skips true": (edit("skips", value=[True, 7, 8]), "field-invalid"),
    "skips previous": (edit("skips", value=[6, 7, 8]), "inventory-inconsistent"),
    "skips this": (edit("skips", value=[7, 8, 9]), "inventory-inconsistent"),
    "a hole": (edit("skips", value=[7]), "inventory-inconsistent"),
    "covers": (edit("covers", value=9), "inventory-inconsistent"),
    "base later": (edit("base", "sequence", value=7), "inventory-inconsistent"),
    "base skipped": (edit("base", "sequence", value=3), "inventory-inconsistent"),
    "base is not previous": (edit("base", "sequence", value=6), "inventory-inconsistent"),
    "no items": (edit("items", value=[]), "inventory-inconsistent"),
    "trust with items": (edit("kind", value="trust"), "inventory-inconsistent"),
    "short source": (edit("items", 0, "source", value="nginx"), "name-not-normalised"),
    "hub alias": (edit("items", 0, "source", value="index.docker.io/a/b"), "name-not-normalised"),
    "no source": (edit("items", 0, "source", value=""), "name-not-normalised"),
    "tagged source": (edit("items", 0, "source", value="a.b/c:d"), "name-not-normalised"),
    "item kind": (edit("items", 0, "kind", value="thing"), "field-invalid"),
    "image with index": (edit("items", 0, "kind", value="image"), "item-kind-mismatch"),
    "index with image": (edit("items", 1, "kind", value="index"), "item-kind-mismatch"),
    "children of image": (edit("items", 1, "children", value=[B]), "item-kind-mismatch"),
    "no children": (edit("items", 0, "children", value=[]), "item-kind-mismatch"),
    "children unsorted": (edit("items", 0, "children", value=[C, B]), "inventory-not-sorted"),
    "not a manifest": (
        edit("items", 0, "descriptor", "mediaType", value="a/b"),
        "field-invalid",
    ),
    "empty manifest": (edit("items", 0, "descriptor", "size", value=0), "field-invalid"),
    "large manifest": (
        edit("items", 0, "descriptor", "size", value=(4 << 20) + 1),
        "manifest-too-large",
    ),
    "descriptor field": (edit("items", 0, "descriptor", "urls", value=[]), "field-unknown"),
    "found": (edit("items", 0, "referrers", 0, "found", value="guess"), "field-invalid"),
    "signatures": (edit("items", 0, "signatures", value="unknown"), "field-invalid"),
    "own subject": (
        edit("items", 0, "referrers", 0, "subject", value=C),
        "inventory-inconsistent",
    ),
    "referrer twice": (
        edit("items", 0, "referrers", value=document()["items"][0]["referrers"] * 2),
        "inventory-inconsistent",
    ),
    "items unsorted": (edit("items", value=document()["items"][::-1]), "inventory-not-sorted"),
    "item twice": (edit("items", value=document()["items"][:1] * 2), "inventory-not-sorted"),
    "name of nothing": (
        edit("names", "docker.io/library/base:1.0", value=B),
        "inventory-inconsistent",
    ),
    "name elsewhere": (
        edit("names", "docker.io/library/other:1", value=A),
        "inventory-inconsistent",
    ),
    "short name": (edit("names", "nginx:1", value=A), "name-not-normalised"),
    "name without tag": (edit("names", "docker.io/library/base", value=A), "name-not-normalised"),
    "name by digest": (
        edit("names", f"docker.io/library/base@{A}", value=A),
        "name-not-normalised",
    ),
    "no name": (edit("names", ":::", value=A), "name-not-normalised"),
    "reserved tag": (
        edit("names", f"docker.io/library/base:sha256-{'a' * 64}.sig", value=A),
        "name-reserved",
    ),
    "names of null": (edit("names", value=None), "field-invalid"),
    "withdrawn name": (edit("withdrawn", value=[A]), "inventory-inconsistent"),
    "withdrawn twice": (edit("withdrawn", value=[B, B]), "inventory-not-sorted"),
    "digest newline": (edit("withdrawn", value=[B + "\n"]), "digest-invalid"),
    "no body_at": (edit("content", value={"blobs": 1, "bytes": 1}), "body-at-invalid"),
    "body_at": (edit("content", "body_at", value=4097), "body-at-invalid"),
    "body_at zero": (edit("content", "body_at", value=0), "field-invalid"),
    "bytes of nothing": (edit("content", value={"blobs": 0, "bytes": 1}), "inventory-inconsistent"),
    "omitted unsorted": (
        edit("omitted", value=[{"digest": C, "size": 0}, {"digest": B, "size": 0}]),
        "inventory-not-sorted",
    ),
    "omitted size": (edit("omitted", 0, "size", value=-1), "field-invalid"),
    "huge": (edit("omitted", 0, "size", value=2**53), "json-number-invalid"),
    "frozen path": (edit("frozen", 0, "path", value="trust/../x"), "field-invalid"),
    "frozen elsewhere": (edit("frozen", 0, "path", value="policy/x"), "field-invalid"),
    "frozen long": (edit("frozen", 0, "path", value="trust/" + "a" * 250), "field-invalid"),
    "frozen newline": (edit("frozen", 0, "path", value="trust/a\n"), "field-invalid"),
    "frozen source": (edit("frozen", 0, "source", value="a\nb"), "field-invalid"),
    "frozen source newline": (edit("frozen", 0, "source", value="a\n"), "field-invalid"),
    "frozen no source": (edit("frozen", 0, "source", value=""), "field-invalid"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_each(name: str) -> None:
    change, reason = FAULTS[name]
    value = document()
    change(value)
    valid, found = verdicts(value)
    assert found == reason
    assert not valid or reason in RELATIONS


def test_trust_only_has_no_body() -> None:
    value = json.loads(inventory().encode())
    assert verdicts(value) == (True, None)
    value["content"] = {"blobs": 1, "bytes": 1, "body_at": 4096}
    assert verdicts(value) == (False, "inventory-inconsistent")


def test_a_later_format_is_told_apart_from_a_broken_document() -> None:
    with pytest.raises(UnsupportedVersionError, match=r"format is 2, this release knows 1"):
        decode({"format": 2, "anything": "else"})
    with pytest.raises(UnsupportedVersionError, match="deltas"):
        decode({"format": 1, "requires": ["deltas"], "anything": "else"})


def test_only_canonical_bytes_are_read() -> None:
    spaced = json.dumps(document(), ensure_ascii=False).encode()
    with pytest.raises(FormatError) as caught:
        Inventory.decode(spaced)
    assert caught.value.reason == "inventory-not-canonical"
    escaped = spell(document()).replace("é".encode(), b"\\u00e9")
    with pytest.raises(FormatError, match="RFC 8785"):
        Inventory.decode(escaped)


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.INVENTORY_LIMIT == 64 << 20
    monkeypatch.setattr(inventory_module, "INVENTORY_LIMIT", 100)
    with pytest.raises(FormatError) as caught:
        decode(document())
    assert caught.value.reason == "inventory-too-large"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_end_in_our_own_error(data: bytes) -> None:
    with pytest.raises(ContentError):
        Inventory.decode(data)
