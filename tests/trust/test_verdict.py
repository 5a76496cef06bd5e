from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import RejectedError
from airgap.oci.digest import Digest
from airgap.trust.verdict import (
    REQUIRED,
    Check,
    Expiry,
    Finding,
    Outcome,
    Verdict,
    format_time,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 11, 22, 10, 2, 3, 999, tzinfo=UTC)
ROOT = Digest.of(b"root")
INVENTORY = Digest.of(b"inventory")
NAME = "registry.example/app:1"
GOOD = (Outcome.PASS, Outcome.TOLERATED, Outcome.WARN)


def _finding(check: Check, outcome: Outcome = Outcome.PASS, **more: Any) -> Finding:  # noqa: ANN401 - fields of it
    fields = {"reason": f"{check}-reason", "sentence": f"{check} ended so", **more}
    return Finding(check=check, outcome=outcome, **fields)


def _verdict(findings: Iterable[Finding] | None = None, **more: Any) -> Verdict:  # noqa: ANN401
    fields: dict[str, Any] = {
        "required": REQUIRED,
        "judged_at": NOW,
        "inventory": INVENTORY,
        "names": {NAME: ROOT},
        "roots": frozenset({ROOT}),
        **more,
    }
    passed = tuple(_finding(check) for check in REQUIRED)
    return Verdict(findings=passed if findings is None else tuple(findings), **fields)


def _refused(verdict: Verdict) -> RejectedError:
    assert not verdict.accepted
    assert verdict.failures
    assert verdict.exit_code != 0
    with pytest.raises(RejectedError) as caught:
        verdict.admit()
    assert caught.value.verdict is verdict
    return caught.value


def test_what_passed_every_required_check_is_admitted() -> None:
    verdict = _verdict()
    assert verdict.accepted
    assert verdict.failures == ()
    assert verdict.exit_code == 0
    admission = verdict.admit()
    assert admission.inventory == INVENTORY
    assert admission.names == {NAME: ROOT}
    assert admission.roots == {ROOT}
    assert admission.verdict is verdict


def test_an_admission_does_not_change_with_what_it_was_made_from() -> None:
    names = {NAME: ROOT}
    admission = _verdict(names=names).admit()
    names["registry.example/other:1"] = ROOT
    assert admission.names == {NAME: ROOT}
    with pytest.raises(TypeError):
        admission.names["x"] = ROOT  # type: ignore[index]


def test_a_verdict_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="a verdict has no truth value"):
        bool(_verdict())


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("check", REQUIRED)
def test_each_required_check_must_be_shown_to_pass(check: Check, outcome: Outcome) -> None:
    findings = [_finding(other, outcome if other is check else Outcome.PASS) for other in REQUIRED]
    verdict = _verdict(findings)
    if outcome in GOOD:
        assert verdict.admit().roots == {ROOT}
        return
    error = _refused(verdict)
    said = outcome is Outcome.FAIL
    assert error.reason == (f"{check}-reason" if said else "check-not-shown")
    assert error.message == (f"{check} ended so" if said else f"{check} was not shown to pass")


@pytest.mark.parametrize("check", REQUIRED)
def test_a_check_that_nothing_was_said_of_is_no_pass(check: Check) -> None:
    error = _refused(_verdict(_finding(other) for other in REQUIRED if other is not check))
    assert (error.reason, error.message) == ("check-not-shown", f"{check} was not shown to pass")


@pytest.mark.parametrize(
    "nothing", [{"required": ()}, {"inventory": None}, {"roots": frozenset()}], ids=str
)
def test_nothing_is_not_nothing_wrong(nothing: dict[str, Any]) -> None:
    error = _refused(_verdict(**nothing))
    assert error.reason == "nothing-to-judge"
    assert error.message == "nothing was asked, or there is nothing that could be accepted"


def test_a_failure_of_a_check_that_was_not_required_is_a_no() -> None:
    more = _finding(Check.IMAGES, Outcome.FAIL, hint="Ask the signer.")
    error = _refused(_verdict().with_findings([more]))
    assert (error.reason, error.hint) == ("images-reason", "Ask the signer.")


def test_a_pass_beside_a_failure_is_no_pass() -> None:
    more = _finding(Check.INTEGRITY, Outcome.FAIL)
    verdict = _verdict().with_findings([more])
    assert _refused(verdict).hint == RejectedError.default_hint
    assert verdict.failures == (more,)
    assert verdict.of(Check.INTEGRITY) == (_finding(Check.INTEGRITY), more)


def test_what_was_not_asked_for_does_not_stop_anything() -> None:
    more = [_finding(Check.IMAGES, Outcome.NOT_ASKED), _finding(Check.GATE, Outcome.SKIPPED)]
    assert _verdict().with_findings(more).accepted


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [
        ([3], 3),
        ([8], 8),
        ([3, 8], 3),
        ([7, 3], 7),
        ([3, 7, 6], 6),
        ([8, 3, 7, 6, 4], 4),
        ([5], 3),  # a finding is an answer; 5 means that there was none
        ([0], 3),
    ],
)
def test_the_gravest_failure_gives_the_exit_code(codes: list[int], exit_code: int) -> None:
    failures = [_finding(Check.GATE, Outcome.FAIL, exit_code=code) for code in codes]
    assert _verdict().with_findings(failures).exit_code == exit_code
    passes = [_finding(Check.GATE, exit_code=code) for code in codes]
    assert _verdict().with_findings(passes).exit_code == 0


