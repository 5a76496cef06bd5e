"""BundleWriter: blobs go to their places as they arrive, the head is written last.

* Every position is known up front, so blobs are placed from many threads, in any order.
* A blob counts as placed only when all its bytes were written and had its digest.
* An interrupted file is taken up again by `adopt`: what it holds is hashed, and kept if right.
* `finish` writes every byte that is no body blob's. The file is the bundle only after that, and
  whoever calls it gives it its name.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock, local
from typing import TYPE_CHECKING, Final, Self

from airgap.bundle.hashing import hash_ranges
from airgap.bundle.head import compose
from airgap.bundle.layout import check_fit, first_pad
from airgap.bundle.medium import Medium
from airgap.bundle.tar import END, header, pad_member, padding
from airgap.errors import IntegrityError, StoreError
from airgap.oci.descriptor import VerifyingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from airgap.bundle.head import Head, TrustFiles
    from airgap.bundle.layout import Layout, Placement
    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.oci.digest import Digest

__all__ = ["BundleWriter"]

_CHUNK: Final = 1 << 20


class BundleWriter:
    """Writes the bundle that `layout` describes to `path`, keeping what a partial file holds.

    Use it as a context manager. Raises UsageError where `path` is no regular file and StoreError
    where it cannot be written.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._layout = layout
        self._medium = Medium.create(path, layout.size)
        self._placed: set[Digest] = set()
        self._lock = Lock()
        self._own = local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._medium.close()

    @property
    def placed(self) -> frozenset[Digest]:
        """The body blobs that stand in their places, each verified."""
        with self._lock:
            return frozenset(self._placed)

    def place(
        self,
        descriptor: Descriptor,
        stream: ByteStream,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write the blob from `stream` to its place; any number of threads may do so at once.

        `stream` is read to its end, and hashed here unless it is a reader that verifies this very
        blob itself. `advance` is told of each piece written, in bytes. Raises IntegrityError where
        it is not what `descriptor` says, KeyError where the layout has no such blob, and
        StoreError where the disk is full.
        """
        position = self._layout.positions[descriptor.digest]
        # The layout's size counts: no stream can write over its neighbour.
        verified = VerifyingReader.of(stream, replace(descriptor, size=position.size))
        offset, end = position.offset, position.offset + position.size
        buffer = self._buffer()
        while count := verified.readinto(buffer):
            self._medium.write(offset, buffer[:count])
            offset += count
            advance(count)
        if offset != end:
            raise IntegrityError(
                f"{descriptor.digest} ended after {offset - position.offset} of "
                f"{position.size} bytes",
                reason="descriptor-size-mismatch",
            )
        self._mark(descriptor.digest)

    def adopt(self, digests: Iterable[Digest]) -> frozenset[Digest]:
        """Hash what the file holds in the places of `digests`; keep and return what is right."""
        ranges = [
            (digest, self._layout.positions[digest])
            for digest in sorted(set(digests) & self._layout.positions.keys())
        ]
        kept = frozenset(digest for digest, matches in hash_ranges(self._medium, ranges) if matches)
        for digest in kept:
            self._mark(digest)
        return kept

    def finish(
        self,
        inventory_bytes: bytes,
        trust: TrustFiles,
        read_head: Callable[[Descriptor], bytes],
    ) -> None:
        """Write the head, the headers, pads and padding of the body and the end; fsync.

        `read_head` returns the bytes of a manifest or small referrer blob; they are checked.
        Raises UsageError ``no-room-for-signature``, with nothing written, where the head has
        grown beyond its room; FormatError where inventory and layout do not agree; StoreError
        where a blob is not in its place.
        """
        arrangement, body_at = self._layout.arrangement, self._layout.body_at
        head = compose(inventory_bytes, trust, arrangement)
        check_fit(head, arrangement, body_at)
        self._refuse_missing()
        pad = b"" if body_at is None else pad_member(first_pad(head.size, body_at))
        end = self._write_head(head, read_head)
        self._medium.write(end, pad)
        for placement in self._layout.placements():
            end = self._write_frame(placement)
        self._medium.write(end, END)
        self._medium.resize(end + len(END))
        self._medium.sync()

    def _buffer(self) -> memoryview:
        """Return this thread's buffer."""
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(_CHUNK))
        buffer: memoryview = self._own.buffer
        return buffer

    def _mark(self, digest: Digest) -> None:
        with self._lock:
            self._placed.add(digest)

    def _refuse_missing(self) -> None:
        missing = self._layout.positions.keys() - self.placed
        if missing:
            raise StoreError(
                f"{len(missing)} blobs are not in their places yet, {min(missing)} among them",
                reason="blob-not-placed",
            )

    def _write_head(self, head: Head, read_head: Callable[[Descriptor], bytes]) -> int:
        """Write the head's members and return where they end."""
        offset = 0
        for member in head.spell(read_head):
            self._medium.write(offset, member)
            offset += len(member)
        return offset

    def _write_frame(self, placement: Placement) -> int:
        """Write what stands around a body blob and return where its padding ends."""
        descriptor = placement.descriptor
        before = pad_member(placement.pad) if placement.pad else b""
        before += header(descriptor.digest.blob_path, descriptor.size)
        self._medium.write(placement.offset - len(before), before)
        self._medium.write(placement.offset + descriptor.size, padding(descriptor.size))
        return placement.end
