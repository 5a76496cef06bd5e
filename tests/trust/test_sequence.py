from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.fingerprint import bootstrap_code
from airgap.trust.policy import BUILT_IN_POLICY, Bootstrap, Gap, Policy, Setting
from airgap.trust.release import RoleMark
from airgap.trust.sequence import (
    MAX_JUMP,
    Arrival,
    Head,
    Link,
    SequenceJudgement,
    Standing,
    judge_sequence,
)
from airgap.trust.verdict import Check, Outcome


def inventory(number: int) -> Digest:
    return Digest.of(b"inventory %d" % number)


def link(number: int) -> Link:
    return Link(number, inventory(number))


def roles(number: int, timestamp: int | None = None) -> dict[str, RoleMark]:
    timestamp = number if timestamp is None else timestamp
    return {
        "root": RoleMark(1, Digest.of(b"root")),
        "timestamp": RoleMark(timestamp, Digest.of(b"timestamp %d" % timestamp)),
        "snapshot": RoleMark(number, Digest.of(b"snapshot %d" % number)),
        "targets": RoleMark(number, Digest.of(b"targets %d" % number)),
    }


def arrival(number: int, **changes: object) -> Arrival:
    """Return the bundle `number` of a chain without faults, but for `changes`."""
    made = Arrival(
        stream="prod",
        sequence=number,
        inventory=inventory(number),
        previous=link(number - 1) if number > 1 else None,
        skips=(),
        covers=number - 1,
        base=None,
        roles=roles(number),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def standing(number: int) -> Standing:
    """Return what a site knows after it imported 1 to `number`."""
    marks = [mark for n in range(1, number + 1) for mark in roles(n).items()]
    return Standing(
        head=Head(
            sequence=number,
            inventory=inventory(number),
            imported=datetime(2026, 11, 18, tzinfo=UTC),
            timestamp_version=number,
        ),
        inventories={n: inventory(n) for n in range(1, number + 1)},
        roles={(role, mark.version): mark.digest for role, mark in marks},
    )


def judge(what: Arrival, known: Standing, code: str | None = None) -> SequenceJudgement:
    return judge_sequence(what, known, code=code)


def check(judgement: SequenceJudgement, outcome: Outcome, reason: str) -> str:
    finding = judgement.finding
    assert (finding.outcome, finding.reason) == (outcome, reason)
    assert finding.check is Check.SEQUENCE
    assert judgement.already_current is (reason == "already-current")
    assert finding.exit_code == (7 if outcome is Outcome.FAIL else 3)
    assert finding.hint or outcome is Outcome.PASS
    return finding.sentence


def test_the_next_number() -> None:
    sentence = check(judge(arrival(4), standing(3)), Outcome.PASS, "next")
    assert sentence == "number 4 follows number 3"


def test_a_code_is_not_needed_where_something_is_known_and_never_lowers_a_head() -> None:
    older = arrival(2)
    code = bootstrap_code(2, older.inventory)
    check(judge(older, standing(3), code), Outcome.FAIL, "replay")
    check(judge(arrival(4), standing(3), code), Outcome.PASS, "next")


class TestFirst:
    def test_without_a_code_a_person_is_needed(self) -> None:
        check(judge(arrival(5), Standing()), Outcome.FAIL, "bootstrap-needed")

    def test_with_the_right_code(self) -> None:
        code = bootstrap_code(5, inventory(5)).lower()
        sentence = check(judge(arrival(5), Standing(), code), Outcome.PASS, "first-bundle")
        assert sentence == "first bundle of this stream, code given by the operator"
        told = judge_sequence(arrival(5), Standing(), code=code, said_by="the pin")
        assert told.finding.sentence.endswith("code given by the pin")

    @pytest.mark.parametrize(("number", "digest"), [(4, 5), (5, 4)])
    def test_with_another_code(self, number: int, digest: int) -> None:
        code = bootstrap_code(number, inventory(digest))
        check(judge(arrival(5), Standing(), code), Outcome.FAIL, "bootstrap-code-wrong")

    @pytest.mark.parametrize("known", [Standing(), standing(3)])
    def test_a_code_that_is_none_is_an_error_of_the_caller(self, known: Standing) -> None:
        with pytest.raises(UsageError, match="not a bootstrap code"):
            judge(arrival(4), known, "x")

    def test_an_incremental_bundle_cannot_be_the_first(self) -> None:
        what = arrival(5, base=link(4))
        code = bootstrap_code(5, what.inventory)
        sentence = check(judge(what, Standing(), code), Outcome.FAIL, "missing-base")
        assert "number 4" in sentence


class TestAgain:
    def test_the_same_bundle_is_already_current(self) -> None:
        check(judge(arrival(3), standing(3)), Outcome.PASS, "already-current")

    def test_a_lower_timestamp_of_the_same_bundle_is_no_rollback(self) -> None:
        refreshed = standing(3)
        assert refreshed.head is not None
        head = replace(refreshed.head, timestamp_version=9)
        check(judge(arrival(3), replace(refreshed, head=head)), Outcome.PASS, "already-current")

    def test_an_older_number_is_a_replay(self) -> None:
        sentence = check(judge(arrival(1), standing(3)), Outcome.FAIL, "replay")
        assert sentence == ("This is number 1 of stream prod; number 3 was imported on 2026-11-18.")

    def test_an_older_number_that_never_arrived_is_a_replay(self) -> None:
        known = standing(3)
        known = replace(known, inventories={3: inventory(3)}, roles={})
        check(judge(arrival(2), known), Outcome.FAIL, "replay")


class TestFork:
    @pytest.mark.parametrize("number", [1, 3])
    def test_another_inventory_under_a_number_that_is_known(self, number: int) -> None:
        what = arrival(number, inventory=Digest.of(b"other"))
        sentence = check(judge(what, standing(3)), Outcome.FAIL, "fork")
        assert f"this bundle is number {number}" in sentence

    def test_another_bundle_before_it(self) -> None:
        what = arrival(4, previous=Link(3, Digest.of(b"other")))
        assert "came before" in check(judge(what, standing(3)), Outcome.FAIL, "fork")

    def test_another_base(self) -> None:
        what = arrival(4, base=Link(2, Digest.of(b"other")))
        assert "builds on" in check(judge(what, standing(3)), Outcome.FAIL, "fork")

    def test_nothing_before_it(self) -> None:
        what = arrival(4, previous=None)
        assert "first of stream" in check(judge(what, standing(3)), Outcome.FAIL, "fork")

    def test_nothing_before_it_where_what_is_held_was_believed_abandoned(self) -> None:
        what = arrival(2, previous=None, skips=(1,))
        check(judge(what, standing(1)), Outcome.PASS, "next")

    @pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
    def test_another_digest_for_a_version_of_a_role(self, role: str) -> None:
        marks = roles(3)
        marks[role] = replace(marks[role], digest=Digest.of(b"other"))
        for what in (arrival(3, roles=marks), arrival(2, roles=marks)):
            sentence = check(judge(what, standing(3)), Outcome.FAIL, "fork")
            assert role in sentence

    def test_links_to_what_is_not_known_say_nothing(self) -> None:
        known = standing(3)
        known = replace(known, inventories={3: inventory(3)})
        what = arrival(4, base=Link(1, Digest.of(b"whatever")))
        check(judge(what, known), Outcome.PASS, "next")


class TestGap:
    def test_a_gap_that_is_not_covered(self) -> None:
        sentence = check(judge(arrival(6), standing(3)), Outcome.FAIL, "gap")
        assert "You had 3; 4 and 5 never arrived." in sentence

    @pytest.mark.parametrize("covers", [0, 2, 3])
    def test_a_gap_that_a_full_bundle_covers(self, covers: int) -> None:
        sentence = check(judge(arrival(6, covers=covers), standing(3)), Outcome.WARN, "gap-healed")
        assert sentence.startswith("You had 3; 4 and 5 never arrived. This bundle says again")
        assert "builds on" not in sentence

    def test_covering_from_past_the_head_does_not_heal(self) -> None:
        check(judge(arrival(6, covers=4), standing(3)), Outcome.FAIL, "gap")

    def test_a_gap_that_an_incremental_bundle_covers_from_a_base_that_is_held(self) -> None:
        what = arrival(6, covers=2, base=link(2))
        sentence = check(judge(what, standing(3)), Outcome.WARN, "gap-healed")
        assert "builds on 2" in sentence

    def test_a_base_that_is_not_held(self) -> None:
        what = arrival(6, covers=2, base=link(5))
        check(judge(what, standing(3)), Outcome.FAIL, "missing-base")

    def test_numbers_that_never_were_are_no_gap(self) -> None:
        check(judge(arrival(6, skips=(2, 4, 5)), standing(3)), Outcome.PASS, "next")
        sentence = check(judge(arrival(6, skips=(4,)), standing(3)), Outcome.FAIL, "gap")
        assert "5 never arrived" in sentence
        assert "4" not in sentence.split(".")[0]


class TestDecisions:
    """What a person, or the site's policy in place of one, lets through goes on the record."""

    @staticmethod
    def asked(**settings: object) -> Policy:
        return replace(BUILT_IN_POLICY, **settings)  # type: ignore[arg-type]

    def test_a_person_goes_past_a_gap(self) -> None:
        judged = judge_sequence(arrival(6), standing(3), code=None, accept_gap=True)
        sentence = check(judged, Outcome.TOLERATED, "gap-accepted")
        assert judged.finding.on_record
        assert sentence.startswith("You had 3; 4 and 5 never arrived. This bundle says again what")
        assert sentence.endswith("The operator went past it, on the record.")

    def test_a_gap_that_heals_needs_nobody(self) -> None:
        judged = judge_sequence(arrival(6, covers=3), standing(3), code=None, accept_gap=True)
        check(judged, Outcome.WARN, "gap-healed")
        assert not judged.finding.on_record

    def test_a_policy_allows_no_gap_and_a_person_still_goes_past(self) -> None:
        policy = self.asked(allow_gap=Setting(Gap.NONE, "policy.yaml line 8"))
        what = arrival(6, covers=3)
        judged = judge_sequence(what, standing(3), code=None, policy=policy)
        sentence = check(judged, Outcome.FAIL, "gap")
        assert sentence.endswith("said between. policy.yaml line 8 allows no gap.")
        assert "--accept-gap" in judged.finding.hint
        judged = judge_sequence(what, standing(3), code=None, policy=policy, accept_gap=True)
        check(judged, Outcome.TOLERATED, "gap-accepted")
        skipped = arrival(6, skips=(4, 5))
        check(judge_sequence(skipped, standing(3), code=None, policy=policy), Outcome.PASS, "next")

    @pytest.mark.parametrize(
        ("what", "reason"),
        [
            (arrival(2), "replay"),
            (arrival(6, covers=2, base=link(5)), "missing-base"),
            (arrival(6, roles=roles(6, timestamp=2)), "rollback-timestamp"),
            (arrival(4 + MAX_JUMP), "fast-forward"),
            (arrival(6, previous=Link(3, Digest.of(b"other"))), "fork"),
        ],
    )
    def test_nobody_goes_past_anything_but_a_gap(self, what: Arrival, reason: str) -> None:
        policy = self.asked(bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 8"))
        judged = judge_sequence(what, standing(3), code=None, policy=policy, accept_gap=True)
        check(judged, Outcome.FAIL, reason)

    def test_a_policy_waives_the_code(self) -> None:
        policy = self.asked(bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 8"))
        judged = judge_sequence(arrival(5), Standing(), code=None, policy=policy)
        sentence = check(judged, Outcome.TOLERATED, "bootstrap-waived")
        assert judged.finding.on_record
        assert "policy.yaml line 8 takes it without a code" in sentence

    def test_a_code_that_is_given_counts_whatever_the_policy(self) -> None:
        policy = self.asked(bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 8"))
        for number, outcome, reason in (
            (5, Outcome.PASS, "first-bundle"),
            (4, Outcome.FAIL, "bootstrap-code-wrong"),
        ):
            code = bootstrap_code(number, inventory(number))
            judged = judge_sequence(arrival(5), Standing(), code=code, policy=policy)
            check(judged, outcome, reason)


class TestRoles:
    def test_a_timestamp_of_an_earlier_version(self) -> None:
        what = arrival(4, roles=roles(4, timestamp=2))
        check(judge(what, standing(3)), Outcome.FAIL, "rollback-timestamp")

    def test_a_timestamp_of_the_same_version(self) -> None:
        check(judge(arrival(4, roles=roles(4, timestamp=3)), standing(3)), Outcome.PASS, "next")

    def test_numbers_do_not_jump(self) -> None:
        near, far = (arrival(3 + jump, covers=0) for jump in (MAX_JUMP, MAX_JUMP + 1))
        check(judge(near, standing(3)), Outcome.WARN, "gap-healed")
        check(judge(far, standing(3)), Outcome.FAIL, "fast-forward")

    def test_timestamps_do_not_jump(self) -> None:
        near, far = (
            arrival(4, roles=roles(4, timestamp=3 + jump)) for jump in (MAX_JUMP, MAX_JUMP + 1)
        )
        check(judge(near, standing(3)), Outcome.PASS, "next")
        check(judge(far, standing(3)), Outcome.FAIL, "fast-forward")


@given(st.integers(1, 20), st.integers(1, 20))
def test_of_every_pair_in_a_chain_none_goes_back(held: int, arriving: int) -> None:
    judged = judge(arrival(arriving), standing(held))
    expected = {0: "already-current", 1: "next"}.get(
        arriving - held, "gap" if arriving > held else "replay"
    )
    assert judged.finding.reason == expected
