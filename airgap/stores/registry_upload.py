"""Writing a blob: mounted from another repository, or sent while it is hashed.

One upload is POST, then PUT of the whole blob. The last piece is sent only after the digest has
matched, so the registry never has wrong bytes whole, and every upload that does not end well is
cancelled (A129). A try that the registry failed begins again with a new POST and a fresh stream.

A large blob that stands in a file which was verified and is still open is sent by the kernel, past
us, to a registry that was seen to refuse a wrong digest (A117).
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from airgap.errors import (
    AirgapError,
    AuthenticationError,
    IntegrityError,
    RegistryCorruptError,
    StoreError,
)
from airgap.oci.descriptor import VerifyingReader
from airgap.stores.file_range import FileBacked
from airgap.stores.registry_blobs import has_blob
from airgap.stores.registry_client import PUSH, missing_repository
from airgap.stores.registry_http import TRANSPORT_ERRORS
from airgap.stores.registry_pool import FileBody
from airgap.stores.registry_token import StaleTokenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import requests

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.stores.file_range import FileRange
    from airgap.stores.registry_client import Client

__all__ = ["cancel_upload", "mount_blob", "open_upload", "put_bytes", "write_blob"]

_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_ONCE_MORE: Final = frozenset({400, 404, 408, 409, 416, 500})
_COMMIT_RATE: Final = 8 << 20
"""Bytes a second that a registry may need to commit what it was sent, at the least."""
_STRAIGHT_FROM: Final = 1 << 20
"""Smaller blobs are hashed while they are sent: that costs less than asking about the registry."""


class _Body:
    """A blob as requests sends it: of known length, hashed on its way.

    `extra_seconds` is how much longer than for other answers the session waits for this one.
    """

    def __init__(self, stream: ByteStream, descriptor: Descriptor) -> None:
        self._reader = VerifyingReader.of(stream, descriptor)
        self._descriptor = descriptor
        self._sent = 0
        self.extra_seconds = _extra_seconds(descriptor)
        if descriptor.size == 0:
            self._reader.read(1)

    def __len__(self) -> int:
        return self._descriptor.size

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._reader.read(size)
            self._sent += len(data)
            if data and self._sent == self._descriptor.size:
                self._reader.read(1)  # the end, which is reached only when all has matched
        except OSError as error:
            # urllib3 would take it for a failure of the connection.
            raise _unreadable(self._descriptor, error) from error
        if not data and self._sent < self._descriptor.size:
            raise IntegrityError(
                f"{self._descriptor.digest} ended after {self._sent} of "
                f"{self._descriptor.size} bytes",
                reason="descriptor-size-mismatch",
            )
        return data


def mount_blob(client: Client, descriptor: Descriptor, repository: str) -> bool:
    """Ask the registry to take the blob over from `repository`; False where it does not."""
    query = f"?mount={descriptor.digest}&from={repository}"
    try:
        response = client.ask(
            "POST",
            client.path("blobs", "uploads") + "/" + query,
            # Of its own purpose: the token needs to reach both repositories.
            purpose=f"mount from {repository}",
            expected={201, 202, 400, 404, 405},
        )
    except AuthenticationError as error:
        if error.reason == "access-denied":
            return False
        raise
    with response:
        if response.status_code == 202:
            cancel_upload(client, _location(client, response))
    return response.status_code == 201


def write_blob(
    client: Client,
    descriptor: Descriptor,
    opener: Callable[[], AbstractContextManager[ByteStream]],
    refuses_wrong: Callable[[], bool] = lambda: False,
) -> None:
    """Send a blob; return when the registry says that it is stored.

    Whether it has it then, with this size, is asked for the first blob of a repository and for
    every large one. For small ones that would cost as much as sending them, and says no more than
    the manifest does, which is read back and which registries refuse without its blobs.

    `refuses_wrong` tells whether the registry was seen to refuse a wrong digest. It is asked only
    about what could be sent straight from the file in which it was verified.
    """
    patience, tried, left = client.connection.patience, 0, 1
    while True:
        try:
            response = _send(client, descriptor, opener, refuses_wrong)
        except StaleTokenError:
            if left == 0:
                raise
            left = 0
            continue
        except _BrokenUploadError as broken:
            if not (broken.transient and patience.wait(tried)):
                raise broken.failure from broken.__cause__
            tried += 1
            continue
        if response is None:
            break
        status = response.status_code
        if status in _TRANSIENT:
            again = patience.wait(tried, response)
            tried += 1
        else:
            again, left = status in _ONCE_MORE and left > 0, 0
        if not again:
            raise client.connection.failure(response, f"the upload of {descriptor.digest}")
        response.close()
    if descriptor.size >= _STRAIGHT_FROM or not client.keeps_blobs:
        _check_arrival(client, descriptor)
        client.keeps_blobs = True


class _BrokenUploadError(Exception):
    """The connection broke while a blob was sent."""

    def __init__(self, failure: AirgapError, *, transient: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.transient = transient


def _send(
    client: Client,
    descriptor: Descriptor,
    opener: Callable[[], AbstractContextManager[ByteStream]],
    refuses_wrong: Callable[[], bool],
) -> requests.Response | None:
    """Try once; return None when it is stored, or the answer that says otherwise."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(opener())
            straight = _file_range(client, descriptor, stream)
            body: FileBody | _Body
            if straight is not None and refuses_wrong():
                body = FileBody(straight, _extra_seconds(descriptor))
            else:
                body = _Body(stream, descriptor)
        except OSError as error:
            raise _unreadable(descriptor, error) from error
        location = open_upload(client)
        try:
            response = put_bytes(client, location, descriptor, body)
        except TRANSPORT_ERRORS as error:
            cancel_upload(client, location)
            failure, transient = client.connection.translate(error, f"sending {descriptor.digest}")
            raise _BrokenUploadError(failure, transient=transient) from error
        except BaseException:
            cancel_upload(client, location)
            raise
    if response.status_code == 201:
        response.close()
        return None
    cancel_upload(client, location)
    return response


