"""Progress on stderr: one bar per phase at a terminal, one line every 30 seconds elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from airgap.cli.output import human_size, note
from airgap.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["choose_progress"]

_EVERY: Final = 30.0
"""Seconds between two lines where there is no terminal."""


def choose_progress(*, hidden: bool) -> Progress:
    """Return what shows progress here: nothing if `hidden`, bars at a terminal, else lines."""
    if hidden:
        return Silent()
    return _Bars() if sys.stderr.isatty() else _Lines()


class _Bars:
    """A tqdm bar for each phase; it goes away when the phase is done."""

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        from tqdm import tqdm

        lock = Lock()
        with tqdm(
            total=total, desc=name, unit="B", unit_scale=True, unit_divisor=1024, leave=False
        ) as bar:

            def advance(count: int) -> None:
                with lock:
                    bar.update(count)

            yield advance


class _Lines:
    """A line now and then, for logs."""

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        lock = Lock()
        done = 0
        said = time.monotonic()

        def advance(count: int) -> None:
            nonlocal done, said
            with lock:
                done += count
                if time.monotonic() - said >= _EVERY:
                    said = time.monotonic()
                    note(f"airgap: {name}: {human_size(done)} of {human_size(total)}")

        yield advance
