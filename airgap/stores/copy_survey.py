"""What a copy has to do: each blob with the repositories that need it, manifests in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from airgap.oci.descriptor import Descriptor
from airgap.oci.graph import Root, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airgap.oci.digest import Digest
    from airgap.stores import Destination, Source

__all__ = ["BlobTask", "CopyJob", "ManifestTask", "Survey", "survey", "waves"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyJob:
    """Roots that go to one repository.

    `repository` is its name in the store that all jobs of a copy share: blobs are mounted from it.
    """

    destination: Destination = field(compare=False)
    repository: str
    roots: tuple[Root, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobTask:
    """A blob and the jobs (by number) whose repositories need it, the first in order first."""

    descriptor: Descriptor
    jobs: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestTask:
    """The manifests of one repository, in `waves`: each names only what earlier waves have.

    `sparse` are indexes some of whose children do not travel. `present` are all their digests.
    """

    job: int
    waves: tuple[tuple[Descriptor, ...], ...]
    sparse: frozenset[Digest]
    present: frozenset[Digest]

    @property
    def order(self) -> tuple[Descriptor, ...]:
        """All manifests, each after all that it names."""
        return tuple(descriptor for wave in self.waves for descriptor in wave)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """Everything that a copy has to do: `jobs` (one for each repository), blobs, manifests."""

    jobs: tuple[CopyJob, ...]
    blobs: tuple[BlobTask, ...]
    manifests: tuple[ManifestTask, ...]

    @property
    def total_bytes(self) -> int:
        """The bytes of all blobs, once for each repository that needs them."""
        return sum(task.descriptor.size * len(task.jobs) for task in self.blobs)


def survey(source: Source, jobs: Sequence[CopyJob]) -> Survey:
    """Walk the roots of all `jobs`; manifests are read from `source`, blobs are not.

    The blobs come big ones first, so that the last thread to finish has little left to do.
    """
    merged = tuple(_merge(jobs))
    blobs: dict[Digest, BlobTask] = {}
    manifests = []
    for number, job in enumerate(merged):
        walk = Walk(read_manifest=source.read_manifest)
        nodes = _Nodes()
        for root in job.roots:
            for visit in walk.visit(root):
                if visit.manifest is not None:
                    nodes.add(visit.descriptor, visit.manifest.manifests)
                    continue
                plain = _plain(visit.descriptor)
                task = blobs.setdefault(plain.digest, BlobTask(descriptor=plain, jobs=[]))
                if number not in task.jobs[-1:]:
                    task.jobs.append(number)
        manifests.append(
            ManifestTask(
                job=number,
                waves=nodes.in_waves(),
                sparse=nodes.sparse(),
                present=frozenset(nodes.descriptors),
            )
        )
    return Survey(
        jobs=merged,
        blobs=tuple(sorted(blobs.values(), key=lambda task: -task.descriptor.size)),
        manifests=tuple(manifests),
    )


def waves(tasks: Sequence[ManifestTask]) -> Iterator[list[tuple[ManifestTask, Descriptor]]]:
    """Yield the manifests of all `tasks` wave by wave: those of one may be written in any order.

    The repositories take turns, as a lock of one of them holds up its own manifests only.
    """
    for number in range(max((len(task.waves) for task in tasks), default=0)):
        here = [
            [(task, descriptor) for descriptor in task.waves[number]]
            for task in tasks
            if number < len(task.waves)
        ]
        yield [item for turn in zip_longest(*here) for item in turn if item is not None]


def _merge(jobs: Sequence[CopyJob]) -> Iterator[CopyJob]:
    """Yield one job for each repository, with the roots of all that name it."""
    merged: dict[str, CopyJob] = {}
    for job in jobs:
        first = merged.get(job.repository, job)
        roots = job.roots if first is job else (*first.roots, *job.roots)
        merged[job.repository] = CopyJob(
            destination=first.destination, repository=job.repository, roots=roots
        )
    yield from merged.values()


def _plain(descriptor: Descriptor) -> Descriptor:
    """Return what identifies the content; annotations of a hundred thousand layers are not kept."""
    return Descriptor(
        media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size
    )


@dataclass(slots=True)
class _Nodes:
    """The manifests that were met, with their children."""

    children: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    descriptors: dict[Digest, Descriptor] = field(default_factory=dict)

    def add(self, descriptor: Descriptor, children: tuple[Descriptor, ...]) -> None:
        self.descriptors.setdefault(descriptor.digest, _plain(descriptor))
        self.children[descriptor.digest] = tuple(child.digest for child in children)

    def sparse(self) -> frozenset[Digest]:
        return frozenset(
            digest
            for digest, children in self.children.items()
            if any(child not in self.descriptors for child in children)
        )

    def in_waves(self) -> tuple[tuple[Descriptor, ...], ...]:
        """Return the manifests in waves, each after its children's.

        To reverse the walk is not enough: a child of two indexes is met once, under the first.
        """
        levels: dict[Digest, int] = {}
        stack = list(reversed(self.descriptors))
        while stack:
            digest = stack[-1]
            children = [child for child in self.children[digest] if child in self.descriptors]
            first = [child for child in children if child not in levels]
            if first:  # a digest cannot lead to itself, so this ends
                stack.extend(reversed(first))
            else:
                levels[stack.pop()] = 1 + max((levels[child] for child in children), default=-1)
        waves: list[list[Descriptor]] = [[] for _ in range(max(levels.values(), default=-1) + 1)]
        for digest, level in levels.items():
            waves[level].append(self.descriptors[digest])
        return tuple(tuple(wave) for wave in waves)
