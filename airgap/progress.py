"""Progress: what a long step reports to, whoever is watching."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Something that shows how far each phase (resolve, copy, verify, load) has come."""

    def phase(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Open a phase of `total` bytes; the function it yields adds to what is done."""
        ...


class Silent:
    """Nobody is watching."""

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Open a phase that shows nothing."""
        yield lambda _count: None
