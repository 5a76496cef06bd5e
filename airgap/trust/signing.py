"""Signing: what a person is asked to sign, and the signature that comes back, as small files.

A `SigningRequest` holds metadata with the signatures that it has so far, and the roots that say who
may sign it. For the targets of a bundle it also holds the inventory, and the one of the number
before where it was at hand, so that whoever signs can see what changes; for a root, the new root is
the metadata and its chain comes before. A `DetachedSignature` is the answer.

Nothing in a request is believed by those who sign it: `SigningRequest.opened` checks that it holds
together, and the fingerprint says whose it is.

Source: docs/bundle-format.md, "Adding signatures".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, UsageError
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader, encode
from airgap.trust.envelope import EnvelopeSignature, read_envelope, write_envelope
from airgap.trust.fingerprint import fingerprint
from airgap.trust.profile import verify_roots
from airgap.trust.release import Anchor
from airgap.trust.roles import read_root, targets
from airgap.trust.signatures import check_signatures, count_signers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap.trust.envelope import Envelope
    from airgap.trust.keys import PublicKey
    from airgap.trust.roles import Root

__all__ = [
    "DetachedSignature",
    "OpenRequest",
    "SigningRequest",
    "add_signatures",
    "self_anchored",
    "sole_key",
]

_VERSION: Final = 1
_INVENTORY: Final = "inventory.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class DetachedSignature:
    """One signature away from what it signs. `signed` is the digest of what it is over."""

    role: str
    signed: Digest
    keyid: str
    signature: bytes

    def encode(self) -> bytes:
        """Return the bytes of the file (schemas/signature)."""
        return encode(
            {
                "schemaVersion": _VERSION,
                "role": self.role,
                "signed": str(self.signed),
                "keyid": self.keyid,
                "sig": self.signature.hex(),
            }
        )

    @classmethod
    def decode(cls, data: bytes, name: str = "the signature") -> DetachedSignature:
        """Return the signature that `data` spells, or raise FormatError."""
        reader = Reader.parse(data, name)
        reader.close("schemaVersion", "role", "signed", "keyid", "sig")
        _check_version(reader)
        try:
            signature = bytes.fromhex(reader.text("sig"))
        except ValueError as error:
            raise FormatError(
                f"expected hex in {reader.at('sig')}", reason="field-invalid"
            ) from error
        return cls(
            role=reader.text("role"),
            signed=reader.digest("signed"),
            keyid=reader.text("keyid"),
            signature=signature,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningRequest:
    """What is to be signed: `envelope` of `role`, and the chain of `roots` that came before.

    `inventory` is there for targets, with `previous`, the inventory of the number before, if known.
    """

    role: str
    roots: tuple[bytes, ...]
    envelope: bytes
    inventory: bytes | None = None
    previous: bytes | None = None

    def encode(self) -> bytes:
        """Return the bytes of the file (schemas/signing-request)."""
        document: dict[str, object] = {
            "schemaVersion": _VERSION,
            "role": self.role,
            "roots": [root.decode() for root in self.roots],
            "envelope": self.envelope.decode(),
        }
        if self.inventory is not None:
            document["inventory"] = self.inventory.decode()
        if self.previous is not None:
            document["previous"] = self.previous.decode()
        return encode(document)

    @classmethod
    def decode(cls, data: bytes, name: str = "the request") -> SigningRequest:
        """Return the request that `data` spells, or raise FormatError."""
        reader = Reader.parse(data, name)
        reader.close("schemaVersion", "role", "roots", "envelope", "inventory", "previous")
        _check_version(reader)
        role = reader.text("role")
        asked = {"targets": reader.has("inventory"), "root": not reader.has("previous")}
        if not asked.get(role) or (role == "root" and reader.has("inventory")):
            raise FormatError(f"{name} is for {role!r:.40}", reason="request-role-invalid")
        return cls(
            role=role,
            roots=tuple(root.encode() for root in reader.texts("roots")),
            envelope=reader.text("envelope").encode(),
            inventory=reader.text("inventory").encode() if reader.has("inventory") else None,
            previous=reader.text("previous").encode() if reader.has("previous") else None,
        )

    def opened(self) -> OpenRequest:
        """Return what the request says, everything in it verified but that it is enough.

        Raises FormatError or TrustRootError.
        """
        envelope = read_envelope(self.envelope, self.role, f"the {self.role} metadata")
        chain = self_anchored(self.roots)
        before = chain[-1]
        if self.role == "root":
            root = read_root(envelope)
            if (root.version, root.authority) != (before.version + 1, before.authority):
                raise FormatError(
                    f"root {root.version} does not follow root {before.version}",
                    reason="root-version-gap",
                )
        else:
            root = before
            listed = targets(envelope).get(_INVENTORY)
            if listed is None or listed.digest != Digest.of(self.inventory or b""):
                raise FormatError(
                    "the inventory is not the one that the targets sign", reason="targets-differ"
                )
        opened = OpenRequest(request=self, envelope=envelope, root=root, chain=chain)
        check_signatures(envelope, opened.keys)
        return opened


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRequest:
    """A request that holds together. `root` says who may sign: for a root, the new one itself."""

    request: SigningRequest
    envelope: Envelope
    root: Root
    chain: tuple[Root, ...]

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The keys that may sign; for a root those of the root before as well, each once."""
        keys = {key.keyid: key for root in self._asked for key in root.roles[self._role].keys}
        return tuple(keys.values())

    @property
    def fingerprint(self) -> str:
        """The authority's, for a person to compare."""
        return fingerprint(self.chain[0].envelope.payload)

    @property
    def tallies(self) -> tuple[tuple[int, int], ...]:
        """How many signed and how many must, for each root that asks: the old one, then the new."""
        return tuple(
            (count_signers(self.envelope, root), root.roles[self._role].threshold)
            for root in self._asked
        )

    @property
    def complete(self) -> bool:
        """Tell whether no more signatures are needed."""
        return all(signed >= asked for signed, asked in self.tallies)

    @property
    def waiting(self) -> tuple[PublicKey, ...]:
        """The keys that may sign and have not."""
        signed = {entry.keyid for entry in self.envelope.signatures}
        return tuple(key for key in self.keys if key.keyid not in signed)

    def holder(self, keyid: str) -> str:
        """Return whose a key is, as the roots say it; else the beginning of its id."""
        known = {**self.chain[-1].persons, **self.root.persons}
        return known.get(keyid, keyid[:8])

    def signed_by(self, signatures: Sequence[DetachedSignature]) -> OpenRequest:
        """Return the request with more signatures. Raises what `add_signatures` does."""
        data = add_signatures(self.envelope, self.keys, signatures)
        return replace(self.request, envelope=data).opened()

    @property
    def _role(self) -> str:
        return self.request.role

    @property
    def _asked(self) -> tuple[Root, ...]:
        return (self.chain[-1], self.root) if self._role == "root" else (self.root,)


