"""`airgap trust`: authorities on the exporting side, pins on the importing side."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli import options, trust_roles, trust_upkeep
from airgap.cli.output import Format, answering, note, print_json, print_line
from airgap.errors import UsageError

if TYPE_CHECKING:
    from airgap.authority_overview import Overview

__all__ = ["app"]

_ROOT_LIMIT = 1 << 20
app = typer.Typer(
    help="Authorities that sign bundles, and the pins that believe them.", no_args_is_help=True
)


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="The authority's name, for people.")],
    authority: options.Authority,
    scheme: Annotated[
        str,
        typer.Option(
            envvar="AIRGAP_SCHEME", help="ecdsa-p256, ecdsa-p384, ed25519 or rsa-pss-3072."
        ),
    ] = "ecdsa-p256",
    root_out: Annotated[
        Path | None,
        typer.Option(envvar="AIRGAP_ROOT_OUT", help="Write the root key here, as on a USB stick."),
    ] = None,
    no_passphrase: Annotated[
        bool,
        typer.Option(
            "--no-passphrase", envvar="AIRGAP_NO_PASSPHRASE", help="Leave the keys unencrypted."
        ),
    ] = False,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Create an authority: the keys and the root that sites will pin.

    \b
    airgap trust init acme --authority ./acme
    """
    with answering(form):
        from airgap.authority import Authority

        passphrase = None
        if not no_passphrase:
            passphrase = options.passphrase_reader(
                passphrase_file, passphrase_fd, prompt="New passphrase for the keys", confirm=True
            )()
        made = Authority.create(
            authority,
            name,
            now=datetime.now(UTC).replace(microsecond=0),
            scheme=scheme,
            passphrase=passphrase,
            root_key_path=root_out,
        )
        if form is Format.JSON:
            print_json(made.to_json())
            return
        protected = "passphrase-protected" if passphrase else "NOT passphrase-protected"
        print_line(
            f"Created the authority {name}: root 1, good until {made.root_expires:%Y-%m-%d}. "
            f"{scheme}, {protected}."
        )
        print_line(
            f"  root key     {root_out or authority / 'keys/root.pem'}     "
            "keep it offline; needed to rotate, not to export."
        )
        print_line("               If it is lost: a new authority, pinned anew at every site.")
        print_line(
            f"  bundle key   {authority}/keys/bundle.pem   signs bundles. If it is lost or leaks: "
            "airgap trust rotate"
        )
        print_line(f"  fingerprint  {made.fingerprint}    say it over the phone")
        print_line(
            f"Carry {authority}/root.json to the other side by another way than the bundles."
        )


