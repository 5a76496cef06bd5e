"""Authority: the signing side. Its folder holds TUF metadata, keys, and the record of its numbers.

::

    authority.json          name, UUID, lifetimes, which key is where (schemas/authority)
    root.json               root 1, to be carried to the sites by another way than the bundles
    metadata/N.root.json    the chain of roots
    metadata/N.root.json.pending  the next root, while signatures on it are outstanding
    keys/*.pem              private keys; root.pem may live elsewhere
    numbers.log             which number was given to what
    locks/STREAM.lock       one export of a stream at a time

    with Authority.open(path).edition("prod") as edition:
        draft = edition.prepare(targets, statement, now=now)
        envelopes = draft.sign(passphrase)
        edition.finish(now=now)
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.authority_creation import Birth, write_authority
from airgap.authority_edition import Edition, Lifetimes
from airgap.authority_keys import SCHEMES
from airgap.authority_numbers import Numbers, Statement
from airgap.errors import AirgapError, FormatError, StoreError, UsageError
from airgap.ledger.durable import locked, make_private_folder
from airgap.ledger.log import Log
from airgap.oci.strict_json import Reader
from airgap.trust.envelope import STREAM, read_envelope
from airgap.trust.fingerprint import fingerprint
from airgap.trust.profile import verify_roots
from airgap.trust.release import Anchor
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap.trust.roles import Root

__all__ = ["Authority", "Lifetimes", "Statement"]

_VERSION: Final = 1
_DEFAULTS: Final = Lifetimes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """An authority on disk: `path` is its folder, `authority` its UUID, `roots` its chain.

    `keys` maps key ids to the files of their private keys.
    """

    path: Path
    name: str
    authority: str
    roots: tuple[Root, ...] = field(repr=False)
    keys: Mapping[str, Path] = field(repr=False, hash=False)
    lifetimes: Lifetimes = _DEFAULTS

    @classmethod
    def create(
        cls,
        path: Path,
        name: str,
        *,
        now: datetime,
        scheme: str = SCHEMES[0],
        passphrase: bytes | None,
        lifetimes: Lifetimes = _DEFAULTS,
        root_key_path: Path | None = None,
    ) -> Authority:
        """Make a new authority at `path`, 1 of 1 for every role, and return it.

        `now` is when root 1 begins to live; `passphrase` protects the keys, None leaves them
        plain; `root_key_path` puts the root key elsewhere (a folder, or the name of the file).
        Raises UsageError ``authority-exists``, ``key-exists``, ``scheme-unknown``; StoreError.
        """
        path = path.absolute()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"there is something at {path} already, and no authority is written over",
                reason="authority-exists",
                hint="Name a folder that is empty or not there yet.",
            )
        birth = Birth(
            name=name,
            now=now,
            scheme=scheme,
            passphrase=passphrase,
            lifetimes=lifetimes,
            root_key=_key_path(root_key_path),
        )
        try:
            write_authority(path, birth)
        except OSError as error:
            raise _unusable(path, error) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Authority:
        """Open the authority at `path`, its roots verified.

        Raises UsageError ``authority-missing``, StoreError ``authority-damaged``.
        """
        path = path.absolute()
        try:
            data = (path / "authority.json").read_bytes()
            roots = _read_roots(path / "metadata")
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no authority at {path}",
                reason="authority-missing",
                hint="Make one: airgap trust init NAME --authority FOLDER",
            ) from error
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            return cls._decode(path, data, roots)
        except AirgapError as error:
            raise StoreError(
                f"the authority at {path} is damaged: {error.message}",
                reason="authority-damaged",
                hint="Restore its folder from a copy.",
            ) from error

    @property
    def fingerprint(self) -> str:
        """What a person says over the phone."""
        return fingerprint(self.roots[0].envelope.payload)

    @property
    def root_expires(self) -> datetime:
        """When the newest root ends."""
        return self.roots[-1].envelope.expires

    def to_json(self) -> dict[str, object]:
        """Return what people and programs want to know of it; no secrets."""
        return {
            "schemaVersion": _VERSION,
            "name": self.name,
            "authority": self.authority,
            "fingerprint": self.fingerprint,
            "root": self.roots[-1].version,
            "rootExpires": format_time(self.root_expires),
            "keys": {keyid: str(path) for keyid, path in self.keys.items()},
        }

    @property
    def numbers(self) -> tuple[Numbers, ...]:
        """The numbers of all streams. Raises StoreError ``authority-damaged``."""
        return tuple(Numbers.streams(self._log.read()).values())

    @property
    def _log(self) -> Log:
        return Log(self.path / "numbers.log", name="authority's record of numbers")

    @contextlib.contextmanager
    def edition(
        self, stream: str, *, number: int | None = None, wait: float = 0.0
    ) -> Iterator[Edition]:
        """Hold `stream` for one export, and yield the number that it makes.

        `number` goes on with one that was recorded, of an interrupted export; None takes the next.
        Raises UsageError ``stream-invalid``, ``number-unknown``; StoreError ``authority-busy``
        where another export of the stream does not end within `wait` seconds.
        """
        if not STREAM.fullmatch(stream):
            raise UsageError(
                f"{stream!r:.80} is no name of a stream",
                reason="stream-invalid",
                hint="Lower-case letters, digits, dots, dashes and underscores, at most 63.",
            )
        log = self._log
        with contextlib.ExitStack() as held:
            try:
                make_private_folder(self.path / "locks")
                held.enter_context(
                    locked(
                        self.path / "locks" / f"{stream}.lock",
                        reason="authority-busy",
                        message=f"another export of stream {stream} is under way",
                        wait=wait,
                    )
                )
            except OSError as error:
                raise _unusable(self.path, error) from error
            numbers = Numbers(stream=stream).fold(log.read())
            if number is not None and number != numbers.next and number not in numbers.recorded:
                raise UsageError(
                    f"number {number} of stream {stream} was never given out",
                    reason="number-unknown",
                )
            yield Edition(
                stream=stream,
                number=numbers.next if number is None else number,
                authority=self.authority,
                roots=self.roots,
                lifetimes=self.lifetimes,
                keys=self.keys,
                numbers=numbers,
                log=log,
            )

    @classmethod
    def _decode(cls, path: Path, data: bytes, roots: Sequence[bytes]) -> Authority:
        reader = Reader.parse(data, "authority.json")
        reader.close("schemaVersion", "name", "authority", "keys", "lifetimes")
        if reader.integer("schemaVersion") != _VERSION or not roots:
            raise FormatError("it is of another version, or has no root", reason="field-invalid")
        name, authority = reader.text("name"), reader.text("authority")
        found = fingerprint(read_envelope(roots[0], "root", "1.root.json").payload)
        anchor = Anchor(name=name, authority=authority, fingerprint=found, roots=tuple(roots))
        return cls(
            path=path,
            name=name,
            authority=authority,
            roots=verify_roots(roots, anchor=anchor).roots,
            keys={keyid: path / file for keyid, file in reader.text_map("keys").items()},
            lifetimes=Lifetimes.read(reader.child("lifetimes")),
        )


def _key_path(path: Path | None) -> Path | None:
    if path is None:
        return None
    return path.absolute() / "root.pem" if path.is_dir() else path.absolute()


def _read_roots(folder: Path) -> list[bytes]:
    """Return 1.root.json and those that follow it without a gap."""
    roots: list[bytes] = []
    while (path := folder / f"{len(roots) + 1}.root.json").exists():
        roots.append(path.read_bytes())
    return roots


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the authority at {path} cannot be used: {error.strerror or error}",
        reason="authority-unusable",
    )
