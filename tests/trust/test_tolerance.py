from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.duration import parse_duration, parse_moment, spell
from airgap.trust.expiry import Mode, Rule
from airgap.trust.policy import BUILT_IN_POLICY, Policy, PolicyFile, in_force
from airgap.trust.tolerance import Tolerance, parse_tolerance, tolerate

DAY = timedelta(days=1)


def policy() -> Policy:
    rule = Rule(
        mode=Mode.GRACE,
        grace=30 * DAY,
        cap=365 * DAY,
        most=120 * DAY,
        origin="policy.yaml line 14",
    )
    file = PolicyFile(name="policy.yaml", digest=Digest.of(b""), rules={"tuf.timestamp": rule})
    return in_force(file)


def said(*texts: str, on: Policy | None = None) -> dict[str, int]:
    spoken = tolerate(on or policy(), map(parse_tolerance, texts))
    return {role: rule.said.days for role, rule in spoken.rules.items()}


@pytest.mark.parametrize(
    ("text", "role", "span"),
    [
        ("30d", None, 30 * DAY),
        ("tuf.timestamp=120d", "tuf.timestamp", 120 * DAY),
        ("tuf.root=36h", "tuf.root", 1.5 * DAY),
        ("0d", None, 0 * DAY),
        ("a=b=5m", "a=b", timedelta(minutes=5)),
    ],
)
def test_a_tolerance_is_a_duration_or_one_of_a_role(
    text: str, role: str | None, span: timedelta
) -> None:
    tolerance = parse_tolerance(text)
    assert tolerance == Tolerance(role=role, span=span)
    assert str(tolerance) == text


@pytest.mark.parametrize(
    "text", ["", "30", "30 d", "-1d", "1.5d", "01d", "30D", "30d\n", "=30d", "tuf.root=", "x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration") as caught:
        parse_tolerance(text)
    assert caught.value.reason == "tolerance-invalid"


def test_every_role_goes_as_far_as_its_max_lets_it() -> None:
    assert said("100d") == {
        "tuf.root": 90,
        "tuf.targets": 90,
        "tuf.snapshot": 100,
        "tuf.timestamp": 100,
    }
    assert said("100d", "tuf.timestamp=41d")["tuf.timestamp"] == 41
    assert said("tuf.timestamp=120d") == {
        "tuf.root": 0,
        "tuf.targets": 0,
        "tuf.snapshot": 0,
        "tuf.timestamp": 120,
    }
    assert set(said().values()) == {0}
    assert set(said("400d", on=BUILT_IN_POLICY).values()) == {365}


def test_above_the_max_of_a_role_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        said("tuf.timestamp=121d")
    assert caught.value.reason == "tolerance-above-max"
    assert caught.value.message == (
        "--expiry-tolerance tuf.timestamp=121d: policy.yaml line 14 lets nobody go beyond 120d"
    )


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="is no role that expires") as caught:
        said("tuf.timestmap=1d")
    assert caught.value.reason == "role-unknown"
    assert "tuf.timestamp" in caught.value.hint


@pytest.mark.parametrize("texts", [("1d", "2d"), ("tuf.root=1d", "tuf.root=1d")])
def test_the_same_is_not_said_twice(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="after another one for") as caught:
        said(*texts)
    assert caught.value.reason == "tolerance-invalid"


@given(st.integers(0, 999_999), st.sampled_from("smhd"))
def test_durations_are_spelled_as_they_are_read(count: int, unit: str) -> None:
    span = parse_duration(f"{count}{unit}")
    assert span is not None
    # Seconds of many days would take more digits than are read.
    if span % timedelta(minutes=1) == timedelta(0):
        assert parse_duration(spell(span)) == span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-24", datetime(2026, 12, 24, tzinfo=UTC)),
        ("2026-12-24T10:00:00Z", datetime(2026, 12, 24, 10, tzinfo=UTC)),
        ("2026-12-24T10:00:00+05:30", datetime(2026, 12, 24, 4, 30, tzinfo=UTC)),
    ],
)
def test_times_are_days_or_rfc_3339(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-13-01", "2026-12-24T10:00:00", "20261224", "2026-W52-4", "2026-12-24 ",
     "0001-01-01T00:00:00+01:00", "2026-12-24T25:00:00Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time") as caught:
        parse_moment(text)
    assert caught.value.reason == "time-invalid"
