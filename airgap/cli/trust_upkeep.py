"""`airgap trust key | refresh | recover`: keys of persons, longer lives, and streams begun anew."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.inputs import write_output
from airgap.cli.keyring import NewPassphraseFile, NoPassphrase, Scheme, new_passphrase
from airgap.cli.output import Format, answering, human_time, print_json, print_line
from airgap.errors import UsageError

__all__ = ["key", "recover", "refresh"]


def key(
    file: Annotated[Path, typer.Argument(metavar="FILE.pem", help="Where the private key goes.")],
    scheme: Scheme = "ecdsa-p256",
    no_passphrase: NoPassphrase = False,
    new_passphrase_file: NewPassphraseFile = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Make a key for a person who signs: the private one, and the public one beside it.

    \b
    airgap trust key bob.pem         (bob.pub goes to the authority: airgap trust add)
    """
    with answering(form):
        from airgap.authority_keys import generate_key, public_key, public_pem, write_key

        public = file.with_suffix(".pub")
        if public == file or public.exists():
            raise UsageError(
                f"the public key would be written over {public}",
                reason="key-exists",
                hint="Name the private key NAME.pem, where there is no NAME.pub yet.",
            )
        private = generate_key(scheme)
        write_key(file, private, new_passphrase(new_passphrase_file, plain=no_passphrase)())
        write_output(public, public_pem(private))
        keyid = public_key(private).keyid
        if form is Format.JSON:
            document = {"private": str(file), "public": str(public), "keyid": keyid}
            print_json({"schemaVersion": 1, "scheme": scheme, **document})
            return
        print_line(f"  private key  {file}   keep it; nobody else needs it")
        print_line(f"  public key   {public}   for airgap trust add; its id is {keyid}")


def refresh(
    authority: options.Authority,
    stream: Annotated[
        str, typer.Option(envvar="AIRGAP_STREAM", help="Whose newest bundle lives longer.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", envvar="AIRGAP_OUTPUT", help="The file to write.")
    ],
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Write a new timestamp for the newest bundle of a stream: a few hundred bytes, one QR code.

    \b
    airgap trust refresh --authority ./acme --stream prod -o refresh.json
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_refresh import sign_refresh

        if output.exists():
            raise UsageError(f"{output} is there already", reason="output-exists")
        with Authority.open(authority).edition(stream) as edition:
            made = sign_refresh(
                edition,
                now=datetime.now(UTC).replace(microsecond=0),
                passphrase=options.passphrase_reader(
                    passphrase_file, passphrase_fd, prompt="Passphrase of the bundle key"
                ),
            )
        write_output(output, made.data)
        if form is Format.JSON:
            print_json(
                {
                    "schemaVersion": 1,
                    "stream": stream,
                    "sequence": made.sequence,
                    "version": made.version,
                    "expires": f"{made.expires:%Y-%m-%dT%H:%M:%SZ}",
                    "output": str(output),
                }
            )
            return
        print_line(
            f"{output}   {len(made.data)} bytes   stream {stream}, number {made.sequence}: "
            f"its timestamp is good until {human_time(made.expires)}"
        )
        print_line(f"At the site: airgap import BUNDLE --refresh {output.name}")


def recover(
    name: Annotated[
        str, typer.Argument(metavar="AUTHORITY", help="The authority's name here, or its id.")
    ],
    stream: Annotated[
        str, typer.Option(envvar="AIRGAP_STREAM", help="The stream that begins anew.")
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRGAP_BUNDLE", help="A bundle that brings the new root, if none has yet."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="You have decided; do not ask.")] = False,
    state: options.State = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Begin a stream anew after somebody used its numbers up with keys that were stolen.

    Only where the authority's new root has no key for bundles in common with the roots before. The
    next bundle is then the first one again and needs its code. Nothing else is forgotten.

    \b
    airgap trust recover acme --stream prod --bundle prod-7.tar
    """
    with answering(form):
        from airgap.recovery import plan_recovery, recover_stream

        folder = options.default_state(state)
        plan = plan_recovery(folder, name, stream, bundle=bundle)
        if form is Format.TEXT:
            print_line(
                f"Stream {stream} of {plan.name} stands at number {plan.sequence}, imported "
                f"{human_time(plan.imported)} under root {plan.before}."
            )
            print_line(
                f"Root {plan.root} has none of the keys that signed bundles before. If you go on, "
                "the next bundle of this stream is a first one: it needs its code."
            )
        if not yes:
            _confirm(stream)
        done = recover_stream(folder, plan)
        if form is Format.JSON:
            print_json({"schemaVersion": 1, **done.to_json()})
        else:
            print_line(
                f"Recovered: nothing is known of stream {stream} from before root {plan.root}."
            )


def _confirm(stream: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "a person has to decide this, and there is no terminal to ask at",
            reason="confirmation-needed",
            hint="If you have decided: --yes",
        )
    if typer.prompt("Type the name of the stream to go on", err=True) != stream:
        raise UsageError("nothing was changed", reason="confirmation-refused")
