"""Expiry: the one place that compares a time with an expiry.

Two instants judge every expiring thing:

* **created**, the authenticated time of the bundle: nothing may have expired by then, no grace;
* **now**: overdue by at most the grace of its role.

At ``now == not_after`` it has expired (TUF, section 5.1). Past its cap a role fails in every mode:
there is no "ignore everything". Tolerance never touches sequence, integrity or signatures.
Source: docs/expiry.md; signature formats, sections 12.1 and 12.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.trust.verdict import Check, Expiry, Finding, Outcome, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DEFAULT_RULES",
    "SKEW",
    "Mode",
    "NextStop",
    "Rule",
    "importable_until",
    "judge",
    "judge_roles",
]

SKEW: Final = timedelta(minutes=5)
"""How far two clocks may be apart before one of them is wrong."""

_HINT: Final = "Ask the exporter for a fresh bundle; if one was sent, it may be held back."


class Mode(StrEnum):
    """What a rule does with a thing that has expired."""

    ENFORCE = "enforce"
    GRACE = "grace"
    WARN = "warn"
    OFF = "off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How long after its end a role is still good: `grace`, and never beyond `cap`.

    `origin` says where the rule stands, for people: a line of a policy, or the built-in defaults.
    """

    mode: Mode
    grace: timedelta
    cap: timedelta
    origin: str = "the built-in default"

    def latest(self, not_after: datetime) -> datetime:
        """Return the last instant at which a thing that ends at `not_after` is let through."""
        match self.mode:
            case Mode.ENFORCE:
                return not_after
            case Mode.GRACE:
                return not_after + min(self.grace, self.cap)
            case _:
                return not_after + self.cap


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


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStop:
    """When a bundle stops importing, and which role stops it."""

    at: datetime
    role: str


def judge_roles(
    ends: Mapping[str, datetime],
    *,
    created: datetime,
    now: datetime,
    rules: Mapping[str, Rule] = DEFAULT_RULES,
    skew: timedelta = SKEW,
) -> tuple[Finding, ...]:
    """Return one finding for each role of `ends`, which maps roles to their ends."""
    return tuple(
        judge(role, rules[role], not_after=end, created=created, now=now, skew=skew)
        for role, end in ends.items()
    )


def judge(
    role: str,
    rule: Rule,
    *,
    not_after: datetime,
    created: datetime,
    now: datetime,
    skew: timedelta = SKEW,
) -> Finding:
    """Return the finding about one thing that expires at `not_after`.

    `created` is when the bundle was made, as its authority signed it; `now` the effective time of
    the importer; all of them in UTC. Source: signature formats, section 12.1, whose steps are
    numbered here.
    """
    overdue = now - not_after
    until: datetime | None = rule.latest(not_after)
    late = f"{role} expired {_day(not_after)}, {_days(overdue)} ago"
    hint = ""
    # 1. What lies in the future was signed by a wrong clock, or is judged by one.
    if created > now + skew:
        outcome, reason = Outcome.FAIL, "created-in-future"
        sentence = (
            f"the bundle says it was made {format_time(created)}, {_days(created - now)} from now"
        )
        hint = "Set the clock of this machine; if it is right, ask the exporter about theirs."
    # 2. At the export nothing may have expired, whatever the mode.
    elif created >= not_after:
        outcome, reason, until = Outcome.FAIL, "expired-at-export", None
        sentence = f"{role} expired {_day(not_after)}, before the bundle was made"
        hint = "Ask the exporter to renew it and to export again."
    # 3. Not expired now.
    elif now < not_after:
        outcome, reason = Outcome.PASS, "not-expired"
        sentence = f"{role} good until {_day(not_after)}"
    # 4. No tolerance.
    elif rule.mode is Mode.ENFORCE:
        outcome, reason, hint = Outcome.FAIL, "expired", _HINT
        sentence = f"{late}; {rule.origin} tolerates nothing"
    # 5. The cap holds in every mode.
    elif overdue > rule.cap:
        outcome, reason, hint = Outcome.FAIL, "expired-beyond-cap", _HINT
        sentence = f"{late}; more than {_days(rule.cap)} is never tolerated"
    # 6. Within the grace, or beyond it.
    elif rule.mode is Mode.GRACE and overdue > rule.grace:
        outcome, reason, hint = Outcome.FAIL, "expired-beyond-grace", _HINT
        sentence = f"{late}; {rule.origin} allows {_days(rule.grace)}"
    elif rule.mode is Mode.GRACE:
        outcome, reason = Outcome.TOLERATED, "expired-within-grace"
        sentence = (
            f"{role} overdue by {_days(overdue)} of {_days(rule.grace)} allowed ({rule.origin})"
        )
        if 4 * (rule.grace - overdue) < rule.grace:
            hint = "Less than a quarter of the tolerance is left: ask for a fresh bundle now."
    # 7. Modes that only a policy file can set.
    elif rule.mode is Mode.WARN:
        outcome, reason = Outcome.WARN, "expired-warned"
        sentence = f"{late}; {rule.origin} asks for a warning only"
    else:
        outcome, reason = Outcome.TOLERATED, "expired-mode-off"
        sentence = f"{late}; {rule.origin} does not ask"
    return Finding(
        check=Check.EXPIRY,
        outcome=outcome,
        reason=reason,
        sentence=sentence,
        subject=role,
        hint=hint,
        expiry=Expiry(
            role=role,
            not_after=not_after,
            overdue=max(overdue, timedelta(0)),
            mode=str(rule.mode),
            grace=rule.grace,
            importable_until=until,
        ),
    )


def importable_until(findings: Iterable[Finding]) -> NextStop | None:
    """Return the next date on which a bundle stops importing, or None where there is none.

    `findings` are those of its roles; None also where one of them can never be let through.
    """
    stops = [(f.expiry.importable_until, f.expiry.role) for f in findings if f.expiry is not None]
    dates = [NextStop(at=at, role=role) for at, role in stops if at is not None]
    if len(dates) < len(stops):
        return None
    return min(dates, key=lambda stop: stop.at, default=None)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _days(span: timedelta) -> str:
    """Spell a duration for people: in days, or in hours below two days."""
    if span >= timedelta(days=2):
        return f"{span.days} d"
    hours, rest = divmod(int(span.total_seconds()), 3600)
    return f"{hours} h" if hours else f"{rest // 60} min"
