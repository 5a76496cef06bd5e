"""Exporter: resolve, number, place every blob where it belongs, sign, name.

No staging copy: the only bytes on disk are the bundle's. Every position is known before the first
blob is fetched, so blobs are fetched, hashed and written in place, several at once. An interrupted
export leaves ``NAME.partial`` and its journal, and the same command goes on; the name itself
appears only when the bundle is whole.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.authority import Authority
from airgap.bundle.writer import BundleWriter
from airgap.composition import find_origins
from airgap.errors import StoreError, UsageError
from airgap.export_journal import ExportJournal, read_journal
from airgap.export_plan import ExportPlan, settle_plan
from airgap.export_report import ExportedImage, ExportReport, sparse_fate
from airgap.fetching import fetch_blobs
from airgap.oci.digest import Digest
from airgap.progress import Progress, Silent
from airgap.resolution import ResolvedImage, Sources, resolve_images
from airgap.spool import Spool
from airgap.trust.fingerprint import bootstrap_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from airgap.export_journal import Undertaking
    from airgap.request import ExportRequest
    from airgap.stores import Source, StoreOptions

__all__ = ["ExportJob", "export_bundle"]

_SUFFIX: Final = ".tar"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportJob:
    """One export: what, by which authority, where to. `passphrase` is asked for only if needed."""

    request: ExportRequest
    authority: Path
    output: Path | None
    created: datetime | None
    passphrase: Callable[[], bytes]
    store_options: StoreOptions
    dry_run: bool = False
    force: bool = False
    concurrency: int = 4


def export_bundle(job: ExportJob, *, progress: Progress | None = None) -> ExportReport:
    """Write the bundle that `job` asks for and return what was written.

    Raises StoreError where something could not be fetched or written (running again resumes),
    UsageError where the job cannot be carried out, ContentError where a source lies.
    """
    began = time.monotonic()
    output = _checked_output(job)
    authority = Authority.open(job.authority)
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(None if output is None else output.parent))
        sources = Sources(job.store_options)
        stack.callback(sources.close)
        images = resolve_images(job.request.images, sources, spool)
        undertaken = None if output is None else read_journal(_journal_path(output))
        edition = stack.enter_context(authority.edition(job.request.stream))
        plan, undertaken = settle_plan(
            images, spool, edition=edition, created=job.created, undertaken=undertaken
        )
        if output is None or job.dry_run:
            return _report(job, images, plan, seconds=time.monotonic() - began)
        fetched, reused = _write(
            job,
            output,
            plan,
            spool=spool,
            origins=find_origins(images, spool),
            undertaken=undertaken,
            progress=progress or Silent(),
        )
        return _report(
            job, images, plan, output=output, fetched=fetched, reused=reused,
            seconds=time.monotonic() - began,
        )  # fmt: skip


def _write(
    job: ExportJob,
    output: Path,
    plan: ExportPlan,
    *,
    spool: Spool,
    origins: Mapping[Digest, Source],
    undertaken: Undertaking | None,
    progress: Progress,
) -> tuple[int, int]:
    """Write the bundle; return how many bytes of blobs were fetched and how many were there."""
    partial = output.with_name(f"{output.name}.partial")
    if undertaken is None:
        partial.unlink(missing_ok=True)
    _check_space(output.parent, plan.layout.size - _allocated(partial))
    sizes = {digest: position.size for digest, position in plan.layout.positions.items()}
    with BundleWriter(partial, plan.layout) as writer:
        kept = writer.adopt(undertaken.placed) if undertaken is not None else frozenset()
        with ExportJournal(
            _journal_path(output),
            created=plan.inventory.created,
            sequence=plan.inventory.sequence,
            inventory=Digest.of(plan.inventory_bytes),
        ) as journal:
            for digest in sorted(kept):
                journal.note(digest)
            missing = [blob for blob in plan.layout.arrangement.body if blob.digest not in kept]
            total = sum(blob.size for blob in missing)
            with progress.phase("copy", total) as advance:
                fetch_blobs(
                    missing,
                    origins,
                    writer=writer,
                    journal=journal,
                    threads=job.concurrency,
                    advance=advance,
                )
            envelopes = plan.draft.sign(job.passphrase)
            writer.finish(plan.inventory_bytes, plan.trust_files(envelopes), spool.read)
    # Finished before it is named: a number that has a bundle is never taken for an abandoned one.
    plan.draft.edition.finish(now=plan.inventory.created)
    partial.replace(output)
    _sync_folder(output.parent)
    journal.remove()
    return total, sum(sizes[digest] for digest in kept)


def _checked_output(job: ExportJob) -> Path | None:
    output = job.output
    if output is None:
        return None
    if output.suffix != _SUFFIX:
        raise UsageError(
            f"{output}: a bundle is a {_SUFFIX} file", reason="output-suffix",
            hint="Name it NAME.tar; compression and volumes are steps of their own.",
        )  # fmt: skip
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", reason="output-folder-missing")
    if output.is_dir():
        raise UsageError(f"{output} is a folder", reason="output-exists", hint="Name a file in it.")
    if output.exists() and not job.force and not job.dry_run:
        raise UsageError(
            f"{output} is there already", reason="output-exists",
            hint="Name another file, or replace it with --force.",
        )  # fmt: skip
    return output


def _allocated(path: Path) -> int:
    """Return how many bytes of disk a file has: its length says little while it has holes."""
    if not path.exists():
        return 0
    status = path.stat()
    return min(status.st_size, getattr(status, "st_blocks", 0) * 512)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the bundle needs {needed} bytes more in {folder}, {free} are free",
            reason="disk-full",
            hint="Free some space, then run the export again.",
        )


def _journal_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.journal")


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; not every system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _report(
    job: ExportJob,
    images: tuple[ResolvedImage, ...],
    plan: ExportPlan,
    *,
    output: Path | None = None,
    fetched: int = 0,
    reused: int = 0,
    seconds: float,
) -> ExportReport:
    digest = Digest.of(plan.inventory_bytes)
    folder = job.output.parent if job.output is not None else job.authority
    return ExportReport(
        stream=plan.inventory.stream,
        sequence=plan.inventory.sequence,
        inventory=str(digest),
        code=bootstrap_code(plan.inventory.sequence, digest),
        output=output,
        size=plan.layout.size,
        blobs=len(plan.layout.arrangement.body),
        fetched=fetched,
        reused=reused,
        disk_free=shutil.disk_usage(folder).free,
        seconds=seconds,
        signatures=plan.draft.tally,
        images=tuple(ExportedImage.of(image) for image in images),
        warnings=tuple(
            f"{image.request}: only chosen platforms travel; {sparse_fate(image)}"
            for image in images
            if image.children is not None
        ),
    )
