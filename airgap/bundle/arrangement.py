"""Arrangement: which blob belongs to the head and which to the body, and in which order.

Writer and reader share it, so that what the one writes is what the other expects. A blob appears
once, where it is first met; a blob that is met in both, or whose bytes are also one of the
bundle's own documents, is the head's.

Source: docs/bundle-format.md, "Order"; threat model A060 to A066.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from airgap.bundle.inventory import Content
from airgap.bundle.item import NAMED_BY_MANIFEST
from airgap.errors import FormatError
from airgap.oci.descriptor import Descriptor
from airgap.oci.graph import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from airgap.bundle.inventory import Inventory, Omitted
    from airgap.bundle.item import Item
    from airgap.oci.digest import Digest
    from airgap.oci.graph import Visit
    from airgap.oci.manifest import Kind, Manifest

__all__ = ["Arrangement", "arrange"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrangement:
    """The third-party content of a bundle, in the order in which it stands in the file.

    `head` has the manifests and the small blobs of referrers, `body` the blobs that travel after
    them, without those that are omitted. `artifact_types` has the artifactType of each manifest
    that states one; `media_types` that of every manifest.
    """

    head: tuple[Descriptor, ...] = ()
    body: tuple[Descriptor, ...] = ()
    artifact_types: Mapping[Digest, str] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    media_types: Mapping[Digest, str] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def content(self, body_at: int | None) -> Content:
        """Return what the inventory says of this body when it starts at `body_at`."""
        size = sum(descriptor.size for descriptor in self.body)
        return Content(blobs=len(self.body), size=size, body_at=body_at if self.body else None)


def arrange(
    inventory: Inventory,
    read_manifest: Callable[[Descriptor], Manifest],
    *,
    documents: Collection[Digest] = frozenset(),
    meet: Callable[[Descriptor], object] = lambda _: None,
) -> Arrangement:
    """Walk over the items of `inventory` and return how their content stands in a bundle.

    `read_manifest` returns a manifest, verified. `documents` are the digests of the bundle's own
    documents (target files, root metadata), which stand before all else. `meet` is called for
    each blob of the head, and each that is a document, when it is met; for manifests after they
    were read. Of `inventory`, only `items` and `omitted` are used.

    Raises FormatError where the inventory and the manifests contradict each other.
    """
    sorting = _Sorting(documents=documents, meet=meet)
    walk = Walk(read_manifest)
    for item in inventory.items:
        for visit in walk.visit(item.root):
            sorting.take(visit)
        sorting.check(item)
    body = {
        digest: descriptor
        for digest, descriptor in sorting.body.items()
        if digest not in sorting.head
    }
    return Arrangement(
        head=tuple(sorting.head.values()),
        body=_without(body, inventory.omitted),
        artifact_types=MappingProxyType(sorting.artifact_types),
        media_types=MappingProxyType(
            {digest: sorting.head[digest].media_type for digest in sorting.kinds}
        ),
    )


@dataclass(slots=True)
class _Sorting:
    documents: Collection[Digest]
    meet: Callable[[Descriptor], object]
    head: dict[Digest, Descriptor] = field(default_factory=dict)
    body: dict[Digest, Descriptor] = field(default_factory=dict)
    kinds: dict[Digest, Kind] = field(default_factory=dict)
    subjects: dict[Digest, Digest] = field(default_factory=dict)
    artifact_types: dict[Digest, str] = field(default_factory=dict)

    def take(self, visit: Visit) -> None:
        descriptor = visit.descriptor
        if visit.in_head or descriptor.digest in self.documents:
            self.meet(descriptor)
            self.head.setdefault(descriptor.digest, _plain(descriptor))
        else:
            self.body.setdefault(descriptor.digest, _plain(descriptor))
        if visit.manifest is not None:
            self._note(visit.manifest)

    def _note(self, manifest: Manifest) -> None:
        self.kinds[manifest.digest] = manifest.kind
        if manifest.subject is not None:
            self.subjects[manifest.digest] = manifest.subject.digest
        if manifest.artifact_type is not None:
            self.artifact_types[manifest.digest] = manifest.artifact_type

    def check(self, item: Item) -> None:
        """Check what the inventory says of `item` against the manifests met so far."""
        digest = item.descriptor.digest
        if self.kinds[digest] is not item.kind:
            raise FormatError(
                f"{digest} is of kind {self.kinds[digest]}, the inventory says {item.kind}",
                reason="item-kind-mismatch",
            )
        for referrer in item.referrers:
            name, subject = referrer.descriptor.digest, referrer.subject
            if subject not in self.kinds:
                raise FormatError(
                    f"{name} refers to {subject}, which is not in the bundle",
                    reason="referrer-subject-unknown",
                )
            if referrer.found in NAMED_BY_MANIFEST and self.subjects.get(name) != subject:
                raise FormatError(
                    f"{name} does not name {subject} as its subject",
                    reason="referrer-subject-mismatch",
                )


def _plain(descriptor: Descriptor) -> Descriptor:
    """Keep what is needed and no more: annotations of 100,000 layers would be megabytes."""
    return Descriptor(
        media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size
    )


def _without(body: dict[Digest, Descriptor], omitted: Iterable[Omitted]) -> tuple[Descriptor, ...]:
    for blob in omitted:
        descriptor = body.pop(blob.digest, None)
        if descriptor is None or descriptor.size != blob.size:
            raise FormatError(
                f"{blob.digest} with {blob.size} bytes is omitted but is no blob of the body",
                reason="omitted-unknown",
            )
    return tuple(body.values())
