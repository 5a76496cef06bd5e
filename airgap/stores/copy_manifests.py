"""The manifests of a copy: by digest, children first, each read back; then the referrers."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from airgap.errors import ContentError, NotFoundError, RegistryCorruptError, StoreError
from airgap.stores.copy_blobs import StoppedError

if TYPE_CHECKING:
    from threading import Event

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest
    from airgap.stores import Destination, Source
    from airgap.stores.copy_survey import CopyJob, ManifestTask

__all__ = ["SPARSE_REFUSED", "ManifestCopier", "Substitute", "reads_back"]

SPARSE_REFUSED: Final = "sparse-index-refused"
_REFUSED: Final = "manifest-refused"


@runtime_checkable
class _Proving(Protocol):
    @property
    def reads_back(self) -> bool: ...


def reads_back(destination: Destination) -> bool:
    """Tell whether `destination` reads back each manifest itself, and compares, as it writes it."""
    return isinstance(destination, _Proving) and destination.reads_back


@dataclass(frozen=True, kw_only=True, slots=True)
class Substitute:
    """The one chosen child of an index, which stands for it in `repository`.

    The repository took no index without all its children. `platform` is what the index says of
    the child; empty where it says nothing.
    """

    repository: str
    index: Digest
    child: Digest
    platform: str


@dataclass(kw_only=True, slots=True)
class ManifestCopier:
    """Copies one manifest at a time, in any thread; what it names must be there already."""

    source: Source
    jobs: tuple[CopyJob, ...]
    stop: Event
    referrers_added: int = 0
    substitutes: list[Substitute] = field(default_factory=list)
    _referring: set[tuple[int, Digest]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def run(self, item: tuple[ManifestTask, Descriptor]) -> None:
        """Write one manifest of a task, by its digest."""
        task, descriptor = item
        destination = self.jobs[task.job].destination
        manifest = self._read(descriptor)
        try:
            destination.write_manifest(manifest)
        except StoreError as error:
            if error.reason != _REFUSED or manifest.digest not in task.sparse:
                raise
            self._substitute(task, manifest, error)
        else:
            if not reads_back(destination):
                _compare(destination, manifest)
        if manifest.subject is not None and manifest.subject.digest in task.present:
            with self._lock:
                self._referring.add((task.job, descriptor.digest))

    def announce(self, task: ManifestTask) -> None:
        """Make those manifests of `task` findable whose subjects were written with them."""
        destination = self.jobs[task.job].destination
        referring = [one for one in task.order if (task.job, one.digest) in self._referring]
        for descriptor in referring:
            destination.add_referrer(self._read(descriptor))
        with self._lock:
            self.referrers_added += len(referring)

    def _substitute(self, task: ManifestTask, index: Manifest, error: StoreError) -> None:
        """Note the child that stands for an index that was refused, or raise if it is not one."""
        job = self.jobs[task.job]
        chosen = {
            child
            for root in job.roots
            if root.descriptor.digest == index.digest
            for child in root.children or ()
        }
        images = {
            child.digest: child
            for child in index.manifests
            if child.digest in chosen and child.attested is None
        }
        if len(images) != 1:
            raise _sparse(job.destination, index) from error
        (child,) = images.values()
        substitute = Substitute(
            repository=job.repository,
            index=index.digest,
            child=child.digest,
            platform=str(child.platform or ""),
        )
        with self._lock:
            self.substitutes.append(substitute)

    def _read(self, descriptor: Descriptor) -> Manifest:
        if self.stop.is_set():
            raise StoppedError
        return self.source.read_manifest(descriptor)


def _sparse(destination: Destination, manifest: Manifest) -> StoreError:
    return StoreError(
        f"{destination.name} does not take the index {manifest.digest} without all its platforms, "
        "and several were chosen, so that none can stand for it",
        reason=SPARSE_REFUSED,
        hint="Export all platforms, let the registry take sparse indexes (Distribution 3: "
        "validation.manifests.indexes.platforms), or import into the embedded store (--to store).",
    )


def _compare(destination: Destination, manifest: Manifest) -> None:
    """Read a manifest back; what was acknowledged and is not given back is not there."""
    try:
        back = destination.read_manifest(manifest.descriptor)
    except RegistryCorruptError:
        raise
    except (ContentError, NotFoundError) as error:
        raise RegistryCorruptError(
            f"{destination.name} acknowledged the manifest {manifest.digest} and does not give it "
            f"back: {error.message}",
            reason="registry-corrupt",
        ) from error
    if back.data != manifest.data:
        raise RegistryCorruptError(
            f"{destination.name} gives back other bytes for {manifest.digest}",
            reason="registry-corrupt",
        )
