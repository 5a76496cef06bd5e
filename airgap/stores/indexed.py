"""A repository of a store that an OCI index describes: a layout on disk, or in an archive."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from airgap.errors import FormatError, NotFoundError, StoreError
from airgap.oci.descriptor import VerifyingReader
from airgap.oci.digest import Digest
from airgap.oci.manifest import INDEX_TYPES, MANIFEST_LIMIT, Manifest
from airgap.stores import Referrer
from airgap.stores.layout_index import Addition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.stores.layout_graph import Graph
    from airgap.stores.layout_index import Index

__all__ = ["IndexedContent", "IndexedRepository", "read_manifest"]


class IndexedContent(Protocol):
    """What a store offers to its repositories: an index, and bytes by digest."""

    @property
    def title(self) -> str:
        """The store's name for people: transport and path."""
        ...

    def index(self) -> Index:
        """Return the index as it is now."""
        ...

    def graph(self, repository: str) -> Graph:
        """Return what belongs to `repository` now."""
        ...

    def lookup(self, repository: str, tag: str) -> tuple[Descriptor, ...]:
        """Return the manifests that a tag stands for: one, none, or several of one short name."""
        ...

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether there are as many bytes under the digest as there should be."""
        ...

    def open(self, descriptor: Descriptor) -> AbstractContextManager[ByteStream]:
        """Open the bytes under the digest, not verified; raise NotFoundError if there are none."""
        ...

    def ingest(self, descriptor: Descriptor, stream: ByteStream) -> None:
        """Store the bytes of `stream` under their digest, or raise and store nothing."""
        ...

    def record(self, addition: Addition) -> None:
        """Put a manifest that is stored into the index."""
        ...

    def batch(self) -> AbstractContextManager[None]:
        """Hold back changes of the index until the end, and then make them in one step."""
        ...


def read_manifest(content: IndexedContent, descriptor: Descriptor) -> Manifest:
    """Return the manifest with this digest and size, verified."""
    if descriptor.size > MANIFEST_LIMIT:
        raise FormatError(
            f"{descriptor.digest} in {content.title} would be larger than {MANIFEST_LIMIT} bytes",
            reason="manifest-too-large",
        )
    what = f"{content.title}: manifest {descriptor.digest}"
    with content.open(descriptor) as stream:
        data = VerifyingReader(stream, descriptor, what).read()
    return Manifest.parse(data, descriptor.media_type, what)


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedRepository:
    """One repository (`repository`; ``""`` is all of it) of the store `content`."""

    content: IndexedContent
    repository: str

    @property
    def name(self) -> str:
        """The store and the repository, for people and errors."""
        return f"{self.content.title}:{self.repository}" if self.repository else self.content.title

    def resolve(self, target: str) -> Descriptor:
        """Return what a tag or digest names; ``""`` names the only thing there, if there is one."""
        if target.startswith("sha256:"):
            return self._resolve_digest(Digest.parse(target, f"the digest asked of {self.name}"))
        found = self.content.lookup(self.repository, target) if target else self._only()
        if not found:
            raise self._not_found(target)
        if len(found) > 1:
            raise StoreError(
                f"{target!r:.200} stands for {len(found)} manifests in {self.name}",
                reason="reference-ambiguous",
                hint="Name one by its full reference or its digest.",
            )
        return found[0]

    def _resolve_digest(self, digest: Digest) -> Descriptor:
        known = {} if self.repository else self.content.index().descriptors
        found = known.get(digest) or self.content.graph(self.repository).manifests.get(digest)
        if found is None:
            raise self._not_found(str(digest))
        return found

    def _only(self) -> tuple[Descriptor, ...]:
        """Return what has a name of its own; where nothing has, whatever the index lists."""
        index = self.content.index()
        own = {
            found.digest: found
            for (where, tag), several in index.names.items()
            if where == self.repository and not tag.startswith("sha256-")
            for found in several
        }
        return tuple((own or self.content.graph(self.repository).manifests).values())

    def _not_found(self, target: str) -> NotFoundError:
        return NotFoundError(
            f"{self.name} has no {target or 'content':.300}", reason="name-unknown"
        )

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        return read_manifest(self.content, descriptor)

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[VerifyingReader]:
        with self.content.open(descriptor) as stream:
            yield VerifyingReader(stream, descriptor, f"{self.content.title}: {descriptor.digest}")

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """Return who names `digest` as subject, and whom a fallback tag in the layout lists."""
        graph = self.content.graph(self.repository)
        if graph.damage is not None:
            raise graph.damage
        found = {r.descriptor.digest: r for r in graph.referrers.get(digest, ())}
        for listed in self._fallback(digest):
            found.setdefault(
                listed.digest, Referrer(descriptor=listed, subject=digest, found="fallback")
            )
        return tuple(sorted(found.values(), key=lambda referrer: referrer.descriptor.digest))

    def _fallback(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Source: OCI distribution-spec 1.1, "Referrers Tag Schema"."""
        try:
            descriptor = self.resolve(digest.tag_stem)
        except NotFoundError:
            return ()
        return (
            self.read_manifest(descriptor).manifests if descriptor.media_type in INDEX_TYPES else ()
        )

    def tags(self) -> Iterator[str]:
        """Yield the tags, sorted, but for names that stand for more than one manifest."""
        names = self.content.index().names
        yield from sorted(
            tag for (where, tag), found in names.items()
            if where == self.repository and len(found) == 1
        )  # fmt: skip

    def has_blob(self, descriptor: Descriptor) -> bool:
        return self.content.has(descriptor)

    def mount_blob(self, descriptor: Descriptor, repository: str) -> bool:
        """A layout keeps one copy for all repositories: what it has need not be moved."""
        return self.content.has(descriptor)

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        with opener() as stream:
            self.content.ingest(descriptor, stream)

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store a manifest and record it as a member, under `tag` if given."""
        Manifest.verified(manifest.data, manifest.descriptor)
        self.content.ingest(manifest.descriptor, BytesIO(manifest.data))
        self._record(manifest, tag)

    def add_referrer(self, manifest: Manifest) -> None:
        """Record a stored manifest as a member: its subject is read from it."""
        if not self.content.has(manifest.descriptor):
            raise self._not_found(str(manifest.digest))
        self._record(manifest, None)

    def _record(self, manifest: Manifest, tag: str | None) -> None:
        self.content.record(
            Addition(
                repository=self.repository,
                descriptor=replace(manifest.descriptor, artifact_type=manifest.artifact_type),
                tag=tag,
                children=frozenset(child.digest for child in manifest.manifests),
            )
        )

    def batch(self) -> AbstractContextManager[None]:
        """Hold back changes of the index until the end, and then make them in one step."""
        return self.content.batch()
