"""`airgap doctor`: what this machine, this registry and these credentials can do."""

from __future__ import annotations

from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, print_json, print_line

__all__ = ["doctor"]


def doctor(
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="[docker://HOST/REPOSITORY]", help="A repository to try, read or written."
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            envvar="AIRGAP_WRITE",
            help="Also try an upload with a wrong digest, which must be refused.",
        ),
    ] = False,
    state: options.State = None,
    authfile: options.AuthFile = None,
    ca_file: options.CaFile = None,
    client_certificate: options.ClientCertificate = None,
    client_key: options.ClientKey = None,
    insecure_http: options.InsecureHttp = None,
    auth_realm: options.AuthRealm = None,
    redirect_host: options.RedirectHost = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Say what this machine, this registry and these credentials can do. Exit 5 if amiss.

    \b
    airgap doctor
    airgap doctor docker://registry.local:5000/mirror/app --write
    """
    with answering(form):
        from airgap.diagnosis import examine_machine, examine_registry
        from airgap.site import Site

        facts = examine_machine(Site(state=options.default_state(state)))
        if place is not None:
            facts += examine_registry(
                place,
                options.store_options(
                    side="destination" if write else "source",
                    authfile=authfile,
                    ca_file=ca_file,
                    client_certificate=client_certificate,
                    client_key=client_key,
                    insecure_http=insecure_http,
                    auth_realms=auth_realm,
                    redirect_hosts=redirect_host,
                ),
                write=write,
            )
        if form is Format.JSON:
            print_json({"schemaVersion": 1, "facts": [fact.to_json() for fact in facts]})
        else:
            for fact in facts:
                print_line(f"  {fact.outcome:<5} {fact.subject:<22} {fact.sentence}")
                if fact.hint:
                    print_line(f"        {fact.hint}")
        raise typer.Exit(5 if any(fact.outcome == "FAIL" for fact in facts) else 0)
