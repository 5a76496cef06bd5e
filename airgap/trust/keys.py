"""Keys: which public keys are good enough to be believed, and how their signatures are spelled.

* A key is one of `KINDS`, spelled in one way, under the id that is computed from it: so one key has
  one id and one id one key (threat model A080).
* Weak keys are refused when they are loaded (A084): RSA below 3072 bits, odd exponents.
* A signature is spelled in one way as well: ECDSA in minimal DER (A086).
* Two keys are the same person's if their `identity` is the same (A081).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from airgap.errors import FormatError, TrustRootError

if TYPE_CHECKING:
    from airgap.oci.strict_json import Reader

__all__ = ["KINDS", "MIN_RSA_BITS", "PublicKey", "identity", "read_key"]

Loaded = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

KINDS: Final = frozenset(
    {
        ("ecdsa", "ecdsa-sha2-nistp256"),
        ("ecdsa", "ecdsa-sha2-nistp384"),
        ("ed25519", "ed25519"),
        ("rsa", "rsassa-pss-sha256"),
    }
)
"""The key types and schemes of TUF metadata that bundles may be signed with."""

MIN_RSA_BITS: Final = 3072
_MAX_RSA_BITS: Final = 16384
_MIN_RSA_EXPONENT: Final = 65537


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A public key that was read from root metadata and found good.

    `identity` is the same for two ids of one key; `longest` the greatest length of a signature, in
    bytes.
    """

    keyid: str
    identity: bytes
    longest: int
    tuf: SSlibKey

    def spells(self, signature: bytes) -> bool:
        """Tell whether `signature` is in the one spelling that this kind of key has."""
        if self.tuf.keytype != "ecdsa":
            return len(signature) == self.longest
        try:
            return encode_dss_signature(*decode_dss_signature(signature)) == signature
        except ValueError:
            return False

    def verifies(self, signature: bytes, payload: bytes) -> bool:
        """Tell whether `signature` over `payload` is by this key."""
        try:
            self.tuf.verify_signature(Signature(self.keyid, signature.hex()), payload)
        except UnverifiedSignatureError:
            return False
        return True


def read_key(keyid: str, reader: Reader) -> PublicKey:
    """Return the key that `reader` stands on, listed in root metadata under `keyid`.

    Raises FormatError for another form than the one that is allowed, TrustRootError ``key-weak``.
    """
    reader.close("keytype", "scheme", "keyval")
    keyval = reader.child("keyval")
    keyval.close("public")
    kind, public = (reader.text("keytype"), reader.text("scheme")), keyval.text("public")
    if kind not in KINDS:
        raise FormatError(
            f"{reader.path} is of the kind {'/'.join(kind)}, which is not believed",
            reason="key-unsupported",
        )
    loaded = _load(*kind, public, path=reader.path)
    key = SSlibKey.from_crypto(loaded)
    if (key.keytype, key.scheme, key.keyval["public"]) != (*kind, public):
        raise FormatError(f"{reader.path} is not spelled as it must be", reason="key-not-canonical")
    if key.keyid != keyid:
        raise FormatError(
            f"{reader.path} has not the id that it is listed under", reason="keyid-wrong"
        )
    _refuse_weak(loaded, reader.path)
    return PublicKey(
        keyid=keyid, identity=_identity(loaded), longest=_longest_signature(loaded), tuf=key
    )


def identity(key: SSlibKey) -> bytes:
    """Return what is the same for all spellings and ids of one public key.

    `key` has just verified a signature, so it can be loaded.
    """
    return _identity(_load(key.keytype, key.scheme, key.keyval["public"], path=key.keyid))


def _load(keytype: str, scheme: str, public: str, *, path: str) -> Loaded:
    try:
        if keytype == "ed25519":
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        loaded = load_pem_public_key(public.encode())
    except Exception as error:
        raise FormatError(f"{path} is not a {scheme} key", reason="key-invalid") from error
    if not isinstance(loaded, EllipticCurvePublicKey | RSAPublicKey):
        raise FormatError(f"{path} is not a {scheme} key", reason="key-invalid")
    return loaded


def _refuse_weak(key: Loaded, path: str) -> None:
    if isinstance(key, RSAPublicKey) and (
        not MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
        or key.public_numbers().e < _MIN_RSA_EXPONENT
    ):
        raise TrustRootError(
            f"{path} is an RSA key of {key.key_size} bits, exponent {key.public_numbers().e}; "
            f"at least {MIN_RSA_BITS} bits and {_MIN_RSA_EXPONENT} are asked for",
            reason="key-weak",
        )


def _identity(key: Loaded) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _longest_signature(key: Loaded) -> int:
    if isinstance(key, EllipticCurvePublicKey):
        # A sequence of two integers, each with a leading zero: 72 for P-256, 104 for P-384.
        return 2 + 2 * (2 + 1 + (key.key_size + 7) // 8)
    if isinstance(key, RSAPublicKey):
        return (key.key_size + 7) // 8
    return 64
