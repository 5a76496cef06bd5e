"""Survey: the rest of the head in step with the walk, the body's headers, and the exact end.

Steps:

1. The manifests and small referrer blobs stand in the order in which the walk meets them;
   manifests are verified before they are parsed, and parsed before their children are looked for.
2. ``index.json`` is the one that inventory and manifests make.
3. The body is what the inventory says: its size, its start, each blob's header and pad.
4. Two zero blocks, then the end of the file: nothing is missing, nothing is there besides.

The bytes of blobs other than manifests are not read here: `Bundle.verify_blobs` hashes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap.bundle.arrangement import arrange
from airgap.bundle.head import index_document
from airgap.bundle.layout import Position, body_placements, first_pad
from airgap.bundle.tar import Members
from airgap.errors import FormatError, UsageError
from airgap.oci.manifest import MANIFEST_LIMIT, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.bundle.arrangement import Arrangement
    from airgap.bundle.medium import Medium
    from airgap.bundle.opening import Opening
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest

__all__ = ["Survey", "survey_bundle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """Where every blob of a bundle is, and what its content is made of."""

    arrangement: Arrangement
    positions: Mapping[Digest, Position] = field(hash=False)


def survey_bundle(medium: Medium, opening: Opening) -> Survey:
    """Return where everything in `medium` is, or raise FormatError or IntegrityError."""
    head = _HeadReader(medium, opening)
    arrangement = arrange(
        opening.inventory,
        head.read_manifest,
        documents=opening.positions.keys(),
        meet=head.meet,
    )
    _check_index(medium, opening, arrangement)
    _check_body(head.members, opening, arrangement, head.positions)
    return Survey(arrangement=arrangement, positions=head.positions)


class _HeadReader:
    """Expects each head blob as the walk meets it."""

    def __init__(self, medium: Medium, opening: Opening) -> None:
        self.members = Members(medium, opening.end)
        self.positions = dict(opening.positions)
        self._medium = medium

    def meet(self, descriptor: Descriptor) -> Position:
        """Pass over the next member, which must be this blob, if it has not been met before."""
        digest, size = descriptor.digest, descriptor.size
        if digest not in self.positions:
            offset = self.members.skip(digest.blob_path, size)
            self.positions[digest] = Position(offset=offset, size=size)
        if self.positions[digest].size != size:
            raise FormatError(
                f"{digest} is named with two sizes", reason="descriptor-size-mismatch"
            )
        return self.positions[digest]

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return the manifest that the walk has come to, verified."""
        if descriptor.size > MANIFEST_LIMIT:
            raise FormatError(
                f"{descriptor.digest} has {descriptor.size} bytes, more than {MANIFEST_LIMIT}",
                reason="manifest-too-large",
            )
        position = self.meet(descriptor)
        return Manifest.verified(self._medium.read(position.offset, position.size), descriptor)


def _check_index(medium: Medium, opening: Opening, arrangement: Arrangement) -> None:
    expected = index_document(opening.inventory, opening.manifest, arrangement.artifact_types)
    if medium.read(opening.index.offset, opening.index.size) != expected:
        raise FormatError(
            "index.json is not the one that inventory and manifests make",
            reason="index-not-as-generated",
        )


def _check_body(
    members: Members,
    opening: Opening,
    arrangement: Arrangement,
    positions: dict[Digest, Position],
) -> None:
    """Check that the body is what the inventory says and stands where it must; note positions."""
    stated = opening.inventory.content
    if stated != arrangement.content(stated.body_at):
        raise FormatError(
            f"the inventory says {stated.blobs} blobs with {stated.size} bytes in the body, "
            f"the manifests name {len(arrangement.body)}",
            reason="content-mismatch",
        )
    if stated.body_at is not None:
        members.expect_pad(_first_pad(members.offset, stated.body_at))
    for placement in body_placements(arrangement.body, stated.body_at or 0):
        digest, size = placement.descriptor.digest, placement.descriptor.size
        if placement.pad:
            members.expect_pad(placement.pad)
        offset = members.skip(digest.blob_path, size)
        positions[digest] = Position(offset=offset, size=size)
    members.expect_end()


def _first_pad(head_size: int, body_at: int) -> int:
    try:
        return first_pad(head_size, body_at)
    except UsageError as error:
        raise FormatError(
            f"body_at {body_at} leaves no pad after the head, which ends at {head_size}",
            reason="body-at-invalid",
        ) from error
