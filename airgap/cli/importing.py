"""`airgap import`: verify a bundle, then load it into a registry, a layout or the store."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli import options
from airgap.cli.inputs import read_input
from airgap.cli.output import (
    Format,
    answering,
    human_size,
    note,
    print_json,
    print_line,
    print_verdict,
)
from airgap.cli.progress import choose_progress
from airgap.cli.verifying import Bootstrap, BundlePath, ExpiryTolerance, FurtherPolicy, Refresh
from airgap.errors import RejectedError

if TYPE_CHECKING:
    from airgap.import_report import ImportReport
    from airgap.trust.verdict import Verdict

__all__ = ["import_"]


def import_(
    bundle: BundlePath,
    to: Annotated[
        str,
        typer.Option(
            envvar="AIRGAP_TO",
            help="docker://HOST[/PREFIX], oci:DIR, or store (the embedded store).",
        ),
    ] = "store",
    bootstrap: Bootstrap = None,
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap", help="Go past bundles that never arrived, on the record: you decide."
        ),
    ] = False,
    expiry_tolerance: ExpiryTolerance = None,
    refresh: Refresh = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", envvar="AIRGAP_DRY_RUN", help="Verify and compare; write nothing."
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            envvar="AIRGAP_REPAIR",
            help="Load again what a bundle already imported holds.",
        ),
    ] = False,
    maps: options.Maps = None,
    flatten: options.Flatten = False,
    policy: FurtherPolicy = None,
    state: options.State = None,
    concurrency: Annotated[
        int, typer.Option(envvar="AIRGAP_CONCURRENCY", min=1, max=32, help="Blobs sent at once.")
    ] = 4,
    authfile: options.AuthFile = None,
    ca_file: options.CaFile = None,
    client_certificate: options.ClientCertificate = None,
    client_key: options.ClientKey = None,
    insecure_http: options.InsecureHttp = None,
    auth_realm: options.AuthRealm = None,
    redirect_host: options.RedirectHost = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Verify a bundle, then load it. Nothing is written before the verdict.

    \b
    airgap import prod-1.tar --to docker://registry.local:5000/mirror --bootstrap 1:8FQ2-T6MD
    airgap import prod-2.tar     # into the embedded store; then: airgap serve
    """
    with answering(form, refused=f"nothing was written to {to}"):
        from airgap.importer import ImportJob, import_bundle
        from airgap.oci.naming import NameMap
        from airgap.site import Site
        from airgap.trust.tolerance import parse_tolerance, tolerate
        from airgap.verification_checks import images_not_asked

        site = Site(state=options.default_state(state))
        asked = tolerate(site.read_policy(policy), map(parse_tolerance, expiry_tolerance or ()))
        if not sys.stdin.isatty():
            note(f"airgap: warning: {images_not_asked(asked).sentence}")
        for host in insecure_http or ():
            note(f"airgap: warning: plain HTTP to {host}; what travels is still checked by digest")
        job = ImportJob(
            path=bundle,
            to=to,
            site=site,
            policy=asked,
            code=bootstrap,
            accept_gap=accept_gap,
            refresh=read_input(refresh),
            dry_run=dry_run,
            repair=repair,
            maps=tuple(NameMap.parse(text) for text in maps or ()),
            flatten=flatten,
            concurrency=concurrency,
            store_options=options.store_options(
                side="destination",
                authfile=authfile,
                ca_file=ca_file,
                client_certificate=client_certificate,
                client_key=client_key,
                insecure_http=insecure_http,
                auth_realms=auth_realm,
                redirect_hosts=redirect_host,
            ),
        )
        progress = choose_progress(hidden=no_progress or form is Format.JSON)
        try:
            report = import_bundle(job, progress=progress)
        except RejectedError as error:
            asks = form is Format.TEXT and sys.stdin.isatty()
            if not asks or not _lacks_only_the_code(error.verdict):
                raise
            print_verdict(error.verdict, form, refused="not yet: nothing was written")
            report = import_bundle(replace(job, code=_ask_code()), progress=progress)
        if form is Format.JSON:
            print_json(report.to_json())
        else:
            print_verdict(report.verdict, form)
            _print_report(report)


def _lacks_only_the_code(verdict: Verdict) -> bool:
    return {finding.reason for finding in verdict.failures} == {"bootstrap-needed"}


def _ask_code() -> str:
    """Ask the person for the code that they were told; the answer is never offered."""
    return str(typer.prompt("Type the code of this bundle that you were told", err=True))


def _print_report(report: ImportReport) -> None:
    if report.delivery is None:
        print_line("There is nothing to do (--repair loads it again).")
        return
    names = report.delivery.names
    print_line()
    if report.plan is not None:
        plan = report.plan
        print_line(
            f"Would write {len(names)} names, {plan.manifests} manifests, "
            f"{plan.blobs_new} blobs ({human_size(plan.bytes_new)}); "
            f"{plan.blobs_present} blobs are there and will be read back."
        )
    for change in names:
        print_line(f"  {change.name}   {change.new}   {change.change}")
        if change.through is not None:
            print_line(
                f"    the {change.through.platform or 'one chosen'} image of the signed index "
                f"{change.through.index}, which the registry does not take without all platforms"
            )
    if report.loaded is None or report.receipt is None:
        print_line("Nothing was written.")
        return
    loaded = report.loaded
    print_line(
        f"Loaded {len(names)} names, {loaded.manifests_written} manifests, "
        f"{loaded.blobs_written} blobs in {report.seconds:.1f} s; "
        f"{loaded.blobs_present} blobs were there and were read back. "
        "Nothing outside these names was touched."
    )
    print_line(f"Receipt: {report.receipt.path}   short form  {report.receipt.short_form}")
