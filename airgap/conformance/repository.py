"""Repository: metadata and artifacts of a TUF repository, over HTTP, never more than asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import requests

from airgap.errors import FormatError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Repository"]

_TIMEOUT: Final = (10, 30)
_CHUNK: Final = 1 << 16
_ABSENT: Final = frozenset({403, 404})  # some object stores answer 403 for what is not there
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=~"


class Repository:
    """A TUF repository at `metadata_url`, its artifacts at `targets_url`."""

    def __init__(self, metadata_url: str, targets_url: str = "") -> None:
        self._metadata_url = metadata_url
        self._targets_url = targets_url
        self._session = requests.Session()
        self._session.trust_env = False
        # What is counted are the bytes of the file, not of an encoding of it.
        self._session.headers["Accept-Encoding"] = "identity"

    def read_metadata(self, role: str, version: int | None, *, limit: int) -> bytes:
        """Return the metadata of `role`, at most `limit` bytes; without `version` the newest.

        Raises NotFoundError where there is none, FormatError where it is longer, StoreError.
        """
        name = f"{quote(role, safe='')}.json"
        name = name if version is None else f"{version}.{name}"
        return b"".join(self._read(self._metadata_url, name, limit))

    def read_artifact(self, path: str, *, limit: int) -> Iterator[bytes]:
        """Yield the artifact at `path` in pieces, at most `limit` bytes. Raises as above."""
        return self._read(self._targets_url, quote(path, safe=_PATH_CHARACTERS), limit)

    def _read(self, base: str, name: str, limit: int) -> Iterator[bytes]:
        url = f"{base.rstrip('/')}/{name}"
        left = limit
        try:
            with self._session.get(url, stream=True, timeout=_TIMEOUT) as answer:
                if answer.status_code in _ABSENT:
                    raise NotFoundError(f"{url} is not there", reason="file-not-found")
                answer.raise_for_status()
                for piece in answer.iter_content(_CHUNK):
                    left -= len(piece)
                    if left < 0:
                        raise FormatError(
                            f"{url} is longer than {limit} bytes", reason="file-too-large"
                        )
                    yield piece
        except requests.RequestException as error:
            raise StoreError(f"{url} cannot be read: {error}", reason="read-failed") from error
