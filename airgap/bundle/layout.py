"""Layout: at which byte of the file everything stands, known before the first blob is fetched.

* The first body blob's bytes start at `body_at`, whatever its size; the pad before it fills up.
* A later body blob of 64 KiB or more starts on a multiple of 4096, after a pad where it must.
* `body_at` leaves 64 KiB of room after the longest head, so that a signature that is added later
  rewrites the head and moves nothing else.

Source: docs/bundle-format.md, "The tar".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.bundle.arrangement import Arrangement, arrange
from airgap.bundle.head import Head, TrustFiles, compose
from airgap.bundle.limits import PAD_LIMIT
from airgap.bundle.rules import BODY_STEP
from airgap.bundle.tar import BLOCK, END, SMALLEST_PAD, padded
from airgap.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest

__all__ = [
    "Arrangement",
    "Layout",
    "Placement",
    "Position",
    "arrange",
    "body_placements",
    "check_fit",
    "first_pad",
    "settle",
]

_ALIGNED_FROM: Final = 64 << 10
_ROOM: Final = 64 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Where a blob's bytes are: `offset` from the start of the file, `size`, both in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A body blob, where its bytes start, and the pad (0 for none) before its header.

    The pad of the first blob depends on the head: it is 0 here and `first_pad` knows it.
    """

    descriptor: Descriptor
    offset: int
    pad: int

    @property
    def header_at(self) -> int:
        """Where the header starts; the pad ends here."""
        return self.offset - BLOCK

    @property
    def end(self) -> int:
        """Where the padding after the blob ends."""
        return self.offset + padded(self.descriptor.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Every position in a bundle file. `body_at` is None where there is no body.

    `positions` has the body blobs; `size` is the length of the file in bytes (without a body: with
    every signature at its greatest length).
    """

    arrangement: Arrangement
    body_at: int | None
    positions: Mapping[Digest, Position] = field(hash=False)
    size: int

    def placements(self) -> Iterator[Placement]:
        """Yield the body blobs in order."""
        return body_placements(self.arrangement.body, self.body_at or 0)


def body_placements(body: Iterable[Descriptor], body_at: int) -> Iterator[Placement]:
    """Yield where each blob of `body` stands when the first one's bytes start at `body_at`."""
    offset = body_at - BLOCK
    for number, descriptor in enumerate(body):
        pad = 0
        if number and descriptor.size >= _ALIGNED_FROM:
            pad = -(offset + BLOCK) % BODY_STEP
            pad += BODY_STEP if pad == BLOCK else 0
        placement = Placement(descriptor=descriptor, offset=offset + pad + BLOCK, pad=pad)
        yield placement
        offset = placement.end


def first_pad(head_size: int, body_at: int) -> int:
    """Return the length of the pad between a head of `head_size` bytes and the first body blob.

    Raises UsageError ``no-room-for-signature`` where the head leaves no room for it, and
    FormatError where the pad would be too large for other tools.
    """
    pad = body_at - BLOCK - head_size
    if pad < SMALLEST_PAD:
        raise UsageError(
            f"the signatures do not fit before byte {body_at}, where the content starts",
            reason="no-room-for-signature",
            hint="Export again: the new bundle has room for as many signatures as its root names.",
        )
    if pad - BLOCK >= PAD_LIMIT:
        raise FormatError(
            f"body_at {body_at} is too far from the head's end at {head_size}",
            reason="body-at-invalid",
        )
    return pad


def settle(
    draft: Callable[[int | None], tuple[bytes, TrustFiles]], arrangement: Arrangement
) -> Layout:
    """Return the layout of the bundle that `draft` describes.

    ``draft(body_at)`` returns the inventory and the TUF files, each signature at the greatest
    length that its key can make; it is called again until `body_at` and its own digits agree.
    Raises FormatError where a draft could not travel.
    """
    if not arrangement.body:
        head = _drafted(draft, None, arrangement)
        return _layout(arrangement, None, head.size)
    body_at, settled = 0, BODY_STEP
    while body_at != settled:
        body_at = settled
        head = _drafted(draft, body_at, arrangement)
        settled = -(-(head.size + _ROOM + BLOCK) // BODY_STEP) * BODY_STEP
    return _layout(arrangement, body_at, head.size)


def check_fit(head: Head, arrangement: Arrangement, body_at: int | None) -> None:
    """Raise FormatError where `head` does not go with the body of `arrangement` at `body_at`."""
    stated, actual = head.inventory.content, arrangement.content(body_at)
    if stated != actual:
        raise FormatError(
            f"the inventory says that the body is {stated.to_json()}, it is {actual.to_json()}",
            reason="content-mismatch",
        )
    for descriptor in arrangement.body:
        if descriptor.digest in head.documents:
            raise FormatError(
                f"{descriptor.digest} is one of the bundle's own documents and so no body blob",
                reason="content-mismatch",
            )


def _drafted(
    draft: Callable[[int | None], tuple[bytes, TrustFiles]],
    body_at: int | None,
    arrangement: Arrangement,
) -> Head:
    inventory_bytes, trust = draft(body_at)
    head = compose(inventory_bytes, trust, arrangement)
    check_fit(head, arrangement, body_at)
    return head


def _layout(arrangement: Arrangement, body_at: int | None, head_size: int) -> Layout:
    positions: dict[Digest, Position] = {}
    end = head_size
    for placement in body_placements(arrangement.body, body_at or 0):
        positions[placement.descriptor.digest] = Position(
            offset=placement.offset, size=placement.descriptor.size
        )
        end = placement.end
    return Layout(
        arrangement=arrangement,
        body_at=body_at,
        positions=MappingProxyType(positions),
        size=end + len(END),
    )
