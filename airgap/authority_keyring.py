"""Authority keyring: the private keys that are at hand when something is to be signed.

Some were named by a person (each must be one that may sign); some lie where the authority's folder
says; one may have been made a moment ago. Each is opened once, with a passphrase of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from airgap.authority_keys import open_key, open_signers
from airgap.trust.signing import DetachedSignature, sole_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from securesystemslib.signer import Signer

    from airgap.trust.envelope import Envelope
    from airgap.trust.keys import PublicKey

__all__ = ["Keyring"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyring:
    """Private keys: `files` that were named, the places of others by key id, and `made` ones.

    `passphrase` is called with the path of each key that is encrypted.
    """

    files: tuple[Path, ...] = ()
    places: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    made: Mapping[str, Signer] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    passphrase: Callable[[Path], bytes] | None = None

    def sign(self, envelope: Envelope, keys: Sequence[PublicKey]) -> tuple[DetachedSignature, ...]:
        """Return a signature over `envelope` by each key at hand that is one of `keys`.

        Raises UsageError ``key-not-of-role`` where a key that was named is not, and what opening a
        key raises; nothing is signed before all are open.
        """
        signers: dict[str, Signer] = {}
        for path in self.files:
            signer = open_key(path, self._asking(path))
            keyid = signer.public_key.keyid
            signers[sole_key(keys, keyid, envelope.role).keyid] = signer
        for key in keys:
            place = self.places.get(key.keyid)
            if key.keyid in self.made:
                signers[key.keyid] = self.made[key.keyid]
            elif key.keyid not in signers and place is not None and place.exists():
                signers |= open_signers({place: key}, self._asking(place))
        return tuple(
            DetachedSignature(
                role=envelope.role,
                signed=envelope.digest,
                keyid=keyid,
                signature=bytes.fromhex(signer.sign(envelope.payload).signature),
            )
            for keyid, signer in signers.items()
        )

    def _asking(self, path: Path) -> Callable[[], bytes] | None:
        return None if self.passphrase is None else partial(self.passphrase, path)
