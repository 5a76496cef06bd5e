"""Records: what the ledger says happened, each with its JSON form (schemas/ledger-record).

* ``roots``: newer roots of an authority were verified; they count from then on.
* ``intent``: an import is about to write these names; without a ``committed`` it was cut off.
* ``committed``: an import ended; its number is the head of its stream.
* ``recovered``: a person said that a stream begins anew, under keys that share nothing with those
  before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, UnsupportedVersionError
from airgap.ledger.decision import Decision
from airgap.trust.release import RoleMark
from airgap.trust.sequence import Link
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airgap.oci.digest import Digest
    from airgap.oci.strict_json import Reader
    from airgap.trust.release import Marked

__all__ = [
    "Change",
    "Commit",
    "Decision",
    "Intent",
    "NewRoots",
    "Record",
    "Recovery",
    "read_record",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRoots:
    """Verified roots of an authority that were not known before; `first` is their first number."""

    authority: str
    at: datetime
    first: int
    roots: tuple[bytes, ...]

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "kind": "roots",
            "authority": self.authority,
            "at": format_time(self.at),
            "first": self.first,
            "roots": [root.decode() for root in self.roots],
        }

    @classmethod
    def read(cls, reader: Reader) -> NewRoots:
        """Return what `reader` stands on."""
        reader.close("kind", "prev", "authority", "at", "first", "roots")
        return cls(
            authority=reader.text("authority"),
            at=_time(reader, "at"),
            first=reader.integer("first", least=1),
            roots=tuple(root.encode() for root in reader.texts("roots")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What becomes of one name at a destination: `old` is None where it is new."""

    name: str
    old: Digest | None
    new: Digest

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        old = {} if self.old is None else {"old": str(self.old)}
        return {"name": self.name, "new": str(self.new), **old}

    @classmethod
    def read(cls, reader: Reader) -> Change:
        """Return what `reader` stands on."""
        reader.close("name", "old", "new")
        old = reader.digest("old") if reader.has("old") else None
        return cls(name=reader.text("name"), old=old, new=reader.digest("new"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """An import that is about to write: which bundle, where to, and which names."""

    authority: str
    stream: str
    sequence: int
    inventory: Digest
    at: datetime
    destination: str
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            **_bundle_json("intent", self),
            "destination": self.destination,
            "changes": [change.to_json() for change in self.changes],
        }

    @classmethod
    def read(cls, reader: Reader) -> Intent:
        """Return what `reader` stands on."""
        reader.close(*_BUNDLE, "destination", "changes")
        return cls(
            authority=reader.text("authority"),
            stream=reader.text("stream"),
            sequence=reader.integer("sequence", least=1),
            inventory=reader.digest("inventory"),
            at=_time(reader, "at"),
            destination=reader.text("destination"),
            changes=tuple(Change.read(change) for change in reader.children("changes")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """An import that ended. `created` is the authenticated time of the bundle.

    `previous` and `base` are links that the bundle stated; `names` what it bound; `receipt` the
    file name of the receipt; `freshness` who said that a first bundle is no old one, else "";
    `decisions` are on the record: a gap gone past, a tolerance used, a code waived.
    """

    authority: str
    stream: str
    sequence: int
    inventory: Digest
    at: datetime
    created: datetime
    roles: Mapping[str, Marked] = field(hash=False)
    names: Mapping[str, Digest] = field(hash=False)
    previous: Link | None = None
    base: Link | None = None
    receipt: str = ""
    freshness: str = ""
    decisions: tuple[Decision, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        links = {"previous": self.previous, "base": self.base}
        return {
            **_bundle_json("committed", self),
            "created": format_time(self.created),
            "roles": {
                role: {"version": mark.version, "digest": str(mark.digest)}
                for role, mark in self.roles.items()
            },
            "names": {name: str(digest) for name, digest in self.names.items()},
            "receipt": self.receipt,
            "freshness": self.freshness,
            **{
                key: {"sequence": link.sequence, "inventory": str(link.inventory)}
                for key, link in links.items()
                if link is not None
            },
            **(
                {"decisions": [decision.to_json() for decision in self.decisions]}
                if self.decisions
                else {}
            ),
        }

    @classmethod
    def read(cls, reader: Reader) -> Commit:
        """Return what `reader` stands on."""
        reader.close(
            *(*_BUNDLE, "created", "roles", "names", "receipt", "freshness"),
            *("previous", "base", "decisions"),
        )
        roles, names = reader.child("roles"), reader.child("names")
        return cls(
            authority=reader.text("authority"),
            stream=reader.text("stream"),
            sequence=reader.integer("sequence", least=1),
            inventory=reader.digest("inventory"),
            at=_time(reader, "at"),
            created=_time(reader, "created"),
            roles={role: _mark(roles.child(role)) for role in roles.value},
            names={name: names.digest(name) for name in names.value},
            previous=_link(reader, "previous"),
            base=_link(reader, "base"),
            receipt=reader.text("receipt"),
            freshness=reader.text("freshness"),
            decisions=tuple(Decision.read(one) for one in reader.children("decisions"))
            if reader.has("decisions")
            else (),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """A stream begins anew: what is known of it up to this head counts no more.

    `root` is the number of the root that shares no bundle key with those before.
    """

    authority: str
    stream: str
    sequence: int
    inventory: Digest
    at: datetime
    root: int

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {**_bundle_json("recovered", self), "root": self.root}

    @classmethod
    def read(cls, reader: Reader) -> Recovery:
        """Return what `reader` stands on."""
        reader.close(*_BUNDLE, "root")
        return cls(
            authority=reader.text("authority"),
            stream=reader.text("stream"),
            sequence=reader.integer("sequence", least=1),
            inventory=reader.digest("inventory"),
            at=_time(reader, "at"),
            root=reader.integer("root", least=1),
        )


Record = NewRoots | Intent | Commit | Recovery

_BUNDLE: Final = ("kind", "prev", "authority", "stream", "sequence", "inventory", "at")
_KINDS: Final[Mapping[str, Callable[[Reader], Record]]] = {
    "roots": NewRoots.read,
    "intent": Intent.read,
    "committed": Commit.read,
    "recovered": Recovery.read,
}


def read_record(reader: Reader) -> Record:
    """Return the record that `reader` stands on.

    Raises FormatError, or UnsupportedVersionError ``ledger-record-unknown`` for a kind that a
    newer release has written: what it says cannot be left out.
    """
    kind = _KINDS.get(reader.text("kind"))
    if kind is None:
        raise UnsupportedVersionError(
            f"{reader.path} is of a kind that this release does not know",
            reason="ledger-record-unknown",
            hint="Use the release of airgap that wrote it, or a newer one.",
        )
    return kind(reader)


def _bundle_json(kind: str, record: Intent | Commit | Recovery) -> dict[str, object]:
    return {
        "kind": kind,
        "authority": record.authority,
        "stream": record.stream,
        "sequence": record.sequence,
        "inventory": str(record.inventory),
        "at": format_time(record.at),
    }


def _time(reader: Reader, key: str) -> datetime:
    text = reader.text(key)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError(f"expected a time in {reader.at(key)}", reason="field-invalid") from error


def _mark(reader: Reader) -> RoleMark:
    reader.close("version", "digest")
    return RoleMark(reader.integer("version", least=1), reader.digest("digest"))


def _link(reader: Reader, key: str) -> Link | None:
    if not reader.has(key):
        return None
    link = reader.child(key)
    link.close("sequence", "inventory")
    return Link(link.integer("sequence", least=1), link.digest("inventory"))
