"""Draft: the metadata of one bundle before it is signed, and its signatures.

A draft is made as often as the layout needs it, with placeholders for signatures; the one that is
signed is written down first, under the lock, by inventory and targets. Signatures on the targets
may be outstanding after that (`Tally`): `airgap sign` adds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.authority_keys import open_signers
from airgap.authority_numbers import Recorded, Statement
from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.envelope import Envelopes, EnvelopeSignature, canonical, write_envelope
from airgap.trust.release import RoleMark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer

    from airgap.authority_edition import Edition
    from airgap.trust.keys import PublicKey

__all__ = ["LOG_WAIT", "Draft", "Tally", "keys_here", "sign_with"]

LOG_WAIT: Final = 30.0
"""Seconds to wait for another command that writes the authority's records."""
_ROLES: Final = ("timestamp", "snapshot", "targets")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many sign the targets of how many who must; `waiting` are the holders of other keys."""

    signed: int
    threshold: int
    waiting: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Tell whether no more signatures are needed."""
        return self.signed >= self.threshold

    def __str__(self) -> str:
        return f"{self.signed} of {self.threshold}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """Metadata that is not signed yet."""

    edition: Edition
    signed: Mapping[str, dict[str, object]] = field(hash=False)
    inventory: Digest
    statement: Statement
    now: datetime

    @property
    def signed_digest(self) -> Digest:
        """The digest of the targets' `signed`, by which the number is recorded."""
        return Digest.of(canonical(self.signed["targets"]))

    def padded(self) -> Envelopes:
        """Return envelopes as long as they can become: each key's longest signature, all zeros."""
        return self._envelopes(
            {
                role: [EnvelopeSignature(key.keyid, bytes(key.longest)) for key in self._keys(role)]
                for role in _ROLES
            }
        )

    def sign(self, passphrase: Callable[[], bytes] | None = None) -> Envelopes:
        """Record the number, then sign with every key of the authority that is here.

        Signatures on the targets may be outstanding: `tally` says how many are.
        `passphrase` is called only if a key is encrypted, and once if it opens all. Raises
        UsageError ``key-missing``, ``number-taken`` or what `open_signers` does.
        """
        files = {role: keys_here(self.edition, role) for role in _ROLES}
        signers = open_signers(
            {path: key for found in files.values() for path, key in found.items()}, passphrase
        )
        with self.edition.log.writing(wait=LOG_WAIT) as log:
            self.edition.numbers.record(log, self._recorded(), self.now)
        return self._envelopes(
            {
                role: [sign_with(signers[key.keyid], self.signed[role]) for key in found.values()]
                for role, found in files.items()
            }
        )

    @property
    def tally(self) -> Tally:
        """How many signatures on the targets the keys that are here make."""
        root = self.edition.roots[-1]
        here = {key.keyid for key in keys_here(self.edition, "targets").values()}
        role = root.roles["targets"]
        return Tally(
            signed=role.count(here),
            threshold=role.threshold,
            waiting=tuple(
                root.persons.get(key.keyid, key.keyid[:8])
                for key in role.keys
                if key.keyid not in here
            ),
        )

    def _envelopes(self, signatures: Mapping[str, list[EnvelopeSignature]]) -> Envelopes:
        data = {role: write_envelope(self.signed[role], signatures[role]) for role in _ROLES}
        roots = tuple(root.envelope.data for root in self.edition.roots)
        return Envelopes(roots=roots, **data)

    def _recorded(self) -> Recorded:
        timestamp = self.signed["timestamp"]
        return Recorded(
            stream=self.edition.stream,
            sequence=self.edition.number,
            inventory=self.inventory,
            targets=self.signed_digest,
            timestamp=RoleMark(int(str(timestamp["version"])), Digest.of(canonical(timestamp))),
            statement=self.statement,
            root=self.edition.roots[-1].version,
            ends={role: self.edition.lifetimes.moment(role, self.now) for role in _ROLES},
        )

    def _keys(self, role: str) -> tuple[PublicKey, ...]:
        return self.edition.roots[-1].roles[role].keys


def keys_here(edition: Edition, role: str) -> dict[Path, PublicKey]:
    """Return the key files of `role` that are in their places, with their public keys.

    Raises UsageError ``key-missing`` where there is none; targets may be signed later.
    """
    keys = edition.roots[-1].roles[role].keys
    known = {edition.keys.get(key.keyid): key for key in keys}
    found = {path: key for path, key in known.items() if path is not None and path.exists()}
    if not found and role != "targets":
        places = ", ".join(str(path) for path in known if path is not None)
        raise UsageError(
            f"no key that may sign the {role} is here{': ' if places else ''}{places}",
            reason="key-missing",
            hint="Bring the key back to its place.",
        )
    return found


def sign_with(signer: Signer, signed: object) -> EnvelopeSignature:
    """Return the signature of `signer` over `signed`."""
    signature = signer.sign(canonical(signed))
    return EnvelopeSignature(signature.keyid, bytes.fromhex(signature.signature))
