"""`airgap export`: images and their signatures into one signed bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, human_size, note, print_json, print_line
from airgap.cli.progress import choose_progress
from airgap.errors import UsageError

if TYPE_CHECKING:
    from airgap.export_report import ExportReport
    from airgap.request import ExportRequest

__all__ = ["export"]


def export(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...|REQUEST.yaml",
            help="References (HOST/REPO:TAG, docker://…, oci:DIR:NAME, oci-archive:FILE:NAME, "
            "docker-archive:FILE:NAME, bundle:FILE:NAME), or one request file.",
        ),
    ],
    authority: options.Authority,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", envvar="AIRGAP_OUTPUT", help="The bundle to write: NAME.tar."
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(envvar="AIRGAP_STREAM", help="The line of bundles that this one continues."),
    ] = None,
    as_name: Annotated[
        str | None,
        typer.Option(
            "--as",
            envvar="AIRGAP_AS",
            metavar="HOST/REPO[:TAG]",
            help="Source name of a layout or archive.",
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            envvar="AIRGAP_PLATFORM", help="Only this platform, as linux/amd64 (repeatable)."
        ),
    ] = None,
    no_referrers: Annotated[
        bool,
        typer.Option(
            "--no-referrers", envvar="AIRGAP_NO_REFERRERS", help="Leave signatures and SBOMs out."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", envvar="AIRGAP_DRY_RUN", help="Resolve and count; fetch no layer."
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", envvar="AIRGAP_FORCE", help="Replace an output that is there."),
    ] = False,
    created: Annotated[
        str | None,
        typer.Option(envvar="AIRGAP_CREATED", help="Time of making, RFC 3339 UTC. Default: now."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(envvar="AIRGAP_CONCURRENCY", min=1, max=32, help="Blobs fetched at once.")
    ] = 4,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    policy: options.Policy = None,
    authfile: options.AuthFile = None,
    ca_file: options.CaFile = None,
    client_certificate: options.ClientCertificate = None,
    client_key: options.ClientKey = None,
    insecure_http: options.InsecureHttp = None,
    proxy: options.Proxy = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Write images, their signatures and who vouches for them into one bundle.

    \b
    airgap export registry.example/app:1.4 --authority ./acme --stream prod -o prod-1.tar
    airgap export export.yaml --authority ./acme -o prod-1.tar --dry-run
    """
    with answering(form):
        from airgap.exporter import ExportJob, export_bundle

        if policy is not None:
            raise UsageError(
                f"{policy}: policy files cannot be judged by this release yet",
                reason="not-supported-yet",
                hint="Leave --policy out; a policy is never ignored in silence.",
            )
        request = _read_request(images, stream, as_name, platform or [], referrers=not no_referrers)
        if output is None and not dry_run:
            raise UsageError(
                "where to? no --output", reason="output-missing", hint="Give -o NAME.tar."
            )
        for host in insecure_http or ():
            note(f"airgap: warning: plain HTTP to {host}; what travels is still checked by digest")
        job = ExportJob(
            request=request,
            authority=authority,
            output=output,
            created=_moment(created),
            dry_run=dry_run,
            force=force,
            concurrency=concurrency,
            passphrase=options.passphrase_reader(
                passphrase_file, passphrase_fd, prompt="Passphrase of the bundle key"
            ),
            store_options=options.store_options(
                side="source",
                authfile=authfile,
                ca_file=ca_file,
                client_certificate=client_certificate,
                client_key=client_key,
                insecure_http=insecure_http,
                proxy=proxy,
            ),
        )
        report = export_bundle(
            job, progress=choose_progress(hidden=no_progress or form is Format.JSON)
        )
        if form is Format.JSON:
            print_json(report.to_json())
        else:
            _print_report(report)


def _read_request(
    images: list[str],
    stream: str | None,
    as_name: str | None,
    platforms: list[str],
    *,
    referrers: bool,
) -> ExportRequest:
    from airgap.request import ExportRequest, parse_image, read_request

    path = Path(images[0])
    if _is_request(path):
        if len(images) > 1 or as_name or platforms or not referrers:
            raise UsageError(
                f"{path} says what to export; nothing beside it can",
                reason="request-mixed",
                hint="Write the images, their platforms and names into the file.",
            )
        request = read_request(path)
        if stream is not None and stream != request.stream:
            raise UsageError(
                f"--stream {stream}, but {path} says {request.stream}", reason="request-mixed"
            )
        return request
    if stream is None:
        raise UsageError(
            "which stream? no --stream", reason="stream-missing", hint="Give --stream NAME."
        )
    if as_name is not None and len(images) > 1:
        raise UsageError("--as names one image, and there are several", reason="as-not-applicable")
    return ExportRequest(
        stream=stream,
        images=tuple(
            parse_image(image, as_name=as_name, platforms=platforms, referrers=referrers)
            for image in images
        ),
    )


def _is_request(path: Path) -> bool:
    """Tell whether a request file is meant, there or not: its name is no image on Docker Hub."""
    if path.suffix not in {".yaml", ".yml", ".json"}:
        return False
    host = path.parts[0] if len(path.parts) > 1 else ""
    return path.is_file() or host == ".." or not set(host) & {".", ":"}


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(
            f"--created {text}: not a time",
            reason="time-invalid",
            hint="Write 2026-10-12T10:02:00Z.",
        ) from error
    return moment


def _print_report(report: ExportReport) -> None:
    for image in report.images:
        print_line(f"  {image.name}   {image.summary}")
        print_line(f"    {image.digest}")
    if report.output is None:
        print_line(
            f"Would write {report.blobs} blobs, {human_size(report.size)} in all; "
            f"{human_size(report.disk_free)} are free. No layer was fetched."
        )
        return
    reused = f" ({human_size(report.reused)} were already here)" if report.reused else ""
    print_line(f"Copied {human_size(report.fetched)} in {report.seconds:.1f} s{reused}")
    print_line(
        f"{report.output}   {human_size(report.size)}   "
        f"stream {report.stream}, number {report.sequence}"
        f"   {report.inventory}"
    )
    for warning in report.warnings:
        note(f"airgap: warning: {warning}")
    if not report.signatures.complete:
        waiting = ", ".join(report.signatures.waiting)
        print_line(
            f"Signatures: {report.signatures}. Sites wait for the rest; may still sign: {waiting} "
            f"(airgap sign {report.output} --key KEY.pem, or --request FILE)"
        )
    print_line(f"Code for a site that starts here: {report.code}   (say it with the fingerprint)")
