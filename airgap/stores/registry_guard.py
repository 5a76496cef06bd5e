"""The stall guard: one thread that cuts connections which drip.

A read timeout sees only a connection that is silent; one that sends a byte now and then holds us
for ever. A stream says when it began to wait for a piece, and is cut when that was too long ago.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StallGuard", "Waiting"]


class Waiting(Protocol):
    """A stream that may wait for its other side."""

    @property
    def waiting_since(self) -> float | None:
        """The monotonic time in seconds at which it began to wait; None if it does not."""
        ...

    def cut(self) -> None:
        """End the connection, so that the wait ends with an error."""
        ...


class StallGuard:
    """Watches the streams of one store; `seconds` is how long one may wait for one piece.

    Its thread starts with the first stream and ends with `close`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._streams: set[Waiting] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, stream: Waiting) -> Iterator[None]:
        """Watch `stream` until the context ends."""
        with self._lock:
            self._streams.add(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="stall guard", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._streams.discard(stream)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds / 4):
            with self._lock:
                streams = tuple(self._streams)
            now = time.monotonic()
            for stream in streams:
                since = stream.waiting_since
                if since is not None and now - since > self._seconds:
                    stream.cut()
