"""What is copied in tests, and how to see that it arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap.oci.graph import Root
from airgap.stores.copy import CopyJob
from tests.stores.contract import read, sent
from tests.stores.samples import make_artifact, make_image, make_index

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.stores import Source, Store
    from airgap.stores.memory import MemoryRepository, MemoryStore
    from tests.stores.samples import Sample


AMD, ARM = make_image("amd"), make_image("arm", architecture="arm64")
MULTI = make_index(AMD, ARM)
SBOM = make_artifact(b"an sbom", subject=MULTI.manifest)
NOTE = make_artifact(b"a note", subject=SBOM.manifest)
LONE = make_artifact(b"a referrer of what does not travel", subject=make_image("else").manifest)
SIGNED = Root(descriptor=MULTI.descriptor, referrers=(SBOM.descriptor, NOTE.descriptor))
BIGGEST = max((d for s in (AMD, ARM) for d in s.blobs), key=lambda descriptor: descriptor.size)
FIRST = sorted(AMD.blobs, key=lambda descriptor: -descriptor.size)


def job(store: Store, repository: str, *roots: Root) -> CopyJob:
    return CopyJob(
        destination=store.repository(repository), repository=repository, roots=roots or (SIGNED,)
    )


def install(store: MemoryStore, repository: MemoryRepository) -> MemoryRepository:
    """Make `store` answer with a repository that misbehaves."""
    store._repositories[repository.repository] = repository
    return repository


def blobs_of(*samples: Sample) -> set[Descriptor]:
    return {blob for sample in samples for part in sample.everything() for blob in part.blobs}


EVERYTHING = blobs_of(MULTI, SBOM, NOTE)
TOTAL = sum(descriptor.size for descriptor in EVERYTHING)


def check(destination: Source) -> None:
    for sample in (MULTI, SBOM, NOTE):
        for part in sample.everything():
            assert destination.read_manifest(part.descriptor).data == part.manifest.data
        assert read(destination, sample) == sent(sample)
    assert [r.descriptor.digest for r in destination.referrers(MULTI.digest)] == [SBOM.digest]
    assert [r.descriptor.digest for r in destination.referrers(SBOM.digest)] == [NOTE.digest]
