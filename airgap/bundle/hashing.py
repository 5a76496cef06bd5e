"""Hashing: what digests the blobs in a file really have.

Blobs of 1 MiB or more are hashed in threads, each with one buffer that it uses again; smaller
ones inline, because handing them over costs more than hashing them (measured: five times).
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, local
from typing import TYPE_CHECKING, Final

from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airgap.bundle.layout import Position
    from airgap.bundle.medium import Medium

__all__ = ["hash_ranges"]

_BUFFER: Final = 1 << 20


def hash_ranges(
    medium: Medium,
    ranges: Iterable[tuple[Digest, Position]],
    *,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Generator[tuple[Digest, bool], None, None]:
    """Yield each digest of `ranges` and whether the bytes at its position have it.

    Small ranges come first, then large ones as they stand. `progress` gets the number of bytes
    hashed since its last call, never from two threads at once. Closing the generator stops the
    threads. Raises FormatError where the file ends within a range.
    """
    large: list[tuple[Digest, Position]] = []
    job = _Job(medium, progress or (lambda _: None))
    for digest, position in ranges:
        if position.size >= _BUFFER:
            large.append((digest, position))
        else:
            yield digest, job.digest(position) == digest
    with ThreadPoolExecutor(threads) as pool:
        try:
            actual = pool.map(job.digest, (position for _, position in large))
            for (digest, _), found in zip(large, actual, strict=True):
                yield digest, found == digest
        finally:
            job.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _Job:
    """One pass over a file; `stop` ends what is under way."""

    def __init__(self, medium: Medium, progress: Callable[[int], None]) -> None:
        self.stop = Event()
        self._medium = medium
        self._progress = progress
        self._lock = Lock()
        self._own = local()

    def digest(self, position: Position) -> Digest | None:
        """Return the digest of the bytes at `position`; None if stopped before their end."""
        hasher = hashlib.sha256()
        offset, end = position.offset, position.offset + position.size
        buffer = self._buffer()
        while offset < end:
            if self.stop.is_set():
                return None
            view = buffer[: min(_BUFFER, end - offset)]
            self._medium.read_into(offset, view)
            hasher.update(view)
            offset += len(view)
            with self._lock:
                self._progress(len(view))
        return Digest(hasher.hexdigest())

    def _buffer(self) -> memoryview:
        """Return this thread's buffer."""
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(_BUFFER))
        buffer: memoryview = self._own.buffer
        return buffer
