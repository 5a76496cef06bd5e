"""Opening: what is read of a bundle before anything is believed: documents, TUF files, targets.

Steps:

1. ``oci-layout`` is the one there is; ``index.json`` is bounded and its first entry names the
   bundle manifest. The rest of it is not parsed: `survey` makes it again and compares bytes.
2. The bundle manifest has that digest, names inventory, TUF files and targets, and is the one
   that `bundle_manifest` makes from them.
3. Each of them stands where it must, once, has its digest, and all keep to the limits.

No third party's manifest is parsed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.bundle.head import (
    BUNDLE_TYPE,
    INDEX_NAME,
    LAYOUT_BYTES,
    LAYOUT_NAME,
    TITLE,
    bundle_manifest,
)
from airgap.bundle.inventory import Inventory
from airgap.bundle.layout import Position
from airgap.bundle.limits import (
    BUNDLE_MANIFEST_LIMIT,
    INDEX_LIMIT,
    INVENTORY_LIMIT,
    TRUST_LIMIT,
)
from airgap.bundle.tar import Members, padded
from airgap.bundle.trust_files import TrustFiles, check_trust
from airgap.errors import FormatError, IntegrityError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_MANIFEST, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap.bundle.medium import Medium

__all__ = ["Opening", "read_opening"]

# RFC 8785 sorts the keys, so the entry of the bundle manifest can only begin like this.
_FIRST_ENTRY: Final = re.compile(
    rb'\{"manifests":\[\{"artifactType":"'
    + re.escape(BUNDLE_TYPE.encode())
    + rb'","digest":"(sha256:[0-9a-f]{64})","mediaType":"'
    + re.escape(OCI_MANIFEST.encode())
    + rb'","size":([1-9][0-9]{0,8})\}'
)
_LONGEST_FIRST_ENTRY: Final = 512
_SNAPSHOT_TITLE: Final = re.compile(r"metadata/([1-9][0-9]{0,15})\.snapshot\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What the first part of a head says, well formed and not believed.

    `index` is where the bytes of index.json are; `positions` has the bundle's own documents;
    `end` is where they end.
    """

    index: Position
    manifest: Descriptor
    inventory: Inventory
    inventory_bytes: bytes
    trust: TrustFiles
    positions: Mapping[Digest, Position] = field(hash=False)
    end: int


def read_opening(medium: Medium) -> Opening:
    """Return the opening of the bundle in `medium`.

    Raises FormatError, IntegrityError or UnsupportedVersionError.
    """
    members = Members(medium)
    if members.take(LAYOUT_NAME, len(LAYOUT_BYTES)) != LAYOUT_BYTES:
        raise FormatError("oci-layout is not version 1.0.0's", reason="layout-not-as-generated")
    index, named = _read_index(medium, members)
    documents = _Documents(members)
    manifest = Manifest.parse(documents.read(named), OCI_MANIFEST, "the bundle manifest")
    inventory_bytes, trust = _read_files(documents, manifest)
    if bundle_manifest(inventory_bytes, trust) != manifest.data:
        raise FormatError(
            "the bundle manifest is not the one that inventory, TUF files and targets make",
            reason="manifest-not-as-generated",
        )
    inventory = Inventory.decode(inventory_bytes)
    check_trust(inventory, trust)
    return Opening(
        index=index,
        manifest=named,
        inventory=inventory,
        inventory_bytes=inventory_bytes,
        trust=trust,
        positions=documents.positions,
        end=members.offset,
    )


def _read_index(medium: Medium, members: Members) -> tuple[Position, Descriptor]:
    size = members.size_of_next(INDEX_NAME, INDEX_LIMIT)
    offset = members.skip(INDEX_NAME, size)
    match = _FIRST_ENTRY.match(medium.read(offset, min(size, _LONGEST_FIRST_ENTRY)))
    if match is None:
        raise FormatError(
            "index.json does not begin with the bundle manifest", reason="index-not-as-generated"
        )
    named = Descriptor(
        media_type=OCI_MANIFEST,
        digest=Digest.parse(match[1].decode("ascii")),
        size=_bounded(int(match[2]), BUNDLE_MANIFEST_LIMIT, "the bundle manifest"),
    )
    return Position(offset=offset, size=size), named


def _read_files(documents: _Documents, manifest: Manifest) -> tuple[bytes, TrustFiles]:
    """Read the inventory and all files that the bundle manifest names, each bounded first."""
    inventory, *files = manifest.blobs
    _bounded(inventory.size, INVENTORY_LIMIT, "the inventory")
    _bounded(sum(file.size for file in files), TRUST_LIMIT, "TUF files and targets")
    inventory_bytes = documents.read(inventory)
    titles = [file.annotations.get(TITLE, "") for file in files]
    return inventory_bytes, _sort(titles, [documents.read(file) for file in files])


def _sort(titles: Sequence[str], files: Sequence[bytes]) -> TrustFiles:
    """Tell the files apart by title; that all titles are right shows when they are made again."""
    for at, title in enumerate(titles):
        number = _SNAPSHOT_TITLE.fullmatch(title)
        if number is not None and at and at + 1 < len(files):
            return TrustFiles(
                roots=tuple(files[: at - 1]),
                timestamp=files[at - 1],
                snapshot=files[at],
                targets=files[at + 1],
                number=int(number[1]),
                files={
                    title.removeprefix("targets/"): data
                    for title, data in zip(titles[at + 2 :], files[at + 2 :], strict=True)
                },
            )
    raise FormatError(
        "the bundle manifest does not name the TUF files", reason="manifest-not-as-generated"
    )


class _Documents:
    """The bundle's own documents: each blob stands once, where it is first named."""

    def __init__(self, members: Members) -> None:
        self.positions: dict[Digest, Position] = {}
        self._members = members
        self._bytes: dict[Digest, bytes] = {}

    def read(self, descriptor: Descriptor) -> bytes:
        """Return the verified bytes of the document with this digest and size."""
        digest, size = descriptor.digest, descriptor.size
        if digest not in self._bytes:
            data = self._members.take(digest.blob_path, size)
            if Digest.of(data) != digest:
                raise IntegrityError(
                    f"{digest} does not have the bytes that its digest names",
                    reason="blob-digest-mismatch",
                )
            self._bytes[digest] = data
            start = self._members.offset - padded(size)
            self.positions[digest] = Position(offset=start, size=size)
        if len(self._bytes[digest]) != size:
            raise FormatError(
                f"{digest} is named with two sizes", reason="descriptor-size-mismatch"
            )
        return self._bytes[digest]


def _bounded(size: int, limit: int, what: str) -> int:
    if size > limit:
        raise FormatError(f"{what}: {size} bytes, more than {limit}", reason="member-too-large")
    return size
