"""The walk: in which order the content of an item is met. Writer, reader and loader share it.

Order (docs/bundle-format.md, "Order"): the root manifest; for an index its chosen children in
index order, depth first; for each manifest the config, then the layers; then the item's referrers
as listed, each walked in the same way.

Bounds (threat model A060): depth 4, 100,000 descriptors of one item, each digest once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest

__all__ = ["REFERRER_BLOB_LIMIT", "Root", "Visit", "Walk"]

REFERRER_BLOB_LIMIT: Final = 1 << 20
"""Blobs of referrers up to this many bytes (signatures, SBOMs) travel in a bundle's head."""
_MAX_DEPTH: Final = 4
_MAX_DESCRIPTORS: Final = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """Where a walk starts: a manifest, which children of it travel, and its referrers.

    `children` None means every child; a set means only those of the root index.
    """

    descriptor: Descriptor
    children: frozenset[Digest] | None = None
    referrers: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One meeting with a piece of content; `manifest` is None for a config or a layer."""

    descriptor: Descriptor
    manifest: Manifest | None
    referrer: bool

    @property
    def in_head(self) -> bool:
        """Whether content so met belongs to a bundle's head: manifests, small referrer blobs."""
        return self.manifest is not None or (
            self.referrer and self.descriptor.size <= REFERRER_BLOB_LIMIT
        )


@dataclass(slots=True)
class Walk:
    """A walk over many roots. All content is visited once as an item's, once as a referrer's.

    `read_manifest` takes a descriptor and returns the manifest, verified. One digest named with
    two sizes, or one manifest with two media types, is refused, wherever in the walk it is met.
    """

    read_manifest: Callable[[Descriptor], Manifest]
    _walked: set[tuple[Digest, bool]] = field(default_factory=set)
    _yielded: set[tuple[Digest, bool, bool]] = field(default_factory=set)
    _sizes: dict[Digest, int] = field(default_factory=dict)
    _types: dict[Digest, str] = field(default_factory=dict)
    _count: int = 0

    def visit(self, root: Root) -> Iterator[Visit]:
        """Yield everything that `root` leads to and that this walk has not yielded before."""
        self._count = 0
        yield from self._manifest(root.descriptor, referrer=False, chosen=root.children, depth=1)
        for descriptor in root.referrers:
            yield from self._manifest(descriptor, referrer=True, chosen=None, depth=1)

    def visit_all(self, roots: Iterable[Root]) -> Iterator[Visit]:
        """Yield what all `roots` lead to, in order."""
        for root in roots:
            yield from self.visit(root)

    def _manifest(
        self,
        descriptor: Descriptor,
        *,
        referrer: bool,
        chosen: frozenset[Digest] | None,
        depth: int,
    ) -> Iterator[Visit]:
        if depth > _MAX_DEPTH:
            raise FormatError(
                f"{descriptor.digest} nests deeper than {_MAX_DEPTH}", reason="graph-too-deep"
            )
        self._check(descriptor)
        self._check_type(descriptor)
        if chosen is None:
            if (descriptor.digest, referrer) in self._walked:
                return
            self._walked.add((descriptor.digest, referrer))
        manifest = self.read_manifest(descriptor)
        if chosen is not None:
            _check_chosen(manifest, chosen)
        yield from self._once(descriptor, manifest, referrer=referrer)
        for child in manifest.manifests:
            if chosen is None or child.digest in chosen:
                yield from self._manifest(child, referrer=referrer, chosen=None, depth=depth + 1)
        for blob in manifest.blobs:
            self._check(blob)
            yield from self._once(blob, None, referrer=referrer)

    def _once(
        self, descriptor: Descriptor, manifest: Manifest | None, *, referrer: bool
    ) -> Iterator[Visit]:
        # What is a manifest's config or layer may be a manifest elsewhere: those are two visits.
        key = (descriptor.digest, referrer, manifest is None)
        if key not in self._yielded:
            self._yielded.add(key)
            yield Visit(descriptor=descriptor, manifest=manifest, referrer=referrer)

    def _check(self, descriptor: Descriptor) -> None:
        self._count += 1
        if self._count > _MAX_DESCRIPTORS:
            raise FormatError(
                f"more than {_MAX_DESCRIPTORS} descriptors in one item", reason="graph-too-large"
            )
        if self._sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise FormatError(
                f"{descriptor.digest} is named with two sizes", reason="descriptor-size-mismatch"
            )

    def _check_type(self, descriptor: Descriptor) -> None:
        # A manifest that is met again is not parsed again, so its name is compared here (A054).
        if self._types.setdefault(descriptor.digest, descriptor.media_type) != (
            descriptor.media_type
        ):
            raise FormatError(
                f"{descriptor.digest} is named with two media types", reason="media-type-mismatch"
            )


def _check_chosen(manifest: Manifest, chosen: frozenset[Digest]) -> None:
    missing = chosen - {child.digest for child in manifest.manifests}
    if missing:
        raise FormatError(
            f"{min(missing)} is chosen but is no child of {manifest.digest}", reason="child-unknown"
        )
