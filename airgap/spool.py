"""Spool: small content on its way into a bundle's head, kept by digest.

Manifests and the blobs of signatures are fetched while names are resolved, long before their
place in the file is known. What is in the spool was verified when it went in, and is hashed again
when it comes out.
"""

from __future__ import annotations

import tempfile
from threading import Lock
from typing import IO, TYPE_CHECKING, Final, Self

from airgap.errors import IntegrityError, NotFoundError
from airgap.oci.digest import Digest
from airgap.oci.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor

__all__ = ["Spool"]

_IN_MEMORY: Final = 32 << 20
"""Bytes that stay in memory before the spool moves to an unnamed file."""


class Spool:
    """Small content by digest; `folder` is where the unnamed file goes when it is a lot."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - close() does it
            max_size=_IN_MEMORY, dir=None if folder is None else str(folder)
        )
        self._places: dict[Digest, tuple[int, int]] = {}
        self._end = 0
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._places

    def close(self) -> None:
        """Give the memory or the file back."""
        self._file.close()

    def add(self, data: bytes) -> Digest:
        """Keep `data` under its digest."""
        digest = Digest.of(data)
        with self._lock:
            if digest not in self._places:
                self._file.seek(self._end)
                self._file.write(data)
                self._places[digest] = (self._end, len(data))
                self._end += len(data)
        return digest

    def read(self, descriptor: Descriptor) -> bytes:
        """Return the bytes under the descriptor's digest; raises NotFoundError, IntegrityError."""
        with self._lock:
            if descriptor.digest not in self._places:
                raise NotFoundError(f"{descriptor.digest} was not fetched", reason="not-spooled")
            offset, size = self._places[descriptor.digest]
            self._file.seek(offset)
            data = self._file.read(size)
        if Digest.of(data) != descriptor.digest:
            raise IntegrityError(f"{descriptor.digest} changed on disk", reason="spool-changed")
        return data

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return the manifest under the descriptor's digest, verified against the descriptor."""
        return Manifest.verified(self.read(descriptor), descriptor)
