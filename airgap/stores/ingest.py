"""Writing to a layout so that a name never stands for the wrong bytes, whatever is interrupted.

* A blob is written to ``ingest/<random>``, hashed on its way, fsynced, made read-only, and only
  then renamed to its digest; a file that was damaged there is replaced by the same step.
* ``index.json`` is written beside and renamed, under a lock that threads and processes share.
* Folders are fsynced after each rename. What a killed process left in ``ingest/`` is swept away
  by a later one, a day after it was last written to.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from airgap.errors import StoreError
from airgap.oci.descriptor import VerifyingReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.oci.descriptor import ByteStream, Descriptor

try:
    import fcntl
except ImportError:  # pragma: no cover - a system without flock; the other way of locking is tested
    fcntl = None  # type: ignore[assignment]

__all__ = ["CHUNK", "INGEST", "disk_error", "ingest_blob", "locked", "replace_file", "sweep"]

CHUNK: Final = 1 << 20
"""Bytes that are read and written at a time."""
INGEST: Final = "ingest"
_LOCK: Final = "lock"
_STALE_SECONDS: Final = 86_400.0
_LOCK_SECONDS: Final = 60.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def disk_error(error: OSError, what: str) -> StoreError:
    """Return our own error for a disk that did not do what was asked; `what` names the step."""
    reason = "disk-failed"
    if error.errno in _FULL:
        reason = "disk-full"
    elif error.errno in _DENIED:
        reason = "disk-permission"
    hints = {
        "disk-full": "Free space there, then run the command again: it resumes.",
        "disk-permission": "Run as a user who may write there, or choose another folder.",
    }
    return StoreError(f"{what}: {error.strerror or error}", reason=reason, hint=hints.get(reason))


def ingest_blob(root: Path, descriptor: Descriptor, stream: ByteStream) -> None:
    """Store the bytes of `stream` below `root` under their digest, once they have matched it.

    A stream that verifies this very descriptor by itself is not hashed a second time. Raises
    IntegrityError where the bytes differ and StoreError where the disk fails; then nothing stays.
    """
    reader = VerifyingReader.of(stream, descriptor)
    what = f"cannot store {descriptor.digest} in {root}"
    with _new_file(root / INGEST, what) as (file, path):
        # Only our own file is touched inside `_disk`: an OSError of the source stays what it is.
        while data := reader.read(CHUNK):
            with _disk(what):
                _write_all(file, data)
        with _disk(what):
            os.fsync(file)
            os.fchmod(file, 0o444)
            path.rename(root / descriptor.digest.blob_path)
            _sync_folder(root / "blobs/sha256")


def replace_file(path: Path, data: bytes, folder: Path) -> None:
    """Replace the small file at `path` by `data` in one step, by way of `folder`."""
    what = f"cannot write {path}"
    with _new_file(folder, what) as (file, fresh), _disk(what):
        _write_all(file, data)
        os.fsync(file)
        os.fchmod(file, 0o644)
        fresh.rename(path)
        _sync_folder(path.parent)


@contextmanager
def _new_file(folder: Path, what: str) -> Iterator[tuple[int, Path]]:
    """Open a new file for writing; whatever still has its first name at the end is removed."""
    path = folder / secrets.token_hex(16)
    with _disk(what):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield file, path
    finally:
        os.close(file)
        with suppress(OSError):  # the error that led here is the one to tell
            path.unlink(missing_ok=True)


@contextmanager
def _disk(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, what) from error


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sweep(root: Path) -> None:
    """Remove what writers that were killed left behind more than a day ago."""
    oldest = time.time() - _STALE_SECONDS
    with suppress(OSError):  # tidying never stands in the way of work
        for path in (root / INGEST).iterdir():
            if path.name != _LOCK and path.lstat().st_mtime < oldest:
                path.unlink()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of the layout at `root` against every other thread and process."""
    path = root / INGEST / _LOCK
    what = f"cannot lock {root}"
    if fcntl is None:
        with _held_by_name(path.with_name("lock.held"), what):
            yield
        return
    with _disk(what):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _disk(what):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def _held_by_name(path: Path, what: str) -> Iterator[None]:
    """Lock by a file that only one can make, where the system has no flock."""
    give_up = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError as error:
            if time.monotonic() > give_up:
                raise StoreError(
                    f"{what}: {path} is there",
                    reason="store-locked",
                    hint="If no other airgap is running, remove that file.",
                ) from error
            time.sleep(0.01)
        except OSError as error:
            raise disk_error(error, what) from error
    try:
        yield
    finally:
        path.unlink()
