"""Standing: what a site knows of a stream, and what an arriving bundle says of its place in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest
    from airgap.trust.release import Marked

__all__ = ["Arrival", "Head", "Link", "Standing"]


@dataclass(frozen=True, slots=True)
class Link:
    """One number of a stream, and the digest of the inventory that has it."""

    sequence: int
    inventory: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The newest bundle of a stream that was imported here, and when (UTC)."""

    sequence: int
    inventory: Digest
    imported: datetime
    timestamp_version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What is known here of one stream of one authority; nothing, before the first bundle.

    `inventories` maps numbers to inventory digests, `roles` maps a role and a version to the digest
    of its `signed`: everything that an imported bundle has said, of itself or of others.
    """

    head: Head | None = None
    inventories: Mapping[int, Digest] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    roles: Mapping[tuple[str, int], Digest] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """What an authentic bundle says of its place in its stream.

    `covers` is the lowest number whose holders miss nothing by it; `skips` are numbers that never
    were; `base` is what an incremental bundle builds on; `roles` as authenticated.
    """

    stream: str
    sequence: int
    inventory: Digest
    previous: Link | None
    skips: tuple[int, ...]
    covers: int
    base: Link | None
    roles: Mapping[str, Marked] = field(hash=False)
