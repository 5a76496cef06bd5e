"""Fetching: the body blobs of a bundle, several at once, each to its place in the file."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from airgap.stores.crew import work_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airgap.bundle.writer import BundleWriter
    from airgap.export_journal import ExportJournal
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.stores import Source

__all__ = ["fetch_blobs"]


class _StoppedError(Exception):
    """Another thread failed, or a person interrupted: this one stops. Never seen outside."""


def fetch_blobs(
    blobs: Iterable[Descriptor],
    origins: Mapping[Digest, Source],
    *,
    writer: BundleWriter,
    journal: ExportJournal,
    threads: int,
    advance: Callable[[int], None],
) -> None:
    """Fetch, hash and place `blobs` in `threads`, big ones first; `advance` counts bytes.

    The first error stops the rest at their next piece, and is raised; so does an interrupt.
    """
    stop = Event()

    def proceed(count: int) -> None:
        if stop.is_set():
            raise _StoppedError
        advance(count)

    def fetch(blob: Descriptor) -> None:
        with origins[blob.digest].open_blob(blob) as stream:
            writer.place(blob, stream, proceed)
        journal.note(blob.digest)

    work_through(fetch, sorted(blobs, key=lambda blob: -blob.size), threads, stop)
