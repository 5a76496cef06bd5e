"""Connection: one client's socket, from its first request to its last.

Bounds: a head must arrive within `head_seconds` and HEAD_LIMIT bytes, the next request within
`idle_seconds`, and each step of sending within `send_seconds`. A request with a body ends the
connection: nothing here takes one.
"""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Final

from airgap.errors import AirgapError, IntegrityError, safe
from airgap.serve.catalog import read_verified
from airgap.serve.request import HEAD_LIMIT, Request, parse_head
from airgap.serve.response import Part, Response, refuse
from airgap.serve.routes import answer, unavailable
from airgap.serve.sending import send_part

if TYPE_CHECKING:
    from airgap.serve.catalog import Catalog, Extent

__all__ = ["Connection", "Limits"]

_END: Final = b"\r\n\r\n"
_TLS: Final = b"\x16"
_LINGER_BYTES: Final = 1 << 20
_LINGER_SECONDS: Final = 2.0
_BRIEFLY: Final = 0.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much one client, and all of them together, may take; times in seconds.

    `wait_seconds` is how long a new client waits for a place among `connections` before 503.
    """

    connections: int = 128
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    send_seconds: float = 60.0
    wait_seconds: float = 5.0


class Connection:
    """A client's socket: `run` answers its requests until either side has had enough."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        catalog: Catalog,
        limits: Limits,
        *,
        verify_blobs: bool,
    ) -> None:
        self.idle_since: float | None = monotonic()
        self._sock = sock
        self._peer = peer
        self._catalog = catalog
        self._limits = limits
        self._verify_blobs = verify_blobs
        self._buffer = bytearray()

    def run(self) -> None:
        """Answer requests until the connection ends, then close it. Nothing escapes but bugs."""
        with self._sock, suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._serve_one():
                self.idle_since = monotonic()

    def interrupt(self) -> None:
        """End the connection from another thread."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def refuse(self, response: Response) -> None:
        """Send `response` without reading anything, and close."""
        with self._sock, suppress(OSError):
            self._sock.settimeout(_BRIEFLY)
            self._send(response, head_only=False)
            self._linger(_BRIEFLY)

    def _serve_one(self) -> bool:
        """Answer one request; False where the connection is to end."""
        head = self._read_head()
        if head is None:
            return False
        request = head if isinstance(head, Response) else parse_head(head)
        self._sock.settimeout(self._limits.send_seconds)
        if isinstance(request, Response):
            self._log("?", request)
            self._send(request, head_only=False)
            self._linger()
            return False
        last = self._answer(request)
        if request.has_body:
            self._linger()
        return not last

    def _answer(self, request: Request) -> bool:
        """Answer `request`; True where nothing may follow on this connection."""
        head_only = request.method == "HEAD"
        with ExitStack() as stack:
            response, extent = self._prepare(request, stack, head_only=head_only)
            if not request.keep_alive or request.has_body:
                response = replace(response, close=True)
            self._log(f"{request.method} {request.path}", response)
            part = response.body
            if isinstance(part, bytes) or extent is None or head_only:
                self._send(response, head_only=head_only)
                return response.close
            self._sock.sendall(_head(response))
            try:
                send_part(self._sock, extent, part, verify=self._verify_blobs)
            except IntegrityError as error:
                # The head is out: less than was promised is the only way left to say so.
                _log.error("%s: %s", safe(request.path), error.message)
                return True
            return response.close

    def _prepare(
        self, request: Request, stack: ExitStack, *, head_only: bool
    ) -> tuple[Response, Extent | None]:
        """Return the response and, where its body is to be sent from a file, the open file."""
        part: Part | None = None
        try:
            response = answer(self._catalog, request)
            if isinstance(response.body, bytes):
                return response, None
            part = response.body
            extent = stack.enter_context(self._catalog.open(part.descriptor))
            if head_only or not part.hashed:
                return response, extent
            data = read_verified(extent, part.descriptor)
        except (AirgapError, OSError) as error:
            _log.error("%s: %s", safe(request.path), safe(error))
            return unavailable(part, error), None
        return replace(response, body=data[part.start : part.stop]), None

    def _read_head(self) -> bytes | Response | None:
        """Return the next head, the refusal of one too long or too slow, None at the end."""
        deadline = None
        while True:
            # RFC 9112 section 2.2: empty lines before a request line are passed over.
            while self._buffer[:2] == b"\r\n":
                del self._buffer[:2]
            end = self._buffer.find(_END)
            if end >= 0:
                head = bytes(self._buffer[:end])
                del self._buffer[: end + len(_END)]
                self.idle_since = None
                return head
            if self._buffer[:1] == _TLS:
                # It would wait for its answer, and we for the end of its head.
                return refuse(400, "UNSUPPORTED", "this server speaks plain HTTP", close=True)
            if len(self._buffer) > HEAD_LIMIT:
                return refuse(
                    431, "UNSUPPORTED", "the head of the request is too large", close=True
                )
            if self._buffer and deadline is None:
                self.idle_since, deadline = None, monotonic() + self._limits.head_seconds
            left = self._limits.idle_seconds if deadline is None else deadline - monotonic()
            try:
                # A timeout of zero would make the socket one that never waits.
                self._sock.settimeout(max(left, 0.001))
                data = self._sock.recv(HEAD_LIMIT + 1)
            except TimeoutError:
                if not self._buffer:
                    return None
                return refuse(408, "UNSUPPORTED", "the request came too slowly", close=True)
            if not data:
                return None
            self._buffer += data

    def _send(self, response: Response, *, head_only: bool) -> None:
        body = response.body
        shown = b"" if head_only or not isinstance(body, bytes) else body
        self._sock.sendall(_head(response) + shown)

    def _linger(self, seconds: float = _LINGER_SECONDS) -> None:
        """Take in what the client still sends, within bounds: it reads our answer, not a reset."""
        self._sock.shutdown(socket.SHUT_WR)
        end, left = monotonic() + seconds, _LINGER_BYTES
        while left > 0 and (wait := end - monotonic()) > 0:
            self._sock.settimeout(wait)
            data = self._sock.recv(1 << 16)
            if not data:
                return
            left -= len(data)

    def _log(self, request: str, response: Response) -> None:
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s %s %d", self._peer, safe(request), response.status)


def _head(response: Response) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Docker-Distribution-API-Version: registry/2.0",
        # What is served was written by strangers: a browser must not take it for a page.
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    if response.status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {response.length}")
    if response.close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
