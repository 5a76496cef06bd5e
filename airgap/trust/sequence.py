"""Sequence: whether this is the bundle that comes next, judged against what the site knows.

* The number only rises; two digests for one number are a fork; nothing tolerates either.
* (number, inventory digest) is compared first: what the site holds already is nothing to do.
* A gap is healed only by a bundle that says again all that was missed. Any other gap, and a policy
  that allows none, is for a person to go past, on the record.
* Of a stream that nothing is known of, freshness cannot be known: a person says it, with a code.
  A code is good only there, so it never lowers a head.

Source: docs/trust.md, "Sequence, and importers that forget"; threat model, 2.8 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.trust.fingerprint import bootstrap_code, parse_code
from airgap.trust.policy import BUILT_IN_POLICY, Bootstrap, Gap
from airgap.trust.standing import Arrival, Head, Link, Standing
from airgap.trust.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap.oci.digest import Digest
    from airgap.trust.policy import Policy

__all__ = [
    "MAX_JUMP",
    "Arrival",
    "Head",
    "Link",
    "SequenceJudgement",
    "Standing",
    "judge_sequence",
]

MAX_JUMP: Final = 1000
"""How far one bundle may move a number: more is an attempt to use the numbers up (A101)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceJudgement:
    """The finding, and whether the site holds exactly this bundle."""

    finding: Finding
    already_current: bool = False


def judge_sequence(
    arrival: Arrival,
    standing: Standing,
    *,
    code: str | None,
    said_by: str = "the operator",
    policy: Policy = BUILT_IN_POLICY,
    accept_gap: bool = False,
) -> SequenceJudgement:
    """Judge the place of a bundle in its stream, as `policy` asks.

    `code` is the bootstrap code that a person gave (`said_by` names who, or where), or None; a
    malformed one raises UsageError. `accept_gap` says that a person goes past a gap.
    """
    given = None if code is None else parse_code(code)
    head = standing.head
    if head is None:
        return SequenceJudgement(finding=_judge_first(arrival, given, said_by, policy))
    # What is known is compared before anything else: digests never change under a number.
    fork = _find_fork(arrival, standing)
    if fork is not None:
        return SequenceJudgement(finding=fork)
    if arrival.sequence == head.sequence:
        finding = _pass("already-current", f"number {head.sequence} is what is held here already")
        return SequenceJudgement(finding=finding, already_current=True)
    if arrival.sequence < head.sequence:
        return SequenceJudgement(finding=_replay(arrival, head))
    return SequenceJudgement(finding=_judge_next(arrival, head, policy, accept_gap=accept_gap))


def _judge_first(arrival: Arrival, code: str | None, said_by: str, policy: Policy) -> Finding:
    if arrival.base is not None:
        return _missing_base(
            arrival, arrival.base, f"nothing of {arrival.stream} was imported here"
        )
    if code is None and policy.bootstrap.value is Bootstrap.ACCEPT:
        return _on_record(
            "bootstrap-waived",
            f"first bundle of stream {arrival.stream} here; {policy.bootstrap.origin} takes it "
            "without a code, and nobody has said that it is not an old one",
        )
    if code is None:
        return _fail(
            "bootstrap-needed",
            f"this is the first bundle of stream {arrival.stream} here, and nothing but a person "
            "can say that it is not an old one",
            hint="Ask the exporter for the code of this bundle: --bootstrap NUMBER:CODE",
        )
    if code != bootstrap_code(arrival.sequence, arrival.inventory):
        return _fail(
            "bootstrap-code-wrong",
            f"the code {code}, given by {said_by}, is not the code of this bundle, "
            f"number {arrival.sequence} of stream {arrival.stream}",
            hint="Ask the exporter which number is the newest, and for its code. If both are as "
            "you have them, this medium is an old one, or a forged one.",
        )
    return _pass("first-bundle", f"first bundle of this stream, code given by {said_by}")


def _judge_next(arrival: Arrival, head: Head, policy: Policy, *, accept_gap: bool) -> Finding:
    """Judge a number above the head, whose digests contradict nothing that is known."""
    timestamp = arrival.roles["timestamp"].version
    if timestamp < head.timestamp_version:
        return _fail(
            "rollback-timestamp",
            f"the timestamp is of version {timestamp}; {head.timestamp_version} was seen with "
            f"number {head.sequence}",
        )
    if arrival.sequence - head.sequence > MAX_JUMP or timestamp - head.timestamp_version > MAX_JUMP:
        return _fail(
            "fast-forward",
            f"number {arrival.sequence}, timestamp {timestamp}, is more than {MAX_JUMP} ahead of "
            f"number {head.sequence}, timestamp {head.timestamp_version}",
            hint="Ask the holders of the authority: someone may be using its numbers up.",
        )
    base = arrival.base
    if base is not None and base.sequence > head.sequence:
        return _missing_base(arrival, base, f"you have {head.sequence}")
    missing = sorted(set(range(head.sequence + 1, arrival.sequence)) - set(arrival.skips))
    if not missing:
        return _pass("next", f"number {arrival.sequence} follows number {head.sequence}")
    lost = f"You had {head.sequence}; {_numbers(missing)} never arrived."
    return _judge_gap(arrival, head, lost, policy, accept_gap=accept_gap)


