"""Names: patterns over the full names of sources, as pins and policies write them.

A pattern is a name such as ``registry.example/prod/app`` in which ``*`` stands for any characters
within one segment and a segment ``**`` for any number of segments. A tag or digest of a name is
not matched: who may speak for a repository speaks for all of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airgap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["check_pattern", "matches", "matches_any", "overlap"]

_ANY: Final = "**"
_PATTERN: Final = re.compile(r"[a-z0-9*._:\-\[\]]+(?:/[a-z0-9*._\-]+)*", re.ASCII)
_MAX_PATTERN: Final = 255


def check_pattern(text: str) -> str:
    """Return `text`, or raise UsageError ``pattern-invalid`` where it is no pattern."""
    doubled = any(_ANY in segment and segment != _ANY for segment in text.split("/"))
    if len(text) > _MAX_PATTERN or not _PATTERN.fullmatch(text) or doubled:
        raise UsageError(
            f"{text!r:.300} is not a pattern of names",
            reason="pattern-invalid",
            hint="Write registry.example/prod/app, registry.example/*/app or registry.example/**.",
        )
    return text


def matches(pattern: str, name: str) -> bool:
    """Tell whether `name` (host/repository, its tag and digest ignored) is one of `pattern`'s."""
    return "*" not in name and overlap(pattern, _repository(name))


def matches_any(patterns: Iterable[str], name: str) -> bool:
    """Tell whether one of `patterns` matches `name`."""
    return any(matches(pattern, name) for pattern in patterns)


def overlap(one: str, other: str) -> bool:
    """Tell whether there is a name that both patterns match. A plain name matches itself."""
    return _meet(one.split("/"), other.split("/"), _ANY, _segments_meet)


def _segments_meet(one: str, other: str) -> bool:
    return _meet(one, other, "*", str.__eq__)


def _meet(
    one: Sequence[str], other: Sequence[str], wild: str, same: Callable[[str, str], bool]
) -> bool:
    """Walk both patterns at once, over every pair of places that can be reached together."""
    todo = [(0, 0)]
    reached = set(todo)
    while todo:
        i, j = todo.pop()
        if i == len(one) and j == len(other):
            return True
        left, right = one[i : i + 1], other[j : j + 1]
        steps = set()
        if wild in (*left, *right):
            # The wildcard ends here, or stands for what is next on the other side as well.
            steps = {(i + len(left), j), (i, j + len(right))}
        elif left and right and same(left[0], right[0]):
            steps = {(i + 1, j + 1)}
        todo.extend(steps - reached)
        reached |= steps
    return False


def _repository(name: str) -> str:
    """Return `name` without its tag and digest; the port of a host stays."""
    path, slash, last = name.partition("@")[0].rpartition("/")
    return path + slash + last.partition(":")[0] if slash else last
