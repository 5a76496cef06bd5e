"""copy(): the only walk over content that writes. It knows nothing of verdicts, and sets no tags.

1. Blobs, a few at a time, big ones first: sent once, then mounted into the other repositories that
   need them, or sent there too. What a destination says it has is read back and hashed, and sent
   again where it is damaged.
2. Manifests by digest, each after its children, each read back and compared; a few at a time.
3. Referrers made findable, where what they refer to is written here.

Tags are the importer's, last of all. A copy that was interrupted goes on by being run again: what
is there is skipped. An error or an interrupt stops the other threads at their next read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from airgap.stores.copy_blobs import BlobCopier, ReadBack
from airgap.stores.copy_manifests import SPARSE_REFUSED, ManifestCopier, Substitute, reads_back
from airgap.stores.copy_survey import BlobTask, CopyJob, survey, waves
from airgap.stores.crew import work_through

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airgap.stores import Destination, Source

__all__ = [
    "SPARSE_REFUSED",
    "CopyJob",
    "CopyPlan",
    "CopyReport",
    "Phase",
    "ReadBack",
    "Substitute",
    "batched",
    "copy",
    "plan",
    "reads_back",
]

Phase = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Opens a display for so many bytes; what it yields is told of each advance (negative when a
transfer starts over), from several threads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyReport:
    """What a copy did. Each blob and manifest counts once for each repository; sizes in bytes.

    `blobs_repaired` of those written were there, damaged. `substitutes` stand for indexes that
    were refused because not all their children travel.
    """

    blobs_written: int
    blobs_present: int
    blobs_mounted: int
    blobs_repaired: int
    bytes_written: int
    manifests_written: int
    referrers_added: int
    substitutes: tuple[Substitute, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyPlan:
    """What a copy would do, as far as the destination's word is good. Sizes in bytes."""

    blobs_new: int
    bytes_new: int
    blobs_present: int
    bytes_present: int
    blobs_mounted: int
    manifests: int


@runtime_checkable
class _Batching(Protocol):
    """A destination that can hold back what would otherwise be written again for each manifest."""

    def batch(self) -> AbstractContextManager[None]: ...


def copy(
    source: Source,
    jobs: Sequence[CopyJob],
    *,
    threads: int = 2,
    read_back: ReadBack = "existing",
    progress: Phase | None = None,
) -> CopyReport:
    """Copy all roots of all `jobs`, which share one store, with everything that they lead to.

    `read_back` is ``existing`` or ``always`` (new blobs too); manifests always are. Raises the
    first error that any thread meets: StoreError ``sparse-index-refused`` where the destination
    takes no index without all its children and not exactly one was chosen, RegistryCorruptError
    where it gives back other bytes than it was given, ContentError where the source's are wrong.
    """
    work = survey(source, jobs)
    stop = Event()
    with ExitStack() as stack:
        stack.enter_context(batched(job.destination for job in work.jobs))
        advance = stack.enter_context(
            nullcontext(_ignore) if progress is None else progress(work.total_bytes)
        )
        blobs = BlobCopier(
            source=source, jobs=work.jobs, read_back=read_back, advance=advance, stop=stop
        )
        work_through(blobs.run, work.blobs, threads, stop)
        manifests = ManifestCopier(source=source, jobs=work.jobs, stop=stop)
        for wave in waves(work.manifests):
            work_through(manifests.run, wave, threads, stop)
        work_through(manifests.announce, work.manifests, threads, stop)
    return CopyReport(
        blobs_written=blobs.tally.written,
        blobs_present=blobs.tally.present,
        blobs_mounted=blobs.tally.mounted,
        blobs_repaired=blobs.tally.repaired,
        bytes_written=blobs.tally.bytes_written,
        manifests_written=sum(len(task.order) for task in work.manifests),
        referrers_added=manifests.referrers_added,
        substitutes=tuple(manifests.substitutes),
    )


def plan(source: Source, jobs: Sequence[CopyJob], *, threads: int = 2) -> CopyPlan:
    """Ask the destinations what they have, and return what `copy` would do. Nothing is written."""
    work = survey(source, jobs)
    new: list[int] = []
    present: list[int] = []
    lock = Lock()

    def ask(task: BlobTask) -> None:
        there = work.jobs[task.jobs[0]].destination.has_blob(task.descriptor)
        with lock:
            (present if there else new).append(task.descriptor.size)

    work_through(ask, work.blobs, threads)
    return CopyPlan(
        blobs_new=len(new),
        bytes_new=sum(new),
        blobs_present=len(present),
        bytes_present=sum(present),
        blobs_mounted=sum(len(task.jobs) - 1 for task in work.blobs),
        manifests=sum(len(task.order) for task in work.manifests),
    )


@contextmanager
def batched(destinations: Iterable[Destination]) -> Iterator[None]:
    """Let destinations with an index of their own write it once, at the end, and not at each step.

    Names so moved change all at once; where the block ends with an error, none of them does. For
    other destinations this changes nothing.
    """
    with ExitStack() as stack:
        for destination in destinations:
            if isinstance(destination, _Batching):
                stack.enter_context(destination.batch())
        yield


def _ignore(_count: int) -> None:
    """Nobody is watching."""
