"""Medium: the file that a bundle is, read and written at positions and never with a cursor.

* It is a regular file, opened without following a symbolic link (threat model A028 and A030).
* Its size is taken once, when it is opened; a read past it, or one that comes up short because
  the file shrank, is `bundle-truncated`. Bytes that change are found by whoever hashes them.
* `preadv` fills a buffer that is used again; `pread`, or seek and read under a lock, stand in for
  it where the platform has no better.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from airgap.errors import FormatError, NotFoundError, StoreError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Medium"]

# Not every platform has them all. Non-blocking, because opening a FIFO would wait for its writer.
_SAFELY: Final = sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)


class Medium:
    """An open bundle file; `path` names it in errors, `size` is its length in bytes when opened."""

    def __init__(self, descriptor: int, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor
        self._lock = Lock()

    @classmethod
    def open(cls, path: Path) -> Medium:
        """Open an existing file for reading.

        Raises NotFoundError where there is none, UsageError where it is no regular file, and
        StoreError where the system does not let it be read.
        """
        return cls._open(path, os.O_RDONLY)

    @classmethod
    def update(cls, path: Path) -> Medium:
        """Open an existing file for reading and writing; raises what `open` does."""
        return cls._open(path, os.O_RDWR)

    @classmethod
    def create(cls, path: Path, size: int) -> Medium:
        """Open a file for writing, keep what it holds, and make it `size` bytes long."""
        medium = cls._open(path, os.O_RDWR | os.O_CREAT)
        try:
            medium.resize(size)
        except BaseException:
            medium.close()
            raise
        return medium

    @classmethod
    def _open(cls, path: Path, flags: int) -> Medium:
        try:
            descriptor = os.open(path, flags | _SAFELY, 0o666)
        except FileNotFoundError as error:
            raise NotFoundError(f"{path} does not exist", reason="bundle-not-found") from error
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
                raise _not_regular(path) from error
            raise StoreError(
                f"{path} cannot be opened: {error.strerror}", reason="bundle-unreadable"
            ) from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _not_regular(path)
        return cls(descriptor, path, status.st_size)

    def fileno(self) -> int:
        """Return the file descriptor, for `os.sendfile` and the like; this object closes it."""
        return self._descriptor

    def close(self) -> None:
        """Give the file descriptor back."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset`; raise FormatError where there are fewer."""
        self._refuse_beyond(offset + size)
        if hasattr(os, "pread"):
            # A read that fails or comes up short is for `read_into` to try again and to explain.
            with suppress(OSError):
                data = os.pread(self._descriptor, size, offset)
                if len(data) == size:
                    return data
        buffer = bytearray(size)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` from `offset`; raise FormatError where the file has fewer bytes."""
        self._refuse_beyond(offset + len(view))
        done = 0
        while done < len(view):
            try:
                count = self._read_some(view[done:], offset + done)
            except OSError as error:
                raise StoreError(
                    f"{self.path} cannot be read at byte {offset + done}: {error.strerror}",
                    reason="bundle-unreadable",
                    hint="Check the medium, copy the file to a local disk, then run again.",
                ) from error
            if count == 0:
                raise self._truncated(offset + len(view))
            done += count

    def _read_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [view], offset)
        if hasattr(os, "pread"):
            data = os.pread(self._descriptor, len(view), offset)
        else:
            with self._lock:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                data = os.read(self._descriptor, len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`; raise StoreError where the disk does not take it."""
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += self._write_some(view[done:], offset + done)
        except OSError as error:
            raise self._unwritable(error) from error

    def _write_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, view, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.write(self._descriptor, view)

    def resize(self, size: int) -> None:
        """Make the file exactly `size` bytes long."""
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise self._unwritable(error) from error
        self.size = size

    def sync(self) -> None:
        """Return once the disk holds what was written."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error) from error

    def refuse_change(self) -> None:
        """Raise FormatError where the file is no longer as long as it was when it was opened."""
        now = os.fstat(self._descriptor).st_size
        if now != self.size:
            raise FormatError(
                f"{self.path} had {self.size} bytes and now has {now}", reason="bundle-changed"
            )

    def _refuse_beyond(self, end: int) -> None:
        if end > self.size:
            raise self._truncated(end)

    def _truncated(self, wanted: int) -> FormatError:
        return FormatError(
            f"{self.path} ends before byte {wanted}, where the bundle goes on",
            reason="bundle-truncated",
            hint="The copy is not complete: copy the bundle again.",
        )

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path} cannot be written: {error.strerror}", reason="bundle-unwritable"
        )


def _not_regular(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not a regular file",
        reason="bundle-not-a-file",
        hint="Name the bundle file itself, not a link, a folder or a device.",
    )
