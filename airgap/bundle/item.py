"""Item: one root that travels, from which repository, with which children and referrers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from airgap.bundle.fields import read_manifest_descriptor, read_source, read_word
from airgap.errors import FormatError
from airgap.oci.graph import Root
from airgap.oci.manifest import INDEX_TYPES, Kind

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.strict_json import JsonObject, Reader
    from airgap.stores import Found

__all__ = ["NAMED_BY_MANIFEST", "BundledReferrer", "Item", "Signatures"]

NAMED_BY_MANIFEST: Final = frozenset({"api", "fallback"})
"""The ways of finding a referrer whose own manifest names its subject; else a tag does."""
_FOUND: Final = NAMED_BY_MANIFEST | {"sig", "att", "sbom"}


class Signatures(StrEnum):
    """What the exporter knows of an item's signatures; a failure to ask is none of these."""

    PRESENT = "present"
    CONFIRMED_ABSENT = "confirmed-absent"
    EXCLUDED = "excluded"


@dataclass(frozen=True, kw_only=True, slots=True)
class BundledReferrer:
    """A manifest that refers to `subject` and travels with its item, and how it was found."""

    descriptor: Descriptor
    subject: Digest
    found: Found

    @classmethod
    def from_json(cls, reader: Reader) -> BundledReferrer:
        """Return the referrer at `reader`, or raise FormatError."""
        reader.close("mediaType", "digest", "size", "subject", "found")
        return cls(
            descriptor=read_manifest_descriptor(reader),
            subject=reader.digest("subject"),
            found=read_word(reader, "found", _FOUND),
        )

    def to_json(self) -> JsonObject:
        """Return the entry of ``items[].referrers``."""
        return {
            **self.descriptor.to_json(),
            "subject": str(self.subject),
            "found": self.found,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One root: `source` is its normalised host/repository, `descriptor` its manifest.

    `children` are the chosen children of an index, sorted by digest; None means all of them.
    """

    source: str
    kind: Kind
    descriptor: Descriptor
    children: tuple[Digest, ...] | None = None
    referrers: tuple[BundledReferrer, ...] = ()
    signatures: Signatures

    @classmethod
    def from_json(cls, reader: Reader) -> Item:
        """Return the item at `reader`, or raise FormatError."""
        reader.close("source", "kind", "descriptor", "children", "referrers", "signatures")
        inner = reader.child("descriptor")
        inner.close("mediaType", "digest", "size")
        item = cls(
            source=read_source(reader, "source"),
            kind=Kind(read_word(reader, "kind", frozenset(Kind))),
            descriptor=read_manifest_descriptor(inner),
            children=reader.digests("children") if reader.has("children") else None,
            referrers=tuple(
                BundledReferrer.from_json(child) for child in reader.children("referrers")
            ),
            signatures=Signatures(read_word(reader, "signatures", frozenset(Signatures))),
        )
        item._check_kind(reader)
        return item

    def _check_kind(self, reader: Reader) -> None:
        is_index = self.kind is Kind.INDEX
        if is_index != (self.descriptor.media_type in INDEX_TYPES):
            raise FormatError(
                f"{reader.at('kind')} is {self.kind}, {reader.at('descriptor.mediaType')} is not",
                reason="item-kind-mismatch",
            )
        if self.children is not None and not (is_index and self.children):
            raise FormatError(
                f"{reader.at('children')} must be some children of an index",
                reason="item-kind-mismatch",
            )

    def to_json(self) -> JsonObject:
        """Return the entry of ``items``."""
        chosen = {} if self.children is None else {"children": [str(one) for one in self.children]}
        return {
            "source": self.source,
            "kind": str(self.kind),
            "descriptor": self.descriptor.to_json(),
            **chosen,
            "referrers": [referrer.to_json() for referrer in self.referrers],
            "signatures": str(self.signatures),
        }

    @property
    def key(self) -> tuple[str, Digest]:
        """What items are sorted by and told apart by."""
        return self.source, self.descriptor.digest

    @property
    def root(self) -> Root:
        """Where the walk over this item's content starts."""
        return Root(
            descriptor=self.descriptor,
            children=None if self.children is None else frozenset(self.children),
            referrers=tuple(referrer.descriptor for referrer in self.referrers),
        )
