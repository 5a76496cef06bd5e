"""The transport under the session: urllib3's pools, with connections that stay open.

- An answer that is ended unread would cost its connection; what is short is read, so that the next
  request finds it open.
- A body that is a range of a file goes out by `sendfile` where there is no TLS.
- Whatever is trusted stands in one TLS context of ours; nothing is tried again here.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import re
    import socket
    import ssl
    from collections.abc import Iterator

    from airgap.stores.file_range import FileRange

__all__ = ["Adapter", "Answer", "FileBody", "fill"]

_POOLED_HOSTS: Final = 8
_CONNECTIONS: Final = 32
_BLOCK: Final = 256 << 10
"""How much of a body is read and sent at once."""
_PIECE: Final = 8 << 20
"""How much of a file is sent at once, after which whoever watches is told."""
_SHORT: Final = 4 << 10
_REST_SECONDS: Final = 2.0


class Answer(requests.Response):
    """An answer that gives its connection back when it is closed, if little of it is unread."""

    def close(self) -> None:
        """End the answer; a short rest of it is read, a long one costs the connection."""
        with suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
            self._read_rest()
        super().close()

    def _read_rest(self) -> None:
        text = self.headers.get("Content-Length", "")
        short = text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= _SHORT
        if short or self.request.method == "HEAD":
            until = time.monotonic() + _REST_SECONDS
            while self.raw.read1(_SHORT, decode_content=False) and time.monotonic() < until:
                pass


def fill(response: requests.Response, buffer: memoryview) -> int:
    """Fill `buffer` with the next bytes of an answer; return how many, 0 at its end.

    Straight from the socket where the length is known (half as fast again as urllib3's `read`).
    """
    raw = response.raw
    inner = getattr(raw, "_fp", None)
    if not isinstance(inner, HTTPResponse) or inner.chunked or inner.length is None:
        data = raw.read(len(buffer), decode_content=False)
        buffer[: len(data)] = data
        return len(data)
    missing = inner.length
    count = inner.readinto(buffer)
    if count == 0 and missing:
        raise urllib3.exceptions.IncompleteRead(0, missing)
    if inner.isclosed():
        raw.release_conn()
    return count


class FileBody:
    """The body of a request that is a range of a file. urllib3 iterates over it."""

    def __init__(self, source: FileRange, extra_seconds: float) -> None:
        self.extra_seconds = extra_seconds
        self._source = source

    def __len__(self) -> int:
        return self._source.size

    def __iter__(self) -> Iterator[_Piece]:
        yield _Piece(self._source)


class _Piece:
    """What a `_Connection` sends from a file, and nothing else can."""

    def __init__(self, source: FileRange) -> None:
        self._source = source

    def send(self, sock: socket.socket) -> None:
        source, sent = self._source, 0
        while sent < source.size:
            count = _send_some(sock, source, sent)
            sent += count
            source.advance(count)


def _send_some(sock: socket.socket, source: FileRange, done: int) -> int:
    """Send at most a piece of the rest of `source`; wait until there is room for some of it."""
    while True:
        try:
            count = os.sendfile(
                sock.fileno(), source.file, source.offset + done, min(_PIECE, source.size - done)
            )
        except BlockingIOError:
            _await_room(sock)
            continue
        if count == 0:
            raise OSError("the file ended before the range that was verified")
        return count


def _await_room(sock: socket.socket) -> None:
    # A socket with a timeout never blocks by itself: Python waits, and so must we.
    waiting = select.poll()
    waiting.register(sock, select.POLLOUT)
    seconds = sock.gettimeout()
    if not waiting.poll(None if seconds is None else seconds * 1000):
        raise TimeoutError("timed out while sending")


class _Connection(HTTPConnection):
    def send(self, data: Any) -> None:  # noqa: ANN401 - the signature of http.client
        if isinstance(data, _Piece):
            data.send(self.sock)
        else:
            super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class Adapter(HTTPAdapter):
    """The transport with one TLS context of ours and no retries of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=_POOLED_HOSTS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context, blocksize=_BLOCK)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": HTTPSConnectionPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        return super().proxy_manager_for(
            proxy, **kwargs, ssl_context=self._context, blocksize=_BLOCK
        )

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401 - requests' own signature
        # The context holds all trust there is; requests would add its own bundle to it.
        conn.cert_reqs = "CERT_REQUIRED"

    def send_plainly(
        self, request: requests.PreparedRequest, url: re.Match[str], timeout: tuple[float, float]
    ) -> Answer:
        """Send `request` straight to its host; `url` is (scheme, host, port, path with query)."""
        scheme, host, port, path = url.groups()
        pool = self.poolmanager.connection_from_host(
            host, int(port) if port else None, scheme, {"cert_reqs": "CERT_REQUIRED"}
        )
        raw = pool.urlopen(
            request.method or "",
            path,
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
        )
        return self.build_response(request, raw)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Answer:  # noqa: ANN401 - requests' own signature
        """Return the answer, without the cookies and the guesses that are of no use here."""
        answer = Answer()
        answer.status_code = resp.status
        answer.headers = resp.headers
        answer.raw = resp
        answer.reason = resp.reason
        answer.url = req.url or ""
        answer.request = req
        return answer
