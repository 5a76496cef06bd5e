from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airgap.trust.expiry import (
    DEFAULT_RULES,
    SKEW,
    Mode,
    Rule,
    importable_until,
    judge,
    judge_roles,
)
from airgap.trust.verdict import Check, Finding, Outcome

END = datetime(2026, 10, 12, 10, 0, tzinfo=UTC)
MADE = END - timedelta(days=30)
DAY = timedelta(days=1)
TICK = timedelta(seconds=1)


def rule(mode: Mode, grace: int = 30, cap: int = 90) -> Rule:
    return Rule(mode=mode, grace=grace * DAY, cap=cap * DAY, origin="policy.yaml line 14")


def at(now: datetime, mode: Mode = Mode.GRACE, created: datetime = MADE) -> Finding:
    return judge("tuf.timestamp", rule(mode), not_after=END, created=created, now=now)


@pytest.mark.parametrize(
    ("mode", "overdue", "outcome", "reason"),
    [
        (Mode.ENFORCE, -TICK, Outcome.PASS, "not-expired"),
        (Mode.ENFORCE, 0 * DAY, Outcome.FAIL, "expired"),
        (Mode.ENFORCE, 91 * DAY, Outcome.FAIL, "expired"),
        (Mode.GRACE, -TICK, Outcome.PASS, "not-expired"),
        (Mode.GRACE, 0 * DAY, Outcome.TOLERATED, "expired-within-grace"),
        (Mode.GRACE, 30 * DAY, Outcome.TOLERATED, "expired-within-grace"),
        (Mode.GRACE, 30 * DAY + TICK, Outcome.FAIL, "expired-beyond-grace"),
        (Mode.GRACE, 90 * DAY, Outcome.FAIL, "expired-beyond-grace"),
        (Mode.GRACE, 90 * DAY + TICK, Outcome.FAIL, "expired-beyond-cap"),
        (Mode.WARN, -TICK, Outcome.PASS, "not-expired"),
        (Mode.WARN, 0 * DAY, Outcome.WARN, "expired-warned"),
        (Mode.WARN, 90 * DAY, Outcome.WARN, "expired-warned"),
        (Mode.WARN, 90 * DAY + TICK, Outcome.FAIL, "expired-beyond-cap"),
        (Mode.OFF, 0 * DAY, Outcome.TOLERATED, "expired-mode-off"),
        (Mode.OFF, 90 * DAY, Outcome.TOLERATED, "expired-mode-off"),
        (Mode.OFF, 90 * DAY + TICK, Outcome.FAIL, "expired-beyond-cap"),
    ],
)
def test_mode_and_overdue_decide(
    mode: Mode, overdue: timedelta, outcome: Outcome, reason: str
) -> None:
    finding = at(END + overdue, mode)
    assert (finding.outcome, finding.reason) == (outcome, reason)
    assert finding.check is Check.EXPIRY
    assert finding.exit_code == 3
    assert finding.expiry is not None
    assert finding.expiry.overdue == max(overdue, 0 * DAY)
    assert bool(finding.hint) >= (outcome is Outcome.FAIL)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("late", [0 * DAY, DAY])
def test_what_had_expired_at_the_export_fails_in_every_mode(mode: Mode, late: timedelta) -> None:
    finding = at(END + 2 * DAY, mode, created=END + late)
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "expired-at-export")
    assert finding.expiry is not None
    assert finding.expiry.importable_until is None


def test_at_the_export_there_is_no_grace_even_if_it_has_not_expired_now() -> None:
    finding = at(END - TICK, created=END)
    assert finding.reason == "expired-at-export"


def test_a_bundle_from_the_future_fails_beyond_the_skew() -> None:
    now = MADE - SKEW
    assert at(now).reason == "not-expired"
    late = at(now - TICK)
    assert (late.outcome, late.reason) == (Outcome.FAIL, "created-in-future")
    assert "5 min from now" in late.sentence
    assert "clock" in late.hint


def test_sentences_are_those_that_people_read() -> None:
    assert at(END + 10 * DAY).sentence == (
        "tuf.timestamp overdue by 10 d of 30 d allowed (policy.yaml line 14)"
    )
    assert at(END + 40 * DAY).sentence == (
        "tuf.timestamp expired 2026-10-12, 40 d ago; policy.yaml line 14 allows 30 d"
    )
    assert "3 h ago" in at(END + timedelta(hours=3), Mode.ENFORCE).sentence


def test_little_tolerance_left_is_said() -> None:
    assert at(END + timedelta(days=22)).hint == ""
    assert "quarter" in at(END + timedelta(days=23)).hint


@pytest.mark.parametrize(
    ("mode", "days"), [(Mode.ENFORCE, 0), (Mode.GRACE, 30), (Mode.WARN, 90), (Mode.OFF, 90)]
)
def test_the_last_instant_that_imports_is_named(mode: Mode, days: int) -> None:
    stop = importable_until([at(MADE, mode)])
    assert stop is not None
    assert (stop.at, stop.role) == (END + days * DAY, "tuf.timestamp")
    assert at(stop.at + TICK, mode).outcome is Outcome.FAIL


def test_a_grace_beyond_the_cap_ends_at_the_cap() -> None:
    wide = rule(Mode.GRACE, grace=100, cap=90)
    assert wide.latest(END) == END + 90 * DAY
    finding = judge("x", wide, not_after=END, created=MADE, now=END + 91 * DAY)
    assert finding.reason == "expired-beyond-cap"


def test_the_first_role_to_stop_is_named() -> None:
    ends = {"tuf.root": END + 10 * DAY, "tuf.targets": END + 5 * DAY, "tuf.snapshot": END}
    findings = judge_roles(ends, created=MADE, now=MADE)
    assert [finding.subject for finding in findings] == list(ends)
    stop = importable_until(findings)
    assert stop is not None
    assert (stop.at, stop.role) == (END + 95 * DAY, "tuf.targets")


def test_nothing_is_named_where_nothing_expires_or_nothing_can_help() -> None:
    assert importable_until([]) is None
    other = Finding(check=Check.GATE, outcome=Outcome.PASS, reason="x", sentence="x")
    assert importable_until([other]) is None
    assert importable_until([at(MADE), at(END, created=END)]) is None


def test_the_defaults_are_those_of_table_12_2() -> None:
    assert {
        role: (str(one.mode), one.grace.days, one.cap.days) for role, one in DEFAULT_RULES.items()
    } == {
        "tuf.root": ("grace", 90, 365),
        "tuf.targets": ("grace", 90, 365),
        "tuf.snapshot": ("grace", 120, 365),
        "tuf.timestamp": ("grace", 120, 365),
    }
