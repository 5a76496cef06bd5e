"""oci:DIR, an OCI image layout on disk: other people's, a destination, or the embedded store.

* Content is believed only after it was hashed, on every read; a file of the wrong size is absent.
* All writing goes through `airgap.stores.ingest`: a name never stands for the wrong bytes.
* Nothing is created before something is written; a folder that holds other things is refused.

Source: OCI image-spec 1.1, image-layout.md.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final

from airgap.errors import IntegrityError, NotFoundError, StoreError, UnsupportedVersionError
from airgap.oci.strict_json import Reader, encode
from airgap.stores.indexed import IndexedRepository, read_manifest
from airgap.stores.ingest import INGEST, disk_error, ingest_blob, locked, replace_file, sweep
from airgap.stores.layout_changes import Changes
from airgap.stores.layout_graph import Graph, read_graph
from airgap.stores.layout_index import INDEX_LIMIT, Addition, Index
from airgap.stores.layout_verify import Problem, stored_bytes, verify_layout
from airgap.stores.regular_files import Section, open_regular, read_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.oci.digest import Digest
    from airgap.stores import StoreOptions

__all__ = ["LAYOUT_VERSION", "Generation", "LayoutStore", "check_layout_version", "open_layout"]

LAYOUT_VERSION: Final = "1.0.0"
_SMALL: Final = 4096
_PARTS: Final = frozenset({INGEST, "blobs", "index.json"})
Generation = tuple[int, int, int]
_NEVER: Final[Generation] = (0, 0, 0)


def open_layout(location: str, options: StoreOptions) -> LayoutStore:
    """Open the layout in the folder `location`.

    A source must be there; a destination may be missing or empty, and is then made on the first
    write. Raises NotFoundError ``layout-missing``.
    """
    return LayoutStore(Path(location), side=options.side)


def check_layout_version(data: bytes, what: str) -> None:
    """Raise unless `data` is an oci-layout file of the one version that there is."""
    version = Reader.parse(data, what).text("imageLayoutVersion")
    if version != LAYOUT_VERSION:
        raise UnsupportedVersionError(
            f"{what} is of version {version!r:.40}, not {LAYOUT_VERSION}", reason="layout-version"
        )


class LayoutStore:
    """A layout on disk with many repositories; safe for many threads and processes at once.

    `root` is its folder. `side` (``source`` or ``destination``) decides whether it must be there.
    """

    def __init__(self, root: Path, *, side: str = "source") -> None:
        self.root = root
        self._lock = RLock()
        self._cached: tuple[Generation, Index] = (_NEVER, Index())
        self._graphs: dict[str, tuple[Index, Graph]] = {}
        self._changes = Changes(self._write_index, self._lock)
        self._prepared = False
        if self._exists():
            what = f"{self.title}/oci-layout"
            check_layout_version(read_small(root / "oci-layout", _SMALL, what), what)
        elif side == "source":
            raise NotFoundError(
                f"{root} is no OCI layout: it has no oci-layout file",
                reason="layout-missing",
                hint="Name the folder that holds oci-layout and index.json.",
            )

    @property
    def title(self) -> str:
        """The store's name for people."""
        return f"oci:{self.root}"

    def repository(self, name: str) -> IndexedRepository:
        """Return the repository `name`; ``""`` is the whole layout."""
        return IndexedRepository(content=self, repository=name)

    def repositories(self) -> tuple[str, ...]:
        """Return the names of all repositories, sorted."""
        return self.index().repositories

    def members(self, repository: str) -> frozenset[Digest]:
        """Return every digest that the entries of `repository` lead to, referrers included."""
        return self.graph(repository).members

    def generation(self) -> Generation:
        """Return what changes whenever index.json does: time (ns), inode, size."""
        try:
            found = (self.root / "index.json").stat()
        except FileNotFoundError:
            return _NEVER
        except OSError as error:
            raise disk_error(error, f"cannot read {self.root}/index.json") from error
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def index(self) -> Index:
        """Return the index as it is now, with what a batch still holds back."""
        with self._lock:
            return self._changes.applied_to(self._load())

    def lookup(self, repository: str, tag: str) -> tuple[Descriptor, ...]:
        """Return the manifests that a tag stands for."""
        with self._lock:
            pending = self._changes.names.get((repository, tag))
            return (pending,) if pending else self._load().names.get((repository, tag), ())

    def graph(self, repository: str) -> Graph:
        """Return what belongs to `repository`; it is read once for each state of the index."""
        index = self.index()
        known = self._graphs.get(repository)
        if known is None or known[0] is not index:
            known = (index, read_graph(index, repository, lambda d: read_manifest(self, d)))
            self._graphs[repository] = known
        return known[1]

    def _load(self) -> Index:
        generation = self.generation()
        if generation != self._cached[0]:
            self._cached = (generation, self._read_index())
        return self._cached[1]

    def _read_index(self) -> Index:
        what = f"{self.title}/index.json"
        return Index.parse(read_small(self.root / "index.json", INDEX_LIMIT, what), what)

    def _exists(self) -> bool:
        return (self.root / "oci-layout").is_file()

    def blob_path(self, digest: Digest) -> Path:
        """Return where the bytes with this digest are, or would be."""
        return self.root / digest.blob_path

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a file with the digest's name and the right size is there."""
        try:
            found = self.blob_path(descriptor.digest).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise disk_error(error, f"cannot read {descriptor.digest} in {self.root}") from error
        return stat.S_ISREG(found.st_mode) and found.st_size == descriptor.size

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[ByteStream]:
        """Open the bytes under a digest, not verified."""
        what = f"{self.title}: {descriptor.digest}"
        with open_regular(self.blob_path(descriptor.digest), what) as file:
            size = os.fstat(file).st_size
            if size != descriptor.size:
                raise IntegrityError(
                    f"{what} has {size} bytes, not {descriptor.size}",
                    reason="descriptor-size-mismatch",
                )
            yield Section(file, 0, size, what)

    def verify(self, progress: Callable[[int], None] | None = None) -> Iterator[Problem]:
        """Hash every blob again and follow the index; yield what is wrong."""
        return verify_layout(self, progress)

    def stored_bytes(self) -> int:
        """Return how many bytes all blobs have together: what `verify` will read."""
        return stored_bytes(self.root)

    def ingest(self, descriptor: Descriptor, stream: ByteStream) -> None:
        """Store the bytes of `stream` under their digest."""
        self._prepare()
        ingest_blob(self.root, descriptor, stream)

    def record(self, addition: Addition) -> None:
        """Put a manifest that is stored into the index: now, or at the end of the batch."""
        self._changes.add(addition)

    def batch(self) -> AbstractContextManager[None]:
        """Hold back changes of the index until the outermost batch ends; then make them at once.

        Where it ends with an error none of them is made; content stays, and is used again.
        """
        return self._changes.batch()

    def _write_index(self, additions: tuple[Addition, ...]) -> None:
        self._prepare()
        with locked(self.root):
            # Read again, not from memory: another process may have written since.
            before = self._read_index()
            after = before.with_additions(additions)
            if after.entries != before.entries:
                replace_file(self.root / "index.json", after.encode(), self.root / INGEST)

    def _prepare(self) -> None:
        """Make the layout where there is none yet: the file that makes it one comes last."""
        with self._lock:
            if self._prepared:
                return
            try:
                self._make_folders()
            except OSError as error:
                raise disk_error(error, f"cannot make a layout in {self.root}") from error
            with locked(self.root):
                for name, data in (
                    ("index.json", Index().encode()),
                    ("oci-layout", encode({"imageLayoutVersion": LAYOUT_VERSION})),
                ):
                    if not (self.root / name).exists():
                        replace_file(self.root / name, data, self.root / INGEST)
            sweep(self.root)
            self._prepared = True

    def _make_folders(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        others = {entry.name for entry in self.root.iterdir()} - _PARTS
        if others and not self._exists():
            raise StoreError(
                f"{self.root} holds other things ({min(others)!r:.80}) and is no OCI layout",
                reason="layout-not-empty",
                hint="Name a folder that is empty, or not there yet.",
            )
        (self.root / INGEST).mkdir(exist_ok=True)
        (self.root / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Nothing is held open."""
