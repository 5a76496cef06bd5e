"""Durable: files that are there as a whole or not at all, private folders, and locks.

* A file is written beside its name, flushed to the medium, then renamed; then so is its folder.
* What we keep is for its owner only: files 0600, folders 0700.
* A lock belongs to an open file, so it ends with the process that holds it.

Source: threat model, 5.2.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Final

from airgap.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "flush_folder",
    "locked",
    "make_private_folder",
    "open_private",
    "try_lock",
    "write_file",
]

_POLL: Final = 0.05


def make_private_folder(path: Path) -> None:
    """Make the folder `path`, and those above it that are missing, for its owner only."""
    if path.is_dir():
        return
    make_private_folder(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def open_private(path: Path, flags: int) -> int:
    """Open `path` for its owner only and return the descriptor, closed in child processes."""
    binary = getattr(os, "O_BINARY", 0)
    return os.open(path, flags | os.O_CLOEXEC | binary, 0o600)


def write_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder to the medium, where the system can."""
    if os.name == "nt":  # pragma: no cover - a folder cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, reason: str, message: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`, alone among all processes.

    Waits up to `wait` seconds for it; then raises StoreError `reason` with `message`.
    """
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        end = time.monotonic() + wait
        while not try_lock(descriptor):
            if time.monotonic() >= end:
                raise StoreError(
                    message, reason=reason, hint="Wait until the other command has ended."
                )
            time.sleep(_POLL)
        yield
    finally:
        # Closing gives the lock back; the file stays, for removing it would be a race.
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file against all other processes, until it is closed; tell whether it worked."""
    try:
        import fcntl  # noqa: PLC0415 - not everywhere
    except ImportError:
        return _try_lock_bytes(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_lock_bytes(descriptor: int) -> bool:
    """Lock the first byte, where there is no flock."""
    import msvcrt  # noqa: PLC0415 - only there

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] # only there
    except OSError:
        return False
    return True
