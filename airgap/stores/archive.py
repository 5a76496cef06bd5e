"""oci-archive:FILE and docker-archive:FILE, images in a tar that people already have on disk.

Read in place where the tar is plain; a gzipped one is unpacked once, into a file without a name.
Both are sources only. Every byte is hashed when it is read.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from airgap.errors import FormatError, IntegrityError, NotFoundError, StoreError
from airgap.oci.digest import BLOB_FOLDER, Digest
from airgap.stores.archive_tar import Members, Place, read_members, unpacked
from airgap.stores.docker_save import SavedImages, read_saved_images
from airgap.stores.indexed import IndexedRepository, read_manifest
from airgap.stores.layout import check_layout_version
from airgap.stores.layout_graph import Graph, read_graph
from airgap.stores.layout_index import INDEX_LIMIT, Addition, Index
from airgap.stores.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.stores import StoreOptions

__all__ = ["ArchiveStore", "open_docker_archive", "open_oci_archive"]

_LAYOUT_LIMIT: Final = 4096


def open_oci_archive(location: str, options: StoreOptions) -> ArchiveStore:
    """Open the OCI layout in the tar `location`; raises ContentError or StoreError."""
    return _open(f"oci-archive:{location}", Path(location), options, _read_layout)


def open_docker_archive(location: str, options: StoreOptions) -> ArchiveStore:
    """Open what `docker save` wrote: with an OCI layout in it (Docker 25 and later) or without."""
    return _open(f"docker-archive:{location}", Path(location), options, _read_docker)


def _open(
    title: str, path: Path, options: StoreOptions, read: Callable[[Members], SavedImages]
) -> ArchiveStore:
    if options.side == "destination":
        _refuse(title)
    with ExitStack() as stack:
        file = stack.enter_context(open_regular(path, title))
        members = read_members(stack.enter_context(unpacked(file, title)), title)
        return ArchiveStore(members, read(members), stack.pop_all())


def _read_docker(members: Members) -> SavedImages:
    if "oci-layout" in members.places and "index.json" in members.places:
        return _read_layout(members)
    if "manifest.json" in members.places:
        return read_saved_images(members)
    raise FormatError(
        f"{members.title} has neither an OCI layout nor a manifest.json: docker did not save it",
        reason="archive-unknown",
    )


def _read_layout(members: Members) -> SavedImages:
    check_layout_version(members.read("oci-layout", _LAYOUT_LIMIT), f"{members.title}/oci-layout")
    index = Index.parse(members.read("index.json", INDEX_LIMIT), f"{members.title}/index.json")
    places: dict[Digest, Place] = {}
    for name in [*members.places, *members.links]:
        if name.startswith(BLOB_FOLDER):
            try:
                digest = Digest.parse(f"sha256:{name.removeprefix(BLOB_FOLDER)}")
                places[digest] = members.find(name)
            except (FormatError, NotFoundError):
                continue  # a name that no descriptor can ask for, or a link that leads nowhere
    return SavedImages(index=index, places=places)


def _refuse(title: str) -> NoReturn:
    raise StoreError(
        f"{title} is read, not written",
        reason="store-read-only",
        hint="Write to a registry (docker://), a layout (oci:DIR) or the embedded store.",
    )


class ArchiveStore:
    """The images in one archive. `close` gives the file back."""

    def __init__(self, members: Members, images: SavedImages, stack: ExitStack) -> None:
        self._members = members
        self._images = images
        self._stack = stack
        self._graphs: dict[str, Graph] = {}

    @property
    def title(self) -> str:
        """The store's name for people."""
        return self._members.title

    def repository(self, name: str) -> IndexedRepository:
        """Return the repository `name`; ``""`` is the whole archive."""
        return IndexedRepository(content=self, repository=name)

    def repositories(self) -> tuple[str, ...]:
        """Return the repositories that full names in the archive tell of, sorted."""
        return self._images.index.repositories

    def index(self) -> Index:
        """Return the index."""
        return self._images.index

    def graph(self, repository: str) -> Graph:
        """Return what belongs to `repository`."""
        if repository not in self._graphs:
            self._graphs[repository] = read_graph(
                self._images.index, repository, lambda descriptor: read_manifest(self, descriptor)
            )
        return self._graphs[repository]

    def lookup(self, repository: str, tag: str) -> tuple[Descriptor, ...]:
        """Return the manifests that a name stands for."""
        return self._images.index.names.get((repository, tag), ())

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the archive has as many bytes under the digest as it should."""
        return self._size(descriptor.digest) == descriptor.size

    def _size(self, digest: Digest) -> int | None:
        if digest in self._images.made:
            return len(self._images.made[digest])
        place = self._images.places.get(digest)
        return None if place is None else place.size

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[ByteStream]:
        """Open the bytes under a digest, not verified."""
        digest = descriptor.digest
        size = self._size(digest)
        if size is None:
            raise NotFoundError(f"{self.title} has no {digest}", reason="blob-missing")
        if size != descriptor.size:
            raise IntegrityError(
                f"{self.title}: {digest} has {size} bytes, not {descriptor.size}",
                reason="descriptor-size-mismatch",
            )
        made = self._images.made.get(digest)
        if made is not None:
            yield BytesIO(made)
        else:
            yield self._members.section(self._images.places[digest], str(digest))

    def ingest(self, descriptor: Descriptor, stream: ByteStream) -> None:
        """Refuse: an archive is a source."""
        _refuse(self.title)

    def record(self, addition: Addition) -> None:
        """Refuse: an archive is a source."""
        _refuse(self.title)

    def batch(self) -> AbstractContextManager[None]:
        """Refuse: an archive is a source."""
        _refuse(self.title)

    def close(self) -> None:
        """Close the file."""
        self._stack.close()
