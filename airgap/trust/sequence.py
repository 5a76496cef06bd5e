"""Sequence: whether this is the bundle that comes next, judged against what the site knows.

* The number only rises; two digests for one number are a fork; nothing tolerates either.
* (number, inventory digest) is compared first: what the site holds already is nothing to do.
* A gap is healed only by a bundle that says again all that was missed.
* Of a stream that nothing is known of, freshness cannot be known: a person says it, with a code.
  A code is good only there, so it never lowers a head.

Source: docs/trust.md, "Sequence, and importers that forget"; threat model, 2.8 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.trust.fingerprint import bootstrap_code, parse_code
from airgap.trust.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest
    from airgap.trust.release import Marked

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


@dataclass(frozen=True, slots=True)
class Link:
    """One number of a stream, and the digest of the inventory that has it."""

    sequence: int
    inventory: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The newest bundle of a stream that was imported here, and when (UTC)."""

    sequence: int
    inventory: Digest
    imported: datetime
    timestamp_version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What is known here of one stream of one authority; nothing, before the first bundle.

    `inventories` maps numbers to inventory digests, `roles` maps a role and a version to the digest
    of its `signed`: everything that an imported bundle has said, of itself or of others.
    """

    head: Head | None = None
    inventories: Mapping[int, Digest] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    roles: Mapping[tuple[str, int], Digest] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """What an authentic bundle says of its place in its stream.

    `covers` is the lowest number whose holders miss nothing by it; `skips` are numbers that never
    were; `base` is what an incremental bundle builds on; `roles` as authenticated.
    """

    stream: str
    sequence: int
    inventory: Digest
    previous: Link | None
    skips: tuple[int, ...]
    covers: int
    base: Link | None
    roles: Mapping[str, Marked] = field(hash=False)


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
) -> SequenceJudgement:
    """Judge the place of a bundle in its stream.

    `code` is the bootstrap code that a person gave (`said_by` names who, or where), or None; a
    malformed one raises UsageError.
    """
    given = None if code is None else parse_code(code)
    head = standing.head
    if head is None:
        return SequenceJudgement(finding=_judge_first(arrival, given, said_by))
    # What is known is compared before anything else: digests never change under a number.
    fork = _find_fork(arrival, standing)
    if fork is not None:
        return SequenceJudgement(finding=fork)
    if arrival.sequence == head.sequence:
        finding = _pass("already-current", f"number {head.sequence} is what is held here already")
        return SequenceJudgement(finding=finding, already_current=True)
    if arrival.sequence < head.sequence:
        return SequenceJudgement(finding=_replay(arrival, head))
    return SequenceJudgement(finding=_judge_next(arrival, head))


def _judge_first(arrival: Arrival, code: str | None, said_by: str) -> Finding:
    if arrival.base is not None:
        return _missing_base(
            arrival, arrival.base, f"nothing of {arrival.stream} was imported here"
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


def _judge_next(arrival: Arrival, head: Head) -> Finding:
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
    if arrival.covers > head.sequence:
        return _fail(
            "gap",
            f"{lost} This bundle says again what came after {arrival.covers}, and nothing before.",
            hint="Import what is missing first, or ask the exporter for a bundle that covers it. "
            "A lost medium may be in someone's hands.",
        )
    builds_on = "" if base is None else f", and builds on {base.sequence}, which you are past"
    return Finding(
        check=Check.SEQUENCE,
        outcome=Outcome.WARN,
        reason="gap-healed",
        sentence=f"{lost} This bundle says again all that was said between{builds_on}.",
        hint="Tell the exporter: a lost medium may be in someone's hands.",
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
    if head is not None and arrival.previous is None and arrival.sequence > head.sequence:
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
