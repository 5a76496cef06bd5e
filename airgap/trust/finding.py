"""Finding: one answer to one question, with its check, outcome, reason code and evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from airgap.errors import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Check", "Expiry", "Finding", "Outcome", "format_time"]


class Check(StrEnum):
    """What a finding is about."""

    AUTHENTICITY = "authenticity"
    SEQUENCE = "sequence"
    INTEGRITY = "integrity"
    COMPLETENESS = "completeness"
    EXPIRY = "expiry"
    IMAGES = "images"
    IDENTITY = "identity"
    TIMESTAMP = "timestamp"
    TRANSPARENCY = "transparency"
    REVOCATION = "revocation"
    GATE = "gate"


class Outcome(StrEnum):
    """How a check ended. Only PASS, TOLERATED and WARN let anything through."""

    PASS = "pass"  # noqa: S105 - no password
    TOLERATED = "tolerated"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"
    NOT_ASKED = "not asked"


def format_time(moment: datetime) -> str:
    """Spell a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expiry:
    """What expired when, how much it is overdue, and which rule decided: evidence of a finding.

    `most` is how far a person may go, `said` how far one went; `rule` where the rule stands.
    """

    role: str
    not_after: datetime
    overdue: timedelta
    mode: str
    grace: timedelta
    importable_until: datetime | None
    most: timedelta = timedelta(0)
    said: timedelta = timedelta(0)
    rule: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; durations are whole seconds."""
        return {
            "role": self.role,
            "notAfter": format_time(self.not_after),
            "overdueSeconds": int(self.overdue.total_seconds()),
            "mode": self.mode,
            "graceSeconds": int(self.grace.total_seconds()),
            "maxSeconds": int(self.most.total_seconds()),
            "toleranceSeconds": int(self.said.total_seconds()),
            "rule": safe(self.rule),
            "importableUntil": None
            if self.importable_until is None
            else format_time(self.importable_until),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One answer to one question: subject, check, outcome, reason code, sentence, hint, evidence.

    `exit_code` is what a FAIL of this kind ends with: 4 content, 6 trust root, 7 sequence,
    3 policy, 8 waiting. `on_record` where only a person's word, or a policy in place of one, lets
    through what was found: receipt and ledger keep that.
    """

    check: Check
    outcome: Outcome
    reason: str
    sentence: str
    subject: str = ""
    hint: str = ""
    exit_code: int = 3
    evidence: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    expiry: Expiry | None = None
    on_record: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; text of strangers is made safe to print."""
        document: dict[str, object] = {
            "check": str(self.check),
            "outcome": str(self.outcome),
            "reason": self.reason,
            "sentence": safe(self.sentence),
            "subject": safe(self.subject),
        }
        if self.hint:
            document["hint"] = safe(self.hint)
        if self.evidence:
            document["evidence"] = dict(self.evidence)
        if self.expiry is not None:
            document["expiry"] = self.expiry.to_json()
        if self.on_record:
            document["onRecord"] = True
        return document
