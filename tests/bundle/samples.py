"""Small bundles for tests: third-party content, stand-ins for TUF files, and a packer.

The TUF files are canonical JSON of the size that real ones have; the format layer does not judge
them. Real ones are in the test of the main job.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap.bundle.inventory import (
    BundleKind,
    Frozen,
    Inventory,
    Item,
    Omitted,
)
from airgap.bundle.layout import Arrangement, Layout, arrange, settle
from airgap.bundle.reader import open_bundle
from airgap.bundle.trust_files import TrustFiles
from airgap.bundle.writer import BundleWriter
from airgap.oci import strict_json
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import INDEX_TYPES
from tests.bundle.shelf import CONFIG, Shelf, noise, referrer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AUTHORITY = "0d0f9b7e-5c1a-4b56-8f6e-3f1f2a9c7d10"
CREATED = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
KEY = hashlib.sha256(b"key").hexdigest()


def inventory(
    *items: Item, names: Mapping[str, Digest] | None = None, sequence: int = 1
) -> Inventory:
    """Return an inventory of `items`, the first of its stream; names default to :1, :2, …"""
    ordered = tuple(sorted(items, key=lambda item: item.key))
    if names is None:
        names = {
            f"{item.source}:{number}": item.descriptor.digest
            for number, item in enumerate(ordered, start=1)
        }
    return Inventory(
        kind=BundleKind.CONTENT if items else BundleKind.TRUST,
        authority=AUTHORITY,
        stream="prod",
        sequence=sequence,
        created=CREATED,
        items=ordered,
        names=names,
    )


def omitted(*blobs: Descriptor) -> tuple[Omitted, ...]:
    entries = [Omitted(digest=blob.digest, size=blob.size) for blob in blobs]
    return tuple(sorted(entries, key=lambda entry: entry.digest))


def envelope(role: str, longest: bool, signers: int = 1, **signed: object) -> bytes:
    """Return what a TUF envelope signed by `signers` P-256 keys looks like."""
    signature = hashlib.shake_256(role.encode()).hexdigest(72 if longest else 70)
    document: dict[str, object] = {
        "_type": role,
        "expires": "2027-11-22T10:00:00Z",
        "spec_version": "1.0.31",
        "version": 1,
        "x-airgap": {"authority": AUTHORITY, "stream": "prod"},
    }
    signatures = [{"keyid": KEY, "sig": signature}] * signers
    return strict_json.encode({"signatures": signatures, "signed": document | signed})


def trust_files(
    inventory_bytes: bytes,
    *,
    number: int = 1,
    files: Mapping[str, bytes] | None = None,
    roots: int = 1,
    longest: bool = False,
    keys: int = 1,
) -> TrustFiles:
    """Return stand-ins for the TUF files over `inventory_bytes` and `files`."""
    files = {"evidence.jsonl": b'{"checked":"nothing"}\n'} if files is None else files
    targets = {
        path: {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data)}
        for path, data in {**files, "inventory.json": inventory_bytes}.items()
    }
    public = "-----BEGIN PUBLIC KEY-----\n" + "A" * 124 + "\n-----END PUBLIC KEY-----\n"
    key = {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public}}
    return TrustFiles(
        roots=tuple(
            envelope("root", False, keys, keys={KEY: key}, number=version)
            for version in range(roots)
        ),
        timestamp=envelope("timestamp", longest, keys, meta={"snapshot.json": {"version": number}}),
        snapshot=envelope("snapshot", longest, keys, meta={"targets.json": {"version": number}}),
        targets=envelope("targets", longest, keys, targets=targets),
        number=number,
        files=files,
    )


@dataclass
class Recipe:
    """Everything that a bundle is made from; `pack` makes it."""

    shelf: Shelf
    inventory: Inventory
    files: Mapping[str, bytes] | None = None
    roots: int = 1
    keys: int = 1

    def arrangement(self) -> Arrangement:
        documents = {Digest.of(data) for data in (self.files or {}).values()}
        return arrange(self.inventory, self.shelf.read_manifest, documents=documents)

    def draft(self, body_at: int | None, *, longest: bool = True) -> tuple[bytes, TrustFiles]:
        content = self.arrangement().content(body_at)
        frozen = tuple(
            Frozen(path=path, digest=Digest.of(data), source="test", captured=CREATED)
            for path, data in sorted((self.files or {}).items())
            if path.startswith("trust/")
        )
        data = replace(self.inventory, content=content, frozen=frozen).encode()
        trust = trust_files(
            data,
            number=self.inventory.sequence,
            files=self.files,
            roots=self.roots,
            longest=longest,
            keys=self.keys,
        )
        return data, trust

    def layout(self) -> Layout:
        return settle(self.draft, self.arrangement())

    def pack(self, path: Path) -> Path:
        layout = self.layout()
        with BundleWriter(path, layout) as writer:
            for descriptor in layout.arrangement.body:
                writer.place(descriptor, io.BytesIO(self.shelf.blobs[descriptor.digest]))
            data, trust = self.draft(layout.body_at, longest=False)
            writer.finish(data, trust, self.shelf.read_head)
        return path


def smallest() -> Recipe:
    """Return the smallest bundle with a body: a config and one layer, each of one block."""
    shelf = Shelf()
    root = shelf.image(b"one layer")
    return Recipe(shelf, inventory(shelf.item(root)))


def bodiless() -> Recipe:
    """Return a bundle without a body: an index of nothing."""
    shelf = Shelf()
    return Recipe(shelf, inventory(shelf.item(shelf.index())))


def varied() -> Recipe:
    """Return a bundle with something of everything."""
    shelf = Shelf()
    shared = noise(70_000, 1)
    amd = shelf.image(noise(100), shared, noise(300_000, 2))
    arm = shelf.image(noise(100), shared, noise(65_536, 3), architecture="arm64")
    nested = shelf.index(shelf.image(noise(65_535, 4), architecture="riscv64"))
    root = shelf.index(amd, arm, nested)
    signed = shelf.signature(root, b"signature of the root")
    child = shelf.signature(arm, b"signature of a child", noise(1 << 20, 5))
    large = shelf.signature(root, noise((1 << 20) + 1, 6))
    on_signature = shelf.signature(signed, shared, b"signature of a signature")
    cosign = shelf.manifest(shelf.add(b'{"cosign":1}', CONFIG), shelf.add(b"payload"))
    sparse = shelf.index(shelf.image(noise(2000, 7)), shelf.image(noise(2001, 8)))
    chosen = shelf.read_manifest(sparse).manifests[1]
    first = shelf.item(
        root,
        referrer(signed, root),
        referrer(child, arm, "fallback"),
        referrer(large, root),
        referrer(on_signature, signed),
        referrer(cosign, root, "sig"),
    )
    second = shelf.item(sparse, source="docker.io/library/base", children=(chosen,))
    third = shelf.item(amd, source="registry.example/mirror/app")
    return Recipe(
        shelf,
        inventory(first, second, third),
        files={
            "evidence.jsonl": b"{}\n",
            "policy/policy.yaml": b"same bytes",
            "trust/keys/a.pub": b"same bytes",
            "trust/keys/b.pub": noise(3000, 9),
        },
        roots=3,
    )


def unpack(path: Path) -> Recipe:
    """Return what a bundle was made from, read through the reader."""
    with open_bundle(path) as bundle:
        bundle.survey()
        bundle.verify_blobs()
        blobs = {}
        for digest, position in bundle.positions.items():
            kind = "application/octet-stream"
            descriptor = Descriptor(media_type=kind, digest=digest, size=position.size)
            with bundle.open_blob(descriptor) as stream:
                blobs[digest] = stream.read()
        return Recipe(
            Shelf(blobs),
            bundle.inventory,
            files=bundle.trust.files,
            roots=len(bundle.trust.roots),
        )


def is_index(descriptor: Descriptor) -> bool:
    return descriptor.media_type in INDEX_TYPES