_FINDINGS = st.lists(
    st.builds(
        _finding,
        st.sampled_from(Check),
        st.sampled_from(Outcome),
        exit_code=st.sampled_from([3, 4, 6, 7, 8]),
    ),
    max_size=12,
)
_VERDICTS = st.builds(
    _verdict,
    _FINDINGS | _FINDINGS.map(lambda more: [*(_finding(check) for check in REQUIRED), *more]),
    required=st.sampled_from([REQUIRED, (), (Check.GATE,), (*REQUIRED, Check.IMAGES)]),
    inventory=st.sampled_from([None, INVENTORY]),
    roots=st.sampled_from([frozenset(), frozenset({ROOT})]),
)


@given(_VERDICTS)
def test_accepted_and_failures_and_exit_code_and_admission_say_the_same(verdict: Verdict) -> None:
    assert verdict.accepted is (verdict.failures == ()) is (verdict.exit_code == 0)
    assert verdict.to_json()["result"] == ("accepted" if verdict.accepted else "rejected")
    if verdict.accepted:
        assert verdict.admit().inventory == verdict.inventory
    else:
        _refused(verdict)


@given(_VERDICTS, _FINDINGS)
def test_no_failure_more_makes_a_yes(verdict: Verdict, findings: list[Finding]) -> None:
    failures = [finding for finding in findings if finding.outcome is Outcome.FAIL]
    assert verdict.with_findings(failures).accepted is (verdict.accepted and not failures)


def test_the_json_form_is_complete_and_safe_to_print() -> None:
    expiry = Expiry(
        role="tuf.timestamp",
        not_after=NOW - timedelta(days=10),
        overdue=timedelta(days=10, milliseconds=7),
        mode="grace",
        grace=timedelta(days=30),
        importable_until=NOW + timedelta(days=20),
        most=timedelta(days=90),
        said=timedelta(days=41),
        rule="policy.yaml\x07 line 14",
    )
    findings = [
        *(_finding(check) for check in REQUIRED[:4]),
        _finding(
            Check.EXPIRY,
            Outcome.TOLERATED,
            sentence="overdue \x1b[31m",
            subject="\u202eroot",
            hint="ask\x07",
            evidence={"key": "ab", "versions": [1, 2]},
            expiry=expiry,
            on_record=True,
        ),
    ]
    verdict = _verdict(
        findings,
        bundle={"stream": "prod"},
        already_current=True,
        importable_until=NOW,
        importable_until_role="tuf.timestamp",
        policy={"files": []},
    )
    document = verdict.to_json()
    assert json.loads(json.dumps(document)) == document
    shown = document.pop("findings")
    assert document == {
        "schemaVersion": 1,
        "result": "accepted",
        "exitCode": 0,
        "judgedAt": "2026-11-22T10:02:03Z",
        "audit": False,
        "policy": {"files": []},
        "bundle": {"stream": "prod"},
        "inventory": str(INVENTORY),
        "alreadyCurrent": True,
        "importableUntil": "2026-11-22T10:02:03Z",
        "importableUntilRole": "tuf.timestamp",
        "names": {NAME: str(ROOT)},
        "required": ["authenticity", "sequence", "integrity", "completeness", "expiry"],
    }
    assert isinstance(shown, list)
    assert shown[0] == {
        "check": "authenticity",
        "outcome": "pass",
        "reason": "authenticity-reason",
        "sentence": "authenticity ended so",
        "subject": "",
    }
    assert shown[4] == {
        "check": "expiry",
        "outcome": "tolerated",
        "reason": "expiry-reason",
        "sentence": "overdue \\u{1b}[31m",
        "subject": "\\u{202e}root",
        "hint": "ask\\u{7}",
        "evidence": {"key": "ab", "versions": [1, 2]},
        "expiry": {
            "role": "tuf.timestamp",
            "notAfter": "2026-11-12T10:02:03Z",
            "overdueSeconds": 864000,
            "mode": "grace",
            "graceSeconds": 2592000,
            "maxSeconds": 7776000,
            "toleranceSeconds": 3542400,
            "rule": "policy.yaml\\u{7} line 14",
            "importableUntil": "2026-12-12T10:02:03Z",
        },
        "onRecord": True,
    }


def test_an_audit_admits_nothing_though_it_accepts() -> None:
    audit = _verdict([_finding(check) for check in REQUIRED], audit=True)
    assert audit.accepted
    assert audit.exit_code == 0
    with pytest.raises(RejectedError, match="an audit as of 2026-11-22T10:02:03Z") as caught:
        audit.admit()
    assert caught.value.reason == "audit-admits-nothing"


def test_what_is_not_known_is_null() -> None:
    document = _verdict((), inventory=None).to_json()
    assert document["result"] == "rejected"
    assert document["exitCode"] == 3
    assert document["inventory"] is document["importableUntil"] is None
    expiry = Expiry(
        role="tuf.root",
        not_after=NOW,
        overdue=timedelta(),
        mode="off",
        grace=timedelta(),
        importable_until=None,
    )
    assert expiry.to_json()["importableUntil"] is None


def test_times_are_utc_to_the_second() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert format_time(datetime(2026, 1, 1, 5, 30, 0, 999_999, tzinfo=there)) == (
        "2026-01-01T00:00:00Z"
    )
