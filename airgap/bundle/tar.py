r"""Canonical ustar: one spelling of every header and pad, and a reader that accepts no other.

* A member is `header(name, size)`, its bytes, and zeros up to a multiple of 512.
* A pad is a PAX member that means nothing: `pad_member(total)`. It stands before a header so that
  the bytes after that header start where the layout wants them.
* The reader knows which member comes next. It makes the header that must stand there and compares
  bytes; it never interprets what it finds (threat model, facts 1 and 2, A001 to A019).

Example: ``header("oci-layout", 30)`` is 512 bytes that begin ``oci-layout\0`` … ``0000444\0``.
Source: POSIX.1-2017, pax, "ustar Interchange Format"; docs/bundle-format.md, "The tar".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError

if TYPE_CHECKING:
    from airgap.bundle.medium import Medium

__all__ = ["BLOCK", "END", "SMALLEST_PAD", "Members", "header", "pad_member", "padded", "padding"]

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
SMALLEST_PAD: Final = 2 * BLOCK
_LARGEST_OCTAL: Final = 8**11 - 1
_SIZE_FIELD: Final = slice(124, 136)
_CHECKSUM_FIELD: Final = slice(148, 156)
_OCTAL_SIZE: Final = re.compile(rb"[0-7]{11}\x00")
_BASE_256: Final = b"\x80"
_FILE: Final = b"0"
_PAX: Final = b"x"
_PAD_NAME: Final = "PaxHeader"


def header(name: str, size: int) -> bytes:
    """Return the one 512-byte header of a regular file `name` of `size` bytes."""
    return _header(name, size, _FILE)


def pad_member(total: int) -> bytes:
    """Return a pad of `total` bytes, header included: a multiple of 512, at least 1024."""
    content = total - BLOCK
    record = f"{content} comment=".encode("ascii")
    return _header(_PAD_NAME, content, _PAX) + record.ljust(content - 1) + b"\n"


def padded(size: int) -> int:
    """Return `size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def padding(size: int) -> bytes:
    """Return the zeros that follow `size` bytes of content."""
    return bytes(-size % BLOCK)


def _header(name: str, size: int, kind: bytes) -> bytes:
    block = b"".join(
        (
            name.encode("ascii").ljust(100, b"\0"),
            b"0000444\0",  # mode
            b"0000000\0",  # uid
            b"0000000\0",  # gid
            _size_field(size),
            b"00000000000\0",  # mtime
            b" " * 8,  # checksum: spaces while it is computed
            kind,
            bytes(100),  # linkname
            b"ustar\00000",  # magic and version
            bytes(64),  # uname and gname
            b"0000000\0",  # devmajor
            b"0000000\0",  # devminor
            bytes(167),  # prefix, and the rest of the block
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _size_field(size: int) -> bytes:
    if size <= _LARGEST_OCTAL:
        return b"%011o\0" % size
    return _BASE_256 + size.to_bytes(11, "big")


def _read_size(block: bytes) -> int | None:
    field = block[_SIZE_FIELD]
    if _OCTAL_SIZE.fullmatch(field):
        return int(field[:11], 8)
    return int.from_bytes(field[1:], "big") if field.startswith(_BASE_256) else None


class Members:
    """The members of a bundle, expected one after the other; `offset` is where the next starts."""

    def __init__(self, medium: Medium, offset: int = 0) -> None:
        self.offset = offset
        self._medium = medium

    def take(self, name: str, size: int) -> bytes:
        """Return the bytes of the next member, which must be `name` with `size` bytes.

        The caller has bounded `size`. Raises FormatError where anything else stands there.
        """
        start = self._expect_header(name, size)
        data = self._medium.read(start, size)
        self._expect_padding(name, start + size)
        return data

    def skip(self, name: str, size: int) -> int:
        """Pass over the next member, which must be `name` with `size` bytes; say where."""
        start = self._expect_header(name, size)
        self._expect_padding(name, start + size)
        return start

    def size_of_next(self, name: str, limit: int) -> int:
        """Return how many bytes the next member, `name`, has; raise FormatError above `limit`."""
        block = self._medium.read(self.offset, BLOCK)
        size = _read_size(block)
        if size is None or header(name, size) != block:
            raise self._unexpected(block, name, size)
        if size > limit:
            raise FormatError(
                f"{name} has {size} bytes, more than {limit}", reason="member-too-large"
            )
        return size

    def expect_pad(self, total: int) -> None:
        """Pass over a pad of `total` bytes, header included, or raise FormatError."""
        pad = pad_member(total)
        # The header first: it says which pad this is, before the file is asked for all of it.
        if any(
            self._medium.read(self.offset + start, end - start) != pad[start:end]
            for start, end in ((0, BLOCK), (BLOCK, total))
        ):
            raise FormatError(
                f"the pad at byte {self.offset} is not the one that belongs there",
                reason="tar-pad-not-canonical",
            )
        self.offset += total

    def expect_end(self) -> None:
        """Check that two zero blocks and the end of the file follow, or raise FormatError."""
        end = self.offset + len(END)
        block = self._medium.read(self.offset, len(END))
        if block != END:
            raise self._unexpected(block[:BLOCK], "the end of the bundle", None)
        if end != self._medium.size:
            raise FormatError(
                f"{self._medium.size - end} bytes follow the end of the bundle",
                reason="bundle-trailing-bytes",
            )

    def _expect_header(self, name: str, size: int) -> int:
        block = self._medium.read(self.offset, BLOCK)
        if block != header(name, size):
            raise self._unexpected(block, name, size)
        return self.offset + BLOCK

    def _expect_padding(self, name: str, end: int) -> None:
        self.offset = padded(end)
        if any(self._medium.read(end, self.offset - end)):
            raise FormatError(
                f"the padding after {name} is not zero", reason="tar-padding-not-zero"
            )

    def _unexpected(self, block: bytes, name: str, size: int | None) -> FormatError:
        """Say what is wrong with a block that is not the one that belongs here."""
        found = block[:100].rstrip(b"\0").decode("ascii", errors="replace")
        found_size = _read_size(block)
        where = f"at byte {self.offset}"
        if found_size is None or not found.isascii() or header(found, found_size) != block:
            return FormatError(
                f"the tar header {where}, where {name} belongs, is not in the one form allowed",
                reason="tar-header-not-canonical",
            )
        if found == name:
            return FormatError(
                f"{name} has {found_size} bytes {where}, not {size}", reason="member-size-mismatch"
            )
        return FormatError(
            f"{found} stands {where}, where {name} belongs", reason="member-out-of-order"
        )
