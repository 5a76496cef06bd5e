"""Authority numbers: which number of which stream was given to which content, for ever.

One log in the authority's folder (schemas/authority-record), in the ledger's frames:

* ``number`` is on the medium **before** the first signature: a number is signed again only for
  the same inventory and the same targets, so there never are two bundles of one number;
* ``finished`` is written once the bundle is whole. A number without it was abandoned: the next
  bundle lists it among its `skips`, so nobody waits for it.

From the same records come `previous`, `covers`, and the count of timestamps.
Source: docs/bundle-format.md, sections 2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap.errors import FormatError, StoreError, UsageError
from airgap.oci.strict_json import Reader
from airgap.trust.release import RoleMark
from airgap.trust.sequence import Link
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airgap.ledger.log import Entry, LogWriter
    from airgap.oci.digest import Digest

__all__ = ["Numbers", "Recorded", "Statement"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a bundle says that a later one must say again before it covers this one.

    `names` are full source references, `withdrawn` digests, `frozen` paths of trust material.
    """

    names: frozenset[str] = frozenset()
    withdrawn: frozenset[Digest] = frozenset()
    frozen: frozenset[str] = frozenset()

    def says(self, other: Statement) -> bool:
        """Tell whether all that `other` says is said here as well."""
        return (
            self.names >= other.names
            and self.withdrawn >= other.withdrawn
            and self.frozen >= other.frozen
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One number: what was signed under it.

    `root` is the number of the root that said who may sign; `ends` is when each role ends.
    """

    stream: str
    sequence: int
    inventory: Digest
    targets: Digest
    timestamp: RoleMark
    statement: Statement
    root: int
    ends: Mapping[str, datetime] = field(hash=False)

    def to_json(self, at: datetime) -> dict[str, object]:
        """Return the JSON form, recorded at `at`."""
        return {
            "kind": "number",
            "at": format_time(at),
            "stream": self.stream,
            "sequence": self.sequence,
            "inventory": str(self.inventory),
            "targets": str(self.targets),
            "timestamp": {
                "version": self.timestamp.version,
                "digest": str(self.timestamp.digest),
            },
            "root": self.root,
            "ends": {role: format_time(end) for role, end in self.ends.items()},
            "names": sorted(self.statement.names),
            "withdrawn": sorted(map(str, self.statement.withdrawn)),
            "frozen": sorted(self.statement.frozen),
        }

    @classmethod
    def read(cls, reader: Reader) -> Recorded:
        """Return what `reader` stands on."""
        reader.close(
            *("kind", "prev", "at", "stream", "sequence", "inventory", "targets", "timestamp"),
            *("root", "ends", "names", "withdrawn", "frozen"),
        )
        timestamp = reader.child("timestamp")
        timestamp.close("version", "digest")
        return cls(
            stream=reader.text("stream"),
            sequence=reader.integer("sequence", least=1),
            inventory=reader.digest("inventory"),
            targets=reader.digest("targets"),
            timestamp=RoleMark(timestamp.integer("version", least=1), timestamp.digest("digest")),
            root=reader.integer("root", least=1),
            ends={role: _read_time(end, reader) for role, end in reader.text_map("ends").items()},
            statement=Statement(
                names=frozenset(reader.texts("names")),
                withdrawn=frozenset(reader.digests("withdrawn")),
                frozen=frozenset(reader.texts("frozen")),
            ),
        )


@dataclass(kw_only=True, slots=True)
class Numbers:
    """The numbers of one stream: a fold over the records. `latest_timestamp` counts timestamps."""

    stream: str
    recorded: dict[int, Recorded] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    latest_timestamp: int = 0

    def fold(self, entries: Iterable[Entry]) -> Numbers:
        """Add all `entries` and return these numbers. Raises StoreError ``authority-damaged``."""
        for entry in entries:
            reader = Reader.of(dict(entry.record), f"record {entry.number}")
            try:
                self._add(reader)
            except FormatError as error:
                raise StoreError(
                    f"the authority's numbers are damaged: {error.message}",
                    reason="authority-damaged",
                ) from error
        return self

    @classmethod
    def streams(cls, entries: Iterable[Entry]) -> dict[str, Numbers]:
        """Return the numbers of each stream in `entries`, by its name."""
        known = tuple(entries)
        names = sorted({str(entry.record.get("stream")) for entry in known})
        return {name: cls(stream=name).fold(known) for name in names}

    @property
    def next(self) -> int:
        """The number after the last that was ever given out."""
        return max(self.recorded, default=0) + 1

    @property
    def newest(self) -> Recorded | None:
        """The last number that was finished; None before the first."""
        return self.recorded[max(self.finished)] if self.finished else None

    def previous(self, number: int) -> Link | None:
        """Return the last finished number before `number`, or None where there is none."""
        before = max((done for done in self.finished if done < number), default=None)
        return None if before is None else Link(before, self.recorded[before].inventory)

    def skips(self, number: int) -> tuple[int, ...]:
        """Return the abandoned numbers before `number`."""
        return tuple(n for n in sorted(self.recorded) if n < number and n not in self.finished)

    def covers(self, number: int, statement: Statement) -> int:
        """Return the lowest number whose holders miss nothing when they get `number` next."""
        for before in sorted((done for done in self.finished if done < number), reverse=True):
            if not statement.says(self.recorded[before].statement):
                return before
        return 0

    def record(self, log: LogWriter, new: Recorded, at: datetime) -> None:
        """Write down that `new` is about to be signed; nothing where that is known already.

        Raises UsageError ``number-taken`` where its number was given to something else.
        """
        known = self.recorded.get(new.sequence)
        if known is not None:
            if (known.inventory, known.targets) != (new.inventory, new.targets):
                raise UsageError(
                    f"number {new.sequence} of stream {new.stream} was given to another bundle, "
                    f"{known.inventory.short}",
                    reason="number-taken",
                    hint="Export again: the new bundle gets the next number.",
                )
            if (known.timestamp, known.root) == (new.timestamp, new.root):
                return
        self._add(Reader.of(dict(log.append(new.to_json(at)).record), "record"))

    def finish(self, log: LogWriter, number: int, at: datetime) -> None:
        """Write down that the bundle of `number` is whole."""
        if number not in self.finished:
            record: dict[str, object] = {
                "kind": "finished",
                "at": format_time(at),
                "stream": self.stream,
                "sequence": number,
            }
            self._add(Reader.of(dict(log.append(record).record), "record"))

    def _add(self, reader: Reader) -> None:
        if reader.text("stream") != self.stream:
            return
        if reader.text("kind") == "number":
            new = Recorded.read(reader)
            self.recorded[new.sequence] = new
            self.latest_timestamp = max(self.latest_timestamp, new.timestamp.version)
        elif reader.text("kind") == "finished":
            number = reader.integer("sequence", least=1)
            if number not in self.recorded:
                raise FormatError(f"number {number} ends before it begins", reason="field-invalid")
            self.finished.add(number)
        else:
            raise FormatError(f"{reader.path} is of an unknown kind", reason="field-invalid")


def _read_time(text: str, reader: Reader) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError(
            f"expected times in {reader.at('ends')}", reason="field-invalid"
        ) from error
