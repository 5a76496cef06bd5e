"""Inputs: small files that a person names: read with a bound, and written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airgap.errors import StoreError, UsageError

__all__ = ["LARGE", "read_input", "write_output"]

if TYPE_CHECKING:
    from pathlib import Path

_SMALL: Final = 1 << 20
LARGE: Final = 256 << 20
"""A request for a signature holds two inventories, of which each may have 64 MiB."""


def read_input(path: Path | None, *, limit: int = _SMALL) -> bytes | None:
    """Return the bytes of a file, or None where none was named.

    Raises UsageError ``file-unreadable``, ``file-too-large`` above `limit` bytes.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", reason="file-unreadable"
        ) from error
    if len(data) > limit:
        raise UsageError(
            f"{path} is larger than {limit} bytes: it is not what it should be",
            reason="file-too-large",
        )
    return data


def write_output(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; nothing that is there is written over.

    Raises UsageError ``output-exists``, StoreError ``output-unwritable``.
    """
    from airgap.ledger.durable import write_file

    if path.exists():
        raise UsageError(
            f"{path} is there already",
            reason="output-exists",
            hint="Name another file, or remove this one first.",
        )
    try:
        write_file(path, data)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", reason="output-unwritable"
        ) from error
