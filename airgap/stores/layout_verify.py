"""`airgap store verify`: every blob of a layout hashed again, and nothing missing that is named."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.errors import AirgapError, FormatError
from airgap.oci.digest import BLOB_FOLDER, Digest
from airgap.oci.manifest import MANIFEST_TYPES
from airgap.stores.indexed import read_manifest
from airgap.stores.regular_files import Section, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor
    from airgap.stores.layout import LayoutStore

__all__ = ["Problem", "stored_bytes", "verify_layout"]

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something in a layout that is not as it should be; `what` is a path in it or a digest."""

    what: str
    reason: str
    sentence: str


def stored_bytes(root: Path) -> int:
    """Return how many bytes the blobs of the layout at `root` have together."""
    return sum(path.stat().st_size for path in _blob_files(root) if path.is_file())


def verify_layout(
    store: LayoutStore, progress: Callable[[int], None] | None = None
) -> Iterator[Problem]:
    """Hash every blob of `store`, then follow its index; yield each problem once.

    `progress` is told how many bytes were hashed. An index whose children are not all there is no
    problem: platforms that did not travel are missing from it on purpose.
    """
    sizes: dict[Digest, int] = {}
    damaged: set[Digest] = set()
    for path in _blob_files(store.root):
        what = BLOB_FOLDER + path.name
        try:
            digest = Digest.parse(f"sha256:{path.name}", what)
        except FormatError as error:
            yield Problem(what=what, reason="file-unknown", sentence=error.message)
            continue
        try:
            size, found = _hash(path, what, progress)
        except AirgapError as error:
            damaged.add(digest)
            yield Problem(what=what, reason=error.reason, sentence=error.message)
            continue
        if found == digest:
            sizes[digest] = size
            continue
        damaged.add(digest)
        yield Problem(
            what=what,
            reason="blob-digest-mismatch",
            sentence=f"{what} does not have the bytes that its name says",
        )
    yield from _follow(store, sizes, damaged)


def _blob_files(root: Path) -> list[Path]:
    folder = root / BLOB_FOLDER
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _hash(path: Path, what: str, progress: Callable[[int], None] | None) -> tuple[int, Digest]:
    hashing = hashlib.sha256()
    with open_regular(path, what) as file:
        size = os.fstat(file).st_size
        section = Section(file, 0, size, what)
        while data := section.read(_CHUNK):
            hashing.update(data)
            if progress is not None:
                progress(len(data))
    return size, Digest(hashing.hexdigest())


def _follow(store: LayoutStore, sizes: dict[Digest, int], known: set[Digest]) -> Iterator[Problem]:
    """Yield what the index leads to and is not sound; `known` has been told already."""
    if (store.root / "oci-layout").exists() and not (store.root / "index.json").exists():
        # oci-layout is the last file of a layout that is made: this one has lost every name.
        yield Problem(what="index.json", reason="index-missing", sentence="index.json is not there")
        return
    try:
        entries = store.index().entries
    except AirgapError as error:
        yield Problem(what="index.json", reason=error.reason, sentence=error.message)
        return
    queue = [e.descriptor for e in entries if e.descriptor.media_type in MANIFEST_TYPES]
    for top in queue:
        yield from _missing(top, sizes, known)
    seen: set[Digest] = set()
    while queue:
        descriptor = queue.pop()
        if descriptor.digest in seen or sizes.get(descriptor.digest) != descriptor.size:
            continue
        seen.add(descriptor.digest)
        try:
            manifest = read_manifest(store, descriptor)
        except AirgapError as error:
            yield Problem(what=str(descriptor.digest), reason=error.reason, sentence=error.message)
            continue
        queue.extend(manifest.manifests)
        for blob in manifest.blobs:
            yield from _missing(blob, sizes, known)


def _missing(
    descriptor: Descriptor, sizes: dict[Digest, int], known: set[Digest]
) -> Iterator[Problem]:
    size = sizes.get(descriptor.digest)
    if size == descriptor.size or descriptor.digest in known:
        return
    known.add(descriptor.digest)
    what = str(descriptor.digest)
    if size is None:
        yield Problem(what=what, reason="blob-missing", sentence=f"{what} is not there")
    else:
        yield Problem(
            what=what,
            reason="descriptor-size-mismatch",
            sentence=f"{what} has {size} bytes, what names it says {descriptor.size}",
        )
