"""`airgap verify`: everything that an import would check, without writing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.inputs import read_input
from airgap.cli.output import Format, answering, print_verdict
from airgap.cli.progress import choose_progress

__all__ = ["Bootstrap", "BundlePath", "ExpiryTolerance", "FurtherPolicy", "Refresh", "verify"]

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle: NAME.tar.")]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Code of a stream's first bundle here, as the exporting side told it (1:8FQ2-T6MD).",
    ),
]
ExpiryTolerance = Annotated[
    list[str] | None,
    typer.Option(
        "--expiry-tolerance",
        metavar="[ROLE=]DURATION",
        help="Go this far past an expiry, on the record: 30d for every role, each to its max, or "
        "tuf.timestamp=41d (repeatable).",
    ),
]
Refresh = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_REFRESH",
        help="A newer timestamp for this very bundle (airgap trust refresh): it lives longer.",
    ),
]
FurtherPolicy = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_POLICY",
        help="A further policy file, beside the site's: it can only add failures.",
    ),
]


def verify(
    bundle: BundlePath,
    bootstrap: Bootstrap = None,
    expiry_tolerance: ExpiryTolerance = None,
    refresh: Refresh = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Judge as of this time (2026-12-24, or 2026-12-24T10:00:00Z): an audit.",
        ),
    ] = None,
    policy: FurtherPolicy = None,
    state: options.State = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Verify a bundle offline, as an import would. Writes nothing.

    \b
    airgap verify prod-1.tar --bootstrap 1:8FQ2-T6MD
    airgap verify prod-2.tar --format json
    airgap verify prod-2.tar --as-of 2027-03-01
    """
    with answering(form):
        from airgap.judgement import verify_bundle
        from airgap.site import Site
        from airgap.trust.duration import parse_moment
        from airgap.trust.tolerance import parse_tolerance, tolerate

        site = Site(state=options.default_state(state))
        verdict = verify_bundle(
            bundle,
            site=site,
            policy=tolerate(site.read_policy(policy), map(parse_tolerance, expiry_tolerance or ())),
            code=bootstrap,
            progress=choose_progress(hidden=no_progress or form is Format.JSON),
            as_of=None if as_of is None else parse_moment(as_of),
            refresh=read_input(refresh),
        )
        print_verdict(verdict, form, refused="this bundle would not be imported")
        raise typer.Exit(verdict.exit_code)
