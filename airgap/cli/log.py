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
            for decision in entry.decisions:
                print_line(f"  on the record: {decision.reason}   {decision.sentence}")
            for name, digest in sorted(entry.names.items()):
                print_line(f"  {name}   {digest}")
        if not imports:
            print_line("Nothing was imported here yet.")


@app.command()
def verify(state: options.State = None, form: options.Form = Format.TEXT) -> None:
    """Read the whole ledger again: every record, its checksum, and the chain of hashes.

    \b
    airgap log verify
    """
    with answering(form):
        from airgap.ledger.history import History
        from airgap.ledger.ledger import Ledger
        from airgap.ledger.log import GENESIS
        from airgap.site import Site

        entries = list(Ledger(Site(state=options.default_state(state)).state).log.read())
        imports = len(History().fold(entries).commits)
        last = entries[-1].hash if entries else GENESIS
        if form is Format.JSON:
            print_json(
                {"schemaVersion": 1, "records": len(entries), "imports": imports, "hash": last}
            )
            return
        print_line(f"{len(entries)} records, {imports} imports: each whole, each after the other.")
        print_line(f"hash of the last   {last}")
