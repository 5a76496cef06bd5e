"""Reading regular files that a stranger may have made: bounded, and never waiting on a pipe."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airgap.errors import FormatError, NotFoundError
from airgap.stores.ingest import CHUNK, disk_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Section", "open_regular", "read_small"]


@contextmanager
def open_regular(path: Path, what: str) -> Iterator[int]:
    """Open a regular file; links are followed (Bazel's layouts are made of them), pipes are not.

    Raises NotFoundError ``blob-missing``, FormatError ``not-a-file``, or StoreError.
    """
    try:
        # A pipe without a writer would block the open; this way it is opened, seen and refused.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{what} is not there", reason="blob-missing") from error
    except OSError as error:
        raise disk_error(error, f"cannot read {what}") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise FormatError(f"{what} is not a regular file", reason="not-a-file")
        yield file
    finally:
        os.close(file)


def read_small(path: Path, limit: int, what: str) -> bytes:
    """Return all bytes of a regular file of at most `limit` bytes, or raise."""
    with open_regular(path, what) as file:
        size = os.fstat(file).st_size
        if size > limit:
            raise FormatError(f"{what} is larger than {limit} bytes", reason="file-too-large")
        return Section(file, 0, size, what).read()


class Section:
    """`size` bytes of an open file from `offset` on, read without moving the file's place."""

    def __init__(self, file: int, offset: int, size: int, what: str) -> None:
        self._file = file
        self._offset = offset
        self._end = offset + size
        self._what = what

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, all that is left if negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        try:
            data = os.pread(self._file, min(size, self._end - self._offset), self._offset)
        except OSError as error:
            raise disk_error(error, f"cannot read {self._what}") from error
        self._offset += len(data)
        return data
