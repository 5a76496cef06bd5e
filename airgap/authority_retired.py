"""Authority retired: the bundles that a new root takes the ground from.

A site that knows the new root believes a bundle only as far as enough of its signers are still in
it. The authority knows under which root a bundle was made, not who signed it later: so some are
retired for certain, and of some it depends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airgap.authority_numbers import Numbers
    from airgap.trust.roles import Root

__all__ = ["Fate", "Retired", "find_retired", "judge_fate"]

_ROLES: Final = ("timestamp", "snapshot", "targets")


class Fate(IntEnum):
    """What becomes of a bundle at a site that knows a newer root; the worst comes last."""

    GOOD = 0
    UNCERTAIN = 1
    RETIRED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Retired:
    """A bundle that is no longer believed under a new root; `certain` if whoever signed it."""

    stream: str
    sequence: int
    certain: bool

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"stream": self.stream, "sequence": self.sequence, "certain": self.certain}


def judge_fate(own: Root, now: Root) -> Fate:
    """Return what becomes of bundles that were made under root `own` where root `now` is known."""
    return max(_fate_of(role, own, now) for role in _ROLES)


def find_retired(streams: Iterable[Numbers], roots: Sequence[Root]) -> tuple[Retired, ...]:
    """Return the finished bundles that the last of `roots`, and none before it, has retired."""
    *before, last = roots
    found = []
    for numbers in streams:
        for sequence in sorted(numbers.finished):
            own = roots[numbers.recorded[sequence].root - 1]
            earlier = max(
                (judge_fate(own, root) for root in before[own.version :]), default=Fate.GOOD
            )
            fate = judge_fate(own, last)
            if fate > earlier:
                found.append(
                    Retired(stream=numbers.stream, sequence=sequence, certain=fate is Fate.RETIRED)
                )
    return tuple(found)


def _fate_of(role: str, own: Root, now: Root) -> Fate:
    signers = [key.keyid for key in own.roles[role].keys]
    asked = now.roles[role].threshold
    if now.roles[role].count(signers) < asked:
        return Fate.RETIRED
    still = {key.keyid for key in now.roles[role].keys}
    dropped = own.roles[role].count(keyid for keyid in signers if keyid not in still)
    # As many as had to sign, and all that were dropped among them.
    if own.roles[role].threshold - dropped < asked:
        return Fate.UNCERTAIN
    return Fate.GOOD
