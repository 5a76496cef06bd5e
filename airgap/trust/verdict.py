"""Verdict, Admission: the answer, made of findings, and the only door to a destination.

* A verdict is positive: what is in a bundle is admitted because each required check was shown to
  pass (or to be tolerated), never because none failed. No items, no required checks, a missing
  check: no.
* `Verdict.admit` is the only maker of an `Admission`, and an import loads only what one names.
* A verdict has no truth value: ``if verdict`` is an error, not a decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

from airgap.errors import RejectedError
from airgap.trust.finding import Check, Expiry, Finding, Outcome, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest

__all__ = [
    "REQUIRED",
    "Admission",
    "Check",
    "Expiry",
    "Finding",
    "Outcome",
    "Verdict",
    "format_time",
]


REQUIRED: Final = (
    Check.AUTHENTICITY,
    Check.SEQUENCE,
    Check.INTEGRITY,
    Check.COMPLETENESS,
    Check.EXPIRY,
)
"""What every bundle must show, whatever the policy."""

_GOOD: Final = frozenset({Outcome.PASS, Outcome.TOLERATED, Outcome.WARN})
_EXIT_ORDER: Final = (4, 6, 7, 3, 8)
"""When several failures hold, the earliest of these is the exit code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Leave to load: made by `Verdict.admit` and by nothing else.

    `names` maps full source names to digests; `inventory` is the digest of the inventory that was
    judged, so that an admission is good for one bundle only.
    """

    inventory: Digest
    names: Mapping[str, Digest] = field(hash=False)
    roots: frozenset[Digest]
    verdict: Verdict = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer about one bundle: its findings, what it was about, and when it was judged.

    `roots` are the digests of the items, `names` the tags that the bundle binds; `required` the
    checks that must each be shown to pass; `already_current` says that the ledger holds exactly
    this bundle. `inventory` is None where the bundle could not even be opened. `policy` names the
    files that were in force. An `audit` was judged at another time than the clock's: it admits
    nothing.
    """

    findings: tuple[Finding, ...]
    required: tuple[Check, ...]
    judged_at: datetime
    bundle: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    inventory: Digest | None = None
    names: Mapping[str, Digest] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    roots: frozenset[Digest] = frozenset()
    already_current: bool = False
    importable_until: datetime | None = None
    importable_until_role: str | None = None
    policy: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    audit: bool = False

    def __bool__(self) -> NoReturn:
        """Refuse to be taken for a yes or a no."""
        raise TypeError("a verdict has no truth value: use admit() or accepted")

    def of(self, check: Check) -> tuple[Finding, ...]:
        """Return the findings about `check`."""
        return tuple(finding for finding in self.findings if finding.check is check)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that say no, with one for each required check that nothing was said of.

        Where there are none, but nothing to accept either, one finding says that. So this is
        empty exactly where the verdict is `accepted`.
        """
        said = tuple(finding for finding in self.findings if finding.outcome is Outcome.FAIL)
        silent = tuple(
            Finding(
                check=check,
                outcome=Outcome.FAIL,
                reason="check-not-shown",
                sentence=f"{check} was not shown to pass",
            )
            for check in self.required
            if not any(finding.outcome in _GOOD for finding in self.of(check))
            and not any(finding.outcome is Outcome.FAIL for finding in self.of(check))
        )
        vacuous = Finding(
            check=Check.COMPLETENESS,
            outcome=Outcome.FAIL,
            reason="nothing-to-judge",
            sentence="nothing was asked, or there is nothing that could be accepted",
        )
        something = self.required and self.inventory is not None and self.roots
        return said + silent or (() if something else (vacuous,))

    @property
    def accepted(self) -> bool:
        """Whether there was something to judge, every required check passed and nothing failed."""
        return (
            bool(self.required)
            and self.inventory is not None
            and bool(self.roots)
            and not self.failures
            and all(
                any(finding.outcome in _GOOD for finding in self.of(check))
                for check in self.required
            )
        )

    @property
    def exit_code(self) -> int:
        """0, or the code of the gravest failure: 4 > 6 > 7 > 3 > 8.

        A check that was skipped because of another failure has no say: what waits for a signature
        is 8, though nothing else was looked at.
        """
        if self.accepted:
            return 0
        skipped = {f.check for f in self.findings if f.outcome is Outcome.SKIPPED}
        codes = {
            finding.exit_code
            for finding in self.failures
            if finding in self.findings or finding.check not in skipped
        }
        return next((code for code in _EXIT_ORDER if code in codes), 3)

    def admit(self) -> Admission:
        """Return the leave to load what was judged, or raise RejectedError with this verdict.

        An audit raises RejectedError ``audit-admits-nothing`` whatever its answer.
        """
        if not self.accepted or self.inventory is None:
            first = self.failures[0]
            raise RejectedError(
                first.sentence, reason=first.reason, hint=first.hint or None, verdict=self
            )
        if self.audit:
            raise RejectedError(
                f"this is an audit as of {format_time(self.judged_at)}: nothing is loaded on it",
                reason="audit-admits-nothing",
                verdict=self,
            )
        return Admission(
            inventory=self.inventory,
            names=MappingProxyType(dict(self.names)),
            roots=self.roots,
            verdict=self,
        )

    def with_findings(self, more: Iterable[Finding]) -> Verdict:
        """Return the same verdict with `more` findings at the end."""
        return replace(self, findings=(*self.findings, *more))

    def to_json(self) -> dict[str, object]:
        """Return the document of schemas/verdict.schema.json."""
        return {
            "schemaVersion": 1,
            "result": "accepted" if self.accepted else "rejected",
            "exitCode": self.exit_code,
            "judgedAt": format_time(self.judged_at),
            "audit": self.audit,
            "policy": dict(self.policy),
            "bundle": dict(self.bundle),
            "inventory": None if self.inventory is None else str(self.inventory),
            "alreadyCurrent": self.already_current,
            "importableUntil": None
            if self.importable_until is None
            else format_time(self.importable_until),
            "importableUntilRole": self.importable_until_role,
            "names": {name: str(digest) for name, digest in sorted(self.names.items())},
            "required": [str(check) for check in self.required],
            "findings": [finding.to_json() for finding in self.findings],
        }
