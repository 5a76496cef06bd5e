"""The blobs of a copy: sent once, mounted elsewhere, read back where they are there already."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

from airgap.errors import IntegrityError, NotFoundError, RegistryCorruptError
from airgap.oci.descriptor import VerifyingReader
from airgap.stores.file_range import FileBacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from airgap.oci.descriptor import Descriptor
    from airgap.stores import Destination, Source
    from airgap.stores.copy_survey import BlobTask, CopyJob
    from airgap.stores.file_range import FileRange

__all__ = ["BlobCopier", "BlobTally", "ReadBack", "StoppedError"]

ReadBack = Literal["existing", "always"]
"""Which blobs are read back and hashed: those that were there already, or the new ones too."""
_CHUNK: Final = 1 << 20
_DAMAGE: Final = (IntegrityError, RegistryCorruptError, NotFoundError)


class StoppedError(Exception):
    """Another thread failed, or a person interrupted: this one stops. Never seen outside."""


@dataclass(slots=True)
class BlobTally:
    """What has been done so far; many threads add to it."""

    written: int = 0
    present: int = 0
    mounted: int = 0
    repaired: int = 0
    bytes_written: int = 0
    _lock: Lock = field(default_factory=Lock)

    def add(self, **counts: int) -> None:
        """Add to the counts that are named."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


@dataclass(kw_only=True, slots=True)
class BlobCopier:
    """Copies one blob at a time, in any thread. `advance` is told how many bytes are dealt with."""

    source: Source
    jobs: tuple[CopyJob, ...]
    read_back: ReadBack
    advance: Callable[[int], None]
    stop: Event
    tally: BlobTally = field(default_factory=BlobTally)

    def run(self, task: BlobTask) -> None:
        """Bring the blob of `task` to each of its repositories."""
        descriptor = task.descriptor
        first, *others = (self.jobs[number] for number in task.jobs)
        self._put(first.destination, descriptor)
        for other in others:
            if other.destination.mount_blob(descriptor, first.repository):
                self.tally.add(mounted=1)
                self.advance(descriptor.size)
            else:
                self._put(other.destination, descriptor)

    def _put(self, destination: Destination, descriptor: Descriptor) -> None:
        meter = _Meter(self.advance)
        there = destination.has_blob(descriptor)
        if there and self._is_sound(destination, descriptor, meter):
            self.tally.add(present=1)
            return

        @contextmanager
        def opener() -> Iterator[VerifyingReader]:
            meter.restart()
            with self.source.open_blob(descriptor) as reader:
                yield _WatchedReader(reader, meter, self.stop)

        destination.write_blob(descriptor, opener)
        self.tally.add(written=1, repaired=int(there), bytes_written=descriptor.size)
        # Not every registry heals damaged content when it is sent again, though it says so.
        if (there or self.read_back == "always") and not self._is_sound(
            destination, descriptor, _Meter(lambda _: None)
        ):
            raise RegistryCorruptError(
                f"{destination.name} acknowledged the blob {descriptor.digest} and does not give "
                "it back as it was sent",
                reason="registry-corrupt",
            )

    def _is_sound(self, destination: Destination, descriptor: Descriptor, meter: _Meter) -> bool:
        """Read a blob back; tell whether all its bytes are there and right."""
        try:
            with destination.open_blob(descriptor) as reader:
                watched = _WatchedReader(reader, meter, self.stop)
                buffer = memoryview(bytearray(min(_CHUNK, descriptor.size + 1)))
                while watched.readinto(buffer):
                    pass
        except _DAMAGE:
            return False
        return True


class _Meter:
    """The bytes of one transfer; what was counted is taken back when it starts over."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._counted = 0

    def add(self, count: int) -> None:
        self._counted += count
        self._advance(count)

    def restart(self) -> None:
        if self._counted:
            self._advance(-self._counted)
            self._counted = 0


class _WatchedReader(VerifyingReader):
    """A verifying reader that counts, and that stops when the copy stops.

    It leaves the verifying to the reader that it wraps: its end is reached only after that one's.
    """

    def __init__(self, reader: VerifyingReader, meter: _Meter, stop: Event) -> None:
        super().__init__(reader, reader.descriptor)
        self._reader = reader
        self._meter = meter
        self._stop_event = stop

    @property
    def file_range(self) -> FileRange | None:
        """Where the content stands, verified, in an open file; sending it is watched too."""
        found = self._reader.file_range if isinstance(self._reader, FileBacked) else None
        return None if found is None else found.watched(self._proceed)

    def _proceed(self, count: int) -> None:
        if self._stop_event.is_set():
            raise StoppedError
        self._meter.add(count)

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, all that is left if negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        data = self._reader.read(size)
        self._proceed(len(data))
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` from its start and return how many bytes are in it; 0 is the end."""
        count = self._reader.readinto(buffer)
        self._proceed(count)
        return count
