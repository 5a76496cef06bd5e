"""Ledger: what a site remembers, in one log under its state folder.

Reading never writes. Writing is one at a time: what is decided while the ledger is held is decided
on what the ledger says then.

    with Ledger(state).writing() as ledger:
        standing = ledger.history.standing(authority, stream)
        ledger.intend(...)
        ledger.commit(...)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airgap.errors import SequenceError
from airgap.ledger.history import RELEASED, History
from airgap.ledger.log import Log
from airgap.ledger.records import NewRoots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap.ledger.log import LogWriter
    from airgap.ledger.records import Commit, Intent, Record, Recovery

__all__ = ["Ledger", "LedgerWriter"]


class Ledger:
    """The ledger of the site whose state folder is `state`.

    `released` is the build date of this release, the lowest floor of the clock.
    """

    def __init__(self, state: Path, *, released: datetime = RELEASED) -> None:
        self.log = Log(state / "ledger.log")
        self._released = released

    def history(self) -> History:
        """Read the ledger; nothing is written, not even where there is none yet."""
        return History(released=self._released).fold(self.log.read())

    @contextlib.contextmanager
    def writing(self, *, wait: float = 0.0) -> Iterator[LedgerWriter]:
        """Hold the ledger for writing; wait up to `wait` seconds for another command.

        Raises StoreError ``ledger-busy``, ``ledger-damaged``, ``ledger-unusable``.
        """
        with self.log.writing(wait=wait) as log:
            yield LedgerWriter(log, History(released=self._released).fold(log.entries))


class LedgerWriter:
    """The ledger while it is held; `history` is always as of the last record."""

    def __init__(self, log: LogWriter, history: History) -> None:
        self._log = log
        self.history = history

    @property
    def hash(self) -> str:
        """The hash of the last record, which stands for the whole ledger."""
        return self._log.hash

    def keep_roots(self, authority: str, roots: Sequence[bytes], *, at: datetime) -> None:
        """Keep the verified `roots` of an authority, root 1 first, as far as they are new."""
        known = len(self.history.roots(authority))
        if len(roots) > known:
            new = tuple(roots[known:])
            self._append(NewRoots(authority=authority, at=at, first=known + 1, roots=new))

    def intend(self, intent: Intent) -> None:
        """Say what is about to be written."""
        self._append(intent)

    def commit(self, commit: Commit) -> str:
        """Say that an import ended, and return the ledger's hash.

        Raises SequenceError: a head is never lowered, and a number keeps its digest.
        """
        standing = self.history.standing(commit.authority, commit.stream)
        known = standing.inventories.get(commit.sequence, commit.inventory)
        if known != commit.inventory:
            raise SequenceError(
                f"number {commit.sequence} of stream {commit.stream} is {known.short} here, not "
                f"{commit.inventory.short}",
                reason="fork",
            )
        if standing.head is not None and commit.sequence < standing.head.sequence:
            raise SequenceError(
                f"number {commit.sequence} of stream {commit.stream} is older than number "
                f"{standing.head.sequence}, which is here",
                reason="replay",
            )
        self._append(commit)
        return self.hash

    def recover(self, recovery: Recovery) -> None:
        """Say that a stream begins anew. The caller has made sure that it may."""
        self._append(recovery)

    def _append(self, record: Record) -> None:
        self._log.append(record.to_json())
        self.history.add(record)
