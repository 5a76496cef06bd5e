"""Loading: what was admitted goes to its destination. Content first, names last.

Steps (docs/loading.md; threat model, section 5):

1. the old digest of every tag that will be written is read and kept in the ledger's journal;
2. blobs, then manifests bottom-up, by digest, each read back (`stores.copy`);
3. tags: each re-read before (it must be old or new), written, read back;
4. the release record.

A kill at any point leaves every tag on verified content, old or new; running again goes on.
`load` takes an `Admission`, which only a verdict makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.errors import IntegrityError, NotFoundError, RegistryCorruptError, StoreError
from airgap.oci.reference import Reference
from airgap.release_record import write_release
from airgap.resolution import COSIGN_TAGS
from airgap.stores.copy import CopyJob, CopyPlan, CopyReport, batched, copy, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.bundle.reader import Bundle
    from airgap.oci.digest import Digest
    from airgap.oci.naming import Naming
    from airgap.progress import Progress
    from airgap.stores import Destination, Store
    from airgap.trust.verdict import Admission

__all__ = ["Delivery", "TagChange", "load", "plan_load", "prepare"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TagChange:
    """One tag at the destination: where, what it names now (None: nothing), what it will name.

    `listed` tells names that people gave from those that stand for signatures.
    """

    repository: str
    tag: str
    name: str
    old: Digest | None
    new: Digest
    listed: bool

    @property
    def change(self) -> str:
        """What happens to the name, in a word or two."""
        if self.old is None:
            return "new"
        return "unchanged" if self.old == self.new else f"replaces {self.old}"


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
    tags = tuple(
        TagChange(
            repository=repository,
            tag=tag,
            name=f"{title}/{repository}:{tag}" if title else f"{repository}:{tag}",
            old=_current(store.repository(repository), tag),
            new=digest,
            listed=listed,
        )
        for (repository, tag), (digest, listed) in sorted(wanted.items())
    )
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
    progress: Progress,
) -> CopyReport:
    """Load what `admission` admits; return what was written.

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
        progress=lambda total: progress.phase("load", total),
    )
    places = [delivery.store.repository(place) for place in sorted({*delivery.places.values()})]
    with batched(places):
        for change in delivery.tags:
            _move_tag(bundle, delivery.store.repository(change.repository), change)
    write_release(
        delivery.store.repository(delivery.naming.releases),
        bundle.inventory,
        bundle.inventory_digest,
        {change.name: change.new for change in delivery.names},
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
        current = _current(repository, change.tag)
    if current != change.new:
        raise RegistryCorruptError(
            f"{change.name} was set to {change.new} and reads {current}", reason="registry-corrupt"
        )
