"""`airgap log`: what happened at this site, as the ledger remembers it."""

from __future__ import annotations

from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, human_time, print_json, print_line

__all__ = ["app"]

app = typer.Typer(
    help="The ledger: what was imported, when, and with which digests.", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Keep `show` a command of its own, since more will stand beside it."""


@app.command()
def show(
    stream: Annotated[
        str | None, typer.Option(envvar="AIRGAP_STREAM", help="Only this stream.")
    ] = None,
    state: options.State = None,
    form: options.Form = Format.TEXT,
) -> None:
    """List the imports of this site, oldest first, with the digest of each name.

    \b
    airgap log show --stream prod
    """
    with answering(form):
        from airgap.ledger.ledger import Ledger
        from airgap.site import Site

        imports = [
            entry
            for entry in Ledger(Site(state=options.default_state(state)).state).history().commits
            if stream is None or entry.stream == stream
        ]
        if form is Format.JSON:
            print_json({"schemaVersion": 1, "imports": [entry.to_json() for entry in imports]})
            return
        for entry in imports:
            print_line(
                f"{human_time(entry.at)}   stream {entry.stream}, number {entry.sequence}   "
                f"{entry.inventory}"
            )
            for name, digest in sorted(entry.names.items()):
                print_line(f"  {name}   {digest}")
        if not imports:
            print_line("Nothing was imported here yet.")
