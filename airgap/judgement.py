"""Judgement: a bundle judged by what the site knows: its pins, its ledger, its clock."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap.bundle.head_journal import journal_path
from airgap.bundle.reader import open_bundle
from airgap.errors import AirgapError, ContentError, RejectedError, SequenceError
from airgap.ledger.ledger import Ledger, LedgerWriter
from airgap.ledger.pins import Pins
from airgap.release_record import read_release
from airgap.trust.profile import verify_roots
from airgap.trust.verdict import Check, Finding, Outcome
from airgap.verification import Background, Verification, rejected_unopened, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.bundle.inventory import Inventory
    from airgap.bundle.reader import Bundle
    from airgap.destination import Place
    from airgap.ledger.history import History
    from airgap.progress import Progress
    from airgap.site import Site
    from airgap.trust.policy import Policy
    from airgap.trust.verdict import Admission, Verdict
    from airgap.verification import Floor

__all__ = [
    "Terms",
    "admit_bundle",
    "judge_bundle",
    "moment_of",
    "opened_bundle",
    "read_floor",
    "verify_bundle",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms a bundle is judged: the policy in force, the time, and what a person says.

    `code` is the bootstrap code; `accept_gap` goes past a gap; `refresh` is a newer timestamp that
    came beside the bundle. An `audit` is judged at exactly `now`, whatever the clock, and nothing
    is loaded on it.
    """

    policy: Policy
    now: datetime
    code: str | None = None
    accept_gap: bool = False
    refresh: bytes | None = None
    audit: bool = False


def verify_bundle(
    path: Path,
    *,
    site: Site,
    policy: Policy,
    code: str | None,
    progress: Progress,
    as_of: datetime | None = None,
    refresh: bytes | None = None,
) -> Verdict:
    """Return the verdict that an import of the bundle at `path` would end with. Writes nothing.

    With `as_of` it is an audit: the verdict that an import would end with at that time, by what is
    known now. Nothing is loaded on it.
    """
    moment = moment_of(as_of)
    with opened_bundle(path, moment) as bundle:
        verification = judge_bundle(
            bundle,
            site=site,
            terms=Terms(
                policy=policy, now=moment, code=code, audit=as_of is not None, refresh=refresh
            ),
            history=Ledger(site.state).history(),
            floor=None,
            progress=progress,
        )
    return verification.verdict


@contextmanager
def admit_bundle(
    path: Path, *, site: Site, policy: Policy, code: str | None, progress: Progress
) -> Iterator[tuple[Bundle, Admission]]:
    """Yield the open bundle at `path` with its admission; raise RejectedError where it has none."""
    moment = moment_of(None)
    with opened_bundle(path, moment) as bundle:
        verification = judge_bundle(
            bundle,
            site=site,
            terms=Terms(policy=policy, now=moment, code=code),
            history=Ledger(site.state).history(),
            floor=None,
            progress=progress,
        )
        yield bundle, verification.verdict.admit()


def judge_bundle(
    bundle: Bundle,
    *,
    site: Site,
    terms: Terms,
    history: History,
    floor: Floor | None,
    progress: Progress,
    held: LedgerWriter | None = None,
) -> Verification:
    """Gather what the site knows and judge the bundle by it, on `terms`. `held` keeps roots."""
    inventory = bundle.inventory
    pin = next(
        (pin for pin in Pins(site.state).all() if pin.authority == inventory.authority), None
    )
    anchor = None if pin is None else pin.anchor(history.roots(inventory.authority))
    if held is not None and anchor is not None:
        # A verified chain is kept at once, even if the bundle is then rejected.
        try:
            chain = verify_roots(bundle.trust.roots, anchor=anchor)
        except AirgapError:
            pass  # `verify` meets the same error and makes it the finding.
        else:
            held.keep_roots(inventory.authority, chain.envelopes, at=terms.now)
    effective, clock = (terms.now, None) if terms.audit else _clock(history, terms)
    told = None if pin is None else pin.codes.get(inventory.stream)
    return verify(
        bundle,
        Background(
            anchor=anchor,
            scope=None if pin is None else pin.names,
            standing=history.standing(inventory.authority, inventory.stream),
            floor=None if _was_recovered(floor, inventory, history) else floor,
            clock=clock,
            code=terms.code or told,
            said_by="the operator" if terms.code or not told else "the pin",
            policy=terms.policy,
            accept_gap=terms.accept_gap,
            refresh=terms.refresh,
            audit=terms.audit,
        ),
        now=effective,
        progress=progress,
    )


def _was_recovered(floor: Floor | None, inventory: Inventory, history: History) -> bool:
    """Tell whether the destination holds what a person has recovered the stream from."""
    if floor is None or floor.authority != inventory.authority:
        return False
    gone = history.recovered(inventory.authority, inventory.stream)
    return (floor.sequence, floor.inventory) in {(x.sequence, str(x.inventory)) for x in gone}


def _clock(history: History, terms: Terms) -> tuple[datetime, Finding | None]:
    """Return the time to judge by, with a finding where the clock is behind what is known."""
    try:
        return history.effective_time(terms.now, terms.policy.skew.value), None
    except SequenceError as error:
        return terms.now, Finding(
            check=Check.SEQUENCE,
            outcome=Outcome.FAIL,
            reason=error.reason,
            sentence=error.message,
            hint=error.hint,
            exit_code=error.exit_code,
        )


def read_floor(bundle: Bundle, site: Site, place: Place) -> Floor | None:
    """Read what the destination says it holds; not for an authority that nobody pinned."""
    if all(pin.authority != bundle.inventory.authority for pin in Pins(site.state).all()):
        return None
    return read_release(place.store.repository(place.naming.releases), bundle.inventory.stream)


@contextmanager
def opened_bundle(path: Path, now: datetime) -> Iterator[Bundle]:
    """Open the bundle; a file that is none is an answer about it, and so a verdict."""
    try:
        bundle = open_bundle(path)
    except ContentError as error:
        if journal_path(path).exists():
            error.hint = f"A signing was interrupted here: airgap sign {path.name} completes it."
        verdict = rejected_unopened(path, error, now)
        raise RejectedError(error.message, reason=error.reason, verdict=verdict) from error
    with bundle:
        yield bundle


def moment_of(now: datetime | None) -> datetime:
    """Return the time to judge at, to the second: `now`, else what the system clock shows."""
    return (now or datetime.now(UTC)).replace(microsecond=0)
