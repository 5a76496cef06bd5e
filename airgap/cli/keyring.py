"""Key options: which private keys sign, and where their passphrases come from, one for each key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from airgap.cli import options
from airgap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airgap.authority_keyring import Keyring

__all__ = [
    "Keys",
    "NewPassphraseFile",
    "NoPassphrase",
    "PassphraseFiles",
    "Scheme",
    "new_passphrase",
    "open_keyring",
]

Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        envvar="AIRGAP_KEY",
        metavar="FILE",
        help="A private key that signs, beside those in the authority's folder (repeatable).",
    ),
]
PassphraseFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file",
        envvar="AIRGAP_PASSPHRASE_FILE",
        help="First line: the passphrase. Once for all keys, or once for each --key, in order.",
    ),
]
Scheme = Annotated[
    str,
    typer.Option(envvar="AIRGAP_SCHEME", help="ecdsa-p256, ecdsa-p384, ed25519 or rsa-pss-3072."),
]
NewPassphraseFile = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_NEW_PASSPHRASE_FILE",
        help="First line: the passphrase of the new key. At a terminal you are asked.",
    ),
]
NoPassphrase = Annotated[
    bool,
    typer.Option(
        "--no-passphrase", envvar="AIRGAP_NO_PASSPHRASE", help="Leave the new key unencrypted."
    ),
]


def open_keyring(
    keys: list[Path] | None,
    files: list[Path] | None,
    descriptor: int | None,
    *,
    places: Mapping[str, Path] | None = None,
) -> Keyring:
    """Return the keys that sign. Passphrases are read, or asked for, key by key."""
    from airgap.authority_keyring import Keyring

    named = tuple(keys or ())
    secrets = _Secrets(files=tuple(files or ()), descriptor=descriptor)

    def passphrase(path: Path) -> bytes:
        number = named.index(path) if path in named else 0
        return secrets.read(number, path)

    return Keyring(files=named, places=places or {}, passphrase=passphrase)


def new_passphrase(file: Path | None, *, plain: bool) -> Callable[[], bytes | None]:
    """Return what obtains the passphrase of a new key: a person types it twice; None leaves it."""
    if plain:
        return lambda: None
    return options.passphrase_reader(
        file, None, prompt="New passphrase for the new key", confirm=True
    )


@dataclass(slots=True)
class _Secrets:
    """Passphrases in the order of the keys; a single one is for all."""

    files: tuple[Path, ...]
    descriptor: int | None
    _lines: list[bytes] = field(default_factory=list)
    _stream: BinaryIO | None = None

    def read(self, number: int, path: Path) -> bytes:
        """Return the passphrase for the key at `path`, the one with this `number`."""
        if self.files:
            if len(self.files) > 1 and number >= len(self.files):
                raise UsageError(
                    f"there is no passphrase for {path}: {len(self.files)} files, and more keys",
                    reason="passphrase-count",
                    hint="Give --passphrase-file once, or once for each --key.",
                )
            file = self.files[0 if len(self.files) == 1 else number]
            return options.passphrase_reader(file, None, prompt="")()
        if self.descriptor is not None:
            return self._from_descriptor(self.descriptor, number)
        return options.passphrase_reader(None, None, prompt=f"Passphrase of {path}")()

    def _from_descriptor(self, descriptor: int, number: int) -> bytes:
        try:
            if self._stream is None:
                self._stream = os.fdopen(descriptor, "rb", closefd=False)
            while len(self._lines) <= number and (line := self._stream.readline()):
                self._lines.append(line.rstrip(b"\r\n"))
        except OSError as error:
            raise UsageError(
                f"cannot read the passphrase from descriptor {descriptor}: {error.strerror}",
                reason="passphrase-unreadable",
            ) from error
        if not self._lines:
            return b""
        return self._lines[0 if len(self._lines) == 1 else min(number, len(self._lines) - 1)]