@app.command()
def pin(
    root: Annotated[Path, typer.Argument(metavar="ROOT.json", help="The authority's root.json.")],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            help="The fingerprint as you were told it. At a terminal you are asked for it."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What this site calls the authority. Default: its own name.")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(help="Names that it may vouch for, as 'registry.example/**' (repeatable)."),
    ] = None,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Let its names overlap those of another pinned authority."),
    ] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STREAM=CODE", help="Code of a stream's first bundle, as told (repeatable)."
        ),
    ] = None,
    state: options.State = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Pin an authority: its bundles are believed here from now on.

    \b
    airgap trust pin root.json --fingerprint 4T8K-M2QX-9RWC-V0H5-GJ7P-3NZD-YB7C
    """
    with answering(form):
        from airgap.ledger.pins import Pins, read_root_1

        data = _read_root(root)
        offered = read_root_1(data)
        pinned = Pins(options.default_state(state)).add(
            data,
            told=fingerprint or _ask_fingerprint(offered.name),
            name=name,
            names=names or None,
            shared=shared,
            codes=[_split_code(text) for text in expect or ()],
        )
        if form is Format.JSON:
            print_json(pinned.to_json())
            return
        print_line(
            f"Pinned {pinned.name} (root 1). Bundles of {pinned.name} are believed from now on."
        )


@app.command()
def show(
    # No environment variable: what a site believes is not hidden by what an exporter has set.
    authority: Annotated[
        Path | None, typer.Option(help="Show this authority's own roles, keys and ends instead.")
    ] = None,
    expiring: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Of an authority: only what ends within, as 90d."),
    ] = None,
    state: options.State = None,
    form: options.Form = Format.TEXT,
) -> None:
    """List the authorities that this site has pinned, or what an authority is made of.

    \b
    airgap trust show
    airgap trust show --authority ./acme --expiring 90d
    """
    with answering(form):
        if authority is not None:
            _show_authority(authority, expiring, form)
            return
        if expiring is not None:
            raise UsageError(
                "--expiring is about an authority",
                reason="authority-needed",
                hint="Give --authority as well.",
            )
        from airgap.ledger.pins import Pins

        pins = Pins(options.default_state(state)).all()
        if form is Format.JSON:
            print_json({"schemaVersion": 1, "pins": [pinned.to_json() for pinned in pins]})
            return
        for pinned in pins:
            scope = ", ".join(pinned.names) if pinned.names else "every name"
            print_line(f"{pinned.name}   {pinned.authority}   {pinned.fingerprint}   {scope}")
        if not pins:
            note("airgap: no authority is pinned here; airgap trust pin ROOT.json does it")


app.command()(trust_roles.add)
app.command()(trust_roles.remove)
app.command()(trust_roles.rotate)
app.command()(trust_roles.renew)
app.command("add-signature")(trust_roles.add_signature)
app.command()(trust_upkeep.key)
app.command()(trust_upkeep.refresh)
app.command()(trust_upkeep.recover)


def _show_authority(path: Path, expiring: str | None, form: Format) -> None:
    from airgap.authority import Authority
    from airgap.authority_overview import describe_authority
    from airgap.trust.duration import parse_duration

    span = None if expiring is None else parse_duration(expiring)
    if expiring is not None and span is None:
        raise UsageError(
            f"{expiring!r:.40} is no duration", reason="duration-invalid", hint="Write 90d."
        )
    overview = describe_authority(Authority.open(path))
    endings = overview.endings
    if span is not None:
        endings = overview.ending_before(datetime.now(UTC) + span)
    if form is Format.JSON:
        print_json({**overview.to_json(), "endings": [ending.to_json() for ending in endings]})
        return
    if span is None:
        _print_roles(overview)
    for ending in endings:
        print_line(f"{ending.at:%Y-%m-%d}   {ending.what} ends")
    if not endings:
        print_line(f"Nothing ends within {expiring}.")


def _print_roles(overview: Overview) -> None:
    authority = overview.authority
    print_line(f"{authority.name}   {authority.authority}   {authority.fingerprint}")
    for entry in overview.roles:
        print_line(f"{entry.role}   {entry.threshold} of {len(entry.keys)}")
        for key in entry.keys:
            place = "" if key.place is None else f"   {key.place}"
            gone = "" if key.here or key.place is None else " (not there)"
            print_line(
                f"  {key.keyid}   {key.scheme}   {key.person or 'nobody named'}{place}{gone}"
            )
    if overview.pending is not None:
        waiting = ", ".join(overview.pending.holder(key.keyid) for key in overview.pending.waiting)
        print_line(
            f"root {overview.pending.root.version} waits for signatures; may sign: {waiting}"
        )


def _read_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_ROOT_LIMIT + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            reason="root-unreadable",
            hint="Name the root.json that airgap trust init wrote.",
        ) from error
    if len(data) > _ROOT_LIMIT:
        raise UsageError(f"{path} is too large for a root", reason="root-invalid")
    return data


def _split_code(text: str) -> tuple[str, str]:
    stream, equals, code = text.partition("=")
    if not equals:
        raise UsageError(
            f"{text!r:.100} is not STREAM=CODE",
            reason="code-invalid",
            hint="Write --expect prod=1:8FQ2-T6MD.",
        )
    return stream, code


def _ask_fingerprint(name: str) -> str:
    """Ask the person to type what they were told; the answer is never offered."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"the fingerprint of {name} is needed and there is no terminal to ask at",
            reason="fingerprint-needed",
            hint="Give --fingerprint as the exporting side told it over another way.",
        )
    return str(typer.prompt(f"Type the fingerprint of {name} that you were told", err=True))
