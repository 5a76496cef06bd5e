"""Receipts: the verdict of each import as a file, with a short form for paper.

A receipt is evidence: one that is there is never written over; another one of the same number
(after a repair, or of another authority) is put beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.errors import StoreError
from airgap.ledger.durable import make_private_folder, write_file
from airgap.oci.strict_json import encode
from airgap.trust.fingerprint import short_form

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Receipt", "write_receipt"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """A receipt on disk, and the 26 characters that stand for it on paper."""

    path: Path
    short_form: str


def write_receipt(
    state: Path, document: Mapping[str, object], *, stream: str, sequence: int
) -> Receipt:
    """Write the receipt of an import below the state folder and return it.

    `document` is the verdict as JSON. Raises StoreError ``receipt-unwritable``.
    """
    data = encode(document)
    folder = state / "receipts"
    try:
        make_private_folder(folder)
        path = _find_place(folder, f"{stream}-{sequence}", data)
        write_file(path, data)
    except OSError as error:
        raise StoreError(
            f"the receipt cannot be written to {folder}: {error.strerror or error}",
            reason="receipt-unwritable",
        ) from error
    return Receipt(path=path, short_form=short_form(data))


def _find_place(folder: Path, stem: str, data: bytes) -> Path:
    """Return the first path that is free, or that holds `data` already.

    Nothing comes between the answer and the writing: an import holds the ledger.
    """
    path, copy = folder / f"{stem}.json", 1
    while path.exists() and path.read_bytes() != data:
        copy += 1
        path = folder / f"{stem}.{copy}.json"
    return path
