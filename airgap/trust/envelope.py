"""Envelope: the one form in which a bundle may spell its TUF metadata.

* RFC 8785 canonical JSON of exactly `signatures` and `signed`;
* signatures sorted by key id, each key once, key id and signature in lower-case hex;
* `signed` has the fields of its role and no other.

python-tuf alone accepts junk fields, foreign signatures, other whitespace and duplicate keys;
here every bit is either signed or part of a signature. What is signed is another form: the OLPC
canonical JSON of `signed`. Source: docs/bundle-format.md, section 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, UnsupportedVersionError
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AUTHORITY",
    "ROLES",
    "STREAM",
    "Envelope",
    "EnvelopeSignature",
    "Envelopes",
    "canonical",
    "read_envelope",
    "write_envelope",
]

ROLES: Final = ("root", "timestamp", "snapshot", "targets")

AUTHORITY: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""An authority is named by a UUID, in lower case."""
STREAM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
"""A stream's name is part of file names and tags."""

_MAX_SIGNATURES: Final = 16
_KEYID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE: Final = re.compile(r"(?:[0-9a-f]{2}){1,4096}", re.ASCII)
_EXPIRES: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SPEC_VERSION: Final = re.compile(r"1\.0\.\d{1,4}", re.ASCII)
_COMMON: Final = ("_type", "spec_version", "version", "expires", "x-airgap")
_FIELDS: Final = {
    "root": (*_COMMON, "consistent_snapshot", "keys", "roles"),
    "timestamp": (*_COMMON, "meta"),
    "snapshot": (*_COMMON, "meta"),
    "targets": (*_COMMON, "targets"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelopes:
    """The TUF files of one bundle, as bytes: roots 1…N, timestamp, snapshot, targets."""

    roots: tuple[bytes, ...]
    timestamp: bytes
    snapshot: bytes
    targets: bytes


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature: the id of its key, and its bytes."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """One TUF file in the right form; nothing of it is believed yet.

    `payload` is what is signed, the OLPC canonical JSON of `signed`.
    """

    role: str
    data: bytes
    signed: Reader
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]
    version: int
    expires: datetime

    @property
    def digest(self) -> Digest:
        """The digest of what is signed: it stays the same when signatures are added."""
        return Digest.of(self.payload)


def canonical(signed: object) -> bytes:
    """Return the OLPC canonical JSON of `signed`, as python-tuf makes it: what TUF signs."""
    from securesystemslib.formats import encode_canonical  # noqa: PLC0415 - start-up time

    return str(encode_canonical(signed)).encode()  # type: ignore[arg-type] # any JSON value


def write_envelope(signed: object, signatures: Iterable[EnvelopeSignature]) -> bytes:
    """Return the bytes of an envelope."""
    return encode(
        {
            "signatures": [
                {"keyid": entry.keyid, "sig": entry.signature.hex()}
                for entry in sorted(signatures, key=lambda entry: entry.keyid)
            ],
            "signed": signed,
        }
    )


def read_envelope(data: bytes, role: str, name: str | None = None) -> Envelope:
    """Return the envelope of `role` that `data` spells; `name` stands for it in errors.

    Raises FormatError for any other form, UnsupportedVersionError for another TUF specification.
    """
    name = name or f"{role}.json"
    reader = Reader.parse(data, name)
    reader.close("signatures", "signed")
    if encode(reader.value) != data:
        raise FormatError(f"{name} is not canonical JSON", reason="metadata-not-canonical")
    signed = reader.child("signed")
    if signed.text("_type") != role:
        raise FormatError(f"{name} is not {role} metadata", reason="metadata-type-wrong")
    signed.close(*_FIELDS[role])
    if not _SPEC_VERSION.fullmatch(signed.text("spec_version")):
        raise UnsupportedVersionError(
            f"{name} follows TUF {signed.text('spec_version')}, not 1.0",
            reason="spec-version-unsupported",
        )
    return Envelope(
        role=role,
        data=data,
        signed=signed,
        payload=canonical(signed.value),
        signatures=tuple(_read_signatures(reader)),
        version=signed.integer("version", least=1),
        expires=_read_expires(signed),
    )


def _read_signatures(reader: Reader) -> Iterable[EnvelopeSignature]:
    before = ""
    if len(reader.array("signatures")) > _MAX_SIGNATURES:
        raise FormatError(
            f"more than {_MAX_SIGNATURES} signatures in {reader.path}", reason="signatures-too-many"
        )
    for entry in reader.children("signatures"):
        entry.close("keyid", "sig")
        keyid, signature = entry.text("keyid"), entry.text("sig")
        if not _KEYID.fullmatch(keyid) or not _SIGNATURE.fullmatch(signature):
            raise FormatError(
                f"expected lower-case hex in {entry.path}", reason="signature-not-canonical"
            )
        if keyid <= before:
            raise FormatError(
                f"{entry.path} is out of order, or its key signs twice",
                reason="signatures-not-sorted",
            )
        before = keyid
        yield EnvelopeSignature(keyid, bytes.fromhex(signature))


def _read_expires(signed: Reader) -> datetime:
    text = signed.text("expires")
    if _EXPIRES.fullmatch(text):
        try:
            return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
        except ValueError:
            pass
    raise FormatError(
        f"expected YYYY-MM-DDTHH:MM:SSZ in {signed.at('expires')}", reason="field-invalid"
    )
