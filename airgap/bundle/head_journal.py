"""Head journal: a new head beside its bundle, whole, before the first byte of the old one changes.

One block of 512 bytes, then the bytes that belong at the start of the bundle's file. The block is
canonical JSON, filled up with spaces:

| Field       | What                                                                  |
| ----------- | --------------------------------------------------------------------- |
| `version`   | 1                                                                     |
| `size`      | the length of the bundle's file                                       |
| `length`    | how many bytes belong at its start                                    |
| `head`      | their digest                                                          |
| `inventory` | the digest of the inventory, which tells bundles apart                |
| `body`      | the digest of the 512 bytes after them: the first body blob's header  |

The file has its name only when it is whole and on the medium; it is removed when the bundle is.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.bundle.medium import Medium
from airgap.bundle.tar import BLOCK
from airgap.errors import AirgapError, FormatError, StoreError
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader, encode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["HeadJournal", "flush_folder", "journal_path", "partial_path"]

_VERSION: Final = 1
_CHUNK: Final = 1 << 20


def journal_path(bundle: Path) -> Path:
    """Return where the journal of a bundle is, if it has one."""
    return bundle.with_name(f"{bundle.name}.head")


def partial_path(bundle: Path) -> Path:
    """Return where something is written that is to become a journal, or a bundle without body."""
    return bundle.with_name(f"{bundle.name}.head.partial")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadJournal:
    """What the journal of one bundle says: see above."""

    size: int
    length: int
    head: Digest
    inventory: Digest
    body: Digest

    @classmethod
    def write(cls, bundle: Medium, inventory: Digest, head: Iterable[bytes]) -> HeadJournal:
        """Write the journal of `bundle`, whose head is to become `head`, and return what it says.

        Raises StoreError where the disk does not take it; the bundle is as it was then.
        """
        partial = partial_path(bundle.path)
        hasher, length = hashlib.sha256(), 0
        try:
            with Medium.create(partial, 0) as medium:
                for piece in head:
                    medium.write(BLOCK + length, piece)
                    hasher.update(piece)
                    length += len(piece)
                journal = cls(
                    size=bundle.size,
                    length=length,
                    head=Digest(hasher.hexdigest()),
                    inventory=inventory,
                    body=Digest.of(bundle.read(length, BLOCK)),
                )
                medium.write(0, journal._block())
                medium.sync()
            partial.replace(journal_path(bundle.path))
            flush_folder(bundle.path.parent)
        finally:
            partial.unlink(missing_ok=True)
        return journal

    @classmethod
    def read(cls, medium: Medium) -> HeadJournal:
        """Return what the journal in `medium` says, its bytes verified.

        Raises StoreError ``sign-journal-damaged``.
        """
        try:
            journal = cls._decode(medium.read(0, BLOCK).rstrip(b" "))
            hasher = hashlib.sha256()
            for piece in journal.pieces(medium):
                hasher.update(piece)
            if Digest(hasher.hexdigest()) != journal.head:
                raise FormatError("its bytes have another digest", reason="sign-journal-damaged")
        except AirgapError as error:
            raise StoreError(
                f"the journal {medium.path} is damaged: {error.message}",
                reason="sign-journal-damaged",
                hint="It was whole when it was written: the disk has lost something. Restore the "
                "bundle from a copy and remove the journal.",
            ) from error
        return journal

    def pieces(self, medium: Medium) -> Iterable[bytes]:
        """Yield the bytes that belong at the start of the bundle, from the journal in `medium`."""
        for offset in range(0, self.length, _CHUNK):
            yield medium.read(BLOCK + offset, min(_CHUNK, self.length - offset))

    def fits(self, bundle: Medium) -> bool:
        """Tell whether the journal is of the bundle in this file, as far as its body shows it."""
        return bundle.size == self.size and Digest.of(bundle.read(self.length, BLOCK)) == self.body

    def apply(self, medium: Medium, bundle: Medium) -> None:
        """Write the bytes from the journal in `medium` to the start of `bundle`; fsync."""
        offset = 0
        for piece in self.pieces(medium):
            bundle.write(offset, piece)
            offset += len(piece)
        bundle.sync()

    def _block(self) -> bytes:
        document = {
            "version": _VERSION,
            "size": self.size,
            "length": self.length,
            "head": str(self.head),
            "inventory": str(self.inventory),
            "body": str(self.body),
        }
        return encode(document).ljust(BLOCK)

    @classmethod
    def _decode(cls, block: bytes) -> HeadJournal:
        reader = Reader.parse(block, "its first block")
        reader.close("version", "size", "length", "head", "inventory", "body")
        if reader.integer("version") != _VERSION:
            raise FormatError("it is of another version", reason="sign-journal-damaged")
        return cls(
            size=reader.integer("size"),
            length=reader.integer("length"),
            head=reader.digest("head"),
            inventory=reader.digest("inventory"),
            body=reader.digest("body"),
        )


def flush_folder(path: Path) -> None:
    """Flush the names in a folder to the medium, where the system can."""
    if os.name == "nt":  # pragma: no cover - a folder cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
