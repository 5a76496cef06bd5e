"""Edition: one number of one stream while it is being made; drafts of it, and its signatures.

A draft is made as often as the layout needs it, with placeholders for signatures;
the one that is signed is written down first, under the lock, by inventory and targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airgap.authority_keys import open_signers
from airgap.authority_numbers import Recorded, Statement
from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.envelope import ROLES, Envelopes, EnvelopeSignature, canonical, write_envelope
from airgap.trust.release import RoleMark
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer

    from airgap.authority_numbers import Numbers
    from airgap.ledger.log import Log
    from airgap.oci.strict_json import Reader
    from airgap.trust.keys import PublicKey
    from airgap.trust.roles import Root
    from airgap.trust.sequence import Link

__all__ = ["SPEC_VERSION", "Draft", "Edition", "Lifetimes"]

SPEC_VERSION: Final = "1.0.31"
_INVENTORY: Final = "inventory.json"
_ROLES: Final = ("timestamp", "snapshot", "targets")
_WAIT: Final = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetimes:
    """How long new metadata of each role is good for."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=365)
    timestamp: timedelta = timedelta(days=30)

    def end(self, role: str, now: datetime) -> str:
        """Return the end of metadata of `role` that is made `now`, as TUF spells it."""
        lifetime: timedelta = getattr(self, role)
        return format_time(now + lifetime)

    def days(self) -> dict[str, int]:
        """Return the JSON form: whole days for each role."""
        return {role: getattr(self, role).days for role in ROLES}

    @classmethod
    def read(cls, reader: Reader) -> Lifetimes:
        """Return what `reader` stands on."""
        reader.close(*ROLES)
        return cls(**{role: timedelta(days=reader.integer(role, least=1)) for role in ROLES})


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """The number that a bundle gets, and what it must say of those before it.

    `previous`, `skips` and `covers` go into the inventory. It is good while
    `Authority.edition` holds the stream's lock.
    """

    stream: str
    number: int
    authority: str
    roots: tuple[Root, ...] = field(repr=False)
    lifetimes: Lifetimes = field(repr=False)
    keys: Mapping[str, Path] = field(repr=False, hash=False)
    numbers: Numbers = field(repr=False, hash=False)
    log: Log = field(repr=False)

    @property
    def previous(self) -> Link | None:
        """The bundle before: the last number that was finished; None for the first."""
        return self.numbers.previous(self.number)

    @property
    def skips(self) -> tuple[int, ...]:
        """The abandoned numbers before this one."""
        return self.numbers.skips(self.number)

    def covers(self, statement: Statement) -> int:
        """Return the lowest number whose holders miss nothing by a bundle that says `statement`."""
        return self.numbers.covers(self.number, statement)

    def prepare(
        self, targets: Mapping[str, bytes], statement: Statement, *, now: datetime
    ) -> Draft:
        """Return the metadata of a bundle with these target files, not signed yet.

        `targets` are all target files by path, ``inventory.json`` among them; `now` is when the
        metadata begins to live (UTC). Raises UsageError ``root-expired``.
        """
        root = self.roots[-1]
        if now >= root.envelope.expires:
            raise UsageError(
                f"root {root.version} of this authority expired {root.envelope.expires:%Y-%m-%d}: "
                "no site would import what is signed under it",
                reason="root-expired",
                hint="Make a new root first.",
            )
        signed = {
            "targets": self._signed(
                "targets",
                self.number,
                now,
                targets={
                    path: {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data)}
                    for path, data in targets.items()
                },
            ),
            "snapshot": self._signed(
                "snapshot", self.number, now, meta={"targets.json": {"version": self.number}}
            ),
            "timestamp": self._signed_timestamp(now),
        }
        return Draft(
            edition=self,
            signed=signed,
            inventory=Digest.of(targets[_INVENTORY]),
            statement=statement,
            now=now,
        )

    def finish(self, *, now: datetime) -> None:
        """Write down that the bundle is whole, once its file has its name."""
        with self.log.writing(wait=_WAIT) as log:
            self.numbers.finish(log, self.number, now)

    def _signed(
        self, role: str, version: int, now: datetime, **fields: Mapping[str, object]
    ) -> dict[str, object]:
        return {
            "_type": role,
            "expires": self.lifetimes.end(role, now),
            "spec_version": SPEC_VERSION,
            "version": version,
            "x-airgap": {"authority": self.authority, "stream": self.stream},
            **fields,
        }

    def _signed_timestamp(self, now: datetime) -> dict[str, object]:
        """Return the timestamp: the one that is recorded if it would be the same, else the next."""
        meta = {"snapshot.json": {"version": self.number}}
        known = self.numbers.recorded.get(self.number)
        if known is not None:
            again = self._signed("timestamp", known.timestamp.version, now, meta=meta)
            if Digest.of(canonical(again)) == known.timestamp.digest:
                return again
        return self._signed("timestamp", self.numbers.latest_timestamp + 1, now, meta=meta)


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

        `passphrase` is called once, and only if a key is encrypted. Raises UsageError
        ``key-missing``, ``number-taken`` or what `open_signers` does.
        """
        files = {role: self._key_files(role) for role in _ROLES}
        signers = open_signers(
            {path: key for found in files.values() for path, key in found.items()}, passphrase
        )
        with self.edition.log.writing(wait=_WAIT) as log:
            self.edition.numbers.record(log, self._recorded(), self.now)
        return self._envelopes(
            {
                role: [_sign(signers[key.keyid], self.signed[role]) for key in found.values()]
                for role, found in files.items()
            }
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
        )

    def _keys(self, role: str) -> tuple[PublicKey, ...]:
        return self.edition.roots[-1].roles[role].keys

    def _key_files(self, role: str) -> dict[Path, PublicKey]:
        known = {self.edition.keys.get(key.keyid): key for key in self._keys(role)}
        found = {path: key for path, key in known.items() if path is not None and path.exists()}
        if not found:
            places = ", ".join(str(path) for path in known if path is not None)
            raise UsageError(
                f"no key that may sign the {role} is here{': ' if places else ''}{places}",
                reason="key-missing",
                hint="Bring the key back to its place.",
            )
        return found


def _sign(signer: Signer, signed: object) -> EnvelopeSignature:
    signature = signer.sign(canonical(signed))
    return EnvelopeSignature(signature.keyid, bytes.fromhex(signature.signature))
