"""Authority rotation: a key that is old, lost or leaked is replaced in every role that it has.

The new root needs the root threshold, not the key that goes: with a root key at hand, a bundle key
that is lost is replaced as easily as one that is only old. A root key itself can be replaced
without it as long as the other root keys reach the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from securesystemslib.signer import CryptoSigner

from airgap.authority_keys import generate_key, public_key, write_key
from airgap.authority_roles import find_key, replace_key
from airgap.authority_roots import change_root
from airgap.errors import StoreError, UsageError
from airgap.ledger.durable import make_private_folder, write_file
from airgap.oci.strict_json import Reader, encode
from airgap.trust.keys import read_key

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airgap.authority import Authority
    from airgap.authority_keyring import Keyring
    from airgap.trust.keys import PublicKey
    from airgap.trust.signing import OpenRequest

__all__ = ["ROTATABLE", "NewKey", "Rotation", "rotate_key"]

ROTATABLE: Final = {"root": "root", "targets": "targets", "online": "timestamp"}
"""What may be rotated, and the role by which the key is found."""

_FILES: Final = {"root": "root", "targets": "targets", "online": "bundle"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """What the new key is to be: its scheme and passphrase (None: plain), and where it goes.

    `place` is a folder or a file; None is the authority's own folder of keys.
    """

    scheme: str
    passphrase: bytes | None
    place: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """A key that was replaced. `path` is where the new private key is, if it was made here."""

    request: OpenRequest
    old: str
    new: str
    path: Path | None

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        path = None if self.path is None else str(self.path)
        return {"oldKey": self.old, "newKey": self.new, "path": path}


def rotate_key(
    authority: Authority,
    what: str,
    new: NewKey | PublicKey,
    keyring: Keyring,
    *,
    old: str | None,
    person: str | None,
    now: datetime,
) -> Rotation:
    """Replace a key of `what`, one of `ROTATABLE`, by a new one or by one that somebody holds.

    `old` says which, if there are several: the start of its id, or its person. Raises UsageError
    ``key-unknown``, ``key-ambiguous``, ``key-exists`` and what `change_root` does.
    """
    gone = find_key(authority.roots[-1], ROTATABLE[what], old)
    if not isinstance(new, NewKey):
        request = change_root(authority, replace_key(gone, new, person=person), keyring, now=now)
        return Rotation(request=request, old=gone, new=new.keyid, path=None)
    private = generate_key(new.scheme)
    public = public_key(private)
    key = read_key(public.keyid, Reader.of(public.to_dict(), "the new key"))
    path = _place(authority, what, new.place)
    # On the medium before any root names it.
    make_private_folder(path.parent)
    write_key(path, private, new.passphrase)
    described = _note_place(authority, public.keyid, path)
    made = replace(keyring, made={public.keyid: CryptoSigner(private, public)})
    try:
        request = change_root(authority, replace_key(gone, key, person=person), made, now=now)
    except UsageError:
        # Nothing was written yet: no root names this key.
        write_file(authority.path / "authority.json", described)
        path.unlink()
        raise
    return Rotation(request=request, old=gone, new=public.keyid, path=path)


def _place(authority: Authority, what: str, place: Path | None) -> Path:
    """Return where the new key goes: a name that is free, if a folder was named."""
    if place is not None and not place.is_dir():
        return place.absolute()
    folder = authority.path / "keys" if place is None else place.absolute()
    for number in count(authority.roots[-1].version + 1):
        path = folder / f"{_FILES[what]}-{number}.pem"
        if not path.exists():
            break
    return path


def _note_place(authority: Authority, keyid: str, path: Path) -> bytes:
    """Write into authority.json where the private key is, and return what it said before."""
    file = authority.path / "authority.json"
    inside = path.is_relative_to(authority.path)
    place = str(path.relative_to(authority.path) if inside else path)
    try:
        before = file.read_bytes()
        document: dict[str, Any] = dict(Reader.parse(before, file.name).value)
        document["keys"] = {**document["keys"], keyid: place}
        write_file(file, encode(document))
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written: {error.strerror or error}", reason="authority-unusable"
        ) from error
    return before
