"""Metadata cache: the folder of a TUF client, with the last file of each role that was trusted.

A file is replaced whole or not at all, and holds the bytes that the repository served.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MetadataCache", "replacing"]


class MetadataCache:
    """The trusted metadata in `folder`: ``root.json`` and so on, names of roles percent-encoded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, role: str) -> bytes | None:
        """Return what is kept of `role`, or None. It must be verified again."""
        try:
            return self._place(role).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, role: str, data: bytes) -> None:
        """Keep `data` as the trusted metadata of `role`."""
        with replacing(self._place(role)) as stream:
            stream.write(data)

    def forget(self, *roles: str) -> None:
        """Remove what is kept of `roles`."""
        for role in roles:
            self._place(role).unlink(missing_ok=True)

    def _place(self, role: str) -> Path:
        return self._folder / f"{quote(role, safe='')}.json"


@contextmanager
def replacing(place: Path) -> Iterator[IO[bytes]]:
    """Yield a new file that takes the name `place` where the block ends without an error."""
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=place.parent)
    try:
        with open(descriptor, "w+b") as stream:  # noqa: PTH123 - a descriptor, not a path
            yield stream
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink()
        raise
