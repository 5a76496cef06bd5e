"""Authority overview: who may sign what, with which keys, and what ends when. No secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.authority_roots import read_pending
from airgap.trust.envelope import ROLES
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from airgap.authority import Authority
    from airgap.trust.signing import OpenRequest

__all__ = ["Ending", "KeyEntry", "Overview", "RoleEntry", "describe_authority"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyEntry:
    """A key of a role: whose it is, and where its private half lies, if the authority knows that.

    `here` tells whether there is a file at that place.
    """

    keyid: str
    scheme: str
    person: str | None
    place: str | None
    here: bool

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "keyid": self.keyid,
            "scheme": self.scheme,
            "person": self.person,
            "place": self.place,
            "here": self.here,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleEntry:
    """A role: how many must sign it, and who may."""

    role: str
    threshold: int
    keys: tuple[KeyEntry, ...]

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"threshold": self.threshold, "keys": [key.to_json() for key in self.keys]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """Something that ends: the root, or metadata of the newest bundle of a stream."""

    what: str
    at: datetime

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"what": self.what, "at": format_time(self.at)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """All of it; `pending` is the root that waits for signatures. The first to end comes first."""

    authority: Authority
    roles: tuple[RoleEntry, ...]
    endings: tuple[Ending, ...]
    pending: OpenRequest | None

    def ending_before(self, moment: datetime) -> tuple[Ending, ...]:
        """Return what ends before `moment`, or has ended."""
        return tuple(ending for ending in self.endings if ending.at < moment)

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        pending = None
        if self.pending is not None:
            pending = {
                "root": self.pending.root.version,
                "waiting": [key.keyid for key in self.pending.waiting],
            }
        return {
            **self.authority.to_json(),
            "roles": {entry.role: entry.to_json() for entry in self.roles},
            "endings": [ending.to_json() for ending in self.endings],
            "pending": pending,
        }


def describe_authority(authority: Authority) -> Overview:
    """Return the overview of `authority`. Raises StoreError ``authority-damaged``."""
    root = authority.roots[-1]
    roles = []
    for role in ROLES:
        entries = []
        for key in root.roles[role].keys:
            place = authority.keys.get(key.keyid)
            entries.append(
                KeyEntry(
                    keyid=key.keyid,
                    scheme=str(key.tuf.scheme),
                    person=root.persons.get(key.keyid),
                    place=None if place is None else str(place),
                    here=place is not None and place.exists(),
                )
            )
        roles.append(
            RoleEntry(role=role, threshold=root.roles[role].threshold, keys=tuple(entries))
        )
    endings = [Ending(what=f"root {root.version}", at=root.envelope.expires)]
    for numbers in authority.numbers:
        newest = numbers.newest
        for role, end in ({} if newest is None else newest.ends).items():
            what = f"{role} of number {max(numbers.finished)} of stream {numbers.stream}"
            endings.append(Ending(what=what, at=end))
    return Overview(
        authority=authority,
        roles=tuple(roles),
        endings=tuple(sorted(endings, key=lambda ending: ending.at)),
        pending=read_pending(authority),
    )
