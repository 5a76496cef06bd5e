"""Authority keys: private keys on disk, encrypted PEM (PKCS #8), readable by their owner only.

A passphrase comes from a function that is called only if a key is encrypted, and again only for a
key that the passphrases so far do not open. Nothing is signed before every key that will sign is
open: a mistyped passphrase leaves no trace.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.exceptions import Error as SigningError
from securesystemslib.signer import CryptoSigner, SSlibKey

from airgap.errors import FormatError, StoreError, UsageError
from airgap.ledger.durable import flush_folder, open_private
from airgap.oci.strict_json import Reader
from airgap.trust.keys import read_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.signer import Signer

    from airgap.trust.keys import PublicKey

__all__ = [
    "SCHEMES",
    "generate_key",
    "open_key",
    "open_signers",
    "public_key",
    "public_pem",
    "read_public_key",
    "write_key",
]

SCHEMES: Final = ("ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-pss-3072")
"""What an authority may be created with; the first is the default."""


def generate_key(scheme: str) -> PrivateKeyTypes:
    """Return a new private key, or raise UsageError ``scheme-unknown``."""
    match scheme:
        case "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ecdsa-p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa-pss-3072":
            return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    raise UsageError(
        f"unknown signature scheme {scheme!r:.40}",
        reason="scheme-unknown",
        hint=f"Choose one of {', '.join(SCHEMES)}.",
    )


def public_key(private: PrivateKeyTypes) -> SSlibKey:
    """Return the public key as TUF metadata lists it, under the id that is computed from it."""
    return SSlibKey.from_crypto(private.public_key())


def write_key(path: Path, private: PrivateKeyTypes, passphrase: bytes | None) -> None:
    """Write a private key where there is none yet, encrypted unless `passphrase` is None.

    Raises UsageError ``key-exists`` or ``passphrase-empty``, StoreError ``key-unwritable``.
    """
    if passphrase == b"":
        raise UsageError("the passphrase is empty", reason="passphrase-empty")
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(path.parent)
    except FileExistsError as error:
        raise UsageError(
            f"there is a key at {path} already, and no key is written over",
            reason="key-exists",
            hint="Name another place for the new key.",
        ) from error
    except OSError as error:
        raise StoreError(
            f"the key {path} cannot be written: {error.strerror or error}", reason="key-unwritable"
        ) from error


def open_signers(
    files: Mapping[Path, PublicKey], passphrase: Callable[[], bytes] | None
) -> dict[str, Signer]:
    """Return a signer for each key file, by key id; `files` maps each to the public key it is of.

    Raises UsageError ``passphrase-needed``, ``passphrase-wrong``, ``key-invalid`` or
    ``key-mismatch``, StoreError ``key-unreadable``.
    """
    secrets: list[bytes] = []
    signers: dict[str, Signer] = {}
    for path, public in files.items():
        private = _open(path, secrets, passphrase)
        try:
            signers[public.keyid] = CryptoSigner(private, public.tuf)
        except (SigningError, ValueError) as error:
            raise UsageError(
                f"{path} is not the private key of {public.keyid}", reason="key-mismatch"
            ) from error
    return signers


def open_key(path: Path, passphrase: Callable[[], bytes] | None) -> CryptoSigner:
    """Return a signer for the private key in a file, under the id that is computed from it.

    Raises what `open_signers` does.
    """
    private = _open(path, [], passphrase)
    try:
        return CryptoSigner(private, public_key(private))
    except (SigningError, ValueError) as error:
        raise UsageError(
            f"{path} is a key of a kind that signs nothing here",
            reason="key-invalid",
            hint=f"Make one of {', '.join(SCHEMES)}: airgap trust key FILE",
        ) from error


def read_public_key(path: Path) -> PublicKey:
    """Return the public key in a PEM file, good enough to be believed.

    Raises UsageError ``key-invalid``, TrustRootError ``key-weak``, StoreError ``key-unreadable``.
    """
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(_read(path)))
        return read_key(key.keyid, Reader.of(key.to_dict(), str(path)))
    except (SigningError, ValueError, TypeError, UnsupportedAlgorithm, FormatError) as error:
        raise UsageError(
            f"{path} is not a public key in PEM of a kind that is believed",
            reason="key-invalid",
            hint="Name the .pub file that airgap trust key wrote beside the private key.",
        ) from error


def public_pem(private: PrivateKeyTypes) -> bytes:
    """Return the public half of a key in PEM, to be given to others."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _open(
    path: Path, secrets: list[bytes], passphrase: Callable[[], bytes] | None
) -> PrivateKeyTypes:
    """Open a private key with one of `secrets`, or with a new one, which is added to them."""
    pem = _read(path)
    if not _is_encrypted(pem, path):
        return load_pem_private_key(pem, None)
    for secret in secrets:
        with contextlib.suppress(ValueError):
            return load_pem_private_key(pem, secret)
    secrets.append(_ask(path, passphrase))
    try:
        return load_pem_private_key(pem, secrets[-1])
    except ValueError as error:
        raise UsageError(
            f"the passphrase does not open {path}",
            reason="passphrase-wrong",
            hint="Give the passphrase that the key was made with.",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the key {path} cannot be read: {error.strerror or error}", reason="key-unreadable"
        ) from error


def _is_encrypted(pem: bytes, path: Path) -> bool:
    try:
        load_pem_private_key(pem, None)
    except TypeError:
        return True
    except Exception as error:
        raise UsageError(f"{path} is not a private key in PEM", reason="key-invalid") from error
    return False


def _ask(path: Path, passphrase: Callable[[], bytes] | None) -> bytes:
    secret = passphrase() if passphrase is not None else b""
    if not secret:
        raise UsageError(
            f"the key {path} is encrypted and there is no passphrase",
            reason="passphrase-needed",
            hint="Type it when asked, or give --passphrase-file or --passphrase-fd.",
        )
    return secret
