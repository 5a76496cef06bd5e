"""Edition: one number of one stream while it is being made, and what its metadata says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airgap.authority_draft import Draft
from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.envelope import ROLES, canonical
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from airgap.authority_numbers import Numbers, Statement
    from airgap.ledger.log import Log
    from airgap.oci.strict_json import Reader
    from airgap.trust.roles import Root
    from airgap.trust.sequence import Link

__all__ = ["SPEC_VERSION", "Draft", "Edition", "Lifetimes"]

SPEC_VERSION: Final = "1.0.31"
_INVENTORY: Final = "inventory.json"
_WAIT: Final = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetimes:
    """How long new metadata of each role is good for."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=365)
    timestamp: timedelta = timedelta(days=30)

    def end(self, role: str, now: datetime) -> str:
        """Return the end of metadata of `role` that is made `now`, as TUF spells it."""
        return format_time(self.moment(role, now))

    def moment(self, role: str, now: datetime) -> datetime:
        """Return when metadata of `role` ends that is made `now`."""
        lifetime: timedelta = getattr(self, role)
        return now + lifetime

    def days(self) -> dict[str, int]:
        """Return the JSON form: whole days for each role."""
        return {role: getattr(self, role).days for role in ROLES}

    @classmethod
    def read(cls, reader: Reader) -> Lifetimes:
        """Return what `reader` stands on."""
        reader.close(*ROLES)
        return cls(**{role: timedelta(days=reader.integer(role, least=1)) for role in ROLES})


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """The number that a bundle gets, and what it must say of those before it.

    `previous`, `skips` and `covers` go into the inventory. It is good while
    `Authority.edition` holds the stream's lock.
    """

    stream: str
    number: int
    authority: str
    roots: tuple[Root, ...] = field(repr=False)
    lifetimes: Lifetimes = field(repr=False)
    keys: Mapping[str, Path] = field(repr=False, hash=False)
    numbers: Numbers = field(repr=False, hash=False)
    log: Log = field(repr=False)

    @property
    def previous(self) -> Link | None:
        """The bundle before: the last number that was finished; None for the first."""
        return self.numbers.previous(self.number)

    @property
    def skips(self) -> tuple[int, ...]:
        """The abandoned numbers before this one."""
        return self.numbers.skips(self.number)

    def covers(self, statement: Statement) -> int:
        """Return the lowest number whose holders miss nothing by a bundle that says `statement`."""
        return self.numbers.covers(self.number, statement)

    def prepare(
        self, targets: Mapping[str, bytes], statement: Statement, *, now: datetime
    ) -> Draft:
        """Return the metadata of a bundle with these target files, not signed yet.

        `targets` are all target files by path, ``inventory.json`` among them; `now` is when the
        metadata begins to live (UTC). Raises UsageError ``root-expired``.
        """
        self.refuse_expired_root(now)
        signed = {
            "targets": self.compose(
                "targets",
                self.number,
                now,
                targets={
                    path: {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data)}
                    for path, data in targets.items()
                },
            ),
            "snapshot": self.compose(
                "snapshot", self.number, now, meta={"targets.json": {"version": self.number}}
            ),
            "timestamp": self._signed_timestamp(now),
        }
        return Draft(
            edition=self,
            signed=signed,
            inventory=Digest.of(targets[_INVENTORY]),
            statement=statement,
            now=now,
        )

    def refuse_expired_root(self, now: datetime) -> None:
        """Raise UsageError ``root-expired`` where nothing can be signed `now`."""
        root = self.roots[-1]
        if now >= root.envelope.expires:
            raise UsageError(
                f"root {root.version} of this authority expired {root.envelope.expires:%Y-%m-%d}: "
                "no site would import what is signed under it",
                reason="root-expired",
                hint="Make a new root first: airgap trust renew",
            )

    def finish(self, *, now: datetime) -> None:
        """Write down that the bundle is whole, once its file has its name."""
        with self.log.writing(wait=_WAIT) as log:
            self.numbers.finish(log, self.number, now)

    def compose(
        self, role: str, version: int, now: datetime, **fields: Mapping[str, object]
    ) -> dict[str, object]:
        """Return what is to be signed as metadata of `role`; `fields` are its own."""
        return {
            "_type": role,
            "expires": self.lifetimes.end(role, now),
            "spec_version": SPEC_VERSION,
            "version": version,
            "x-airgap": {"authority": self.authority, "stream": self.stream},
            **fields,
        }

    def _signed_timestamp(self, now: datetime) -> dict[str, object]:
        """Return the timestamp: the one that is recorded if it would be the same, else the next."""
        meta = {"snapshot.json": {"version": self.number}}
        known = self.numbers.recorded.get(self.number)
        if known is not None:
            again = self.compose("timestamp", known.timestamp.version, now, meta=meta)
            if Digest.of(canonical(again)) == known.timestamp.digest:
                return again
        return self.compose("timestamp", self.numbers.latest_timestamp + 1, now, meta=meta)
