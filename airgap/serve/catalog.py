"""Catalog: what is served. Shelf: what one repository holds. Extent: where bytes lie.

A digest is answered only where a repository's shelf lists it, and a shelf lists only what was
admitted: the roots of the repository and what they lead to. No name from a request comes near the
file system; content is opened by the `Descriptor` that the shelf gives out.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from airgap.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from airgap.errors import AirgapError
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest

__all__ = ["Catalog", "Extent", "Shelf", "pieces", "read_verified"]

PIECE: Final = 1 << 18
"""How many bytes are read at once where the kernel cannot send them by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """Where content lies: an open file, its offset there and its size, both in bytes."""

    fd: int
    offset: int
    size: int


class Catalog(Protocol):
    """What is served. Many threads ask at once; an import may change what is answered."""

    def repositories(self) -> tuple[str, ...]:
        """Return the names of the repositories, sorted."""
        ...

    def shelf(self, repository: str) -> Shelf | None:
        """Return what `repository` holds, or None where there is no such repository."""
        ...

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Extent]:
        """Open content of a shelf for reading; the file stays open as long as the context.

        Raises NotFoundError where it is gone, IntegrityError where it has another size.
        """
        ...


@dataclass(slots=True)
class Shelf:
    """The content of one repository, filled while its graph is walked and then only read.

    `tags`, `manifests` and `blobs` lead to descriptors. `unread` are manifests that are named and
    could not be read: children that did not travel, or damaged ones; `damage` is why the referrers
    cannot be told, if they cannot.
    """

    tags: dict[str, Descriptor] = field(default_factory=dict)
    manifests: dict[Digest, Descriptor] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    unread: set[Digest] = field(default_factory=set)
    damage: AirgapError | None = None
    _referrers: dict[Digest, dict[Digest, Descriptor]] = field(default_factory=dict)

    def put_manifest(self, descriptor: Descriptor, manifest: Manifest | None) -> None:
        """Add a manifest and, if it names a subject, list it as a referrer of that.

        `manifest` is None where its bytes could not be read: it stays known by its digest, so that
        asking for it gives an error and not the answer that it does not exist.
        """
        self.manifests[descriptor.digest] = descriptor
        if manifest is not None and manifest.subject is not None:
            # distribution-spec 1.1, "Listing Referrers": artifact type and annotations are those
            # of the manifest, not of whatever descriptor led to it.
            listed = replace(
                manifest.descriptor,
                artifact_type=manifest.effective_artifact_type,
                annotations=MappingProxyType(dict(manifest.annotations)),
            )
            self._referrers.setdefault(manifest.subject.digest, {})[listed.digest] = listed

    def put_blob(self, descriptor: Descriptor) -> None:
        """Add a config or a layer."""
        self.blobs[descriptor.digest] = descriptor

    def resolve(self, target: str | Digest) -> Descriptor | None:
        """Return the manifest that a tag or a digest names, or None."""
        return self.tags.get(target) if isinstance(target, str) else self.manifests.get(target)

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return the manifests whose subject is `digest`, sorted by digest, or raise `damage`.

        "None" would be a lie where a manifest could not be read that may be a signature.
        """
        if self.damage is not None:
            raise self.damage
        found: Mapping[Digest, Descriptor] = self._referrers.get(digest, {})
        return tuple(found[key] for key in sorted(found))


def pieces(extent: Extent) -> Iterator[bytes]:
    """Yield the bytes of `extent` in order; raise IntegrityError where the file ends before it."""
    done = 0
    while done < extent.size:
        piece = os.pread(extent.fd, min(PIECE, extent.size - done), extent.offset + done)
        if not piece:
            raise IntegrityError(
                f"the file ended {extent.size - done} bytes too early", reason="content-truncated"
            )
        done += len(piece)
        yield piece


def read_verified(extent: Extent, descriptor: Descriptor) -> bytes:
    """Return the bytes of `extent` after they were hashed: for manifests and small blobs only.

    A medium may change after it was verified, so what is small enough is hashed at every read.
    Raises IntegrityError where the bytes are not those of `descriptor`.
    """
    data = b"".join(pieces(extent))
    if hashlib.sha256(data).hexdigest() != descriptor.digest.hex:
        raise IntegrityError(
            f"{descriptor.digest} does not have the bytes that its digest names",
            reason="blob-digest-mismatch",
        )
    return data
