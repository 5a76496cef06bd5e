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
        "tuf.timestamp expired 2026-10-12, 40 d ago; policy.yaml line 14 allows 30 d, or up to "
        "90 d with --expiry-tolerance tuf.timestamp=41d, on the record"
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


# --- what a person says ---------------------------------------------------------------------


def spoken(overdue: timedelta, said: int, mode: Mode = Mode.GRACE, most: int = 60) -> Finding:
    one = Rule(
        mode=mode, grace=30 * DAY, cap=90 * DAY, most=most * DAY, said=said * DAY, origin="line 14"
    )
    return judge("tuf.timestamp", one, not_after=END, created=MADE, now=END + overdue)


@pytest.mark.parametrize(
    ("mode", "overdue", "said", "reason"),
    [
        (Mode.GRACE, 30 * DAY, 41, "expired-within-grace"),
        (Mode.GRACE, 30 * DAY + TICK, 41, "expired-within-tolerance"),
        (Mode.GRACE, 41 * DAY, 41, "expired-within-tolerance"),
        (Mode.GRACE, 41 * DAY + TICK, 41, "expired-beyond-grace"),
        (Mode.GRACE, 60 * DAY, 80, "expired-within-tolerance"),
        (Mode.GRACE, 60 * DAY + TICK, 80, "expired-beyond-grace"),
        (Mode.GRACE, 90 * DAY + TICK, 100, "expired-beyond-cap"),
        (Mode.GRACE, 0 * DAY, 5, "expired-within-grace"),
        (Mode.ENFORCE, 0 * DAY, 0, "expired"),
        (Mode.ENFORCE, 0 * DAY, 5, "expired-within-tolerance"),
        (Mode.ENFORCE, 5 * DAY, 5, "expired-within-tolerance"),
        (Mode.ENFORCE, 5 * DAY + TICK, 5, "expired"),
        (Mode.WARN, 20 * DAY, 5, "expired-warned"),
        (Mode.OFF, 20 * DAY, 5, "expired-mode-off"),
    ],
)
def test_a_word_reaches_as_far_as_max(
    mode: Mode, overdue: timedelta, said: int, reason: str
) -> None:
    finding = spoken(overdue, said, mode)
    assert finding.reason == reason
    assert finding.on_record is (reason == "expired-within-tolerance")
    tolerated = {"expired-within-grace", "expired-within-tolerance", "expired-mode-off"}
    expected = Outcome.TOLERATED if reason in tolerated else Outcome.FAIL
    assert finding.outcome is (Outcome.WARN if reason == "expired-warned" else expected)
    assert finding.expiry is not None
    assert (finding.expiry.said, finding.expiry.rule) == (said * DAY, "line 14")


def test_no_word_reaches_what_had_expired_at_the_export() -> None:
    one = Rule(mode=Mode.GRACE, grace=DAY, cap=90 * DAY, said=80 * DAY)
    finding = judge("tuf.root", one, not_after=END, created=END, now=END + DAY)
    assert finding.reason == "expired-at-export"


def test_what_a_person_could_say_is_offered_where_max_lets_them() -> None:
    assert spoken(40 * DAY, 0).sentence.endswith(
        "line 14 allows 30 d, or up to 60 d with --expiry-tolerance tuf.timestamp=41d, on the "
        "record"
    )
    # Never more than max, and in the unit that says it exactly.
    assert "tuf.timestamp=60d," in spoken(60 * DAY, 0).sentence
    hours = Rule(mode=Mode.ENFORCE, grace=0 * DAY, cap=90 * DAY, most=1.5 * DAY, origin="line 3")
    late = judge("x", hours, not_after=END, created=MADE, now=END + timedelta(hours=30))
    assert late.sentence.endswith(
        "line 3 tolerates nothing, or up to 36 h with --expiry-tolerance x=36h, on the record"
    )
    assert spoken(40 * DAY, 35).sentence.endswith(
        "line 14 allows 30 d, and the operator 35 d, or up to 60 d with --expiry-tolerance "
        "tuf.timestamp=41d, on the record"
    )


def test_where_nobody_may_go_nothing_is_offered() -> None:
    assert spoken(61 * DAY, 0).sentence.endswith(
        "line 14 allows 30 d, and lets nobody go beyond 60 d"
    )
    none = spoken(1 * DAY, 0, Mode.ENFORCE, most=0)
    assert none.sentence.endswith("24 h ago; line 14 tolerates nothing")


def test_what_a_person_said_is_on_the_record_in_words() -> None:
    assert spoken(40 * DAY, 41).sentence == (
        "tuf.timestamp overdue by 40 d of 41 d that the operator allowed, on the record (line 14 "
        "lets a person go to 60 d)"
    )


def test_little_left_of_what_a_person_said_is_said() -> None:
    assert "quarter" in spoken(40 * DAY, 41).hint
    assert spoken(31 * DAY, 60).hint == ""
    assert "quarter" in spoken(89 * DAY, 0, Mode.WARN).hint
    assert "quarter" in spoken(89 * DAY, 0, Mode.OFF).hint
    assert spoken(20 * DAY, 0, Mode.OFF).hint == ""


def test_the_last_instant_goes_with_what_a_person_said() -> None:
    stop = importable_until([spoken(-TICK, 41)])
    assert stop is not None
    assert stop.at == END + 41 * DAY


def test_metadata_that_ends_with_the_calendar_is_no_overflow() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert rule(Mode.GRACE).latest(end) == end
    assert rule(Mode.GRACE).latest(end - 40 * DAY) == end - 10 * DAY
