"""Inventory: what a bundle says it contains. The TUF signatures over it make it true.

* Closed: a field that is not in `schemas/inventory.schema.json` is refused.
* Canonical: RFC 8785, and ``encode(decode(b)) == b``.
* Complete: every field of the design is there from the start. `audience`, `base`,
  `items[].children` and `content.body_at` are left out where they do not apply; `previous` is
  null for the first bundle; all others are always there.

Source: docs/bundle-format.md, "Inventory".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.bundle.fields import (
    format_time,
    read_authority,
    read_labels,
    read_line,
    read_numbers,
    read_stream,
    read_target_path,
    read_time,
    read_word,
)
from airgap.bundle.item import BundledReferrer, Item, Signatures
from airgap.bundle.limits import INVENTORY_LIMIT
from airgap.bundle.rules import check_inventory
from airgap.errors import FormatError, UnsupportedVersionError
from airgap.oci import strict_json
from airgap.oci.strict_json import JsonObject, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest

__all__ = [
    "INVENTORY_TYPE",
    "BundleKind",
    "BundledReferrer",
    "Content",
    "Frozen",
    "Inventory",
    "Item",
    "Link",
    "Omitted",
    "Signatures",
]

INVENTORY_TYPE: Final = "application/vnd.airgap.inventory.v1+json"
_FORMAT: Final = 1
_FIELDS: Final = (
    "format", "requires", "kind", "authority", "stream", "sequence", "created", "audience",
    "previous", "skips", "covers", "base", "items", "names", "withdrawn", "content", "omitted",
    "frozen",
)  # fmt: skip


class BundleKind(StrEnum):
    """What a bundle is for: content with its trust material, or trust material only."""

    CONTENT = "content"
    TRUST = "trust"


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Another bundle of the same stream: its number and the digest of its inventory."""

    sequence: int
    inventory: Digest

    @classmethod
    def from_json(cls, reader: Reader) -> Link:
        """Return the link at `reader`, or raise FormatError."""
        reader.close("sequence", "inventory")
        return cls(
            sequence=reader.integer("sequence", least=1), inventory=reader.digest("inventory")
        )

    def to_json(self) -> JsonObject:
        """Return the value of ``previous`` or ``base``."""
        return {"sequence": self.sequence, "inventory": str(self.inventory)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The body that travels: how many blobs, how many bytes, where the first one's bytes start."""

    blobs: int = 0
    size: int = 0
    body_at: int | None = None

    @classmethod
    def from_json(cls, reader: Reader) -> Content:
        """Return the content at `reader`, or raise FormatError."""
        reader.close("blobs", "bytes", "body_at")
        return cls(
            blobs=reader.integer("blobs"),
            size=reader.integer("bytes"),
            body_at=reader.integer("body_at", least=1) if reader.has("body_at") else None,
        )

    def to_json(self) -> JsonObject:
        """Return the value of ``content``."""
        start = {} if self.body_at is None else {"body_at": self.body_at}
        return {"blobs": self.blobs, "bytes": self.size, **start}


@dataclass(frozen=True, kw_only=True, slots=True)
class Omitted:
    """A blob of the body that does not travel, because the destination holds it since `base`."""

    digest: Digest
    size: int

    @classmethod
    def from_json(cls, reader: Reader) -> Omitted:
        """Return the entry at `reader`, or raise FormatError."""
        reader.close("digest", "size")
        return cls(digest=reader.digest("digest"), size=reader.integer("size"))

    def to_json(self) -> JsonObject:
        """Return the entry of ``omitted``."""
        return {"digest": str(self.digest), "size": self.size}


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """A piece of trust material: the target `path`, from which `source` it came, and when."""

    path: str
    digest: Digest
    source: str
    captured: datetime

    @classmethod
    def from_json(cls, reader: Reader) -> Frozen:
        """Return the entry at `reader`, or raise FormatError."""
        reader.close("path", "digest", "source", "captured")
        return cls(
            path=read_target_path(reader, "path"),
            digest=reader.digest("digest"),
            source=read_line(reader, "source"),
            captured=read_time(reader, "captured"),
        )

    def to_json(self) -> JsonObject:
        """Return the entry of ``frozen``."""
        return {
            "path": self.path,
            "digest": str(self.digest),
            "source": self.source,
            "captured": format_time(self.captured),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What is in a bundle, which number of which stream it is, and what it stands on.

    `names` maps each full source name (host/repository:tag) to the digest of an item's root.
    """

    kind: BundleKind = BundleKind.CONTENT
    authority: str
    stream: str
    sequence: int
    created: datetime
    previous: Link | None = None
    skips: tuple[int, ...] = ()
    covers: int = 0
    audience: tuple[str, ...] | None = None
    base: Link | None = None
    items: tuple[Item, ...] = ()
    names: Mapping[str, Digest] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    withdrawn: tuple[Digest, ...] = ()
    content: Content = Content()
    omitted: tuple[Omitted, ...] = ()
    frozen: tuple[Frozen, ...] = ()

    @classmethod
    def decode(cls, data: bytes) -> Inventory:
        """Return the inventory that `data` spells.

        Raises UnsupportedVersionError for a format or feature of a later release, and FormatError
        for anything that `encode` would not have written.
        """
        if len(data) > INVENTORY_LIMIT:
            raise FormatError(
                f"the inventory is larger than {INVENTORY_LIMIT} bytes",
                reason="inventory-too-large",
            )
        reader = Reader.parse(data, "inventory")
        _refuse_later_format(reader)
        inventory = cls._from_json(reader)
        check_inventory(inventory)
        if inventory.encode() != data:
            raise FormatError(
                "the inventory is not spelled as RFC 8785 says", reason="inventory-not-canonical"
            )
        return inventory

    @classmethod
    def _from_json(cls, reader: Reader) -> Inventory:
        reader.close(*_FIELDS)
        first = reader.has("previous") and reader.value["previous"] is None
        names = reader.child("names")
        return cls(
            kind=BundleKind(read_word(reader, "kind", frozenset(BundleKind))),
            authority=read_authority(reader, "authority"),
            stream=read_stream(reader, "stream"),
            sequence=reader.integer("sequence", least=1),
            created=read_time(reader, "created"),
            previous=None if first else Link.from_json(reader.child("previous")),
            skips=read_numbers(reader, "skips"),
            covers=reader.integer("covers"),
            audience=read_labels(reader, "audience") if reader.has("audience") else None,
            base=Link.from_json(reader.child("base")) if reader.has("base") else None,
            items=tuple(Item.from_json(child) for child in reader.children("items")),
            names=MappingProxyType({name: names.digest(name) for name in names.value}),
            withdrawn=reader.digests("withdrawn"),
            content=Content.from_json(reader.child("content")),
            omitted=tuple(Omitted.from_json(child) for child in reader.children("omitted")),
            frozen=tuple(Frozen.from_json(child) for child in reader.children("frozen")),
        )

    def encode(self) -> bytes:
        """Return the inventory's one spelling. `decode` says whether it is one that may travel."""
        return strict_json.encode(self.to_json())

    def to_json(self) -> JsonObject:
        """Return the document."""
        optional: JsonObject = {}
        if self.audience is not None:
            optional["audience"] = list(self.audience)
        if self.base is not None:
            optional["base"] = self.base.to_json()
        return {
            "format": _FORMAT,
            "requires": [],
            "kind": str(self.kind),
            "authority": self.authority,
            "stream": self.stream,
            "sequence": self.sequence,
            "created": format_time(self.created),
            "previous": None if self.previous is None else self.previous.to_json(),
            "skips": list(self.skips),
            "covers": self.covers,
            **optional,
            "items": [item.to_json() for item in self.items],
            "names": {name: str(digest) for name, digest in self.names.items()},
            "withdrawn": [str(digest) for digest in self.withdrawn],
            "content": self.content.to_json(),
            "omitted": [blob.to_json() for blob in self.omitted],
            "frozen": [piece.to_json() for piece in self.frozen],
        }


def _refuse_later_format(reader: Reader) -> None:
    """Judge format and requires first: a later format may have any other fields."""
    if reader.integer("format") != _FORMAT:
        raise UnsupportedVersionError(
            f"{reader.at('format')} is {reader.integer('format')}, this release knows {_FORMAT}",
            reason="format-unsupported",
        )
    if required := reader.texts("requires"):
        raise UnsupportedVersionError(
            f"{reader.at('requires')} names {required[0]!r:.100}, unknown to this release",
            reason="feature-unsupported",
        )
