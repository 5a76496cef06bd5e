"""Checks: what `verification` asks of a bundle, a function for each question."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.errors import AirgapError, StoreError, UsageError
from airgap.trust.envelope import Envelopes
from airgap.trust.names import matches_any
from airgap.trust.profile import authenticate
from airgap.trust.release import Claim
from airgap.trust.sequence import Arrival, Link, Standing, judge_sequence
from airgap.trust.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.bundle.inventory import Link as InventoryLink
    from airgap.bundle.reader import Bundle
    from airgap.progress import Progress
    from airgap.trust.release import Anchor, Release

__all__ = [
    "Background",
    "Floor",
    "failure_of",
    "images_not_asked",
    "judge_authenticity",
    "judge_integrity",
    "judge_place",
    "not_reached",
    "to_link",
]

_UNREACHED: Final = "not looked at after the failure above"


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
    the bootstrap code that a person gave, and `said_by` who.
    """

    anchor: Anchor | None
    scope: tuple[str, ...] | None = None
    standing: Standing = field(default_factory=Standing)
    floor: Floor | None = None
    clock: Finding | None = None
    code: str | None = None
    said_by: str = "the operator"


def judge_authenticity(
    bundle: Bundle, background: Background
) -> tuple[Release | None, list[Finding]]:
    """Judge whose the bundle is; the release is None where it is nobody's that is pinned."""
    inventory, trust = bundle.inventory, bundle.trust
    if background.anchor is None:
        return None, [
            Finding(
                check=Check.AUTHENTICITY,
                outcome=Outcome.FAIL,
                reason="authority-not-pinned",
                sentence=f"This bundle says it is of the authority {inventory.authority}, "
                "which is not pinned here.",
                hint="If you know it: airgap trust pin ROOT.json, with the fingerprint as told.",
                exit_code=6,
            )
        ]
    try:
        release = authenticate(
            Envelopes(
                roots=trust.roots,
                timestamp=trust.timestamp,
                snapshot=trust.snapshot,
                targets=trust.targets,
            ),
            {**trust.files, "inventory.json": bundle.inventory_bytes},
            anchor=background.anchor,
            claim=Claim(
                authority=inventory.authority,
                stream=inventory.stream,
                sequence=inventory.sequence,
            ),
        )
    except (StoreError, UsageError):
        raise
    except AirgapError as error:
        return None, [failure_of(Check.AUTHENTICITY, error)]
    said = Finding(
        check=Check.AUTHENTICITY,
        outcome=Outcome.PASS,
        reason="signed-by-pinned-authority",
        sentence=f"pinned root {release.root_version} → targets, {release.signatures} signatures",
        subject=release.authority,
        evidence={
            "authority": release.authority,
            "name": release.authority_name,
            "fingerprint": background.anchor.fingerprint,
            "rootVersion": release.root_version,
            "signatures": release.signatures,
            "roles": {
                role: {"version": state.version, "digest": str(state.digest)}
                for role, state in release.roles.items()
            },
        },
    )
    return release, [said, *_outside_scope(bundle, background)]


def _outside_scope(bundle: Bundle, background: Background) -> Iterator[Finding]:
    """Yield a failure for each source that the pin of this authority does not cover."""
    if background.scope is None:
        return
    for source in sorted({item.source for item in bundle.inventory.items}):
        if not matches_any(background.scope, source):
            yield Finding(
                check=Check.AUTHENTICITY,
                outcome=Outcome.FAIL,
                reason="name-outside-authority",
                sentence=f"{source} is not among the names that this authority may vouch for here.",
                subject=source,
                hint="Pin it for more names (trust pin --names), or ask why it signs this one.",
            )


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
        arrival, background.standing, code=background.code, said_by=background.said_by
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


def judge_integrity(bundle: Bundle, progress: Progress) -> list[Finding]:
    """Judge every byte: the head in step with the walk, every blob by its digest."""
    try:
        bundle.survey()
        with progress.phase("verify", bundle.size) as advance:
            bundle.verify_blobs(progress=advance)
    except StoreError:
        raise
    except AirgapError as error:
        return [failure_of(Check.INTEGRITY, error), not_reached(Check.COMPLETENESS)]
    blobs = len(bundle.positions)
    return [
        Finding(
            check=Check.INTEGRITY,
            outcome=Outcome.PASS,
            reason="every-byte",
            sentence=f"{blobs} blobs, {bundle.size:,} bytes, every byte accounted for",
            evidence={"blobs": blobs, "bytes": bundle.size},
        ),
        _completeness(bundle),
    ]


def _completeness(bundle: Bundle) -> Finding:
    inventory = bundle.inventory
    found = Counter(ref.found for item in inventory.items for ref in item.referrers)
    sparse = sum(item.children is not None for item in inventory.items)
    signed = sum(item.signatures == "present" for item in inventory.items)
    parts = [
        f"{len(inventory.items)} images",
        f"{sparse} of them with chosen platforms only" if sparse else "every platform",
        f"{sum(found.values())} referrers" if found else "no referrers",
    ]
    return Finding(
        check=Check.COMPLETENESS,
        outcome=Outcome.PASS,
        reason="graph-closed",
        sentence=", ".join(parts),
        evidence={
            "items": len(inventory.items),
            "sparse": sparse,
            "signed": signed,
            "referrers": dict(sorted(found.items())),
        },
    )


def images_not_asked() -> Finding:
    """Return the finding that stands where no policy asks for signatures of images."""
    return Finding(
        check=Check.IMAGES,
        outcome=Outcome.NOT_ASKED,
        reason="no-policy",
        sentence="no policy: who must have signed what is not checked",
    )


def failure_of(check: Check, error: AirgapError, subject: str = "") -> Finding:
    """Return the finding that an error about a bundle makes."""
    return Finding(
        check=check,
        outcome=Outcome.FAIL,
        reason=error.reason,
        sentence=error.message,
        subject=subject,
        hint=error.hint,
        exit_code=error.exit_code,
    )


def not_reached(check: Check) -> Finding:
    """Return the finding about a check that was not looked at: it never counts as passed."""
    return Finding(check=check, outcome=Outcome.SKIPPED, reason="not-reached", sentence=_UNREACHED)
