"""Export report: what an export wrote, or would write, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.oci.manifest import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.authority_draft import Tally
    from airgap.resolution import ResolvedImage

__all__ = ["ExportReport", "ExportedImage", "sparse_fate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedImage:
    """One image as it was resolved: its name, its digest, what travels with it."""

    name: str
    digest: str
    summary: str
    signatures: str

    @classmethod
    def of(cls, image: ResolvedImage) -> ExportedImage:
        """Describe a resolved image."""
        found = Counter(referrer.found for referrer in image.referrers)
        manifest = image.manifest
        children = len(manifest.manifests) if image.children is None else len(image.children)
        what = f"{children} manifests" if manifest.kind is Kind.INDEX else str(manifest.kind)
        referrers = sum(found.values())
        return cls(
            name=str(image.request),
            digest=str(manifest.digest),
            summary=f"{what}, {referrers} referrers, signatures {image.signatures}",
            signatures=image.signatures,
        )

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "digest": self.digest,
            "summary": self.summary,
            "signatures": self.signatures,
        }


def sparse_fate(image: ResolvedImage) -> str:
    """Return what becomes of an index without all its children where a registry refuses it."""
    chosen = {
        child.digest
        for child in image.manifest.manifests
        if child.digest in (image.children or ()) and child.attested is None
    }
    if len(chosen) == 1:
        return "where a registry refuses such an index, its name will stand for the one image"
    return "a registry that refuses such an index cannot take it"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What an export ended with; `output` is None for a dry run. Sizes are bytes."""

    stream: str
    sequence: int
    inventory: str
    code: str
    output: Path | None
    size: int
    blobs: int
    fetched: int
    reused: int
    disk_free: int
    seconds: float
    signatures: Tally
    images: tuple[ExportedImage, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schemaVersion": 1,
            "stream": self.stream,
            "sequence": self.sequence,
            "inventory": self.inventory,
            "code": self.code,
            "output": None if self.output is None else str(self.output),
            "size": self.size,
            "blobs": self.blobs,
            "fetched": self.fetched,
            "reused": self.reused,
            "diskFree": self.disk_free,
            "seconds": round(self.seconds, 3),
            "signatures": str(self.signatures),
            "signaturesWaiting": list(self.signatures.waiting),
            "images": [image.to_json() for image in self.images],
            "warnings": list(self.warnings),
        }
