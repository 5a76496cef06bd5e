"""Changes of a layout's index that are held back: a thousand tags are one write, in one step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airgap.stores.layout_index import make_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import RLock

    from airgap.oci.descriptor import Descriptor
    from airgap.stores.layout_index import Addition, Index

__all__ = ["Changes"]


class Changes:
    """Additions on their way into an index; `write` makes them, all in one step.

    Batches nest: the outermost decides. One that ends with an error drops all that is held back,
    whichever thread added it, so a store is shared by the threads of one job and not by two jobs.
    """

    def __init__(self, write: Callable[[tuple[Addition, ...]], None], lock: RLock) -> None:
        self._write = write
        self._lock = lock  # the store's own: two locks could wait for each other
        self._depth = 0
        self._pending: list[Addition] = []
        self._applied: tuple[Index, int, Index] | None = None
        self.names: dict[tuple[str, str], Descriptor] = {}

    def add(self, addition: Addition) -> None:
        """Take an addition in; outside of a batch it is written at once."""
        with self.batch(), self._lock:
            self._pending.append(addition)
            if addition.tag is not None:
                entry = make_entry(addition.descriptor, addition.repository, addition.tag)
                self.names.update(dict.fromkeys(entry.names, entry.descriptor))

    def applied_to(self, index: Index) -> Index:
        """Return `index` with what is held back."""
        with self._lock:
            if not self._pending:
                return index
            known = self._applied
            if known is None or known[0] is not index or known[1] != len(self._pending):
                known = (index, len(self._pending), index.with_additions(self._pending))
                self._applied = known
            return known[2]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Hold additions back until the outermost batch ends."""
        with self._lock:
            self._depth += 1
        good = False
        try:
            yield
            good = True
        finally:
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    self._end(good=good)

    def _end(self, *, good: bool) -> None:
        pending, self._pending, self._applied, self.names = self._pending, [], None, {}
        if good and pending:
            self._write(tuple(pending))
