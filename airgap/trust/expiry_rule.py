"""Expiry rules: for each role, how long after its end it is still let through, and by whose word.

A rule has three bounds: its grace, which applies by itself; `most`, as far as a person may go; and
the cap, which nothing passes. Source: signature formats, table 12.2; docs/expiry.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILT_IN", "DEFAULT_RULES", "NOTHING", "Mode", "Rule"]

BUILT_IN: Final = "the built-in default"
"""Where a rule stands that no policy file has."""

NOTHING: Final = timedelta(0)
_FOREVER: Final = datetime.max.replace(tzinfo=UTC, microsecond=0)


class Mode(StrEnum):
    """What a rule does with a thing that has expired."""

    ENFORCE = "enforce"
    GRACE = "grace"
    WARN = "warn"
    OFF = "off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How long after its end a role is still good: `grace`, and never beyond `cap`.

    `most` is how far a person may go with ``--expiry-tolerance`` (by default the cap), `said` how
    far one goes this time. `origin` says where the rule stands, for people: a line of a policy, or
    the built-in defaults.
    """

    mode: Mode
    grace: timedelta
    cap: timedelta
    most: timedelta = timedelta.max
    said: timedelta = NOTHING
    origin: str = BUILT_IN

    @property
    def reach(self) -> timedelta:
        """How far a person may go: never past the cap."""
        return min(self.most, self.cap)

    @property
    def own(self) -> timedelta:
        """How far overdue is let through without anybody's word."""
        match self.mode:
            case Mode.ENFORCE:
                return NOTHING
            case Mode.GRACE:
                return min(self.grace, self.cap)
            case _:
                return self.cap

    @property
    def tolerance(self) -> timedelta:
        """How far overdue is let through this time, by the rule or by the person's word."""
        return max(self.own, min(self.said, self.reach))

    def latest(self, not_after: datetime) -> datetime:
        """Return the last instant at which a thing that ends at `not_after` is let through."""
        left = _FOREVER - not_after
        return not_after + self.tolerance if self.tolerance < left else _FOREVER


def _grace(days: int) -> Rule:
    return Rule(mode=Mode.GRACE, grace=timedelta(days=days), cap=timedelta(days=365))


DEFAULT_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "tuf.root": _grace(90),
        "tuf.targets": _grace(90),
        "tuf.snapshot": _grace(120),
        "tuf.timestamp": _grace(120),
    }
)
"""The rules of a site without a policy."""
