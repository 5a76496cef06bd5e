"""Recovery: a stream begins anew after a fast-forward attack.

Whoever held the keys for bundles may have used up the numbers: a site that imported number 900
refuses the authority's own number 7. The authority then replaces all of these keys, and a person
at the site says so here. That lowers nothing else: the roots, the clock and all other streams stay,
and what was signed with the old keys is refused by the new root. The next bundle of the stream is
a first one and needs its code.

Source: docs/trust.md, "Recovery from fast-forward"; TUF 1.0, 5.3.11.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap.bundle.reader import open_bundle
from airgap.errors import StoreError, TrustRootError, UsageError
from airgap.ledger.ledger import Ledger
from airgap.ledger.pins import Pins
from airgap.ledger.records import Recovery
from airgap.trust.profile import verify_roots
from airgap.trust.recovery import shared_keys
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.ledger.history import History
    from airgap.ledger.pin import Pin
    from airgap.oci.digest import Digest

__all__ = ["RecoveryPlan", "plan_recovery", "recover_stream"]

_WAIT = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryPlan:
    """What recovery would do: the head that counts no more, and the root that makes it possible.

    `before` is the root under which that head was imported; `roots` are all that are known.
    """

    name: str
    authority: str
    stream: str
    sequence: int
    inventory: Digest
    imported: datetime
    before: int
    roots: tuple[bytes, ...]

    @property
    def root(self) -> int:
        """The number of the newest root."""
        return len(self.roots)

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "authority": self.authority,
            "name": self.name,
            "stream": self.stream,
            "recoveredFrom": {
                "sequence": self.sequence,
                "inventory": str(self.inventory),
                "imported": format_time(self.imported),
                "root": self.before,
            },
            "root": self.root,
        }


def plan_recovery(state: Path, name: str, stream: str, *, bundle: Path | None) -> RecoveryPlan:
    """Return what recovery would do. Writes nothing.

    `name` is a pinned authority, by its name here or its id; `bundle` one that brings new roots.
    Raises UsageError ``authority-not-pinned``, ``nothing-to-recover``; TrustRootError
    ``recovery-keys-shared``, or what is wrong with the bundle's roots.
    """
    pin = _find(state, name)
    history = Ledger(state).history()
    brought: tuple[bytes, ...] = ()
    if bundle is not None:
        with open_bundle(bundle) as opened:
            brought = opened.trust.roots
    return _plan(pin, history, stream, brought)


def recover_stream(state: Path, plan: RecoveryPlan) -> RecoveryPlan:
    """Record the recovery that was planned, and return it.

    Raises StoreError ``ledger-changed`` where the ledger has gone on since.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with Ledger(state).writing(wait=_WAIT) as held:
        at = held.history.effective_time(now)
        if _plan(_find(state, plan.authority), held.history, plan.stream, plan.roots) != plan:
            raise StoreError(
                "the ledger has gone on since you were asked",
                reason="ledger-changed",
                hint="Look at it again, then run the command again.",
            )
        held.keep_roots(plan.authority, plan.roots, at=at)
        held.recover(
            Recovery(
                authority=plan.authority,
                stream=plan.stream,
                sequence=plan.sequence,
                inventory=plan.inventory,
                at=at,
                root=plan.root,
            )
        )
    return plan


def _find(state: Path, name: str) -> Pin:
    pins = Pins(state).all()
    for pin in pins:
        if name in {pin.name, pin.authority}:
            return pin
    known = ", ".join(pin.name for pin in pins) or "none"
    raise UsageError(
        f"no authority {name!r:.80} is pinned here",
        reason="authority-not-pinned",
        hint=f"Those that are: {known}.",
    )


def _plan(pin: Pin, history: History, stream: str, brought: tuple[bytes, ...]) -> RecoveryPlan:
    head = (standing := history.standing(pin.authority, stream)).head
    if head is None:
        raise UsageError(
            f"nothing of stream {stream} of {pin.name} was imported here",
            reason="nothing-to-recover",
            hint="A first bundle needs its code and nothing else.",
        )
    anchor = pin.anchor(history.roots(pin.authority))
    roots = verify_roots(brought or anchor.roots, anchor=anchor).roots
    before = max((version for role, version in standing.roles if role == "root"), default=1)
    shared = shared_keys(roots[:before], roots[-1])
    if shared:
        raise TrustRootError(
            f"root {len(roots)} of {pin.name} still has keys for bundles that root {before}, or "
            f"one before it, had: {', '.join(keyid[:16] for keyid in shared)}",
            reason="recovery-keys-shared",
            hint="The authority has to replace its keys for targets, snapshot and timestamp, all "
            "of them (airgap trust rotate), and to export again.",
        )
    return RecoveryPlan(
        name=pin.name,
        authority=pin.authority,
        stream=stream,
        sequence=head.sequence,
        inventory=head.inventory,
        imported=head.imported,
        before=before,
        roots=tuple(root.envelope.data for root in roots),
    )
