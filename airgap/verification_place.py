"""The place of a bundle in its stream, by what ledger, clock and destination know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap.trust.policy import BUILT_IN_POLICY
from airgap.trust.sequence import Arrival, Link, Standing, judge_sequence
from airgap.trust.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.bundle.inventory import Link as InventoryLink
    from airgap.bundle.reader import Bundle
    from airgap.trust.policy import Policy
    from airgap.trust.release import Anchor, Release

__all__ = ["Background", "Floor", "judge_place", "to_link"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """What the destination itself says is loaded there of a stream: it can only raise the bar."""

    authority: str
    sequence: int
    inventory: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    """What a site knows when a bundle arrives.

    The anchor is required: a bundle never vouches for itself. It is None where no pin has the
    bundle's authority; `scope` are the names that the pin covers (None: every name); `standing` is
    what the ledger knows of the stream; `clock` a finding where the clock cannot be right; `code`
    the bootstrap code that a person gave, and `said_by` who; `accept_gap` where a person goes past
    a gap; `refresh` is a newer timestamp that came beside the bundle. An `audit` is judged at
    another time than the clock's, and nothing is loaded on it.
    """

    anchor: Anchor | None
    scope: tuple[str, ...] | None = None
    standing: Standing = field(default_factory=Standing)
    floor: Floor | None = None
    clock: Finding | None = None
    code: str | None = None
    said_by: str = "the operator"
    policy: Policy = BUILT_IN_POLICY
    accept_gap: bool = False
    refresh: bytes | None = None
    audit: bool = False


def judge_place(
    bundle: Bundle, release: Release, background: Background
) -> tuple[list[Finding], bool]:
    """Judge the place in its stream; tell also whether exactly this bundle is held already."""
    inventory = bundle.inventory
    arrival = Arrival(
        stream=inventory.stream,
        sequence=inventory.sequence,
        inventory=bundle.inventory_digest,
        previous=to_link(inventory.previous),
        skips=inventory.skips,
        covers=inventory.covers,
        base=to_link(inventory.base),
        roles=release.roles,
    )
    judged = judge_sequence(
        arrival,
        background.standing,
        code=background.code,
        said_by=background.said_by,
        policy=background.policy,
        accept_gap=background.accept_gap,
    )
    findings = [judged.finding]
    if background.clock is not None:
        findings.append(background.clock)
    if background.floor is not None:
        said = {finding.reason for finding in findings}
        findings += [f for f in _below_floor(bundle, background.floor) if f.reason not in said]
    return findings, judged.already_current


def to_link(link: InventoryLink | None) -> Link | None:
    """Return the link of an inventory as sequence and ledger know it."""
    return None if link is None else Link(link.sequence, link.inventory)


def _below_floor(bundle: Bundle, floor: Floor) -> Iterator[Finding]:
    """Yield what the destination's own release record has against this bundle."""
    inventory = bundle.inventory
    if floor.authority != inventory.authority:
        yield _at_destination(
            "release-of-other-authority",
            f"The destination holds stream {inventory.stream} of the authority {floor.authority}.",
            "Import under another prefix: one prefix takes a stream from one authority.",
        )
    elif floor.sequence > inventory.sequence:
        yield _at_destination(
            "replay",
            f"This is number {inventory.sequence} of stream {inventory.stream}; "
            f"the destination says that it holds number {floor.sequence}.",
            "To go back on purpose, ask the exporter for a new bundle that names the old images.",
        )
    elif floor.sequence == inventory.sequence and floor.inventory != str(bundle.inventory_digest):
        yield _at_destination(
            "fork",
            f"The destination holds another number {floor.sequence} of stream {inventory.stream}.",
            "Keep this medium and stop: the exporter has signed two histories, or its keys are in "
            "other hands.",
        )


def _at_destination(reason: str, sentence: str, hint: str) -> Finding:
    return Finding(
        check=Check.SEQUENCE,
        outcome=Outcome.FAIL,
        reason=reason,
        sentence=sentence,
        hint=hint,
        exit_code=7,
    )