def add_signatures(
    envelope: Envelope, keys: Sequence[PublicKey], signatures: Sequence[DetachedSignature]
) -> bytes:
    """Return the bytes of `envelope` with `signatures` by some of `keys`; one it has stays.

    Raises UsageError ``signature-of-other``, ``key-not-of-role``; FormatError or TrustRootError
    where a signature is not right.
    """
    entries = {entry.keyid: entry for entry in envelope.signatures}
    for one in signatures:
        if (one.role, one.signed) != (envelope.role, envelope.digest):
            raise UsageError(
                f"the signature is over {one.role} {one.signed.short}, not over the "
                f"{envelope.role} metadata {envelope.digest.short}",
                reason="signature-of-other",
                hint="It was made for another bundle, or for another state of this one.",
            )
        sole_key(keys, one.keyid, envelope.role)
        entries.setdefault(one.keyid, EnvelopeSignature(one.keyid, one.signature))
    data = write_envelope(envelope.signed.value, entries.values())
    check_signatures(read_envelope(data, envelope.role), keys)
    return data


def sole_key(keys: Sequence[PublicKey], keyid: str, role: str) -> PublicKey:
    """Return the key with this id, or raise UsageError ``key-not-of-role``."""
    for key in keys:
        if key.keyid == keyid:
            return key
    raise UsageError(
        f"the key {keyid[:16]} may not sign this {role} metadata",
        reason="key-not-of-role",
        hint="airgap trust show --authority says which keys may. A key that was added later signs "
        "bundles that are exported later.",
    )


def self_anchored(roots: Sequence[bytes]) -> tuple[Root, ...]:
    """Return the chain of `roots`, verified from its own first one: nobody has vouched for that.

    For signing and showing; whoever wants to believe has a pin. Raises FormatError, TrustRootError.
    """
    if not roots:
        raise FormatError("there is no root metadata", reason="root-missing")
    first = read_root(read_envelope(roots[0], "root", "1.root.json"))
    anchor = Anchor(
        name=first.name,
        authority=first.authority,
        fingerprint=fingerprint(first.envelope.payload),
        roots=tuple(roots[:1]),
    )
    return verify_roots(roots, anchor=anchor).roots


def _check_version(reader: Reader) -> None:
    if reader.integer("schemaVersion") != _VERSION:
        raise FormatError(f"{reader.path} is of another version", reason="field-invalid")
