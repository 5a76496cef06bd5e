"""Log: an append-only file of records, framed, chained by hash, flushed before it is believed.

One frame is 12 bytes and a payload::

    0   4   length of the payload, big-endian
    4   4   CRC-32 of the payload
    8   4   CRC-32 of the 8 bytes before
    12  …   the payload: RFC 8785 canonical JSON, an object with `prev`, the SHA-256 of the payload
            before (64 zeros in the first)

* A write that was cut off leaves a **torn tail**: a frame that is not whole, or whose end was never
  written (zero bytes; a payload ends in ``}``). It was never acknowledged, so readers ignore it and
  the next writer cuts it off.
* Anything else that does not fit is **damage** and stops everything (`ledger-damaged`): to go on
  without a record would be to forget a head. The header has its own checksum, so a wrong length
  cannot pass for a torn tail.
* One writer at a time. Readers take no lock, write nothing and create nothing.

Source: docs/trust.md, "Ledger"; threat model, 5.2.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, StoreError
from airgap.ledger.durable import flush_folder, locked, make_private_folder, open_private
from airgap.oci.strict_json import Reader, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["GENESIS", "Entry", "Log", "LogWriter"]

GENESIS: Final = "0" * 64
"""What stands for the payload before the first one."""

_HEADER: Final = struct.Struct(">III")
_MAX_PAYLOAD: Final = 1 << 28
_READ: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One record: its number from 0, the hash of its payload, and the record itself."""

    number: int
    hash: str
    record: Mapping[str, object] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Log:
    """The log at `path`. `name` stands for it in errors."""

    path: Path
    name: str = "ledger"

    def read(self) -> Iterator[Entry]:
        """Yield the records, oldest first; none where there is no file.

        Raises StoreError ``ledger-damaged``.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.unusable(error) from error
        with file:
            for entry, _ in self._scan(file.fileno()):
                yield entry

    @contextlib.contextmanager
    def writing(self, *, wait: float = 0.0) -> Iterator[LogWriter]:
        """Hold the log for writing; a torn tail is cut off.

        Waits up to `wait` seconds for another writer, then raises StoreError ``ledger-busy``.
        """
        with contextlib.ExitStack() as held:
            # What fails inside the caller's block is not ours to explain.
            try:
                writer = self._open_writer(held, wait)
            except OSError as error:
                raise self.unusable(error) from error
            yield writer

    def _open_writer(self, held: contextlib.ExitStack, wait: float) -> LogWriter:
        make_private_folder(self.path.parent)
        held.enter_context(
            locked(
                self.path.with_name(f"{self.path.name}.lock"),
                reason="ledger-busy",
                message=f"another command is writing the {self.name} {self.path}",
                wait=wait,
            )
        )
        descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
        held.callback(os.close, descriptor)
        entries, end = [], 0
        for entry, after in self._scan(descriptor):
            entries.append(entry)
            end = after
        if os.fstat(descriptor).st_size > end:
            os.ftruncate(descriptor, end)
            os.fsync(descriptor)
        flush_folder(self.path.parent)
        return LogWriter(self, descriptor, end, entries)

    def _scan(self, descriptor: int) -> Iterator[tuple[Entry, int]]:
        """Yield each whole record with the offset after it."""
        before, offset, number = GENESIS, 0, 0
        size = os.fstat(descriptor).st_size
        while offset < size:
            payload = self._read_payload(descriptor, offset, size)
            if payload is None:
                return
            hash_ = hashlib.sha256(payload).hexdigest()
            try:
                record = Reader.parse(payload, f"record {number}")
                linked = record.text("prev") == before and encode(record.value) == payload
            except FormatError as error:
                raise self._damaged(offset, error.message) from error
            if not linked:
                raise self._damaged(offset, "it does not follow the record before")
            offset += _HEADER.size + len(payload)
            yield Entry(number=number, hash=hash_, record=record.value), offset
            before, number = hash_, number + 1

    def _read_payload(self, descriptor: int, offset: int, size: int) -> bytes | None:
        """Return the payload of the frame at `offset`, or None where the tail is torn."""
        header = _read_at(descriptor, offset, min(_HEADER.size, size - offset))
        if len(header) < _HEADER.size:
            return None
        length, payload_sum, header_sum = _HEADER.unpack(header)
        end = offset + _HEADER.size + length
        if zlib.crc32(header[:8]) != header_sum or length > _MAX_PAYLOAD:
            if _is_zero(descriptor, offset, size):
                return None
            raise self._damaged(offset, "its header is wrong")
        if end > size:
            return None
        payload = _read_at(descriptor, offset + _HEADER.size, length)
        if zlib.crc32(payload) == payload_sum:
            return payload
        if end == size and payload.endswith(b"\0"):
            return None
        raise self._damaged(offset, "its checksum is wrong")

    def _damaged(self, offset: int, why: str) -> StoreError:
        return StoreError(
            f"the {self.name} {self.path} is damaged at byte {offset}: {why}",
            reason="ledger-damaged",
            hint="Nothing is read past the damage. Keep the file, restore it from a copy, and find "
            "out what changed it: without it, an old bundle could pass for a new one.",
        )

    def unusable(self, error: OSError) -> StoreError:
        """Return the error for a failure of the disk."""
        return StoreError(
            f"the {self.name} {self.path} cannot be used: {error.strerror or error}",
            reason="ledger-unusable",
        )


class LogWriter:
    """The log while it is held for writing. `entries` are all its records, new ones as well."""

    def __init__(self, log: Log, descriptor: int, end: int, entries: list[Entry]) -> None:
        self._log = log
        self._descriptor = descriptor
        self._end = end
        self.entries = entries

    @property
    def hash(self) -> str:
        """The hash of the last record: it stands for all before it as well."""
        return self.entries[-1].hash if self.entries else GENESIS

    def append(self, record: Mapping[str, object]) -> Entry:
        """Write one record to the medium and return it; only then is it true."""
        payload = encode({**record, "prev": self.hash})
        head = struct.pack(">II", len(payload), zlib.crc32(payload))
        frame = head + struct.pack(">I", zlib.crc32(head)) + payload
        try:
            _write_at(self._descriptor, self._end, frame)
            os.fsync(self._descriptor)
        except OSError as error:
            # After a failed flush nobody knows what the medium holds: the next writer looks again.
            self._descriptor = -1
            raise self._log.unusable(error) from error
        self._end += len(frame)
        entry = Entry(
            number=len(self.entries),
            hash=hashlib.sha256(payload).hexdigest(),
            record=Reader.parse(payload, "record").value,
        )
        self.entries.append(entry)
        return entry


def _read_at(descriptor: int, offset: int, count: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while count and (part := os.read(descriptor, min(count, _READ))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _is_zero(descriptor: int, offset: int, size: int) -> bool:
    while offset < size:
        part = _read_at(descriptor, offset, min(_READ, size - offset))
        if part.strip(b"\0"):
            return False
        offset += len(part)
    return True
