"""Tolerance: how far the person at the keyboard goes past an expiry, this once, on the record.

``30d`` is for every role, as far as each role's max lets it; ``tuf.timestamp=120d`` for one, and
what is above its max is refused. There is no environment variable for it: a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from airgap.errors import UsageError
from airgap.trust.duration import parse_duration, spell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap.trust.policy import Policy

__all__ = ["Tolerance", "parse_tolerance", "tolerate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """One ``--expiry-tolerance``; `role` is None where it is for every role."""

    role: str | None
    span: timedelta

    def __str__(self) -> str:
        return spell(self.span) if self.role is None else f"{self.role}={spell(self.span)}"


def parse_tolerance(text: str) -> Tolerance:
    """Return what ``30d`` or ``ROLE=120d`` says, or raise UsageError ``tolerance-invalid``."""
    role, equals, duration = text.rpartition("=")
    span = parse_duration(duration)
    if span is None or (equals and not role):
        raise UsageError(
            f"--expiry-tolerance {text!r:.100} is no duration and no ROLE=DURATION",
            reason="tolerance-invalid",
            hint="Write --expiry-tolerance 30d, or --expiry-tolerance tuf.timestamp=41d.",
        )
    return Tolerance(role=role or None, span=span)


def tolerate(policy: Policy, tolerances: Iterable[Tolerance]) -> Policy:
    """Return `policy` with what a person said for this run.

    Raises UsageError ``tolerance-above-max``, ``role-unknown``, or ``tolerance-invalid`` where one
    role is said twice.
    """
    said: dict[str | None, timedelta] = {}
    for tolerance in tolerances:
        role = tolerance.role
        if role in said:
            raise UsageError(
                f"--expiry-tolerance {tolerance} is said after another one for "
                f"{role or 'every role'}",
                reason="tolerance-invalid",
                hint="Say it once for every role, and once for each role that differs.",
            )
        if role is not None:
            _check(policy, role, tolerance)
        said[role] = tolerance.span
    everywhere = said.get(None, timedelta(0))
    return replace(
        policy,
        rules=MappingProxyType(
            {
                role: replace(rule, said=min(said.get(role, everywhere), rule.reach))
                for role, rule in policy.rules.items()
            }
        ),
    )


def _check(policy: Policy, role: str, tolerance: Tolerance) -> None:
    rule = policy.rules.get(role)
    if rule is None:
        raise UsageError(
            f"--expiry-tolerance {tolerance}: {role!r:.100} is no role that expires",
            reason="role-unknown",
            hint=f"The roles are {', '.join(policy.rules)}.",
        )
    if tolerance.span > rule.reach:
        raise UsageError(
            f"--expiry-tolerance {tolerance}: {rule.origin} lets nobody go beyond "
            f"{spell(rule.reach)}",
            reason="tolerance-above-max",
            hint="Ask the exporter for a fresh bundle, or whoever keeps the policy to raise `max`.",
        )
