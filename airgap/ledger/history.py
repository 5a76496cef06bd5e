"""History: what the ledger's records add up to: heads, roots, floors, imports that were cut off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, SequenceError, StoreError
from airgap.ledger.records import Commit, Intent, NewRoots, Recovery, read_record
from airgap.oci.strict_json import Reader
from airgap.trust.expiry import SKEW
from airgap.trust.sequence import Head, Link, Standing
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from airgap.ledger.log import Entry
    from airgap.ledger.records import Record
    from airgap.oci.digest import Digest

__all__ = ["RELEASED", "Floor", "History"]

RELEASED: Final = datetime(2026, 11, 21, tzinfo=UTC)
"""When this release was made: no clock that is right shows an earlier time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """A time that cannot lie in the future, and why."""

    at: datetime
    why: str


@dataclass(kw_only=True, slots=True)
class History:
    """A fold over the ledger: `add` takes each record in turn; the questions are asked after.

    `released` is the build date of the release.
    """

    released: datetime = RELEASED
    commits: list[Commit] = field(default_factory=list)
    _roots: dict[str, list[bytes]] = field(default_factory=dict)
    _standings: dict[tuple[str, str], Standing] = field(default_factory=dict)
    _intents: dict[tuple[str, str, int], Intent] = field(default_factory=dict)
    _recovered: dict[tuple[str, str], set[Link]] = field(default_factory=dict)
    _authenticated: Floor | None = None
    _system: Floor | None = None

    def fold(self, entries: Iterable[Entry]) -> History:
        """Add all `entries` and return this history. Raises StoreError ``ledger-damaged``."""
        for entry in entries:
            try:
                self.add(read_record(Reader.of(dict(entry.record), f"record {entry.number}")))
            except FormatError as error:
                raise StoreError(
                    f"the ledger is damaged: {error.message}", reason="ledger-damaged"
                ) from error
        return self

    def add(self, record: Record) -> None:
        """Take one record into account."""
        if isinstance(record, NewRoots):
            known = self._roots.setdefault(record.authority, [])
            if record.first != len(known) + 1:
                raise FormatError("roots do not follow those before", reason="ledger-damaged")
            known.extend(record.roots)
        elif isinstance(record, Intent):
            self._intents[record.authority, record.stream, record.sequence] = record
        elif isinstance(record, Recovery):
            self._recover(record)
        else:
            self._commit(record)
        self._system = _later(self._system, record.at, "the latest time that was seen here")

    def standing(self, authority: str, stream: str) -> Standing:
        """Return what is known of one stream of one authority."""
        return self._standings.get((authority, stream), Standing())

    def roots(self, authority: str) -> tuple[bytes, ...]:
        """Return the verified roots of an authority, root 1 first; none before any was kept."""
        return tuple(self._roots.get(authority, ()))

    def recovered(self, authority: str, stream: str) -> frozenset[Link]:
        """Return the numbers of a stream that a person has recovered from: they count no more."""
        return frozenset(self._recovered.get((authority, stream), ()))

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The imports that began and did not end: the newest of each number."""
        return tuple(self._intents.values())

    @property
    def floors(self) -> tuple[Floor, ...]:
        """The times that cannot lie in the future."""
        built = Floor(at=self.released, why="the date of this release")
        return tuple(floor for floor in (built, self._authenticated, self._system) if floor)

    def effective_time(self, clock: datetime, skew: timedelta = SKEW) -> datetime:
        """Return the time to judge by: what `clock` shows, never before a floor.

        Raises SequenceError ``clock-behind-floor`` where it is behind by more than `skew`.
        """
        floor = max(self.floors, key=lambda floor: floor.at)
        if clock < floor.at - skew:
            raise SequenceError(
                f"the clock shows {format_time(clock)}, which is before {floor.why}, "
                f"{format_time(floor.at)}",
                reason="clock-behind-floor",
                hint="Set the clock of this machine.",
            )
        return max(clock, floor.at)

    def _recover(self, recovery: Recovery) -> None:
        stream = (recovery.authority, recovery.stream)
        known = self._standings.pop(stream, Standing()).inventories
        self._recovered.setdefault(stream, set()).update(
            Link(sequence, inventory) for sequence, inventory in known.items()
        )

    def _commit(self, commit: Commit) -> None:
        before = self.standing(commit.authority, commit.stream)
        inventories: dict[int, Digest] = {
            **before.inventories,
            **{
                link.sequence: link.inventory
                for link in (commit.previous, commit.base)
                if link is not None
            },
            commit.sequence: commit.inventory,
        }
        roles = {
            **before.roles,
            **{(role, mark.version): mark.digest for role, mark in commit.roles.items()},
        }
        timestamp = commit.roles["timestamp"].version if "timestamp" in commit.roles else 0
        self._standings[commit.authority, commit.stream] = Standing(
            head=Head(
                sequence=commit.sequence,
                inventory=commit.inventory,
                imported=commit.at,
                timestamp_version=max(timestamp, before.head.timestamp_version)
                if before.head
                else timestamp,
            ),
            inventories=inventories,
            roles=roles,
        )
        self._intents.pop((commit.authority, commit.stream, commit.sequence), None)
        self._authenticated = _later(
            self._authenticated, commit.created, "when the newest bundle here was made"
        )
        self.commits.append(commit)


def _later(floor: Floor | None, at: datetime, why: str) -> Floor:
    return floor if floor is not None and floor.at >= at else Floor(at=at, why=why)
