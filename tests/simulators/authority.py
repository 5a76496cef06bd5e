"""An authority that mints any TUF metadata at any time: right, or wrong in one way.

It shares no code with `airgap.authority`: documents are plain dictionaries, signed with pyca alone,
so that it can judge what the product makes and make what the product never would.
"""

from __future__ import annotations

import hashlib
import json
import re
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airgap.trust.envelope import Envelopes
from airgap.trust.release import Anchor, Claim

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ACME = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
DAY = timedelta(days=1)

Document = dict[str, Any]
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def rfc8785(value: object) -> bytes:
    """Spell a document as it stands in a file."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def olpc(value: object) -> bytes:
    """Spell what TUF signs: in strings only quotes and backslashes are escaped."""
    if isinstance(value, dict):
        return b"{" + b",".join(olpc(k) + b":" + olpc(value[k]) for k in sorted(value)) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(olpc(item) for item in value) + b"]"
    if isinstance(value, str):
        return b'"' + re.sub(r'(["\\])', r"\\\1", value).encode() + b'"'
    return json.dumps(value).encode()


def spell(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Key:
    """A private key with its public half as TUF metadata lists it."""

    private: Private = field(repr=False)
    scheme: str

    @property
    def document(self) -> Document:
        public = self.private.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            text = public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
            return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": text}}
        text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        keytype = "rsa" if isinstance(public, rsa.RSAPublicKey) else "ecdsa"
        return {"keytype": keytype, "scheme": self.scheme, "keyval": {"public": text}}

    @property
    def keyid(self) -> str:
        return hashlib.sha256(olpc(self.document)).hexdigest()

    def sign(self, payload: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(payload)
        if isinstance(self.private, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return self.private.sign(payload, pss, hashes.SHA256())
        algorithm = hashes.SHA384() if self.private.key_size == 384 else hashes.SHA256()
        return self.private.sign(payload, ec.ECDSA(algorithm))


@cache
def key(number: int = 1, kind: str = "ed25519") -> Key:
    """Return one of any number of keys; the same for the same arguments. Ed25519 ones are fixed."""
    if kind == "ed25519":
        seed = hashlib.sha256(b"airgap test key %d" % number).digest()
        return Key(ed25519.Ed25519PrivateKey.from_private_bytes(seed), "ed25519")
    if kind == "rsa":
        return Key(rsa.generate_private_key(65537, 3072), "rsassa-pss-sha256")
    if kind == "p384":
        return Key(ec.generate_private_key(ec.SECP384R1()), "ecdsa-sha2-nistp384")
    return Key(ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha2-nistp256")


def envelope(signed: Document, *keys: Key) -> bytes:
    """Return the bytes of an envelope in the right form, signed by `keys`."""
    payload = olpc(signed)
    signatures = [
        {"keyid": one.keyid, "sig": one.sign(payload).hex()}
        for one in sorted(keys, key=lambda one: one.keyid)
    ]
    return rfc8785({"signatures": signatures, "signed": signed})


def root(
    version: int = 1,
    *,
    root_keys: tuple[Key, ...] = (key(1),),
    bundle_keys: tuple[Key, ...] = (key(2),),
    root_threshold: int = 1,
    bundle_threshold: int = 1,
    authority: str = ACME,
    expires: datetime = NOW + 365 * DAY,
) -> Document:
    """Return the `signed` of a root."""
    role = {
        "keyids": [one.keyid for one in bundle_keys],
        "threshold": bundle_threshold,
    }
    return {
        "_type": "root",
        "consistent_snapshot": True,
        "expires": spell(expires),
        "keys": {one.keyid: one.document for one in (*root_keys, *bundle_keys)},
        "roles": {
            "root": {"keyids": [one.keyid for one in root_keys], "threshold": root_threshold},
            **{name: deepcopy(role) for name in ("timestamp", "snapshot", "targets")},
        },
        "spec_version": "1.0.31",
        "version": version,
        "x-airgap": {"authority": authority, "name": "acme"},
    }


def _signed(role: str, version: int, days: int, authority: str, stream: str) -> Document:
    return {
        "_type": role,
        "expires": spell(NOW + days * DAY),
        "spec_version": "1.0.31",
        "version": version,
        "x-airgap": {"authority": authority, "stream": stream},
    }


@dataclass
class Release:
    """The metadata of one bundle, open to change before it is signed.

    `keys` sign targets, snapshot and timestamp; `roots` are envelopes.
    """

    files: dict[str, bytes] = field(default_factory=lambda: {"inventory.json": b"{}"})
    sequence: int = 1
    stream: str = "prod"
    authority: str = ACME
    timestamp_version: int = 1
    keys: tuple[Key, ...] = (key(2),)
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.roots = self.roots or (envelope(root(), key(1)),)
        self.targets = _signed("targets", self.sequence, 365, self.authority, self.stream)
        self.targets["targets"] = {
            path: {
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                "length": len(data),
            }
            for path, data in self.files.items()
        }
        self.snapshot = _signed("snapshot", self.sequence, 365, self.authority, self.stream)
        self.snapshot["meta"] = {"targets.json": {"version": self.sequence}}
        self.timestamp = _signed(
            "timestamp", self.timestamp_version, 30, self.authority, self.stream
        )
        self.timestamp["meta"] = {"snapshot.json": {"version": self.sequence}}

    def envelopes(self, **changed: bytes) -> Envelopes:
        """Return the bytes of all of it; `changed` replaces some."""
        made = {
            role: envelope(getattr(self, role), *self.keys)
            for role in ("targets", "snapshot", "timestamp")
        }
        return Envelopes(roots=self.roots, **{**made, **changed})

    @property
    def claim(self) -> Claim:
        return Claim(authority=self.authority, stream=self.stream, sequence=self.sequence)


def fingerprint_of(envelope_bytes: bytes) -> str:
    """Compute a fingerprint the long way: bit by bit."""
    payload = olpc(json.loads(envelope_bytes)["signed"])
    body = crockford(hashlib.sha256(payload).digest(), 26)
    text = body + crockford(hashlib.sha256(body.encode()).digest(), 2)
    return "-".join(text[at : at + 4] for at in range(0, 28, 4))


def crockford(data: bytes, characters: int) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(alphabet[int(bits[at : at + 5], 2)] for at in range(0, 5 * characters, 5))


def anchor(*roots: bytes, authority: str = ACME) -> Anchor:
    """Return the anchor of a site that knows `roots`."""
    known = roots or (envelope(root(), key(1)),)
    return Anchor(
        name="acme", authority=authority, fingerprint=fingerprint_of(known[0]), roots=known
    )


def changed(document: Document, change: Callable[[Document], object]) -> Document:
    """Return a copy of `document` after `change`."""
    copy = deepcopy(document)
    change(copy)
    return copy
