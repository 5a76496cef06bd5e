"""Forged bundles: a good one taken apart, changed in one place, and put together consistently."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airgap.bundle.head import (
    INDEX_NAME,
    LAYOUT_BYTES,
    LAYOUT_NAME,
    bundle_manifest,
    index_document,
)
from airgap.bundle.inventory import Inventory
from airgap.bundle.reader import open_bundle
from airgap.bundle.tar import END, header, pad_member, padding
from airgap.errors import ContentError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_MANIFEST
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import Shelf, referrer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.bundle.trust_files import TrustFiles

    Change = Callable[[dict[str, Any]], None]


@dataclass
class Part:
    """One member; `pad` stands before it, None where the first body blob's pad fills up."""

    name: str
    data: bytes
    pad: int | None = 0
    body_at: int = 0

    @classmethod
    def blob(cls, data: bytes, pad: int | None = 0) -> Part:
        return cls(Digest.of(data).blob_path, data, pad)

    def write(self, offset: int) -> bytes:
        pad = self.body_at - 512 - offset if self.pad is None else self.pad
        before = pad_member(pad) if pad else b""
        return before + header(self.name, len(self.data)) + self.data + padding(len(self.data))


@dataclass
class Forgery:
    """The parts of a bundle, in order."""

    parts: list[Part]
    end: bytes = field(default=END)

    def write(self, path: Path) -> Path:
        data = b""
        for part in self.parts:
            data += part.write(len(data))
        path.write_bytes(data + self.end)
        return path

    def find(self, data: bytes) -> int:
        """Return the place of the part with these bytes."""
        return next(n for n, part in enumerate(self.parts) if part.data == data)


def spell(value: object) -> bytes:
    """Return canonical JSON, also of what our own encoder would not write."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def take_apart(
    recipe: Recipe,
    *,
    inventory: Change | None = None,
    trust: Callable[[TrustFiles], TrustFiles] | None = None,
    manifest: Change | None = None,
    index: Change | None = None,
) -> Forgery:
    """Return the parts of the bundle of `recipe` with its documents changed, digests made right."""
    layout = recipe.layout()
    data, files = recipe.draft(layout.body_at, longest=False)
    data = _changed(data, inventory)
    files = files if trust is None else trust(files)
    named = _changed(bundle_manifest(data, files), manifest)
    descriptor = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(named), size=len(named))
    try:
        read = Inventory.decode(data)
    except ContentError:
        read = recipe.inventory
    listing = index_document(read, descriptor, layout.arrangement.artifact_types)
    documents = dict.fromkeys([named, data, *(content for _, _, content in files.titled())])
    head = [recipe.shelf.blobs[one.digest] for one in layout.arrangement.head]
    parts = [Part(LAYOUT_NAME, LAYOUT_BYTES), Part(INDEX_NAME, _changed(listing, index))]
    parts += [Part.blob(content) for content in dict.fromkeys([*documents, *head])]
    for number, placement in enumerate(layout.placements()):
        part = Part.blob(recipe.shelf.blobs[placement.descriptor.digest], pad=placement.pad)
        if number == 0:
            part.pad, part.body_at = None, placement.offset
        parts.append(part)
    return Forgery(parts)


def _changed(data: bytes, change: Change | None) -> bytes:
    if change is None:
        return data
    document = json.loads(data)
    change(document)
    return spell(document)


def read(path: Path) -> None:
    """Read all of a bundle."""
    with open_bundle(path) as bundle:
        bundle.survey()
        bundle.verify_blobs()


def reason(path: Path) -> str:
    """Return the reason for which the bundle at `path` is refused, with exit code 4."""
    with pytest.raises(ContentError) as caught:
        read(path)
    assert caught.value.exit_code == 4
    return caught.value.reason


def signed() -> Recipe:
    """Return a bundle with a referrer and its blob in the head, and two blobs in the body."""
    shelf = Shelf()
    root = shelf.image(b"one layer")
    return Recipe(
        shelf,
        inventory(shelf.item(root, referrer(shelf.signature(root, b"signature"), root))),
        files={"evidence.jsonl": b"{}", "trust/keys/a.pub": b"key"},
    )


def set_key(key: str, value: object) -> Change:
    """Return the change that sets what stands at `key`, steps separated by slashes."""

    def change(document: dict[str, Any]) -> None:
        holder: Any = document
        *steps, last = key.split("/")
        for step in steps:
            holder = holder[int(step) if step.isdigit() else step]
        holder[last] = value

    return change
