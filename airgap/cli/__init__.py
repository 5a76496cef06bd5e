"""The command line: one file per command group, no logic, nothing heavy before it is needed."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from airgap import __version__
from airgap.cli import (
    doctor,
    exporting,
    importing,
    inspecting,
    log,
    policy,
    serving,
    signing,
    store,
    trust,
    verifying,
)
from airgap.cli.output import note

__all__ = ["app", "main"]

app = typer.Typer(
    name="airgap",
    help="Move container images into disconnected networks, with all it takes to believe them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("export")(exporting.export)
app.command("verify")(verifying.verify)
app.command("import")(importing.import_)
app.command("inspect")(inspecting.inspect)
app.command("sign")(signing.sign)
app.command("serve")(serving.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(trust.app, name="trust")
app.add_typer(store.app, name="store")
app.add_typer(log.app, name="log")
app.add_typer(policy.app, name="policy")


def _version_callback(wanted: bool) -> None:
    if wanted:
        python = ".".join(str(part) for part in sys.version_info[:3])
        typer.echo(f"airgap {__version__} (Python {python}; reads and writes bundle format 1)")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[  # noqa: ARG001 - its callback prints and exits
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_version_callback,
            is_eager=True,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="AIRGAP_DEBUG", help="Log what happens, on stderr.")
    ] = False,
) -> None:
    """Move container images into disconnected networks, with everything needed to believe them."""
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="airgap: %(name)s: %(message)s")


def main() -> None:
    """Run the command line; bugs end as plain tracebacks with exit code 1, Ctrl-C with 130."""
    for stream in (sys.stdout, sys.stderr):
        # Whatever the locale: a name that cannot be spelled is shown escaped, not a traceback.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams here
    try:
        app()
    except KeyboardInterrupt:
        note("airgap: interrupted; the same command goes on where it stopped")
        sys.stdout.flush()
        os._exit(130)
