"""Conditions and ranges: which bytes of content that never changes are wanted.

Source: RFC 9110 sections 13 (If-None-Match, If-Range) and 14 (Range). One range is served; what
is malformed, of another unit or of several ranges is answered in full, as section 14.2 allows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_current", "wanted_range"]

_RANGE: Final = re.compile(
    r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.ASCII | re.IGNORECASE
)


def is_current(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the client says (If-None-Match) that it has what `etag` names."""
    known = headers.get("if-none-match")
    if known is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return "*" in tags or etag in tags


def wanted_range(headers: Mapping[str, str], etag: str, size: int) -> tuple[int, int] | None:
    """Return the bytes [start, stop) that Range asks for, or None where it is to be ignored.

    start == stop says that no byte of the range exists: the answer is 416.
    """
    match = _RANGE.fullmatch(headers.get("range", ""))
    if match is None or headers.get("if-range", etag) != etag:
        return None
    first, last = match[1], match[2]
    if first:
        start, stop = int(first), int(last) + 1 if last else size
        if stop <= start and last:
            return None
        return (start, min(stop, size)) if start < size else (size, size)
    if not last:
        return None
    return max(size - int(last), 0), size
