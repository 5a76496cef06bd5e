"""`airgap verify`: everything that an import would check, without writing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, print_verdict
from airgap.cli.progress import choose_progress

__all__ = ["Bootstrap", "BundlePath", "verify"]

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle: NAME.tar.")]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Code of a stream's first bundle here, as the exporting side told it (1:8FQ2-T6MD).",
    ),
]


def verify(
    bundle: BundlePath,
    bootstrap: Bootstrap = None,
    policy: options.Policy = None,
    state: options.State = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Verify a bundle offline, as an import would. Writes nothing.

    \b
    airgap verify prod-1.tar --bootstrap 1:8FQ2-T6MD
    airgap verify prod-2.tar --format json
    """
    with answering(form):
        from airgap.judgement import verify_bundle
        from airgap.site import Site

        site = Site(state=options.default_state(state))
        site.refuse_policies(policy)
        verdict = verify_bundle(
            bundle,
            site=site,
            code=bootstrap,
            progress=choose_progress(hidden=no_progress or form is Format.JSON),
        )
        print_verdict(verdict, form, refused="this bundle would not be imported")
        raise typer.Exit(verdict.exit_code)
