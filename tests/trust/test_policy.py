"""Policies as values: what a file comes to, and that a further one only ever takes away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.oci.digest import Digest
from airgap.trust.expiry import DEFAULT_RULES, SKEW, Mode, Rule, judge
from airgap.trust.expiry_rule import BUILT_IN
from airgap.trust.policy import (
    BUILT_IN_POLICY,
    Bootstrap,
    Gap,
    Level,
    Policy,
    PolicyFile,
    ReadBack,
    Setting,
    in_force,
    level_rules,
    tighten,
)
from airgap.trust.tolerance import Tolerance, tolerate
from airgap.trust.verdict import Outcome

DAY = timedelta(days=1)
NOTHING = timedelta(0)
END = datetime(2026, 10, 12, tzinfo=UTC)
MADE = END - 30 * DAY
CAP = 365 * DAY
ROLE = "tuf.timestamp"


def policy_file(name: str = "policy.yaml", **fields: object) -> PolicyFile:
    return PolicyFile(name=name, digest=Digest.of(name.encode()), **fields)  # type: ignore[arg-type]  # fields of it


def grace(own: int, most: int, origin: str = "policy.yaml line 14") -> Rule:
    return Rule(mode=Mode.GRACE, grace=own * DAY, cap=CAP, most=most * DAY, origin=origin)


def bounds(rule: Rule) -> tuple[str, int, int, int]:
    return str(rule.mode), rule.grace.days, rule.reach.days, rule.cap.days


def accepts(policy: Policy, role: str, overdue: timedelta) -> bool:
    finding = judge(role, policy.rules[role], not_after=END, created=MADE, now=END + overdue)
    return finding.outcome is not Outcome.FAIL


# --- one file -------------------------------------------------------------------------------


def test_the_built_in_policy_lets_a_person_go_to_the_cap() -> None:
    assert BUILT_IN_POLICY.rules == DEFAULT_RULES
    assert {bounds(rule)[2:] for rule in BUILT_IN_POLICY.rules.values()} == {(365, 365)}
    assert BUILT_IN_POLICY.to_json() == {"files": []}
    assert BUILT_IN_POLICY.site is None


def test_a_file_that_says_nothing_has_the_defaults_and_its_max_is_the_grace() -> None:
    policy = in_force(policy_file())
    assert {role: bounds(rule) for role, rule in policy.rules.items()} == {
        "tuf.root": ("grace", 90, 90, 365),
        "tuf.targets": ("grace", 90, 90, 365),
        "tuf.snapshot": ("grace", 120, 120, 365),
        "tuf.timestamp": ("grace", 120, 120, 365),
    }
    assert policy.rules[ROLE].origin == "policy.yaml, by default,"
    assert policy.skew == Setting(SKEW, BUILT_IN)
    assert policy.allow_gap.value is Gap.HEALED
    assert policy.bootstrap.value is Bootstrap.ASK
    assert policy.read_back.value is ReadBack.MANIFESTS


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Level.STRICT, ("enforce", 0, 0, 365)),
        (Level.BALANCED, ("grace", 120, 120, 365)),
        (Level.AUDIT, ("warn", 365, 365, 365)),
    ],
)
def test_a_level_is_where_the_roles_start(
    level: Level, expected: tuple[str, int, int, int]
) -> None:
    policy = in_force(policy_file(level=Setting(level, "policy.yaml line 2")))
    assert bounds(policy.rules[ROLE]) == expected
    assert policy.rules[ROLE].origin == "policy.yaml line 2"
    assert level_rules(level, "x").keys() == DEFAULT_RULES.keys()


def test_what_a_file_says_of_a_role_stands_above_its_level() -> None:
    said = policy_file(
        level=Setting(Level.STRICT, "policy.yaml line 2"),
        site="site-17",
        rules={ROLE: grace(30, 120)},
        skew=Setting(DAY / 24, "policy.yaml line 7"),
        allow_gap=Setting(Gap.NONE, "policy.yaml line 8"),
        bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 8"),
        read_back=Setting(ReadBack.ALWAYS, "policy.yaml line 9"),
    )
    policy = in_force(said)
    assert policy.rules[ROLE] == grace(30, 120)
    assert policy.rules["tuf.root"].mode is Mode.ENFORCE
    settings = (policy.skew, policy.allow_gap, policy.bootstrap, policy.read_back)
    assert settings == (said.skew, said.allow_gap, said.bootstrap, said.read_back)
    assert policy.to_json() == {
        "files": [{"name": "policy.yaml", "digest": str(said.digest)}],
        "site": "site-17",
    }


# --- a further file -------------------------------------------------------------------------


def test_of_each_bound_the_smaller_holds() -> None:
    site = in_force(policy_file(rules={ROLE: grace(30, 120)}))
    further = policy_file("--policy more.yaml", rules={ROLE: grace(60, 90, "more line 3")})
    both = tighten(site, further).rules[ROLE]
    assert bounds(both) == ("grace", 30, 90, 365)
    assert both.origin == "policy.yaml line 14 and more line 3"


@pytest.mark.parametrize(
    ("one", "other", "origin"), [((30, 90), (60, 120), "one"), ((60, 120), (30, 90), "other")]
)
def test_where_one_of_them_decides_it_is_named(
    one: tuple[int, int], other: tuple[int, int], origin: str
) -> None:
    site = in_force(policy_file(rules={ROLE: grace(*one, origin="one")}))
    both = tighten(site, policy_file(rules={ROLE: grace(*other, origin="other")})).rules[ROLE]
    assert both == grace(30, 90, origin)


def test_what_a_further_file_does_not_name_stays() -> None:
    site = in_force(policy_file(rules={ROLE: grace(30, 120)}))
    further = policy_file("more", rules={"tuf.root": grace(1, 1, "more line 1")})
    both = tighten(site, further)
    assert both.rules[ROLE] == site.rules[ROLE]
    assert both.rules["tuf.root"].origin == "more line 1"
    assert both.files == (*site.files, further)


def test_the_level_of_a_further_file_counts_for_every_role() -> None:
    strict = policy_file(level=Setting(Level.STRICT, "more line 2"))
    hard = tighten(BUILT_IN_POLICY, strict).rules
    assert {bounds(rule) for rule in hard.values()} == {("enforce", 0, 0, 365)}
    audit = policy_file(level=Setting(Level.AUDIT, "more line 2"))
    lax = tighten(BUILT_IN_POLICY, audit).rules
    assert lax[ROLE].origin == BUILT_IN
    assert bounds(lax[ROLE]) == bounds(DEFAULT_RULES[ROLE])
    own = policy_file(level=Setting(Level.AUDIT, "x"), rules={ROLE: grace(1, 1, "more line 3")})
    assert tighten(BUILT_IN_POLICY, own).rules[ROLE] == grace(1, 1, "more line 3")


@pytest.mark.parametrize("site", list(Gap))
@pytest.mark.parametrize("further", [None, *Gap])
def test_gaps_are_refused_where_one_of_them_refuses(site: Gap, further: Gap | None) -> None:
    policy = in_force(policy_file(allow_gap=Setting(site, "one")))
    asked = None if further is None else Setting(further, "other")
    found = tighten(policy, policy_file(allow_gap=asked)).allow_gap
    assert found.value is (Gap.NONE if Gap.NONE in {site, further} else Gap.HEALED)
    assert found.origin == ("other" if (site, further) == (Gap.HEALED, Gap.NONE) else "one")


def test_clock_bootstrap_load_and_site_are_never_taken_from_a_further_file() -> None:
    site = in_force(policy_file(site="site-17"))
    further = policy_file(
        site="other",
        skew=Setting(DAY, "x"),
        bootstrap=Setting(Bootstrap.ACCEPT, "x"),
        read_back=Setting(ReadBack.ALWAYS, "x"),
    )
    both = tighten(site, further)
    assert (both.skew, both.bootstrap, both.read_back) == (
        site.skew,
        site.bootstrap,
        site.read_back,
    )
    assert both.site == "site-17"


# --- properties -----------------------------------------------------------------------------

DAYS = st.integers(0, 365)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    mode = draw(st.sampled_from(list(Mode)))
    own, most = sorted((draw(DAYS), draw(DAYS)))
    if mode is Mode.ENFORCE:
        own = 0
    if mode in {Mode.WARN, Mode.OFF}:
        own = most = 365
    return Rule(mode=mode, grace=own * DAY, cap=CAP, most=most * DAY, origin=draw(st.text()))


@st.composite
def files(draw: st.DrawFn) -> PolicyFile:
    level = draw(st.none() | st.sampled_from(list(Level)))
    gap = draw(st.none() | st.sampled_from(list(Gap)))
    return policy_file(
        level=None if level is None else Setting(level, "a level"),
        rules=draw(st.dictionaries(st.sampled_from(list(DEFAULT_RULES)), rules())),
        allow_gap=None if gap is None else Setting(gap, "a line"),
    )


POLICIES = files().map(in_force) | st.just(BUILT_IN_POLICY)
OVERDUE = st.integers(0, 400).map(lambda days: days * DAY) | st.timedeltas(NOTHING, 400 * DAY)
SAID = st.none() | DAYS.map(lambda days: Tolerance(role=None, span=days * DAY))


@given(POLICIES, files(), st.sampled_from(list(DEFAULT_RULES)), OVERDUE, SAID)
def test_tightening_never_accepts_more(
    policy: Policy, further: PolicyFile, role: str, overdue: timedelta, said: Tolerance | None
) -> None:
    """Whatever a person says, and whatever the two policies are."""
    words = () if said is None else (said,)
    both = tolerate(tighten(policy, further), words)
    if accepts(both, role, overdue):
        assert accepts(tolerate(policy, words), role, overdue)
        if further.level is not None or role in further.rules:
            assert accepts(tolerate(in_force(further), words), role, overdue)
    if both.allow_gap.value is Gap.HEALED:
        assert policy.allow_gap.value is Gap.HEALED
        assert further.allow_gap is None or further.allow_gap.value is Gap.HEALED


@given(POLICIES, files())
def test_tightening_twice_is_tightening_once(policy: Policy, further: PolicyFile) -> None:
    once = tighten(policy, further)
    twice = tighten(once, further)
    assert [bounds(rule) for rule in twice.rules.values()] == [
        bounds(rule) for rule in once.rules.values()
    ]
    assert twice.allow_gap.value is once.allow_gap.value


@given(POLICIES, st.sampled_from(list(DEFAULT_RULES)), OVERDUE, SAID)
def test_nothing_goes_past_the_cap_and_no_word_past_max(
    policy: Policy, role: str, overdue: timedelta, said: Tolerance | None
) -> None:
    spoken = tolerate(policy, () if said is None else (said,))
    rule = policy.rules[role]
    if accepts(spoken, role, overdue):
        assert overdue <= CAP
        assert overdue <= max(rule.own, rule.reach)
    # And a word never takes away what holds without it.
    assert accepts(spoken, role, overdue) or not accepts(policy, role, overdue)
