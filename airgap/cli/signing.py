"""`airgap sign`: one more signature on a bundle, or on a root, with or without carrying it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli import options
from airgap.cli.inputs import LARGE, read_input, write_output
from airgap.cli.keyring import Keys, PassphraseFiles, open_keyring
from airgap.cli.output import Format, answering, human_size, note, print_json, print_line
from airgap.errors import UsageError

if TYPE_CHECKING:
    from airgap.authority_keyring import Keyring
    from airgap.signing import SigningReport

__all__ = ["sign"]


def sign(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE|FILE", help="The bundle; with -o, what is to be signed instead of it."
        ),
    ],
    keys: Keys = None,
    request: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRGAP_REQUEST", help="Write here what somebody else is to sign: a few kB."
        ),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRGAP_PREVIOUS", help="The bundle before, so that the request shows changes."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", envvar="AIRGAP_OUTPUT", help="Write the signature here."),
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(
            "--add", envvar="AIRGAP_ADD", metavar="SIG", help="Put this signature in (repeatable)."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="You have read what is signed; do not ask.")
    ] = False,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Add a signature to a bundle whose authority asks for several.

    The bundle's content does not move. A signing that was interrupted is completed first; without
    options that is all that is done.

    \b
    airgap sign prod-1.tar --key bob.pem
    airgap sign prod-1.tar --request prod-1.req      (and where the key is:)
    airgap sign --key bob.pem prod-1.req -o bob.sig
    airgap sign prod-1.tar --add bob.sig
    """
    with answering(form):
        if sum(map(bool, (request, output, add))) > 1 or (keys and (request or add)):
            raise UsageError(
                "one thing at a time: --request writes a file, -o signs one, --add puts it in",
                reason="sign-mixed",
                hint="airgap sign --help shows the four forms.",
            )
        if previous is not None and request is None:
            raise UsageError("--previous goes with --request", reason="sign-mixed")
        keyring = open_keyring(keys, passphrase_file, passphrase_fd)
        if request is not None:
            _write_request(file, request, previous, form)
        elif output is not None:
            _sign_file(file, output, keyring, yes=yes, form=form)
        else:
            _sign_bundle(file, keyring, add, form)


def _write_request(bundle: Path, path: Path, previous: Path | None, form: Format) -> None:
    from airgap.signing import request_signature
    from airgap.signing_summary import summarise

    made = request_signature(bundle, previous=previous)
    data = made.request.encode()
    write_output(path, data)
    if form is Format.JSON:
        print_json(
            {
                "schemaVersion": 1,
                "request": str(path),
                "signed": str(made.envelope.digest),
                "summary": list(summarise(made)),
            }
        )
        return
    for line in summarise(made):
        print_line(line)
    print_line(
        f"{path}   {human_size(len(data))}   to be signed: airgap sign --key K {path} -o SIG"
    )


def _sign_file(path: Path, output: Path, keyring: Keyring, *, yes: bool, form: Format) -> None:
    from airgap.signing_summary import summarise
    from airgap.trust.signing import SigningRequest

    if len(keyring.files) != 1:
        raise UsageError(
            "a signature is made with one key", reason="key-missing", hint="Give --key once."
        )
    if output.exists():
        raise UsageError(f"{output} is there already", reason="output-exists")
    opened = SigningRequest.decode(read_input(path, limit=LARGE) or b"", str(path)).opened()
    summary = summarise(opened)
    for line in summary:
        # With JSON the answer is on stdout, and what a person reads is not.
        (print_line if form is Format.TEXT else note)(line)
    if not yes:
        _confirm()
    (signature,) = keyring.sign(opened.envelope, opened.keys)
    write_output(output, signature.encode())
    if form is Format.JSON:
        print_json(
            {
                "schemaVersion": 1,
                "signature": str(output),
                "keyid": signature.keyid,
                "signed": str(signature.signed),
                "summary": list(summary),
            }
        )
        return
    print_line(f"Signed by {opened.holder(signature.keyid)} ({signature.keyid[:16]}): {output}")


def _sign_bundle(path: Path, keyring: Keyring, add: list[Path] | None, form: Format) -> None:
    from airgap.signing import add_to_bundle, sign_bundle
    from airgap.trust.signing import DetachedSignature

    if add:
        came = [DetachedSignature.decode(read_input(one) or b"", str(one)) for one in add]
        report = add_to_bundle(path, came)
    else:
        report = sign_bundle(path, keyring)
    if form is Format.JSON:
        print_json(report.to_json())
    else:
        _print_report(report)


def _print_report(report: SigningReport) -> None:
    from airgap.signing_summary import summarise

    for line in summarise(report.request):
        print_line(line)
    if report.resumed:
        print_line("A signing that was interrupted has been completed.")
    for keyid in report.added:
        print_line(f"Signed by {report.request.holder(keyid)} ({keyid[:16]}).")
    print_line(f"{report.path}   {report.tally} signatures")


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "a person has to read what is signed, and there is no terminal to ask at",
            reason="confirmation-needed",
            hint="If you have read it: --yes",
        )
    if not typer.confirm("Sign this?", err=True):
        raise UsageError("nothing was signed", reason="confirmation-refused")
