"""A crew: a few threads that work through a list and stop together."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["work_through"]

_Item = TypeVar("_Item")


def work_through(
    work: Callable[[_Item], None],
    items: Iterable[_Item],
    threads: int,
    stop: Event | None = None,
) -> None:
    """Do `work` on each item, begun in order, in `threads`; raise the first error.

    An error, or an interrupt, sets `stop`: then no further item is begun, and `work` that looks at
    it can end early.
    """
    waiting = deque(items)
    stop = stop or Event()

    def drain() -> None:
        while not stop.is_set():
            try:
                item = waiting.popleft()
            except IndexError:
                return
            work(item)

    crew = max(1, min(threads, len(waiting)))
    with ThreadPoolExecutor(max_workers=crew, thread_name_prefix="crew") as pool:
        try:
            for done in as_completed([pool.submit(drain) for _ in range(crew)]):
                done.result()
        except BaseException:
            stop.set()
            raise
