"""Importer: open, judge, admit, load, remember. Nothing is written before the verdict.

No step looks back, and the importer never fetches trust: the only network it knows is the named
destination.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap.destination import open_place
from airgap.import_report import ImportReport, loaded_json
from airgap.judgement import Terms, judge_bundle, moment_of, opened_bundle, read_floor
from airgap.ledger.ledger import Ledger, LedgerWriter
from airgap.ledger.receipts import Receipt, write_receipt
from airgap.ledger.records import Change, Commit, Decision, Intent
from airgap.loading import Delivery, load, plan_load, prepare
from airgap.progress import Progress, Silent
from airgap.stores import StoreOptions
from airgap.trust.policy import ReadBack
from airgap.trust.release import RoleMark
from airgap.trust.verdict import Check
from airgap.verification import Verification, to_link

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airgap.bundle.reader import Bundle
    from airgap.oci.naming import NameMap
    from airgap.site import Site
    from airgap.trust.policy import Policy

__all__ = [
    "ImportJob",
    "import_bundle",
]

_LEDGER_WAIT = 10.0
"""Seconds to wait for another import of the same site."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportJob:
    """One import: which bundle, where to, by which policy, by whose word.

    `accept_gap` says that a person goes past a gap; `refresh` is a newer timestamp for the bundle;
    `now` is None for the system clock.
    """

    path: Path
    to: str
    site: Site
    policy: Policy
    code: str | None = None
    accept_gap: bool = False
    refresh: bytes | None = None
    dry_run: bool = False
    repair: bool = False
    maps: tuple[NameMap, ...] = ()
    flatten: bool = False
    concurrency: int = 4
    store_options: StoreOptions = field(default_factory=lambda: StoreOptions(side="destination"))
    now: datetime | None = None


def import_bundle(job: ImportJob, *, progress: Progress | None = None) -> ImportReport:
    """Verify the bundle of `job` and load it; return what was done.

    Raises RejectedError with the verdict where it is no, StoreError where the destination failed
    (running again resumes), UsageError where the job cannot be carried out.
    """
    moment = moment_of(job.now)
    watching = progress or Silent()
    with ExitStack() as stack:
        bundle = stack.enter_context(opened_bundle(job.path, moment))
        place = stack.enter_context(
            open_place(job.to, job.site, job.store_options, job.maps, flatten=job.flatten)
        )
        held = None
        if not job.dry_run:
            held = stack.enter_context(Ledger(job.site.state).writing(wait=_LEDGER_WAIT))
        history = held.history if held else Ledger(job.site.state).history()
        floor = read_floor(bundle, job.site, place)
        verification = judge_bundle(
            bundle,
            site=job.site,
            terms=Terms(
                policy=job.policy,
                now=moment,
                code=job.code,
                accept_gap=job.accept_gap,
                refresh=job.refresh,
            ),
            history=history,
            floor=floor,
            progress=watching,
            held=held,
        )
        verdict = verification.verdict
        verdict.admit()
        # The ledger is the site's: another destination of the same site may not have it yet.
        there = floor is not None and floor.inventory == str(bundle.inventory_digest)
        if verdict.already_current and there and not job.repair:
            return ImportReport(verdict=verdict, dry_run=job.dry_run)
        delivery = prepare(bundle, place.store, title=place.title, naming=place.naming)
        if held is None:
            return ImportReport(
                verdict=verdict, dry_run=True, delivery=delivery, plan=plan_load(bundle, delivery)
            )
        return _load(job, bundle, delivery, verification, held=held, progress=watching, now=moment)


def _load(
    job: ImportJob,
    bundle: Bundle,
    delivery: Delivery,
    verification: Verification,
    *,
    held: LedgerWriter,
    progress: Progress,
    now: datetime,
) -> ImportReport:
    inventory = bundle.inventory
    began = time.monotonic()
    held.intend(
        Intent(
            authority=inventory.authority,
            stream=inventory.stream,
            sequence=inventory.sequence,
            inventory=bundle.inventory_digest,
            at=now,
            destination=job.to,
            changes=tuple(
                Change(name=change.name, old=change.old, new=change.new) for change in delivery.tags
            ),
        )
    )
    admission = verification.verdict.admit()
    loaded = load(
        bundle,
        delivery,
        admission,
        threads=job.concurrency,
        read_back="existing" if job.policy.read_back.value is ReadBack.MANIFESTS else "always",
        progress=progress,
    )
    delivery = delivery.after(loaded)
    document = verification.verdict.to_json()
    document["destination"] = job.to
    document["loaded"] = loaded_json(loaded)
    document["loadedNames"] = {change.name: str(change.new) for change in delivery.names}
    if delivery.reasons:
        document["loadedThrough"] = delivery.reasons
    receipt = write_receipt(
        job.site.state, document, stream=inventory.stream, sequence=inventory.sequence
    )
    held.commit(_commit(bundle, verification, receipt, now))
    return ImportReport(
        verdict=verification.verdict,
        dry_run=False,
        delivery=delivery,
        loaded=loaded,
        receipt=receipt,
        seconds=time.monotonic() - began,
    )


def _commit(bundle: Bundle, verification: Verification, receipt: Receipt, now: datetime) -> Commit:
    inventory = bundle.inventory
    roles = verification.release.roles if verification.release else {}
    first = next(
        (
            finding.sentence
            for finding in verification.verdict.of(Check.SEQUENCE)
            if finding.reason in {"first-bundle", "bootstrap-waived"}
        ),
        "",
    )
    return Commit(
        authority=inventory.authority,
        stream=inventory.stream,
        sequence=inventory.sequence,
        inventory=bundle.inventory_digest,
        at=now,
        created=inventory.created,
        roles={
            role: RoleMark(version=state.version, digest=state.digest)
            for role, state in roles.items()
        },
        names=inventory.names,
        previous=to_link(inventory.previous),
        base=to_link(inventory.base),
        receipt=receipt.path.name,
        freshness=first,
        decisions=tuple(
            Decision(reason=finding.reason, sentence=finding.sentence)
            for finding in verification.verdict.findings
            if finding.on_record
        ),
    )