def _judge_gap(
    arrival: Arrival, head: Head, lost: str, policy: Policy, *, accept_gap: bool
) -> Finding:
    """Judge a bundle before which others are missing; `lost` says which."""
    healed = arrival.covers <= head.sequence
    if healed:
        base = arrival.base
        builds_on = "" if base is None else f", and builds on {base.sequence}, which you are past"
        sentence = f"{lost} This bundle says again all that was said between{builds_on}."
    else:
        sentence = (
            f"{lost} This bundle says again what came after {arrival.covers}, and nothing before."
        )
    if healed and policy.allow_gap.value is Gap.HEALED:
        return Finding(
            check=Check.SEQUENCE,
            outcome=Outcome.WARN,
            reason="gap-healed",
            sentence=sentence,
            hint="Tell the exporter: a lost medium may be in someone's hands.",
        )
    if accept_gap:
        return _on_record("gap-accepted", f"{sentence} The operator went past it, on the record.")
    return _fail(
        "gap",
        f"{sentence} {policy.allow_gap.origin} allows no gap." if healed else sentence,
        hint="Import what is missing first, or ask the exporter for a bundle that covers it. "
        "A lost medium may be in someone's hands. To go past it on the record: "
        "airgap import --accept-gap.",
    )


def _find_fork(arrival: Arrival, standing: Standing) -> Finding | None:
    """Return the finding about two digests for one number or version, or None."""
    links = {
        "this bundle": Link(arrival.sequence, arrival.inventory),
        "the bundle that it says came before it": arrival.previous,
        "the bundle that it builds on": arrival.base,
    }
    for what, link in links.items():
        known = link and standing.inventories.get(link.sequence)
        if link and known and known != link.inventory:
            return _fork(f"{what} is number {link.sequence}", known, link.inventory)
    head = standing.head
    # A kill at the very end of an export leaves a bundle that the next one believes abandoned.
    if (
        head is not None
        and arrival.previous is None
        and arrival.sequence > head.sequence
        and head.sequence not in arrival.skips
    ):
        return _fail(
            "fork",
            f"this bundle says that it is the first of stream {arrival.stream}; number "
            f"{head.sequence} was imported on {head.imported:%Y-%m-%d}",
            hint=_FORK_HINT,
        )
    for role, mark in arrival.roles.items():
        known = standing.roles.get((role, mark.version))
        if known and known != mark.digest:
            return _fork(f"its {role} metadata is version {mark.version}", known, mark.digest)
    return None


_FORK_HINT: Final = (
    "Keep this medium and stop: the exporter signed two histories, or lost its keys."
)


def _fork(what: str, known: Digest, found: Digest) -> Finding:
    return _fail(
        "fork", f"{what}, which has {known.short} here and {found.short} there", hint=_FORK_HINT
    )


def _replay(arrival: Arrival, head: Head) -> Finding:
    return _fail(
        "replay",
        f"This is number {arrival.sequence} of stream {arrival.stream}; number {head.sequence} was "
        f"imported on {head.imported:%Y-%m-%d}.",
        hint="To go back on purpose, ask the exporter for a new bundle that names the old images.",
    )


def _missing_base(arrival: Arrival, base: Link, standing: str) -> Finding:
    return _fail(
        "missing-base",
        f"number {arrival.sequence} leaves out what number {base.sequence} brought; {standing}",
        hint=f"Import number {base.sequence} first, or ask for a full bundle.",
    )


def _numbers(numbers: Iterable[int]) -> str:
    *rest, last = [str(number) for number in numbers]
    return f"{', '.join(rest)} and {last}" if rest else last


def _pass(reason: str, sentence: str) -> Finding:
    return Finding(check=Check.SEQUENCE, outcome=Outcome.PASS, reason=reason, sentence=sentence)


def _on_record(reason: str, sentence: str) -> Finding:
    """Return the finding about what only a person's word, or the site's policy, lets through."""
    return Finding(
        check=Check.SEQUENCE,
        outcome=Outcome.TOLERATED,
        reason=reason,
        sentence=sentence,
        hint="Ask the exporter which number is the newest.",
        on_record=True,
    )


def _fail(
    reason: str, sentence: str, hint: str = "Look at the ledger; a person decides."
) -> Finding:
    return Finding(
        check=Check.SEQUENCE,
        outcome=Outcome.FAIL,
        reason=reason,
        sentence=sentence,
        hint=hint,
        exit_code=7,
    )
