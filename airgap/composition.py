"""Composition: from resolved images to the inventory and the evidence of one bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap.bundle.inventory import BundledReferrer, Inventory, Item, Link, Signatures
from airgap.errors import UsageError
from airgap.oci import strict_json
from airgap.oci.graph import Walk
from airgap.trust.verdict import Check, Outcome, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest
    from airgap.resolution import ResolvedImage
    from airgap.spool import Spool
    from airgap.stores import Source

__all__ = ["EVIDENCE", "Place", "compose_evidence", "compose_inventory", "find_origins"]

EVIDENCE = "evidence.jsonl"
"""The target that says what the exporter verified, a line for each item."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The place of a bundle in its stream, as the authority's records give it."""

    authority: str
    stream: str
    sequence: int
    previous: Link | None
    skips: tuple[int, ...]
    covers: int


def compose_inventory(
    images: Iterable[ResolvedImage], place: Place, *, created: datetime
) -> Inventory:
    """Return the inventory of a bundle with these `images`; its `content` is still to be settled.

    One repository and digest is one item, however many names it has. Raises UsageError
    ``name-twice`` where one name stands for two digests.
    """
    items: dict[tuple[str, Digest], Item] = {}
    names: dict[str, Digest] = {}
    for image in images:
        item = _item(image)
        known = items.get(item.key)
        items[item.key] = item if known is None else _merge(known, item)
        name = image.request.name.name
        if (
            name is not None
            and names.setdefault(name, item.descriptor.digest) != item.descriptor.digest
        ):
            raise UsageError(
                f"{name} is asked for with two digests", reason="name-twice",
                hint="One name stands for one digest in a bundle; leave one of them out.",
            )  # fmt: skip
    return Inventory(
        authority=place.authority,
        stream=place.stream,
        sequence=place.sequence,
        created=created,
        previous=place.previous,
        skips=place.skips,
        covers=place.covers,
        items=tuple(items[key] for key in sorted(items)),
        names=names,
    )


def compose_evidence(inventory: Inventory) -> bytes:
    """Return the evidence: a line for each item, saying what was judged and what not."""
    return b"".join(
        strict_json.encode(
            {
                "source": item.source,
                "digest": str(item.descriptor.digest),
                "at": format_time(inventory.created),
                "check": str(Check.IMAGES),
                "outcome": str(Outcome.NOT_ASKED),
                "reason": "no-policy",
                "signatures": str(item.signatures),
            }
        )
        + b"\n"
        for item in inventory.items
    )


def find_origins(images: Iterable[ResolvedImage], spool: Spool) -> Mapping[Digest, Source]:
    """Return, for each config and layer, a repository that has it: the first one met."""
    origins: dict[Digest, Source] = {}
    for image in images:
        walk = Walk(read_manifest=spool.read_manifest)
        for visit in walk.visit(image.root):
            if visit.manifest is None:
                origins.setdefault(visit.descriptor.digest, image.source)
    return origins


def _item(image: ResolvedImage) -> Item:
    return Item(
        source=image.request.name.source,
        kind=image.manifest.kind,
        descriptor=image.manifest.descriptor,
        children=image.children,
        referrers=tuple(
            BundledReferrer(
                descriptor=referrer.descriptor, subject=referrer.subject, found=referrer.found
            )
            for referrer in image.referrers
        ),
        signatures=Signatures(image.signatures),
    )


def _merge(known: Item, item: Item) -> Item:
    """Join two requests for one digest: all the platforms and all the referrers of both."""
    children = None
    if known.children is not None and item.children is not None:
        children = tuple(sorted({*known.children, *item.children}))
    digests = {referrer.descriptor.digest for referrer in known.referrers}
    extra = tuple(ref for ref in item.referrers if ref.descriptor.digest not in digests)
    signatures = known.signatures
    if signatures is not Signatures.PRESENT and item.signatures is not Signatures.EXCLUDED:
        signatures = item.signatures
    return replace(
        known, children=children, referrers=known.referrers + extra, signatures=signatures
    )
