"""A store in memory, for tests and small artifacts; it behaves as a registry with referrers does.

Blobs belong to repositories: one that another repository has must be mounted or sent again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from threading import RLock
from typing import TYPE_CHECKING

from airgap.errors import NotFoundError
from airgap.oci.descriptor import Descriptor, VerifyingReader
from airgap.oci.digest import Digest
from airgap.oci.manifest import Manifest
from airgap.stores import Referrer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream

__all__ = ["MemoryRepository", "MemoryStore"]


class MemoryStore:
    """Repositories by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._repositories: dict[str, MemoryRepository] = {}

    def repository(self, name: str) -> MemoryRepository:
        """Return the repository `name`."""
        with self.lock:
            return self._repositories.setdefault(
                name, MemoryRepository(store=self, repository=name)
            )

    def close(self) -> None:
        """Nothing is held but memory."""


@dataclass(eq=False, kw_only=True)
class MemoryRepository:
    """One repository: `blobs` and `manifests` by digest, `tag_table` from tag to digest."""

    store: MemoryStore
    repository: str
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tag_table: dict[str, Digest] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The repository's name for people."""
        return f"memory:{self.repository}"

    def resolve(self, target: str) -> Descriptor:
        with self.store.lock:
            tagged = self.tag_table.get(target)
            digest = Digest.parse(target) if tagged is None and ":" in target else tagged
            found = None if digest is None else self.manifests.get(digest)
        if found is None:
            raise self._not_found(target)
        return found.descriptor

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        with self.store.lock:
            found = self.manifests.get(descriptor.digest)
        if found is None:
            raise self._not_found(str(descriptor.digest))
        return Manifest.verified(found.data, descriptor, f"{self.name}: manifest")

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[VerifyingReader]:
        with self.store.lock:
            data = self.blobs.get(descriptor.digest)
        if data is None:
            raise self._not_found(str(descriptor.digest))
        yield VerifyingReader(BytesIO(data), descriptor, f"{self.name}: {descriptor.digest}")

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        with self.store.lock:
            found = [
                manifest
                for manifest in self.manifests.values()
                if manifest.subject is not None and manifest.subject.digest == digest
            ]
        return tuple(
            Referrer(
                descriptor=Descriptor(
                    media_type=manifest.media_type,
                    digest=manifest.digest,
                    size=manifest.size,
                    artifact_type=manifest.effective_artifact_type,
                    annotations=manifest.annotations,
                ),
                subject=digest,
                found="api",
            )
            for manifest in sorted(found, key=lambda manifest: manifest.digest)
        )

    def tags(self) -> Iterator[str]:
        with self.store.lock:
            tags = sorted(self.tag_table)
        yield from tags

    def has_blob(self, descriptor: Descriptor) -> bool:
        with self.store.lock:
            data = self.blobs.get(descriptor.digest)
        return data is not None and len(data) == descriptor.size

    def mount_blob(self, descriptor: Descriptor, repository: str) -> bool:
        other = self.store.repository(repository)
        with self.store.lock:
            if not other.has_blob(descriptor):
                return False
            self.blobs[descriptor.digest] = other.blobs[descriptor.digest]
            return True

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        with opener() as stream:
            data = VerifyingReader(stream, descriptor).read()
        with self.store.lock:
            self.blobs[descriptor.digest] = data

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        kept = Manifest.verified(manifest.data, manifest.descriptor)
        with self.store.lock:
            self.manifests[kept.digest] = kept
            if tag is not None:
                self.tag_table[tag] = kept.digest

    def add_referrer(self, manifest: Manifest) -> None:
        with self.store.lock:
            if manifest.digest not in self.manifests:
                raise self._not_found(str(manifest.digest))

    def _not_found(self, what: str) -> NotFoundError:
        return NotFoundError(f"{self.name} has no {what:.300}", reason="name-unknown")
