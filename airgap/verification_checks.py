"""Checks: what `verification` asks of a bundle, a function for each question."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from airgap.errors import AirgapError, StoreError, UsageError
from airgap.trust.envelope import Envelopes
from airgap.trust.names import matches_any
from airgap.trust.profile import authenticate
from airgap.trust.release import Claim
from airgap.trust.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.bundle.reader import Bundle
    from airgap.progress import Progress
    from airgap.trust.policy import Policy
    from airgap.trust.release import Anchor, Release
    from airgap.verification_place import Background

__all__ = [
    "failure_of",
    "images_not_asked",
    "judge_authenticity",
    "judge_integrity",
    "not_reached",
]

_UNREACHED: Final = "not looked at after the failure above"


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
            refresh=background.refresh,
        )
    except (StoreError, UsageError):
        raise
    except AirgapError as error:
        return None, [failure_of(Check.AUTHENTICITY, error)]
    return release, [
        _authentic(release, background, background.anchor),
        *_outside_scope(bundle, background),
        *_outside_audience(bundle, background),
    ]


def _authentic(release: Release, background: Background, anchor: Anchor) -> Finding:
    """Return the finding about a bundle that the pinned authority has signed."""
    return Finding(
        check=Check.AUTHENTICITY,
        outcome=Outcome.PASS,
        reason="signed-by-pinned-authority",
        sentence=f"pinned root {release.root_version} → targets, {release.signatures} signatures"
        f"{'' if background.refresh is None else ', refreshed'}",
        subject=release.authority,
        evidence={
            "authority": release.authority,
            "name": release.authority_name,
            "fingerprint": anchor.fingerprint,
            "rootVersion": release.root_version,
            "signatures": release.signatures,
            "refreshed": background.refresh is not None,
            "roles": {
                role: {"version": state.version, "digest": str(state.digest)}
                for role, state in release.roles.items()
            },
        },
    )


def _outside_audience(bundle: Bundle, background: Background) -> Iterator[Finding]:
    """Yield a failure where the bundle is for other sites than this one (A112)."""
    audience, site = bundle.inventory.audience, background.policy.site
    if audience is None or site in audience:
        return
    here = "this site has no name" if site is None else f"this is {site}"
    yield Finding(
        check=Check.AUTHENTICITY,
        outcome=Outcome.FAIL,
        reason="audience-mismatch",
        sentence=f"This bundle is for {', '.join(audience)}; {here}.",
        hint="If it is meant for this site, its policy must say so (site: NAME).",
    )


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
        *(list(_beyond_this_release(bundle)) or [_completeness(bundle)]),
    ]


def _beyond_this_release(bundle: Bundle) -> Iterator[Finding]:
    """Yield a failure for each thing that the inventory asks and that cannot be done yet.

    What is signed is never just ignored: a later release of the exporter may write it.
    """
    inventory = bundle.inventory
    asked = {
        "base": "leaves out what an earlier bundle brought" if inventory.base is not None else "",
        "withdrawn": "withdraws digests" if inventory.withdrawn else "",
    }
    for field, what in asked.items():
        if what:
            yield Finding(
                check=Check.COMPLETENESS,
                outcome=Outcome.FAIL,
                reason="inventory-not-supported-yet",
                sentence=f"This bundle {what} (inventory.{field}); this release cannot do that.",
                subject=field,
                hint="Bring a newer release of airgap across, or ask for a bundle without it.",
                exit_code=4,
            )


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


def images_not_asked(policy: Policy) -> Finding:
    """Return the finding that stands where no policy asks for signatures of images."""
    if not policy.files:
        return Finding(
            check=Check.IMAGES,
            outcome=Outcome.NOT_ASKED,
            reason="no-policy",
            sentence="no policy: who must have signed what is not checked",
        )
    return Finding(
        check=Check.IMAGES,
        outcome=Outcome.NOT_ASKED,
        reason="no-rules",
        sentence=f"{policy.files[0].name} has no rules: who must have signed what is not checked",
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
