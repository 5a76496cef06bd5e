"""`airgap store`: what the embedded store holds."""

from __future__ import annotations

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, human_size, print_json, print_line
from airgap.cli.progress import choose_progress

__all__ = ["app"]

app = typer.Typer(help="The embedded store: list it, verify it.", no_args_is_help=True)


@app.command("list")
def list_(state: options.State = None, form: options.Form = Format.TEXT) -> None:
    """List the names in the embedded store with their digests.

    \b
    airgap store list
    """
    with answering(form):
        from airgap.embedded import list_names
        from airgap.site import Site

        names = list_names(Site(state=options.default_state(state)))
        if form is Format.JSON:
            print_json({"schemaVersion": 1, "names": [name.to_json() for name in names]})
            return
        for name in names:
            print_line(f"{name.name}   {name.digest}")
        if not names:
            print_line("The embedded store is empty.")


@app.command()
def verify(
    state: options.State = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Hash every blob of the embedded store again; exit 4 where one is damaged or missing.

    \b
    airgap store verify
    """
    with answering(form):
        from airgap.embedded import verify_store
        from airgap.site import Site

        report = verify_store(
            Site(state=options.default_state(state)),
            progress=choose_progress(hidden=no_progress or form is Format.JSON),
        )
        if form is Format.JSON:
            print_json(report.to_json())
        else:
            for problem in report.problems:
                print_line(f"FAIL  {problem}")
            print_line(f"{report.blobs} blobs, {human_size(report.size)}: {report.sentence}")
        raise typer.Exit(4 if report.problems else 0)
