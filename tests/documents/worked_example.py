"""The worked example of docs/bundle-format.md: where everything stands in a small real bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airgap.bundle.reader import open_bundle
from airgap.bundle.tar import BLOCK, padded
from tests.conftest import REPOSITORY
from tests.journey import Journey

if TYPE_CHECKING:
    from airgap.bundle.reader import Bundle
    from airgap.oci.digest import Digest

__all__ = ["offsets_table"]

_SAMPLE = REPOSITORY / "samples" / "hello"


def offsets_table() -> str:
    """Export the sample image by an Ed25519 authority and return the offsets of the bundle.

    Ed25519, because its signatures have one length: the offsets are the same on every run.
    """
    with tempfile.TemporaryDirectory() as folder:
        journey = Journey.begin(Path(folder), pin=False, scheme="ed25519")
        path = journey.export(f"oci:{_SAMPLE}:registry.example/samples/hello:1.0")
        with open_bundle(path) as bundle:
            bundle.survey()
            return "\n".join(_rows(bundle))


def _rows(bundle: Bundle) -> list[str]:
    whats = _describe(bundle)
    rows = ["| Header at | Bytes at | Bytes | What |", "| ---: | ---: | ---: | --- |"]
    end = 0
    rows.append(_row(end, 30, "`oci-layout`"))
    end += BLOCK + padded(30)
    first = min(position.offset for position in bundle.positions.values())
    # What lies between oci-layout and the first blob is index.json, whose header says its size.
    size = int(_read(bundle, end + 124, 11), 8)
    rows.append(_row(end, size, "`index.json`"))
    end += BLOCK + padded(size)
    assert end + BLOCK == first
    for digest, position in sorted(bundle.positions.items(), key=lambda item: item[1].offset):
        header = position.offset - BLOCK
        if header > end:
            rows.append(_row(end, header - end - BLOCK, "pad: typeflag `x`, name `PaxHeader`"))
        rows.append(_row(header, position.size, whats[digest]))
        end = position.offset + padded(position.size)
    rows.append(f"| {end} | | 1024 | two zero blocks; the file ends at {bundle.size} |")
    return rows


def _row(header: int, size: int, what: str) -> str:
    return f"| {header} | {header + BLOCK} | {size} | {what} |"


def _describe(bundle: Bundle) -> dict[Digest, str]:
    """Say what each blob is; one that is met twice is what it is first."""
    positions = sorted(bundle.positions, key=lambda digest: bundle.position(digest).offset)
    documents = ["bundle manifest", "inventory"]
    documents += [title for title, _, _ in bundle.trust.titled()]
    named = dict(zip(positions, documents, strict=False))
    head = {descriptor.digest for descriptor in bundle.head}
    for item in bundle.inventory.items:
        root = bundle.read_manifest(item.descriptor)
        named.setdefault(root.digest, "the image index")
        for child in root.manifests:
            manifest = bundle.read_manifest(child)
            named.setdefault(child.digest, f"manifest of {child.platform}")
            for blob in manifest.blobs:
                what = "config" if blob == manifest.config else "layer"
                named.setdefault(blob.digest, f"{what} of {child.platform}")
        for referrer in item.referrers:
            manifest = bundle.read_manifest(referrer.descriptor)
            named.setdefault(manifest.digest, f"referrer: {manifest.effective_artifact_type}")
            for blob in manifest.blobs:
                named.setdefault(blob.digest, f"blob of that referrer: {blob.media_type}")
    body = {descriptor.digest for descriptor in bundle.body}
    return {
        digest: f"{'body' if digest in body else 'head' if digest in head else 'own'}: {what}"
        for digest, what in named.items()
    }


def _read(bundle: Bundle, offset: int, size: int) -> bytes:
    with bundle.path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
