"""Roles: what the four TUF roles of a bundle may say, read from envelopes of the right form.

`meta` holds versions only, no hashes and no lengths, so signatures may come in any order; there are
no delegations; a target has its length and its SHA-256, nothing else. A root may say whose a key
is: the keys of one person count as one signer.
Source: docs/bundle-format.md, section 4.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError
from airgap.oci.digest import Digest
from airgap.trust.envelope import AUTHORITY, ROLES, STREAM
from airgap.trust.keys import PublicKey, read_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airgap.oci.strict_json import Reader
    from airgap.trust.envelope import Envelope

__all__ = [
    "Origin",
    "RoleKeys",
    "Root",
    "Target",
    "is_person",
    "meta_version",
    "origin",
    "read_root",
    "same_person",
    "targets",
]

_MAX_KEYS: Final = 64
_MAX_NAME: Final = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleKeys:
    """Who may sign a role, and how many of them must.

    `persons` maps key ids to whose they are; a key that is not in it stands for itself.
    """

    keys: tuple[PublicKey, ...]
    threshold: int
    persons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def count(self, keyids: Iterable[str]) -> int:
        """Count the signers among `keyids`: one for each person, one for each key of nobody's."""
        signed = set(keyids)
        return len({self._signer(key) for key in self.keys if key.keyid in signed})

    def _signer(self, key: PublicKey) -> str | bytes:
        person = self.persons.get(key.keyid)
        return key.identity if person is None else same_person(person)


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """One root: its envelope, the authority that it is of, and who may sign what.

    `persons` maps key ids to the names of those who hold them, as far as the root says it.
    """

    envelope: Envelope
    authority: str
    name: str
    roles: Mapping[str, RoleKeys] = field(hash=False)
    persons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def version(self) -> int:
        """The number of this root in its chain."""
        return self.envelope.version


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose metadata this is: the signed `x-airgap` of timestamp, snapshot and targets."""

    authority: str
    stream: str


@dataclass(frozen=True, slots=True)
class Target:
    """What targets metadata says of one file."""

    length: int
    digest: Digest


def read_root(envelope: Envelope) -> Root:
    """Return the root in `envelope`, or raise FormatError, or TrustRootError ``key-weak``."""
    signed = envelope.signed
    signed.boolean("consistent_snapshot")
    about = signed.child("x-airgap")
    about.close("authority", "name", "persons")
    keys = signed.child("keys")
    if len(keys.value) > _MAX_KEYS:
        raise FormatError(f"more than {_MAX_KEYS} keys in {keys.path}", reason="keys-too-many")
    known = {keyid: read_key(keyid, keys.child(keyid)) for keyid in keys.value}
    roles = signed.child("roles")
    roles.close(*ROLES)
    name = about.text("name")
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise FormatError(f"expected a short name in {about.at('name')}", reason="field-invalid")
    persons = _read_persons(about, known)
    return Root(
        envelope=envelope,
        authority=_matching(about, "authority", "a UUID"),
        name=name,
        roles={role: _read_role(roles.child(role), known, persons) for role in ROLES},
        persons=persons,
    )


def is_person(name: str) -> bool:
    """Tell whether `name` may stand for a person: short, printable, spelled in one way."""
    return (
        0 < len(name) <= _MAX_NAME
        and name.isprintable()
        and name == unicodedata.normalize("NFC", " ".join(name.split()))
    )


def same_person(name: str) -> str:
    """Return what two names have in common that are one person's: case does not tell them apart."""
    return unicodedata.normalize("NFKC", name).casefold()


def origin(envelope: Envelope) -> Origin:
    """Return whose metadata `envelope` says it is."""
    about = envelope.signed.child("x-airgap")
    about.close("authority", "stream")
    return Origin(
        _matching(about, "authority", "a UUID"), _matching(about, "stream", "the name of a stream")
    )


def meta_version(envelope: Envelope, entry: str) -> int:
    """Return the version of `entry`, which is the only one in the `meta` of `envelope`."""
    meta = envelope.signed.child("meta")
    meta.close(entry)
    about = meta.child(entry)
    about.close("version")
    return about.integer("version", least=1)


def targets(envelope: Envelope) -> dict[str, Target]:
    """Return what targets metadata says of each file."""
    listed = envelope.signed.child("targets")
    return {path: _read_target(listed.child(path)) for path in listed.value}


def _read_persons(about: Reader, known: Mapping[str, PublicKey]) -> dict[str, str]:
    persons = about.text_map("persons") if about.has("persons") else {}
    for keyid, person in persons.items():
        if keyid not in known or not is_person(person):
            raise FormatError(
                f"expected the name of a key's holder in {about.at('persons')}, got {person!r:.80}",
                reason="person-invalid",
            )
    return persons


def _read_role(
    reader: Reader, known: Mapping[str, PublicKey], persons: Mapping[str, str]
) -> RoleKeys:
    reader.close("keyids", "threshold")
    keyids = reader.texts("keyids")
    missing = sorted(set(keyids) - known.keys())
    if missing or len(set(keyids)) != len(keyids):
        raise FormatError(
            f"{reader.at('keyids')} lists a key twice, or one that is not there",
            reason="role-keys-invalid",
        )
    role = RoleKeys(
        keys=tuple(known[keyid] for keyid in keyids),
        threshold=reader.integer("threshold", least=1),
        persons={keyid: persons[keyid] for keyid in keyids if keyid in persons},
    )
    if role.threshold > role.count(keyids):
        raise FormatError(
            f"{reader.at('threshold')} asks for more signatures than there are keys and persons",
            reason="threshold-impossible",
        )
    return role


def _read_target(reader: Reader) -> Target:
    reader.close("length", "hashes")
    hashes = reader.child("hashes")
    hashes.close("sha256")
    return Target(
        reader.integer("length"),
        Digest.parse(f"sha256:{hashes.text('sha256')}", hashes.at("sha256")),
    )


def _matching(reader: Reader, key: str, what: str) -> str:
    text = reader.text(key)
    if not {"authority": AUTHORITY, "stream": STREAM}[key].fullmatch(text):
        raise FormatError(f"expected {what} in {reader.at(key)}", reason="field-invalid")
    return text
