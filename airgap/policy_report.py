"""Policy report: what a policy file comes to, in words and for programs (`airgap policy check`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.site import read_policy_file
from airgap.trust.duration import spell
from airgap.trust.expiry_rule import BUILT_IN, Mode, Rule
from airgap.trust.policy import Bootstrap, Gap, Policy, ReadBack, in_force

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PolicyReport", "explain_policy"]

_GAPS = {
    Gap.HEALED: "a gap is passed where the bundle says again all that was missed",
    Gap.NONE: "no gap is passed without a person (import --accept-gap)",
}
_BOOTSTRAPS = {
    Bootstrap.ASK: "the first bundle of a stream needs its code, told by a person",
    Bootstrap.ACCEPT: "the first bundle of a stream is taken without a code, on the record",
}
_READ_BACKS = {
    ReadBack.MANIFESTS: "manifests are read back, and blobs that were there already",
    ReadBack.NEW: "manifests and every blob are read back",
    ReadBack.ALWAYS: "manifests and every blob are read back",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyReport:
    """A policy file that can be judged, as it would be in force at a site."""

    path: Path
    policy: Policy

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the settings in words, each with where it stands."""
        policy = self.policy
        for role, rule in policy.rules.items():
            yield f"{role}: {_words(rule)}", rule.origin
        yield (
            f"clock: the system's; {spell(policy.skew.value)} apart is no fault",
            policy.skew.origin,
        )
        yield f"sequence: {_GAPS[policy.allow_gap.value]}", policy.allow_gap.origin
        yield f"sequence: {_BOOTSTRAPS[policy.bootstrap.value]}", policy.bootstrap.origin
        yield "load: the first failure stops it", BUILT_IN
        yield f"load: {_READ_BACKS[policy.read_back.value]}", policy.read_back.origin
        yield "images: who must have signed what is not asked", BUILT_IN

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; durations are whole seconds."""
        policy = self.policy
        return {
            "schemaVersion": 1,
            "file": str(self.path),
            "policy": policy.to_json(),
            "expiry": {
                role: {
                    "mode": str(rule.mode),
                    "graceSeconds": int(rule.own.total_seconds()),
                    "maxSeconds": int(rule.reach.total_seconds()),
                    "capSeconds": int(rule.cap.total_seconds()),
                    "origin": rule.origin,
                }
                for role, rule in policy.rules.items()
            },
            "clock": {"source": "system", "skewSeconds": int(policy.skew.value.total_seconds())},
            "sequence": {
                "allowGap": str(policy.allow_gap.value),
                "bootstrap": str(policy.bootstrap.value),
            },
            "load": {"onReject": "stop", "readBack": str(policy.read_back.value)},
            "rules": None,
        }


def explain_policy(path: Path) -> PolicyReport:
    """Return what the policy file at `path` comes to. Raises what `read_policy_file` raises."""
    return PolicyReport(path=path, policy=in_force(read_policy_file(path, path.name)))


def _words(rule: Rule) -> str:
    what = {Mode.GRACE: "is tolerated", Mode.WARN: "is a warning", Mode.OFF: "is let through"}
    own = "expired fails"
    if rule.mode is not Mode.ENFORCE:
        own = f"overdue by at most {spell(rule.own)} {what[rule.mode]}"
    if rule.reach <= rule.own:
        return f"{own}, and nobody goes further"
    return f"{own}, and up to {spell(rule.reach)} with --expiry-tolerance"
