"""Where the members of a stranger's tar are: their headers are read, nothing is ever extracted.

The standard library's parser reads the headers, through a file that gives it no more than a
mebibyte at a time (a header of 512 bytes may claim to be followed by a terabyte of names). It may
stop early in silence, or be fooled about what a member is called: so nothing that was read here
counts for more than the digest that its bytes turn out to have.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import tarfile
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from airgap.errors import FormatError, NotFoundError
from airgap.stores.ingest import CHUNK, disk_error
from airgap.stores.regular_files import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Members", "Place", "read_members", "unpacked"]

_MAX_MEMBERS: Final = 250_000
_MAX_HEADER: Final = 1 << 20
_MAX_LINKS: Final = 8
_GZIP: Final = b"\x1f\x8b"
_TAR_ERRORS: Final = (
    tarfile.TarError, EOFError, MemoryError, ValueError, OverflowError, IndexError, OSError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the archive a member's bytes are."""

    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Members:
    """The regular files of an archive by name, and the links that lead to them."""

    file: int
    title: str
    places: dict[str, Place] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Place:
        """Return where `name` is, links followed inside the archive; raise NotFoundError."""
        path = posixpath.normpath(name)
        for _ in range(_MAX_LINKS):
            if path in self.places:
                return self.places[path]
            if path not in self.links:
                break
            path = self.links[path]
        raise NotFoundError(
            f"{self.title} has no {name:.300}",
            reason="archive-member-missing",
            hint="The archive is incomplete, or another kind of archive: write it again.",
        )

    def section(self, place: Place, what: str) -> Section:
        """Return a stream over the bytes at `place`."""
        return Section(self.file, place.offset, place.size, f"{self.title}: {what}")

    def read(self, name: str, limit: int) -> bytes:
        """Return all bytes of a member of at most `limit` bytes."""
        place = self.find(name)
        if place.size > limit:
            raise FormatError(
                f"{name:.300} in {self.title} is larger than {limit} bytes", reason="file-too-large"
            )
        return self.section(place, name).read()


@contextmanager
def unpacked(file: int, title: str) -> Iterator[int]:
    """Yield the archive itself, or the unnamed file into which a gzipped one was unpacked."""
    if os.pread(file, 2, 0) != _GZIP:
        yield file
        return
    try:
        target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise disk_error(error, f"cannot unpack {title}") from error
    with target:
        _gunzip(file, target, title)
        yield target.fileno()


def _gunzip(file: int, target: io.FileIO, title: str) -> None:
    with open(file, "rb", closefd=False) as packed, gzip.GzipFile(fileobj=packed) as stream:
        while True:
            try:
                data = stream.read(CHUNK)
            except (OSError, EOFError, zlib.error) as error:
                raise FormatError(f"{title} is not a gzip file that can be read: {error}",
                                  reason="archive-invalid") from error  # fmt: skip
            if not data:
                return
            try:
                view = memoryview(data)
                while view:
                    view = view[target.write(view) :]
            except OSError as error:
                raise disk_error(error, f"cannot unpack {title}") from error


def read_members(file: int, title: str) -> Members:
    """Return where the members of the tar in the open file `file` are, or raise FormatError."""
    size = os.fstat(file).st_size
    members = Members(file=file, title=title)
    try:
        with tarfile.open(fileobj=_HeaderFile(file, size, title), mode="r:") as tar:
            count = 0
            while (info := tar.next()) is not None:
                count += 1
                if count > _MAX_MEMBERS:
                    raise FormatError(
                        f"{title} has more than {_MAX_MEMBERS} members", reason="archive-too-large"
                    )
                cast("Any", tar).members.clear()  # it would keep every header that it has read
                _note(members, info, size)
    except _TAR_ERRORS as error:
        raise FormatError(
            f"{title} is not a tar archive that can be read: {error}", reason="archive-invalid"
        ) from error
    return members


def _note(members: Members, info: tarfile.TarInfo, size: int) -> None:
    name = posixpath.normpath(info.name)
    if info.issym():
        members.links[name] = posixpath.normpath(
            posixpath.join(posixpath.dirname(name), info.linkname)
        )
    elif info.islnk():
        members.links[name] = posixpath.normpath(info.linkname)
    elif info.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not info.issparse():
        place = Place(offset=info.offset_data, size=info.size)
        if place.size < 0 or place.offset + place.size > size:
            raise FormatError(
                f"{name:.300} goes past the end of {members.title}", reason="archive-invalid"
            )
        if name in members.places and not name.startswith("blobs/"):
            raise FormatError(
                f"{name:.300} is twice in {members.title}", reason="archive-duplicate-member"
            )
        # Which of two blobs of one name is meant does not matter: its digest decides.
        members.places.setdefault(name, place)


class _HeaderFile(io.RawIOBase):
    """What the tar parser reads from: all of the file, but little of it at a time."""

    def __init__(self, file: int, size: int, title: str) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._title = title
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise FormatError(
                f"a header in {self._title} is larger than {_MAX_HEADER} bytes",
                reason="archive-invalid",
            )
        data = os.pread(self._file, size, self._at)
        self._at += len(data)
        return data
