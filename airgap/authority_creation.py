"""Authority creation: new keys, root 1 signed by its root key, and the folder that holds them.

The folder is filled beside its name and renamed, so there is a whole authority or none. One key
signs the root; another, the bundle key, signs targets, snapshot and timestamp.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from securesystemslib.signer import CryptoSigner

from airgap.authority_edition import SPEC_VERSION, Lifetimes
from airgap.authority_keys import generate_key, public_key, write_key
from airgap.errors import UsageError
from airgap.ledger.durable import flush_folder, make_private_folder, write_file
from airgap.oci.strict_json import encode
from airgap.trust.envelope import ROLES, EnvelopeSignature, canonical, write_envelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["Birth", "write_authority"]

_MAX_NAME: Final = 63
_ROOT_KEY: Final = "keys/root.pem"
_BUNDLE_KEY: Final = "keys/bundle.pem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Birth:
    """What a new authority is made of.

    `root_key` is where the root key goes, if not into the authority's own folder.
    """

    name: str
    now: datetime
    scheme: str
    passphrase: bytes | None
    lifetimes: Lifetimes
    root_key: Path | None


def write_authority(path: Path, birth: Birth) -> None:
    """Make the authority's folder at `path`, which is empty or not there.

    Raises UsageError ``name-invalid``, ``scheme-unknown``, ``key-exists``; StoreError; OSError.
    """
    if not 0 < len(birth.name) <= _MAX_NAME or not birth.name.isprintable():
        raise UsageError(
            f"{birth.name!r:.80} is no name for an authority",
            reason="name-invalid",
            hint=f"1 to {_MAX_NAME} printable characters.",
        )
    keys = {"root": generate_key(birth.scheme), "bundle": generate_key(birth.scheme)}
    places = {"root": str(birth.root_key or _ROOT_KEY), "bundle": _BUNDLE_KEY}
    authority = str(uuid.uuid4())
    root = _sign_root(_root(authority, birth, keys), keys["root"])
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        make_private_folder(partial / "keys")
        make_private_folder(partial / "metadata")
        write_file(partial / "metadata" / "1.root.json", root)
        write_file(partial / "root.json", root)
        write_file(partial / "authority.json", _describe(authority, birth, keys, places))
        write_key(partial / _BUNDLE_KEY, keys["bundle"], birth.passphrase)
        # A path that is absolute stays what it is. This file alone may lie outside: it is last.
        root_key = partial / places["root"]
        write_key(root_key, keys["root"], birth.passphrase)
        try:
            partial.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                root_key.unlink()
            raise
        flush_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _root(authority: str, birth: Birth, keys: Mapping[str, PrivateKeyTypes]) -> dict[str, object]:
    public = {name: public_key(key) for name, key in keys.items()}
    signers = {role: "root" if role == "root" else "bundle" for role in ROLES}
    return {
        "_type": "root",
        "consistent_snapshot": True,
        "expires": birth.lifetimes.end("root", birth.now),
        "keys": {key.keyid: key.to_dict() for key in public.values()},
        "roles": {
            role: {"keyids": [public[signer].keyid], "threshold": 1}
            for role, signer in signers.items()
        },
        "spec_version": SPEC_VERSION,
        "version": 1,
        "x-airgap": {"authority": authority, "name": birth.name},
    }


def _sign_root(signed: dict[str, object], key: PrivateKeyTypes) -> bytes:
    signature = CryptoSigner(key, public_key(key)).sign(canonical(signed))
    return write_envelope(
        signed, [EnvelopeSignature(signature.keyid, bytes.fromhex(signature.signature))]
    )


def _describe(
    authority: str,
    birth: Birth,
    keys: Mapping[str, PrivateKeyTypes],
    places: Mapping[str, str],
) -> bytes:
    return encode(
        {
            "schemaVersion": 1,
            "name": birth.name,
            "authority": authority,
            "keys": {public_key(key).keyid: places[name] for name, key in keys.items()},
            "lifetimes": birth.lifetimes.days(),
        }
    )