def _file_range(client: Client, descriptor: Descriptor, stream: ByteStream) -> FileRange | None:
    """Return where the kernel can send the blob from by itself, if it can and if that is worth it.

    The bytes then never pass through here, so none of ours hashes them (threat model A117): the
    stream must come from a file that was verified and is still open, and whoever calls must know
    that the registry refuses wrong digests.
    """
    if descriptor.size < _STRAIGHT_FROM or client.connection.scheme != "http":
        return None
    found = stream.file_range if isinstance(stream, FileBacked) else None
    return found if found is not None and found.size == descriptor.size else None


def _extra_seconds(descriptor: Descriptor) -> float:
    return descriptor.size / _COMMIT_RATE


def _unreadable(descriptor: Descriptor, error: OSError) -> StoreError:
    return StoreError(
        f"reading {descriptor.digest} to send it failed: {error.strerror or error}",
        reason="read-failed",
    )


def open_upload(client: Client) -> str:
    """Begin an upload; return where its bytes go."""
    response = client.ask(
        "POST",
        client.path("blobs", "uploads") + "/",
        purpose=PUSH,
        expected={202, 404},
    )
    if response.status_code == 404:
        raise missing_repository(client, client.connection.complaint(response))
    with response:
        return _location(client, response)


def put_bytes(
    client: Client, location: str, descriptor: Descriptor, data: object
) -> requests.Response:
    """Send all bytes of an upload and end it under the digest of `descriptor`."""
    # The query of a Location may be signed, so it is added to and not taken apart.
    url = f"{location}{'&' if '?' in location else '?'}digest={descriptor.digest}"
    headers = {"Content-Type": "application/octet-stream"}
    return client.once("PUT", url, headers=headers, data=data)


def cancel_upload(client: Client, location: str) -> None:
    """Ask the registry to forget an upload; whether it does is its affair.

    A Location holds the offset that it was made for. Distribution 3 gives a new one when asked;
    docker-registry 2.8.2 has no way to end an upload that broke within its PUT, and keeps what was
    sent until it purges old uploads.
    """
    with suppress(AirgapError, *TRANSPORT_ERRORS):
        if _delete(client, location) in {400, 416}:
            with client.once("GET", location, headers={}, data=None) as status:
                _delete(client, _location(client, status))


def _delete(client: Client, location: str) -> int:
    with client.once("DELETE", location, headers={}, data=None) as response:
        return response.status_code


def _location(client: Client, response: requests.Response) -> str:
    location = client.connection.url(response.headers.get("Location", ""), base=response.url)
    if not client.connection.is_own(location):
        raise client.connection.error(
            f"it wants the upload sent to {location.partition('?')[0]:.300}, which is another "
            "scheme, host or port",
            reason="upload-location-foreign",
            hint="Behind a proxy: make the registry know its public address (X-Forwarded-Proto, "
            "http.host or relativeurls of its configuration).",
        )
    return location


def _check_arrival(client: Client, descriptor: Descriptor) -> None:
    try:
        arrived = has_blob(client, descriptor)
    except StoreError as error:
        if error.reason == "redirect-refused":
            return  # It is there, on a storage that we may not ask.
        raise
    if not arrived:
        raise RegistryCorruptError(
            f"{client.connection.label}: it acknowledged the blob {descriptor.digest} of "
            f"{client.repository} and does not have it with {descriptor.size} bytes",
            reason="registry-corrupt",
        )
