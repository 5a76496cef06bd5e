"""Verification: the one judge of a bundle. `verify`, `import` and `serve` share it.

Order (docs/trust.md):

1. authenticity: TUF, from the root that the site pinned, within the names that the pin covers;
2. sequence: against what the ledger and the destination know;
3. integrity: every byte;
4. completeness: the graph is closed and nothing is extra;
5. expiry: each TUF role, when the bundle was made and now;
6. images: their own signatures, as the site's policy asks (not asked where there is none).

A bundle that is not authentic is looked at no further; what was not reached is `skipped`, which
never counts as passed. Everything else is judged to the end, so that one answer says it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.progress import Silent
from airgap.trust.expiry import importable_until, judge_roles
from airgap.trust.verdict import REQUIRED, Check, Outcome, Verdict, format_time
from airgap.verification_checks import (
    failure_of,
    images_not_asked,
    judge_authenticity,
    judge_integrity,
    not_reached,
)
from airgap.verification_place import Background, Floor, judge_place, to_link

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airgap.bundle.reader import Bundle
    from airgap.errors import AirgapError
    from airgap.progress import Progress
    from airgap.trust.release import Release

__all__ = ["Background", "Floor", "Verification", "rejected_unopened", "to_link", "verify"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """A verdict with what it was made from: the release, where the bundle is authentic."""

    verdict: Verdict
    release: Release | None


def rejected_unopened(path: Path, error: AirgapError, at: datetime) -> Verdict:
    """Return the verdict about a file that could not even be opened as a bundle."""
    return Verdict(
        findings=(
            failure_of(Check.INTEGRITY, error, subject=path.name),
            *(not_reached(check) for check in REQUIRED if check is not Check.INTEGRITY),
        ),
        required=REQUIRED,
        judged_at=at,
        bundle={"file": path.name},
    )


def verify(
    bundle: Bundle, background: Background, *, now: datetime, progress: Progress | None = None
) -> Verification:
    """Judge `bundle` at the time `now` and return the verdict, whatever it is.

    Raises StoreError where the bundle could not be read, and UsageError for a malformed code:
    those are no answers about the bundle.
    """
    inventory, policy = bundle.inventory, background.policy
    facts: dict[str, object] = {
        "file": bundle.path.name,
        "size": bundle.size,
        "authority": inventory.authority,
        "stream": inventory.stream,
        "sequence": inventory.sequence,
        "created": format_time(inventory.created),
    }
    release, findings = judge_authenticity(bundle, background)
    already = False
    stop = None
    if release is None:
        findings += [not_reached(check) for check in REQUIRED if check is not Check.AUTHENTICITY]
    else:
        facts["authorityName"] = release.authority_name
        facts["rootVersion"] = release.root_version
        sequence, already = judge_place(bundle, release, background)
        expiry = sorted(
            judge_roles(
                release.ends,
                created=inventory.created,
                now=now,
                rules=policy.rules,
                skew=policy.skew.value,
            ),
            key=lambda finding: (finding.outcome is Outcome.PASS, release.ends[finding.subject]),
        )
        stop = importable_until(expiry)
        findings += [*sequence, *judge_integrity(bundle, progress or Silent()), *expiry]
    findings.append(images_not_asked(policy))
    verdict = Verdict(
        findings=tuple(findings),
        required=REQUIRED,
        judged_at=now,
        bundle=facts,
        inventory=bundle.inventory_digest,
        names=dict(inventory.names),
        roots=frozenset(item.descriptor.digest for item in inventory.items),
        already_current=already,
        importable_until=None if stop is None else stop.at,
        importable_until_role=None if stop is None else stop.role,
        policy=policy.to_json(),
        audit=background.audit,
    )
    return Verification(verdict=verdict, release=release)
