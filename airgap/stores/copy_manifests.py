"""The manifests of a copy: by digest, children first, each read back; then the referrers."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from airgap.errors import ContentError, NotFoundError, RegistryCorruptError, StoreError
from airgap.stores.copy_blobs import StoppedError

if TYPE_CHECKING:
    from threading import Event

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.manifest import Manifest
    from airgap.stores import Destination, Source
    from airgap.stores.copy_survey import CopyJob, ManifestTask

__all__ = ["ManifestCopier"]

_REFUSED: Final = "manifest-refused"


@dataclass(kw_only=True, slots=True)
class ManifestCopier:
    """Copies the manifests of one repository at a time, in any thread."""

    source: Source
    jobs: tuple[CopyJob, ...]
    stop: Event
    referrers_added: int = 0
    _lock: Lock = field(default_factory=Lock)

    def run(self, task: ManifestTask) -> None:
        """Write all manifests of `task`, then make those of them findable that have a subject."""
        destination = self.jobs[task.job].destination
        present = task.present
        referring = []
        for descriptor in task.order:
            manifest = self._read(descriptor)
            try:
                destination.write_manifest(manifest)
            except StoreError as error:
                if error.reason == _REFUSED and manifest.digest in task.sparse:
                    raise _sparse(destination, manifest) from error
                raise
            _compare(destination, manifest)
            if manifest.subject is not None and manifest.subject.digest in present:
                referring.append(descriptor)
        for descriptor in referring:
            destination.add_referrer(self._read(descriptor))
        with self._lock:
            self.referrers_added += len(referring)

    def _read(self, descriptor: Descriptor) -> Manifest:
        if self.stop.is_set():
            raise StoppedError
        return self.source.read_manifest(descriptor)


def _sparse(destination: Destination, manifest: Manifest) -> StoreError:
    return StoreError(
        f"{destination.name} does not take the index {manifest.digest} without all its platforms",
        reason="sparse-index-refused",
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
