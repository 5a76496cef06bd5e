"""Bundle: an opened bundle file. What it says is well formed; nothing of it is believed.

1. `open_bundle` reads the documents, the TUF files and the targets: enough to know whose it is.
2. `Bundle.survey` walks the head and finds every blob: the graph is closed, nothing is extra.
3. `Bundle.verify_blobs` hashes every byte.

After 2. a bundle is a `stores.Source`. Whatever is read through it is hashed again, so a medium
that answers differently the second time is noticed (threat model A027).
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from airgap.bundle.hashing import hash_ranges
from airgap.bundle.layout import Position
from airgap.bundle.medium import Medium
from airgap.bundle.opening import Opening, read_opening
from airgap.bundle.survey import Survey, survey_bundle
from airgap.bundle.trust_files import TrustFiles
from airgap.errors import FormatError, IntegrityError, NotFoundError
from airgap.oci.descriptor import Descriptor, VerifyingReader
from airgap.oci.digest import Digest
from airgap.oci.manifest import MANIFEST_LIMIT, Manifest
from airgap.stores import Referrer
from airgap.stores.file_range import FileRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airgap.bundle.inventory import Inventory

__all__ = ["Bundle", "Position", "TrustFiles", "open_bundle"]


def open_bundle(path: Path) -> Bundle:
    """Open the bundle file at `path`; the caller closes it, best by ``with``.

    Raises NotFoundError, StoreError or UsageError where there is no file to be read, and
    FormatError, IntegrityError or UnsupportedVersionError where it is no bundle.
    """
    medium = Medium.open(path)
    try:
        return Bundle(medium, read_opening(medium))
    except BaseException:
        medium.close()
        raise


class Bundle:
    """An open bundle, to be surveyed and then read as a source of content."""

    def __init__(self, medium: Medium, opening: Opening) -> None:
        self._medium = medium
        self._opening = opening
        self._survey: Survey | None = None
        self._verified = False
        self._referrers: dict[Digest, tuple[Referrer, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._medium.close()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._medium.path

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self._medium.size

    @property
    def inventory(self) -> Inventory:
        """What the bundle says it contains."""
        return self._opening.inventory

    @property
    def inventory_bytes(self) -> bytes:
        """The inventory as TUF signs it: the target ``inventory.json``."""
        return self._opening.inventory_bytes

    @property
    def inventory_digest(self) -> Digest:
        """The digest of the inventory, which tells bundles apart."""
        return Digest.of(self._opening.inventory_bytes)

    @property
    def trust(self) -> TrustFiles:
        """The TUF metadata and target files."""
        return self._opening.trust

    def survey(self) -> None:
        """Find every blob, and check that all of the graph is there and nothing else is.

        Raises FormatError or IntegrityError.
        """
        self._survey = survey_bundle(self._medium, self._opening)
        for item in self.inventory.items:
            for one in item.referrers:
                found = Referrer(descriptor=one.descriptor, subject=one.subject, found=one.found)
                known = self._referrers.get(one.subject, ())
                self._referrers[one.subject] = known if found in known else (*known, found)

    def verify_blobs(
        self, progress: Callable[[int], None] | None = None, *, threads: int = 2
    ) -> None:
        """Hash every blob of a surveyed bundle, in `threads` where they are large.

        `progress` gets the number of bytes hashed since its last call, one call at a time.
        Raises IntegrityError naming the blob that is not what it must be.
        """
        ranges = sorted(self.positions.items(), key=lambda entry: entry[1].offset)
        hashed = hash_ranges(self._medium, ranges, threads=threads, progress=progress)
        with closing(hashed):
            for digest, matches in hashed:
                if not matches:
                    raise IntegrityError(
                        f"{digest} does not have the bytes that its digest names",
                        reason="blob-digest-mismatch",
                    )
        self._medium.refuse_change()
        self._verified = True

    @property
    def positions(self) -> Mapping[Digest, Position]:
        """Where every blob is: before the survey, only the bundle's own documents."""
        source = self._opening if self._survey is None else self._survey
        return MappingProxyType(source.positions)

    @property
    def head(self) -> tuple[Descriptor, ...]:
        """The manifests and small referrer blobs of a surveyed bundle, in walk order."""
        return () if self._survey is None else self._survey.arrangement.head

    @property
    def body(self) -> tuple[Descriptor, ...]:
        """The body blobs of a surveyed bundle, in the order of the file."""
        return () if self._survey is None else self._survey.arrangement.body

    def position(self, digest: Digest) -> Position:
        """Return where the bytes of a blob are, or raise NotFoundError."""
        position = self.positions.get(digest)
        if position is not None:
            return position
        if any(blob.digest == digest for blob in self.inventory.omitted):
            raise NotFoundError(
                f"{digest} does not travel in {self.path}: the destination holds it",
                reason="blob-omitted",
            )
        raise NotFoundError(f"{digest} is not in {self.path}", reason="blob-not-found")

    def fileno(self) -> int:
        """Return the file descriptor, for `os.sendfile`; the bundle closes it."""
        return self._medium.fileno()

    # What follows is the protocol stores.Source: the bundle, after its survey, as a repository
    # whose tags are full names.

    @property
    def name(self) -> str:
        """The file's path, for people."""
        return str(self.path)

    def resolve(self, target: str) -> Descriptor:
        """Return the manifest that a full name (host/repository:tag) or a digest names.

        Raises NotFoundError where there is none.
        """
        digest = self.inventory.names.get(target)
        if digest is None and target.startswith("sha256:"):
            digest = Digest.parse(target, "target")
        types = {} if self._survey is None else self._survey.arrangement.media_types
        if digest is None or digest not in types:
            raise NotFoundError(f"{target!r:.300} is not in {self.path}", reason="name-not-found")
        return Descriptor(media_type=types[digest], digest=digest, size=self.position(digest).size)

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return the manifest with this digest and size, verified."""
        position = self.position(descriptor.digest)
        if position.size > MANIFEST_LIMIT:
            raise FormatError(
                f"{descriptor.digest} is larger than {MANIFEST_LIMIT} bytes",
                reason="manifest-too-large",
            )
        return Manifest.verified(self._medium.read(position.offset, position.size), descriptor)

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[VerifyingReader]:
        """Open a blob for reading; its end is reached only when size and digest have matched."""
        position = self.position(descriptor.digest)
        yield _Reader(self._medium, position, descriptor, verified=self._verified)

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """Return the referrers of `digest` that travel, as the inventory lists them."""
        return self._referrers.get(digest, ())

    def tags(self) -> Iterator[str]:
        """Yield the full names in the bundle, sorted."""
        yield from sorted(self.inventory.names)


class _Reader(VerifyingReader):
    """A blob of a bundle; once all of the bundle was verified, also as a range of its open file."""

    def __init__(
        self, medium: Medium, position: Position, descriptor: Descriptor, *, verified: bool
    ) -> None:
        super().__init__(_Stream(medium, position), descriptor)
        self.file_range: FileRange | None = None
        if verified:
            self.file_range = FileRange(
                file=medium.fileno(), offset=position.offset, size=position.size
            )


class _Stream:
    """The bytes at a position, read forwards."""

    def __init__(self, medium: Medium, position: Position) -> None:
        self._medium = medium
        self._offset = position.offset
        self._end = position.offset + position.size

    def read(self, size: int = -1, /) -> bytes:
        left = self._end - self._offset
        data = self._medium.read(self._offset, left if size < 0 else min(size, left))
        self._offset += len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        view = buffer[: self._end - self._offset]
        self._medium.read_into(self._offset, view)
        self._offset += len(view)
        return len(view)
