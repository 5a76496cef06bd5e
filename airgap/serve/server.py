"""Server: a listening socket, and a bounded number of threads behind it.

One thread for each connection, at most `Limits.connections`. Where all places are taken, the
connection that has been idle longest gives way; if none is idle, a newcomer waits for
`Limits.wait_seconds` and is then told 503.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, Self

from airgap.serve.connection import Connection, Limits
from airgap.serve.response import refuse

if TYPE_CHECKING:
    from types import TracebackType

    from airgap.serve.catalog import Catalog

__all__ = ["DEFAULT_PORT", "Limits", "Server", "serve"]

DEFAULT_PORT: Final = 5000
_LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 256
_STEP_SECONDS: Final = 0.1
_END_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


def serve(
    catalog: Catalog,
    host: str = _LOOPBACK,
    port: int = DEFAULT_PORT,
    *,
    limits: Limits | None = None,
    verify_blobs: bool = False,
) -> Server:
    """Return a server that listens on `host` and `port` (0: any free one); it does not serve yet.

    With `verify_blobs` every blob is hashed while it is sent and the connection cut before the
    last piece of wrong content; without, blobs over 1 MiB go by sendfile on the strength of the
    verification that admitted them. Raises OSError where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    return Server(catalog, listener, limits or Limits(), verify_blobs=verify_blobs)


class Server:
    """A read-only registry over a catalog. Use it as a context manager: leaving ends it.

    `host` and `port` are what it listens on.
    """

    def __init__(
        self, catalog: Catalog, listener: socket.socket, limits: Limits, *, verify_blobs: bool
    ) -> None:
        self.host: str
        self.port: int
        self.host, self.port = listener.getsockname()[:2]
        self._catalog = catalog
        self._listener = listener
        self._limits = limits
        self._verify_blobs = verify_blobs
        self._places = threading.BoundedSemaphore(limits.connections)
        # Reentrant: a signal handler may end the server in the very thread that holds it.
        self._lock = threading.RLock()
        self._running: dict[Connection, threading.Thread] = {}
        self._stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._serving: threading.Thread | None = None
        self._ended = threading.Event()
        self._ended.set()

    def start(self) -> None:
        """Serve in a thread of its own, until `shutdown`."""
        self._ended.clear()
        threading.Thread(target=self.serve_forever, name="airgap-serve", daemon=True).start()

    def serve_forever(self) -> None:
        """Serve until `shutdown` is called, from another thread or a signal handler."""
        self._serving = threading.current_thread()
        self._ended.clear()
        try:
            self._accept_all()
        finally:
            self._ended.set()

    def shutdown(self) -> None:
        """Stop listening, end all connections and wait for their threads; again does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake.send(b".")
        # In a signal handler the loop is this very thread, and ends after it.
        if self._serving is not threading.current_thread():
            self._ended.wait(_END_SECONDS)
        with self._lock:
            running = dict(self._running)
        for connection in running:
            connection.interrupt()
        for thread in running.values():
            thread.join(_END_SECONDS)
        self._listener.close()

    def __enter__(self) -> Self:
        """Return the server; it listens already and serves when told to."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        self.shutdown()
        self._wake.close()
        self._woken.close()

    def _accept_all(self) -> None:
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if not self._stopping.is_set():
                    self._accept()

    def _accept(self) -> None:
        """Take the next client, if one is there, and give it a thread or a refusal."""
        try:
            sock, address = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # Out of descriptors, or a client that has gone: neither is a reason to stop.
            _log.warning("cannot accept: %s", error.strerror)
            sleep(_STEP_SECONDS)
            return
        connection = Connection(
            sock, str(address[0]), self._catalog, self._limits, verify_blobs=self._verify_blobs
        )
        if not self._take_place():
            headers = (("Retry-After", "1"),)
            connection.refuse(
                refuse(503, "TOOMANYREQUESTS", "too many clients", headers=headers, close=True)
            )
            return
        thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        with self._lock:
            self._running[connection] = thread
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._running[connection]
            self._places.release()

    def _take_place(self) -> bool:
        """Take one of the places, from an idle connection if need be."""
        if self._places.acquire(blocking=False):
            return True
        end = monotonic() + self._limits.wait_seconds
        while not self._stopping.is_set() and monotonic() < end:
            self._end_idle()
            if self._places.acquire(timeout=_STEP_SECONDS):
                return True
        return False

    def _end_idle(self) -> None:
        with self._lock:
            running = list(self._running)
        idle = [
            (c.idle_since, number) for number, c in enumerate(running) if c.idle_since is not None
        ]
        if idle:
            running[min(idle)[1]].interrupt()
