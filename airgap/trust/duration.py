"""Durations and times as people write them in policies and options: ``30d``, ``2026-12-24``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from airgap.errors import UsageError

__all__ = ["parse_duration", "parse_moment", "spell"]

_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,5})([smhd])", re.ASCII)
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2}))?", re.ASCII
)
_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
"""The largest first."""


def parse_duration(text: str) -> timedelta | None:
    """Return the duration that `text` spells, or None where it spells none."""
    found = _DURATION.fullmatch(text)
    return None if found is None else int(found[1]) * _UNITS[found[2]]


def spell(span: timedelta) -> str:
    """Return the text that `parse_duration` reads as `span`, which has no part of a second."""
    unit = next(unit for unit, length in _UNITS.items() if not span % length)
    return f"{span // _UNITS[unit]}{unit}"


def parse_moment(text: str) -> datetime:
    """Return the time that `text` spells, in UTC: a day (its beginning), or RFC 3339.

    Raises UsageError ``time-invalid``.
    """
    try:
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
            zone = moment.tzinfo or UTC
            return moment.replace(tzinfo=zone).astimezone(UTC)
        why = "is no time"
    except (ValueError, OverflowError) as error:
        why = f"is no time: {error}"
    raise UsageError(
        f"{text!r:.100} {why}",
        reason="time-invalid",
        hint="Write 2026-12-24, or 2026-12-24T10:00:00Z.",
    )
