"""BundleCatalog: a bundle that was verified and admitted, served in place.

What is on a shelf is what the admission names, walked as the inventory says: of an index only the
platforms that were chosen, and the referrers that travel. The admission must be of this very
inventory.

**A medium may change after it was verified.** Manifests and blobs of at most 1 MiB are hashed at
every read and are never wrong. Larger blobs go from the file to the socket by the kernel; clients
check their digests. Where the medium is not trusted to stay what it was, `serve` takes
`verify_blobs`, which hashes them too, on the way.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from airgap.errors import NotFoundError, UsageError
from airgap.oci.graph import Walk
from airgap.oci.naming import Naming
from airgap.serve.catalog import Extent, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airgap.bundle.item import Item
    from airgap.bundle.reader import Bundle
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.trust.verdict import Admission

__all__ = ["BundleCatalog"]


_BY_TAG: Final = frozenset({"sig", "att", "sbom"})


class BundleCatalog:
    """The repositories of an opened and surveyed `Bundle`, named like those of an import.

    `naming` turns a source (host/repository) into the name under which it is served. Raises
    UsageError ``admission-of-another-bundle``.
    """

    def __init__(
        self, bundle: Bundle, admission: Admission, naming: Callable[[str], str] | None = None
    ) -> None:
        if admission.inventory != bundle.inventory_digest:
            raise UsageError(
                f"the admission is of inventory {admission.inventory}, "
                f"this bundle's is {bundle.inventory_digest}",
                reason="admission-of-another-bundle",
                hint="Verify this bundle, then serve it.",
            )
        self._bundle = bundle
        self._admission = admission
        self._lock = Lock()
        self._shelves: dict[str, Shelf] = {}
        self._items: dict[str, list[Item]] = {}
        place = Naming().place if naming is None else naming
        sources: dict[str, str] = {}
        for item in bundle.inventory.items:
            if item.descriptor.digest in admission.roots:
                name = place(item.source)
                _refuse_collision(name, item.source, sources.setdefault(name, item.source))
                self._items.setdefault(name, []).append(item)
        self._tags: dict[tuple[str, Digest], list[str]] = {}
        for name, digest in admission.names.items():
            source, _, tag = name.rpartition(":")
            self._tags.setdefault((source, digest), []).append(tag)

    def repositories(self) -> tuple[str, ...]:
        """Return the names of the repositories, sorted."""
        return tuple(sorted(self._items))

    def shelf(self, repository: str) -> Shelf | None:
        """Return what `repository` holds; made once, for a bundle does not change."""
        items = self._items.get(repository)
        if items is None:
            return None
        with self._lock:
            if repository not in self._shelves:
                self._shelves[repository] = self._make(items)
            return self._shelves[repository]

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Extent]:
        """Say where in the bundle's file the content lies."""
        position = self._bundle.positions.get(descriptor.digest)
        if position is None:
            raise NotFoundError(
                f"{descriptor.digest} does not travel in this bundle", reason="blob-omitted"
            )
        yield Extent(fd=self._bundle.fileno(), offset=position.offset, size=position.size)

    def _make(self, items: list[Item]) -> Shelf:
        shelf = Shelf()
        walk = Walk(self._bundle.read_manifest)
        for item in items:
            for visit in walk.visit(item.root):
                if visit.manifest is None:
                    shelf.put_blob(visit.descriptor)
                else:
                    shelf.put_manifest(visit.descriptor, visit.manifest)
            for referrer in item.referrers:
                if referrer.found in _BY_TAG:
                    tag = f"{referrer.subject.tag_stem}.{referrer.found}"
                    shelf.tags[tag] = referrer.descriptor
            # A name of a person's choice is said last: it is the one that was signed.
            for tag in self._tags.get((item.source, item.descriptor.digest), ()):
                shelf.tags[tag] = item.descriptor
        return shelf


def _refuse_collision(name: str, source: str, other: str) -> None:
    if source != other:
        raise UsageError(
            f"{source} and {other} would both be served as {name}",
            reason="destination-collision",
            hint="Give one of them a name of its own.",
        )
