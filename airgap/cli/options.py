"""Options that several commands share, spelled once.

Every option has an environment variable ``AIRGAP_<OPTION>``, except what a person must decide
each time (``--insecure-…``, ``--auth-realm``, ``--redirect-host``, ``--bootstrap``,
``--expiry-tolerance``, ``--accept-gap``, ``--as-of``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli.output import Format
from airgap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.stores import StoreOptions

__all__ = [
    "AuthFile",
    "AuthRealm",
    "Authority",
    "CaFile",
    "ClientCertificate",
    "ClientKey",
    "Flatten",
    "Form",
    "InsecureHttp",
    "Maps",
    "NoProgress",
    "PassphraseFd",
    "PassphraseFile",
    "Policy",
    "Proxy",
    "RedirectHost",
    "State",
    "default_state",
    "passphrase_reader",
    "store_options",
]

_STORES = "Registries"
Form = Annotated[
    Format,
    typer.Option("--format", envvar="AIRGAP_FORMAT", help="text for people, json for programs."),
]
State = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_STATE",
        help="Pins, ledger, embedded store. Default: $XDG_STATE_HOME/airgap, or "
        "/var/lib/airgap for root.",
        show_default=False,
    ),
]
Authority = Annotated[
    Path,
    typer.Option(envvar="AIRGAP_AUTHORITY", help="Folder of the authority: metadata and keys."),
]
Policy = Annotated[
    Path | None,
    typer.Option(envvar="AIRGAP_POLICY", help="A policy file (not supported by this release yet)."),
]
NoProgress = Annotated[
    bool, typer.Option("--no-progress", envvar="AIRGAP_NO_PROGRESS", help="No progress bars.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_PASSPHRASE_FILE",
        help="Read the passphrase from the first line of this file.",
    ),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option(
        envvar="AIRGAP_PASSPHRASE_FD", help="Read the passphrase from this file descriptor."
    ),
]
AuthFile = Annotated[
    Path | None,
    typer.Option(
        envvar="AIRGAP_AUTHFILE",
        help="Registry credentials. Default: the files that docker and podman use.",
        rich_help_panel=_STORES,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(envvar="AIRGAP_CA_FILE", help="PEM file of CAs that registries may be of."),
]
ClientCertificate = Annotated[
    Path | None, typer.Option(envvar="AIRGAP_CLIENT_CERTIFICATE", help="PEM client certificate.")
]
ClientKey = Annotated[
    Path | None, typer.Option(envvar="AIRGAP_CLIENT_KEY", help="PEM key of the client certificate.")
]
InsecureHttp = Annotated[
    list[str] | None,
    typer.Option(
        "--insecure-http",
        metavar="HOST",
        help="Speak plain HTTP to this registry (repeatable). Digests are checked all the same.",
    ),
]
AuthRealm = Annotated[
    list[str] | None,
    typer.Option(
        "--auth-realm",
        metavar="HOST",
        help="Let the registry send us to this host for tokens (repeatable).",
    ),
]
RedirectHost = Annotated[
    list[str] | None,
    typer.Option(
        "--redirect-host",
        metavar="HOST",
        help="Follow redirects of downloads to this host (repeatable).",
    ),
]
Proxy = Annotated[
    str | None,
    typer.Option(envvar="AIRGAP_PROXY", help="HTTPS proxy. Default: HTTPS_PROXY, NO_PROXY."),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="SOURCE=TARGET",
        envvar="AIRGAP_MAP",
        help="Place at the destination, as 'registry.example/**=apps/**' (repeatable).",
    ),
]
Flatten = Annotated[
    bool,
    typer.Option(
        "--flatten", envvar="AIRGAP_FLATTEN", help="Keep only the last part of each repository."
    ),
]


def default_state(state: Path | None) -> Path:
    """Return the state folder: what was given, else the user's, else root's."""
    if state is not None:
        return state
    if os.environ.get("XDG_STATE_HOME"):
        return Path(os.environ["XDG_STATE_HOME"]) / "airgap"
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/airgap")
    try:
        return Path.home() / ".local" / "state" / "airgap"
    except RuntimeError as error:
        # A user without a name and a home, as containers have them.
        raise UsageError(
            "this user has no home folder for the state", reason="state-unknown",
            hint="Name the state folder: --state, or AIRGAP_STATE.",
        ) from error  # fmt: skip


def store_options(
    *,
    side: str,
    authfile: Path | None,
    ca_file: Path | None,
    client_certificate: Path | None,
    client_key: Path | None,
    insecure_http: list[str] | None,
    auth_realms: list[str] | None = None,
    redirect_hosts: list[str] | None = None,
    proxy: str | None = None,
) -> StoreOptions:
    """Return the options of a store; the environment is read here and nowhere deeper."""
    from airgap.stores import StoreOptions

    for path in (authfile, ca_file, client_certificate, client_key):
        if path is not None and not path.is_file():
            raise UsageError(f"{path} is not a file", reason="file-not-found")
    return StoreOptions(
        side=side,
        authfile=authfile,
        ca_file=ca_file,
        client_certificate=client_certificate,
        client_key=client_key,
        insecure_http=frozenset(host.lower() for host in insecure_http or ()),
        auth_realms=frozenset(host.lower() for host in auth_realms or ()),
        redirect_hosts=frozenset(host.lower() for host in redirect_hosts or ()),
        proxy=proxy,
        environment=dict(os.environ),
    )


def passphrase_reader(
    file: Path | None, descriptor: int | None, *, prompt: str, confirm: bool = False
) -> Callable[[], bytes]:
    """Return a function that obtains the passphrase: from a file, a descriptor, or a person.

    A person who makes a new one types it twice (`confirm`).
    """

    def read() -> bytes:
        try:
            if file is not None:
                return file.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
            if descriptor is not None:
                with os.fdopen(descriptor, "rb", closefd=False) as stream:
                    return stream.readline().rstrip(b"\r\n")
        except OSError as error:
            raise UsageError(
                f"cannot read the passphrase from {file or f'descriptor {descriptor}'}: "
                f"{error.strerror}",
                reason="passphrase-unreadable",
            ) from error
        return _ask(prompt, confirm=confirm)

    return read


def _ask(prompt: str, *, confirm: bool) -> bytes:
    import getpass
    import sys

    if not sys.stdin.isatty():
        raise UsageError(
            "a passphrase is needed and there is no terminal to ask at",
            reason="passphrase-needed",
            hint="Give --passphrase-file or --passphrase-fd (--no-passphrase for new keys).",
        )
    passphrase = getpass.getpass(f"{prompt}: ")
    if confirm and getpass.getpass("The same again: ") != passphrase:
        raise UsageError("the two were not the same", reason="passphrase-mismatch")
    return passphrase.encode()
