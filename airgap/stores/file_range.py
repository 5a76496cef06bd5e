"""File ranges: content that may be sent straight from a file, without being looked at again.

Only a source that has verified content, and still holds the file open that it verified, offers a
range of it. Whoever sends it so must know that the other side checks digests itself, or read back
what arrived (threat model A117).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FileBacked", "FileRange"]


def _ignore(_count: int) -> None:
    """Nobody is watching."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRange:
    """`size` bytes from `offset` of the open file descriptor `file`, verified there.

    `advance` is told of each piece that was sent, in bytes; where it raises, the sending stops.
    """

    file: int
    offset: int
    size: int
    advance: Callable[[int], None] = _ignore

    def watched(self, advance: Callable[[int], None]) -> FileRange:
        """Return the same range with another watcher."""
        return replace(self, advance=advance)


@runtime_checkable
class FileBacked(Protocol):
    """A stream of bytes that also stand, verified, in an open file."""

    @property
    def file_range(self) -> FileRange | None:
        """Where they stand, or None where they were not verified there."""
        ...
