"""Expiry: the one place that compares a time with an expiry.

Two instants judge every expiring thing:

* **created**, the authenticated time of the bundle: nothing may have expired by then, no grace;
* **now**: overdue by at most the grace of its role, or by what a person said (`Rule.said`), which
  reaches no further than the role's `most`.

At ``now == not_after`` it has expired (TUF, section 5.1). Past its cap a role fails in every mode:
there is no "ignore everything". Tolerance never touches sequence, integrity or signatures.
Source: docs/expiry.md; signature formats, sections 12.1 and 12.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from airgap.trust.duration import spell
from airgap.trust.expiry_rule import BUILT_IN, DEFAULT_RULES, NOTHING, Mode, Rule
from airgap.trust.verdict import Check, Expiry, Finding, Outcome, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BUILT_IN",
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

_DAY: Final = timedelta(days=1)
_FRESH: Final = "Ask the exporter for a fresh bundle; if one was sent, it may be held back."
_LITTLE_LEFT: Final = (
    "Less than a quarter of the tolerance is left: ask the exporter for a fresh bundle now."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStop:
    """When a bundle stops importing, and which role stops it."""

    at: datetime
    role: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What a finding will say. `decided` where only a person's word lets it through."""

    outcome: Outcome
    reason: str
    sentence: str
    hint: str = ""
    decided: bool = False


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
    numbered below.
    """
    overdue = now - not_after
    answer = _judge_instants(role, not_after=not_after, created=created, now=now, skew=skew)
    if answer is None:
        answer = _judge_overdue(role, rule, not_after, overdue)
    return Finding(
        check=Check.EXPIRY,
        outcome=answer.outcome,
        reason=answer.reason,
        sentence=answer.sentence,
        subject=role,
        hint=answer.hint,
        on_record=answer.decided,
        expiry=Expiry(
            role=role,
            not_after=not_after,
            overdue=max(overdue, NOTHING),
            mode=str(rule.mode),
            grace=rule.grace,
            importable_until=None if created >= not_after else rule.latest(not_after),
            most=rule.reach,
            said=rule.said,
            rule=rule.origin,
        ),
    )


def _judge_instants(
    role: str, *, not_after: datetime, created: datetime, now: datetime, skew: timedelta
) -> _Answer | None:
    """Judge what needs no rule; None where the thing has expired since the export."""
    # 1. What lies in the future was signed by a wrong clock, or is judged by one.
    if created > now + skew:
        made, ahead = format_time(created), _days(created - now)
        return _Answer(
            outcome=Outcome.FAIL,
            reason="created-in-future",
            sentence=f"the bundle says it was made {made}, {ahead} from now",
            hint="Set the clock of this machine; if it is right, ask the exporter about theirs.",
        )
    # 2. At the export nothing may have expired, whatever the mode.
    if created >= not_after:
        return _Answer(
            outcome=Outcome.FAIL,
            reason="expired-at-export",
            sentence=f"{role} expired {_day(not_after)}, before the bundle was made",
            hint="Ask the exporter to renew it and to export again.",
        )
    # 3. Not expired now.
    if now < not_after:
        return _Answer(
            outcome=Outcome.PASS,
            reason="not-expired",
            sentence=f"{role} good until {_day(not_after)}",
        )
    return None


def _judge_overdue(role: str, rule: Rule, not_after: datetime, overdue: timedelta) -> _Answer:
    """Judge what has expired: by its rule, then by what a person said."""
    late = f"{role} expired {_day(not_after)}, {_days(overdue)} ago"
    little = _LITTLE_LEFT if 4 * (rule.tolerance - overdue) < rule.tolerance else ""
    # 4. The cap holds in every mode that tolerates anything.
    if overdue > rule.cap and rule.mode is not Mode.ENFORCE:
        sentence = f"{late}; more than {_days(rule.cap)} is never tolerated"
        return _Answer(
            outcome=Outcome.FAIL, reason="expired-beyond-cap", sentence=sentence, hint=_FRESH
        )
    # 5. Modes that only a policy file can set.
    if rule.mode is Mode.WARN:
        sentence = f"{late}; {rule.origin} asks for a warning only"
        return _Answer(
            outcome=Outcome.WARN, reason="expired-warned", sentence=sentence, hint=little
        )
    if rule.mode is Mode.OFF:
        sentence = f"{late}; {rule.origin} does not ask"
        return _Answer(
            outcome=Outcome.TOLERATED, reason="expired-mode-off", sentence=sentence, hint=little
        )
    # 6. Within the grace, which applies by itself.
    if rule.mode is Mode.GRACE and overdue <= rule.grace:
        return _Answer(
            outcome=Outcome.TOLERATED,
            reason="expired-within-grace",
            sentence=f"{role} overdue by {_days(overdue)} of {_days(rule.grace)} allowed "
            f"({rule.origin})",
            hint=little,
        )
    # 7. Within what a person said, which goes on the record.
    if overdue <= min(rule.said, rule.reach) and rule.said:
        return _Answer(
            outcome=Outcome.TOLERATED,
            reason="expired-within-tolerance",
            sentence=f"{role} overdue by {_days(overdue)} of {_days(rule.tolerance)} that the "
            f"operator allowed, on the record ({rule.origin} lets a person go to "
            f"{_days(rule.reach)})",
            hint=little,
            decided=True,
        )
    # 8. Nobody's word reaches that far, or nobody gave it.
    sentence = f"{late}; {_allowance(role, rule, overdue)}"
    if rule.mode is Mode.ENFORCE:
        return _Answer(outcome=Outcome.FAIL, reason="expired", sentence=sentence, hint=_FRESH)
    return _Answer(
        outcome=Outcome.FAIL, reason="expired-beyond-grace", sentence=sentence, hint=_FRESH
    )


def _allowance(role: str, rule: Rule, overdue: timedelta) -> str:
    """Say what the rule tolerates, and what a person could say to go on."""
    said = f", and the operator {_days(rule.said)}" if rule.said else ""
    allows = f"{rule.origin} allows {_days(rule.grace)}{said}"
    if rule.mode is Mode.ENFORCE:
        allows = f"{rule.origin} tolerates nothing{said}"
    if overdue > rule.reach:
        return f"{allows}, and lets nobody go beyond {_days(rule.reach)}" if rule.reach else allows
    enough = min((overdue // _DAY + 1) * _DAY, rule.reach)
    return (
        f"{allows}, or up to {_days(rule.reach)} with "
        f"--expiry-tolerance {role}={spell(enough)}, on the record"
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
