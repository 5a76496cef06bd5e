"""Export plan: a bundle before its blobs are fetched. Nothing about it changes any more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap.authority import Statement
from airgap.bundle.inventory import Link
from airgap.bundle.layout import Layout, arrange, settle
from airgap.bundle.trust_files import TrustFiles
from airgap.composition import EVIDENCE, Place, compose_evidence, compose_inventory
from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from airgap.authority_edition import Draft, Edition
    from airgap.bundle.inventory import Inventory
    from airgap.export_journal import Undertaking
    from airgap.resolution import ResolvedImage
    from airgap.spool import Spool
    from airgap.trust.envelope import Envelopes
    from airgap.trust.sequence import Link as SequenceLink

__all__ = ["ExportPlan", "settle_plan"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportPlan:
    """A bundle before its blobs are fetched: nothing about it changes any more."""

    inventory: Inventory
    inventory_bytes: bytes
    evidence: bytes
    draft: Draft
    layout: Layout

    def trust_files(self, envelopes: Envelopes) -> TrustFiles:
        """Return the TUF repository of the bundle with these envelopes."""
        return _trust_files(envelopes, self.inventory.sequence, self.evidence)


def settle_plan(
    images: tuple[ResolvedImage, ...],
    spool: Spool,
    *,
    edition: Edition,
    created: datetime | None,
    undertaken: Undertaking | None,
) -> tuple[ExportPlan, Undertaking | None]:
    """Return the plan, and the interrupted export that it goes on with, if it is the same.

    `created` is the time that was asked for; None goes on with that of `undertaken`, else is now.
    """
    given = {edition.number, *edition.numbers.recorded}
    if (
        undertaken is not None
        and undertaken.sequence in given
        and created in {None, undertaken.created}
    ):
        same = replace(edition, number=undertaken.sequence)
        plan = _plan(images, spool, same, undertaken.created)
        if str(Digest.of(plan.inventory_bytes)) == undertaken.inventory:
            return plan, undertaken
    moment = created or datetime.now(UTC).replace(microsecond=0)
    return _plan(images, spool, edition, moment), None


def _plan(
    images: tuple[ResolvedImage, ...], spool: Spool, edition: Edition, created: datetime
) -> ExportPlan:
    """Fix the inventory and every position in the file, with room for every signature."""
    statement = Statement(
        names=frozenset(str(i.request.name.name) for i in images if i.request.name.name)
    )
    inventory = compose_inventory(
        images,
        Place(
            authority=edition.authority,
            stream=edition.stream,
            sequence=edition.number,
            previous=_to_link(edition.previous),
            skips=edition.skips,
            covers=edition.covers(statement),
        ),
        created=created,
    )
    evidence = compose_evidence(inventory)
    arrangement = arrange(
        inventory,
        spool.read_manifest,
        documents={Digest.of(evidence), *(Digest.of(root.envelope.data) for root in edition.roots)},
    )

    def drafted(body_at: int | None) -> tuple[bytes, Draft]:
        data = replace(inventory, content=arrangement.content(body_at)).encode()
        targets = {"inventory.json": data, EVIDENCE: evidence}
        return data, edition.prepare(targets, statement, now=created)

    def longest(body_at: int | None) -> tuple[bytes, TrustFiles]:
        data, draft = drafted(body_at)
        return data, _trust_files(draft.padded(), edition.number, evidence)

    layout = settle(longest, arrangement)
    data, draft = drafted(layout.body_at)
    return ExportPlan(
        inventory=replace(inventory, content=arrangement.content(layout.body_at)),
        inventory_bytes=data,
        evidence=evidence,
        draft=draft,
        layout=layout,
    )


def _to_link(link: SequenceLink | None) -> Link | None:
    return None if link is None else Link(sequence=link.sequence, inventory=link.inventory)


def _trust_files(envelopes: Envelopes, number: int, evidence: bytes) -> TrustFiles:
    return TrustFiles(
        roots=envelopes.roots,
        timestamp=envelopes.timestamp,
        snapshot=envelopes.snapshot,
        targets=envelopes.targets,
        number=number,
        files={EVIDENCE: evidence},
    )
