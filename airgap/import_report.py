"""Import report: what an import did, or would do, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airgap.ledger.receipts import Receipt
    from airgap.loading import Delivery
    from airgap.stores.copy import CopyPlan, CopyReport
    from airgap.trust.verdict import Verdict

__all__ = ["ImportReport", "loaded_json"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import ended with. `delivery` and `plan` are None where there was nothing to do."""

    verdict: Verdict
    dry_run: bool
    delivery: Delivery | None = None
    plan: CopyPlan | None = None
    loaded: CopyReport | None = None
    receipt: Receipt | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return the JSON form: the verdict, and what was or would be written."""
        document = self.verdict.to_json()
        document["dryRun"] = self.dry_run
        if self.delivery is not None:
            document["namesAtDestination"] = {
                change.name: {"digest": str(change.new), "change": change.change}
                | ({"through": change.why} if change.why else {})
                for change in self.delivery.names
            }
        if self.plan is not None:
            document["plan"] = {
                "manifests": self.plan.manifests,
                "blobsNew": self.plan.blobs_new,
                "bytesNew": self.plan.bytes_new,
                "blobsPresent": self.plan.blobs_present,
            }
        if self.loaded is not None:
            document["loaded"] = loaded_json(self.loaded)
        if self.receipt is not None:
            document["receipt"] = {
                "path": str(self.receipt.path),
                "shortForm": self.receipt.short_form,
            }
        return document


def loaded_json(loaded: CopyReport) -> dict[str, object]:
    """Return the JSON form of what was written."""
    return {
        "manifests": loaded.manifests_written,
        "blobsWritten": loaded.blobs_written,
        "blobsPresent": loaded.blobs_present,
        "blobsMounted": loaded.blobs_mounted,
        "bytesWritten": loaded.bytes_written,
    }
