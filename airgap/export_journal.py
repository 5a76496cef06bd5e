"""Export journal: what an interrupted export has decided and placed, beside its partial file.

The first line fixes what must not change when the export goes on: its time, its number and the
digest of its inventory. Every further line names a blob that stands in its place; it is hashed
again before it is believed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from airgap.errors import FormatError
from airgap.oci import strict_json
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ExportJournal", "Undertaking", "read_journal"]

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Undertaking:
    """What an interrupted export had decided, and the blobs that it had `placed`."""

    created: datetime
    sequence: int
    inventory: str
    placed: tuple[Digest, ...] = ()


def read_journal(path: Path) -> Undertaking | None:
    """Return what an interrupted export had decided, or None where nothing usable is there."""
    try:
        first, *rest = path.read_bytes().split(b"\n")
        reader = Reader.parse(first, path.name)
        reader.close("created", "sequence", "inventory")
        found = Undertaking(
            created=datetime.strptime(reader.text("created"), _TIME).replace(tzinfo=UTC),
            sequence=reader.integer("sequence", least=1),
            inventory=str(reader.digest("inventory")),
        )
    except (OSError, FormatError, ValueError):
        return None
    placed = []
    for line in rest:
        # The last line may be torn: it then names no blob, and that one is fetched again.
        with suppress(FormatError):
            placed.append(Digest.parse(line.decode("ascii", errors="replace")))
    return replace(found, placed=tuple(placed))


class ExportJournal:
    """The journal of one export while it runs. Use it as a context manager."""

    def __init__(self, path: Path, *, created: datetime, sequence: int, inventory: Digest) -> None:
        self._lock = Lock()
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._file.write(
            strict_json.encode(
                {
                    "created": format_time(created),
                    "sequence": sequence,
                    "inventory": str(inventory),
                }
            )
            + b"\n"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, digest: Digest) -> None:
        """Say that a blob stands in its place."""
        with self._lock:
            self._file.write(f"{digest}\n".encode())

    def remove(self) -> None:
        """Forget it all: the bundle is whole."""
        self._path.unlink(missing_ok=True)
