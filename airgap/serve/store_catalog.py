"""StoreCatalog: the embedded store, as it is served.

What index.json gives to a repository is its shelf, and nothing else that may lie in the same
folder. A new import replaces index.json, and that is noticed at the next request: no restart. A
shelf is made again only where the entries of its repository changed, or where content arrived
that was missing or damaged before.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

from airgap.errors import ContentError, IntegrityError, NotFoundError
from airgap.oci.digest import BLOB_FOLDER
from airgap.oci.reference import is_repository
from airgap.serve.catalog import Extent, Shelf
from airgap.stores.indexed import read_manifest
from airgap.stores.layout_graph import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest
    from airgap.stores.layout import LayoutStore
    from airgap.stores.layout_index import Entry, Index

__all__ = ["StoreCatalog"]

_SAFELY = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A shelf, and the state of the store in which it was made."""

    index: Index
    entries: tuple[Entry, ...]
    arrivals: int
    shelf: Shelf


class StoreCatalog:
    """The repositories of a `LayoutStore` that this process only reads."""

    def __init__(self, store: LayoutStore) -> None:
        self._store = store
        self._lock = RLock()
        self._known: dict[str, _Known] = {}

    def repositories(self) -> tuple[str, ...]:
        """Return the names of the repositories that a client can ask for, sorted."""
        return tuple(name for name in self._store.repositories() if is_repository(name))

    def shelf(self, repository: str) -> Shelf | None:
        """Return what `repository` holds now."""
        index = self._store.index()
        if repository not in index.repositories:
            self._known.pop(repository, None)
            return None
        # One thread makes a shelf, the others find it made.
        with self._lock:
            known = self._known.get(repository)
            if known is None or not self._is_current(known, index):
                known = self._renew(known, index, repository)
                self._known[repository] = known
            return known.shelf

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Extent]:
        """Open content of a shelf: a regular file, no link, of the size that its manifest says."""
        path = self._store.blob_path(descriptor.digest)
        try:
            fd = os.open(path, _SAFELY)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"{descriptor.digest} is not in the store", reason="blob-missing"
            ) from error
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size != descriptor.size:
                raise IntegrityError(
                    f"{descriptor.digest} has {found.st_size} bytes in the store, "
                    f"not {descriptor.size}",
                    reason="descriptor-size-mismatch",
                )
            yield Extent(fd=fd, offset=0, size=found.st_size)
        finally:
            os.close(fd)

    def _is_current(self, known: _Known, index: Index) -> bool:
        complete = not known.shelf.unread or known.arrivals == self._arrivals()
        return known.index is index and complete

    def _renew(self, known: _Known | None, index: Index, repository: str) -> _Known:
        entries = tuple(e for e in index.entries if e.repository in {repository, ""})
        arrivals = self._arrivals()
        if known is not None and known.entries == entries and not known.shelf.unread:
            shelf = known.shelf
        else:
            shelf = self._make(index, repository)
        return _Known(index=index, entries=entries, arrivals=arrivals, shelf=shelf)

    def _make(self, index: Index, repository: str) -> Shelf:
        shelf = Shelf()
        read: dict[Digest, Manifest] = {}

        def remember(descriptor: Descriptor) -> Manifest:
            try:
                manifest = read[descriptor.digest] = read_manifest(self._store, descriptor)
            except (ContentError, NotFoundError) as error:
                shelf.unread.add(descriptor.digest)
                if isinstance(error, ContentError):
                    _log.error("%s", error.message)
                raise
            return manifest

        graph = read_graph(index, repository, remember)
        shelf.damage = graph.damage
        for (where, tag), found in index.names.items():
            if where == repository and len(found) == 1:
                shelf.tags[tag] = found[0]
                shelf.put_manifest(found[0], None)
        for digest, descriptor in graph.manifests.items():
            shelf.put_manifest(descriptor, read[digest])
            for blob in read[digest].blobs:
                shelf.put_blob(blob)
        return shelf

    def _arrivals(self) -> int:
        """Return what changes when content arrives: the time (ns) of the folder that holds it."""
        return (self._store.root / BLOB_FOLDER).stat().st_mtime_ns
