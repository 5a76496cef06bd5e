"""Blobs of a repository, as streams: checked while they are read, resumed where they break.

A stream that breaks is taken up again with a Range request where it stopped; that the parts fit
together is for the digest to say. One that no longer moves is cut and counts as broken.
"""

from __future__ import annotations

import re
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from airgap.errors import IntegrityError, NotFoundError, RegistryCorruptError
from airgap.oci.descriptor import VerifyingReader
from airgap.stores.registry_http import TRANSPORT_ERRORS
from airgap.stores.registry_manifests import ALTERED
from airgap.stores.registry_pool import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from airgap.oci.descriptor import Descriptor
    from airgap.stores.registry_client import Client

__all__ = ["has_blob", "open_blob"]

_Piece = TypeVar("_Piece")

_RANGE: Final = re.compile(r"bytes ([0-9]{1,16})-[0-9]{1,16}/(\*|[0-9]{1,16})", re.ASCII)
_PROGRESS: Final = 1 << 20
"""So many bytes since a broken connection give the next one its full number of tries."""
_PIECE: Final = 256 << 10
"""The most bytes of one read, which must be there within two read timeouts."""


def has_blob(client: Client, descriptor: Descriptor) -> bool:
    """Tell whether the registry says that it has the blob with this size."""
    response = client.ask("HEAD", client.path("blobs", str(descriptor.digest)), expected={200, 404})
    with response:
        return response.status_code == 200 and _length(response) == descriptor.size


@contextmanager
def open_blob(client: Client, descriptor: Descriptor) -> Iterator[VerifyingReader]:
    """Open a blob; raises NotFoundError where the registry has none."""
    with closing(_Stream(client, descriptor)) as stream, client.connection.guard.watching(stream):
        yield _Reader(stream, descriptor, f"blob {descriptor.digest} of {client.name}", client)


class _Reader(VerifyingReader):
    """The verifying reader, which says whose fault it is that a registry serves other bytes."""

    def __init__(self, stream: _Stream, descriptor: Descriptor, what: str, client: Client) -> None:
        super().__init__(stream, descriptor, what)
        self._side = client.connection.options.side

    def read(self, size: int = -1, /) -> bytes:
        try:
            return super().read(size)
        except IntegrityError as error:
            raise _altered(error.message, error.reason, self._side) from error

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return super().readinto(buffer)
        except IntegrityError as error:
            raise _altered(error.message, error.reason, self._side) from error


def _altered(message: str, reason: str, side: str) -> IntegrityError | RegistryCorruptError:
    if side == "destination":
        return RegistryCorruptError(message, reason="registry-corrupt")
    return IntegrityError(
        message,
        reason=reason,
        hint=ALTERED,
    )


class _Stream:
    """The bytes of a blob from however many connections it takes."""

    def __init__(self, client: Client, descriptor: Descriptor) -> None:
        self._client = client
        self._descriptor = descriptor
        self._offset = 0
        self._failures = 0
        self._failed_at = 0
        self.waiting_since: float | None = None
        self._response = self._open()

    def read(self, size: int = -1, /) -> bytes:
        return self._receive(
            lambda: self._response.raw.read(
                size if 0 <= size < _PIECE else _PIECE, decode_content=False
            ),
            len,
        )

    def readinto(self, buffer: memoryview, /) -> int:
        return self._receive(lambda: fill(self._response, buffer[:_PIECE]), int)

    def _receive(self, piece: Callable[[], _Piece], length: Callable[[_Piece], int]) -> _Piece:
        """Return the next piece, from another connection where this one breaks."""
        while True:
            self.waiting_since = time.monotonic()
            try:
                data = piece()
            except TRANSPORT_ERRORS as error:
                self._resume(error)
            else:
                self._offset += length(data)
                return data
            finally:
                self.waiting_since = None

    def close(self) -> None:
        self._response.close()

    def cut(self) -> None:
        with suppress(ValueError, RuntimeError):  # it has ended by itself meanwhile
            self._response.raw.shutdown()

    def _resume(self, error: Exception) -> None:
        connection = self._client.connection
        what = f"blob {self._descriptor.digest} of {self._client.repository}"
        failure, transient = connection.translate(error, f"reading {what}")
        self._response.raw.close()  # what is left of it is not worth waiting for
        if self._offset - self._failed_at >= _PROGRESS:
            self._failures = 0
        self._failed_at = self._offset
        if not (transient and connection.patience.wait(self._failures)):
            raise failure from error
        self._failures += 1
        self._response = self._open()

    def _open(self) -> requests.Response:
        """Ask for the blob from `_offset` on; check what the answer says of itself."""
        digest, size = self._descriptor.digest, self._descriptor.size
        response = self._client.ask(
            "GET",
            self._client.path("blobs", str(digest)),
            headers={"Range": f"bytes={self._offset}-"} if self._offset else {},
            expected={200, 206, 404} if self._offset else {200, 404},
        )
        connection = self._client.connection
        encoding = response.headers.get("Content-Encoding", "identity")
        if response.status_code == 404:
            response.close()
            raise NotFoundError(
                f"{connection.label}: {self._client.repository} has no blob {digest}",
                reason="blob-missing",
            )
        if encoding.lower() not in {"identity", ""}:
            response.close()
            raise connection.encoded(f"blob {digest}", encoding)
        if response.status_code == 206:
            self._check_range(response, size)
        elif (length := _length(response)) is not None and length != size:
            response.close()
            raise _altered(
                f"blob {digest} of {self._client.name} has {length} bytes, not {size}",
                "descriptor-size-mismatch",
                connection.options.side,
            )
        else:
            self._skip(response)
        return response

    def _check_range(self, response: requests.Response, size: int) -> None:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != self._offset or match[2] not in {"*", str(size)}:
            response.close()
            raise self._client.connection.error(
                f"asked for the rest of {self._descriptor.digest}, it sends another part",
                reason="registry-answer-invalid",
            )

    def _skip(self, response: requests.Response) -> None:
        """Read past what is here already, for a registry that starts again from the beginning."""
        left = self._offset
        while left:
            try:
                data = response.raw.read(min(left, 1 << 20), decode_content=False)
            except TRANSPORT_ERRORS as error:
                raise self._client.connection.translate(error, "resuming a blob")[0] from error
            left = left - len(data) if data else 0


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None
