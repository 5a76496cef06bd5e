"""`airgap serve`: a read-only registry over the embedded store, or over a bundle once verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, note
from airgap.cli.progress import choose_progress
from airgap.cli.verifying import Bootstrap

__all__ = ["serve"]


def serve(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]", help="Serve this bundle once it is verified. Default: the store."
        ),
    ] = None,
    address: Annotated[
        str, typer.Option(envvar="AIRGAP_ADDRESS", help="Where to listen, HOST:PORT.")
    ] = "127.0.0.1:5000",
    bootstrap: Bootstrap = None,
    state: options.State = None,
    no_progress: options.NoProgress = False,
    form: options.Form = Format.TEXT,
) -> None:
    """Serve what was admitted to docker, podman, containerd, skopeo, crane and oras. Read-only.

    \b
    airgap serve
    airgap serve prod-1.tar --address 127.0.0.1:5001
    """
    with answering(form):
        from airgap.embedded import open_catalog, parse_address
        from airgap.serve.server import serve as start
        from airgap.site import Site

        host, port = parse_address(address)
        site = Site(state=options.default_state(state))
        policy = site.read_policy()
        with (
            open_catalog(
                site,
                bundle,
                policy=policy,
                code=bootstrap,
                progress=choose_progress(hidden=no_progress),
            ) as catalog,
            start(catalog, host, port) as server,
        ):
            note(
                f"airgap: serving {bundle or site.store} at http://{host}:{server.port}, read-only"
            )
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                note("airgap: stopped")
