"""Loading: what was admitted goes to its destination. Content first, names last.

Steps (docs/loading.md; threat model, section 5):

1. the old digest of every tag that will be written is read and kept in the ledger's journal;
2. blobs, then manifests bottom-up, by digest, each read back (`stores.copy`);
3. tags: each re-read before (it must be old or new), written, read back;
4. the release record.

Where a registry takes no index without all its platforms and one was chosen, that image gets the
index's tag: the signed index names it, so it is what was admitted.

A kill at any point leaves every tag on verified content, old or new; running again goes on.
`load` takes an `Admission`, which only a verdict makes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airgap.errors import IntegrityError, NotFoundError, RegistryCorruptError, StoreError
from airgap.oci.reference import Reference
from airgap.release_record import write_release
from airgap.resolution import COSIGN_TAGS
from airgap.stores.copy import (
    SPARSE_REFUSED,
    CopyJob,
    CopyPlan,
    CopyReport,
    Substitute,
    batched,
    copy,
    plan,
    reads_back,
)
from airgap.stores.crew import work_through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.bundle.reader import Bundle
    from airgap.oci.digest import Digest
    from airgap.oci.naming import Naming
    from airgap.progress import Progress
    from airgap.stores import Destination, Store
    from airgap.stores.copy import ReadBack
    from airgap.trust.verdict import Admission

__all__ = ["Delivery", "TagChange", "load", "plan_load", "prepare"]

_ASKING: Final = 8
"""How many tags are asked about at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagChange:
    """One tag at the destination: where, what it names now (None: nothing), what it will name.

    `listed` tells names that people gave from those that stand for signatures. `through` is set
    where `new` is an image that stands for the index that was asked for.
    """

    repository: str
    tag: str
    name: str
    old: Digest | None
    new: Digest
    listed: bool
    through: Substitute | None = None

    @property
    def change(self) -> str:
        """What happens to the name, in a word or two."""
        if self.old is None:
            return "new"
        return "unchanged" if self.old == self.new else f"replaces {self.old}"

    @property
    def why(self) -> dict[str, str] | None:
        """Why the name stands for another digest than the bundle says; None where it does not."""
        if self.through is None:
            return None
        return {
            "index": str(self.through.index),
            "platform": self.through.platform,
            "reason": SPARSE_REFUSED,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A bundle on its way to one store: the place of each source, and the tags to move."""

    store: Store
    title: str
    naming: Naming
    places: Mapping[str, str]
    tags: tuple[TagChange, ...]

    @property
    def names(self) -> tuple[TagChange, ...]:
        """The tags that people gave."""
        return tuple(tag for tag in self.tags if tag.listed)

    @property
    def reasons(self) -> dict[str, dict[str, str]]:
        """Why names stand for another digest than the bundle says, where they do."""
        return {tag.name: tag.why for tag in self.names if tag.why is not None}

    def after(self, report: CopyReport) -> Delivery:
        """Return the delivery as it is once what stands for refused indexes is known."""
        found = {(each.repository, each.index): each for each in report.substitutes}
        tags = (
            replace(tag, new=through.child, through=through)
            if (through := found.get((tag.repository, tag.new)))
            else tag
            for tag in self.tags
        )
        return replace(self, tags=tuple(tags))


def prepare(bundle: Bundle, store: Store, *, title: str, naming: Naming) -> Delivery:
    """Return where everything in `bundle` goes; `title` is how people name the destination.

    Raises UsageError for collisions, before anything is written. Reads the tags that are there.
    """
    places = naming.place_all(item.source for item in bundle.inventory.items)
    wanted: dict[tuple[str, str], tuple[Digest, bool]] = {}
    for name, digest in bundle.inventory.names.items():
        reference = Reference.parse(name)
        wanted[places[reference.source], str(reference.tag)] = (digest, True)
    for item in bundle.inventory.items:
        for referrer in item.referrers:
            if referrer.found in COSIGN_TAGS:
                tag = f"{referrer.subject.tag_stem}.{referrer.found}"
                wanted[places[item.source], tag] = (referrer.descriptor.digest, False)

    def describe(item: tuple[tuple[str, str], tuple[Digest, bool]]) -> TagChange:
        (repository, tag), (digest, listed) = item
        return TagChange(
            repository=repository,
            tag=tag,
            name=f"{title}/{repository}:{tag}" if title else f"{repository}:{tag}",
            old=_current(store.repository(repository), tag),
            new=digest,
            listed=listed,
        )

    with ThreadPoolExecutor(_ASKING) as pool:
        tags = tuple(pool.map(describe, sorted(wanted.items())))
    return Delivery(store=store, title=title, naming=naming, places=places, tags=tags)


def plan_load(bundle: Bundle, delivery: Delivery) -> CopyPlan:
    """Return what loading would write. Writes nothing."""
    return plan(bundle, _jobs(bundle, delivery))


def load(
    bundle: Bundle,
    delivery: Delivery,
    admission: Admission,
    *,
    threads: int,
    read_back: ReadBack,
    progress: Progress,
) -> CopyReport:
    """Load what `admission` admits; return what was written. `read_back` is that of `copy`.

    Raises StoreError ``tag-race`` where somebody else moved a tag meanwhile; what `copy` raises.
    """
    if admission.inventory != bundle.inventory_digest or any(
        item.descriptor.digest not in admission.roots for item in bundle.inventory.items
    ):
        raise IntegrityError(
            f"what was admitted is not {bundle.path}: it changed meanwhile", reason="bundle-changed"
        )
    report = copy(
        bundle,
        _jobs(bundle, delivery),
        threads=threads,
        read_back=read_back,
        progress=lambda total: progress.phase("load", total),
    )
    delivery = delivery.after(report)
    places = [delivery.store.repository(place) for place in sorted({*delivery.places.values()})]
    with batched(places):
        work_through(
            lambda change: _move_tag(bundle, delivery.store.repository(change.repository), change),
            delivery.tags,
            threads,
        )
    write_release(
        delivery.store.repository(delivery.naming.releases),
        bundle.inventory,
        bundle.inventory_digest,
        {change.name: change.new for change in delivery.names},
        reasons=delivery.reasons,
    )
    return report


def _jobs(bundle: Bundle, delivery: Delivery) -> tuple[CopyJob, ...]:
    return tuple(
        CopyJob(
            destination=delivery.store.repository(delivery.places[item.source]),
            repository=delivery.places[item.source],
            roots=(item.root,),
        )
        for item in bundle.inventory.items
    )


def _current(repository: Destination, tag: str) -> Digest | None:
    try:
        return repository.resolve(tag).digest
    except NotFoundError:
        return None


def _move_tag(bundle: Bundle, repository: Destination, change: TagChange) -> None:
    """Write one tag: re-read before, write, read back. There is no compare-and-swap (A119)."""
    current = _current(repository, change.tag)
    if current not in {change.old, change.new}:
        raise StoreError(
            f"{change.name} was moved to {current} by somebody else while this import ran",
            reason="tag-race",
            hint="Find out who writes there, then run the import again: it resumes.",
        )
    if current != change.new:
        repository.write_manifest(bundle.read_manifest(bundle.resolve(str(change.new))), change.tag)
        current = change.new if reads_back(repository) else _current(repository, change.tag)
    if current != change.new:
        raise RegistryCorruptError(
            f"{change.name} was set to {change.new} and reads {current}", reason="registry-corrupt"
        )
