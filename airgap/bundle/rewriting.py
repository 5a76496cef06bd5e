"""Rewriting: a new head before a body that does not move. So signatures come into a bundle.

1. The new head is written to a journal beside the bundle, flushed, and named.
2. It is copied over the old one, ``[0, body_at)`` less the first blob's header, and flushed.
3. The journal is removed.

A kill before the journal has its name leaves the old head. After that the journal is there, and
`complete_rewrite` does 2. and 3. again: the new head. What is between the two is no bundle, and
every reader refuses it. A bundle without body has nothing to keep in place: it is written beside
and renamed.

Source: docs/bundle-format.md, "body_at" and "Adding signatures".
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from airgap.bundle.arrangement import arrange
from airgap.bundle.head import compose
from airgap.bundle.head_journal import HeadJournal, flush_folder, journal_path, partial_path
from airgap.bundle.layout import first_pad
from airgap.bundle.medium import Medium
from airgap.bundle.reader import open_bundle
from airgap.bundle.tar import END, pad_member
from airgap.errors import ContentError, FormatError, NotFoundError, StoreError, UsageError
from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.bundle.head import Head
    from airgap.bundle.reader import Bundle
    from airgap.bundle.trust_files import TrustFiles
    from airgap.oci.descriptor import Descriptor

__all__ = ["complete_rewrite", "rewrite_head"]


def rewrite_head(bundle: Bundle, trust: TrustFiles) -> None:
    """Give `bundle`, which has been surveyed, these TUF files; inventory and content stay.

    The caller keeps others from writing to the file. `bundle` must not be read any more after this.
    Raises UsageError ``no-room-for-signature``, FormatError or StoreError with nothing changed;
    StoreError while the head is copied leaves the journal, and `complete_rewrite` goes on.
    """
    head = _compose(bundle, trust)
    body_at = bundle.inventory.content.body_at
    try:
        if body_at is None:
            _replace(bundle, head)
            return
        pad = pad_member(first_pad(head.size, body_at))
        with Medium.update(bundle.path) as medium:
            HeadJournal.write(medium, bundle.inventory_digest, _spell(head, bundle, pad))
        complete_rewrite(bundle.path)
    except OSError as error:
        raise StoreError(
            f"{bundle.path} cannot be written: {error.strerror}", reason="bundle-unwritable"
        ) from error


def complete_rewrite(path: Path) -> bool:
    """Copy the head from the journal of the bundle at `path`; tell whether there was one.

    Raises UsageError ``journal-of-other-bundle``, StoreError ``sign-journal-damaged`` and others.
    """
    try:
        source = Medium.open(journal_path(path))
    except NotFoundError:
        return False
    with source, Medium.update(path) as target:
        journal = HeadJournal.read(source)
        if not (journal.fits(target) and _inventory_of(path) in {None, journal.inventory}):
            raise UsageError(
                f"the journal {source.path} is of another bundle than {path}",
                reason="journal-of-other-bundle",
                hint="An older file of that name was being signed. Remove the journal if it is "
                "gone.",
            )
        journal.apply(source, target)
    journal_path(path).unlink()
    flush_folder(path.parent)
    return True


def _inventory_of(path: Path) -> Digest | None:
    """Return what tells the bundle apart; None where its head is neither the old nor the new."""
    try:
        with open_bundle(path) as bundle:
            return bundle.inventory_digest
    except ContentError:
        return None


def _compose(bundle: Bundle, trust: TrustFiles) -> Head:
    """Return the new head, or raise FormatError where the body could not stay as it is."""
    documents = {Digest.of(data) for _, _, data in trust.titled()}
    documents.add(bundle.inventory_digest)
    arrangement = arrange(bundle.inventory, bundle.read_manifest, documents=documents)
    if arrangement.body != bundle.body:
        raise FormatError(
            f"{bundle.path} has content with the very bytes of its TUF metadata, and so cannot be "
            "signed again",
            reason="content-mismatch",
        )
    return compose(bundle.inventory_bytes, trust, arrangement)


def _spell(head: Head, bundle: Bundle, end: bytes) -> Iterator[bytes]:
    """Yield the bytes of the head, and then `end`."""

    def read(descriptor: Descriptor) -> bytes:
        with bundle.open_blob(descriptor) as stream:
            return stream.read()

    yield from head.spell(read)
    yield end


def _replace(bundle: Bundle, head: Head) -> None:
    """Write a bundle without body beside the old one, and give it the name."""
    partial = partial_path(bundle.path)
    try:
        with Medium.create(partial, 0) as medium:
            offset = 0
            for piece in _spell(head, bundle, END):
                medium.write(offset, piece)
                offset += len(piece)
            medium.sync()
        partial.chmod(stat.S_IMODE(bundle.path.stat().st_mode))
        partial.replace(bundle.path)
        flush_folder(bundle.path.parent)
    finally:
        partial.unlink(missing_ok=True)
