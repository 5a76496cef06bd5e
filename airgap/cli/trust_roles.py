"""`airgap trust add | remove | rotate | renew | add-signature`: the next root of an authority."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap.cli import options
from airgap.cli.inputs import read_input
from airgap.cli.keyring import (
    Keys,
    NewPassphraseFile,
    NoPassphrase,
    PassphraseFiles,
    Scheme,
    new_passphrase,
    open_keyring,
)
from airgap.cli.output import Format, answering, print_json, print_line

if TYPE_CHECKING:
    from airgap.authority import Authority
    from airgap.authority_rotation import Rotation
    from airgap.trust.signing import OpenRequest

__all__ = ["add", "add_signature", "remove", "renew", "rotate"]


class Role(StrEnum):
    """The roles to which persons may be added."""

    TARGETS = "targets"
    ROOT = "root"


class Rotatable(StrEnum):
    """What may be rotated."""

    ROOT = "root"
    TARGETS = "targets"
    ONLINE = "online"


RoleOption = Annotated[
    Role, typer.Option("--role", envvar="AIRGAP_ROLE", help="Who releases bundles, or roots.")
]
Threshold = Annotated[
    int | None,
    typer.Option(
        min=1, envvar="AIRGAP_THRESHOLD", help="How many persons must sign then. Default: as now."
    ),
]


def add(
    key: Annotated[Path, typer.Argument(metavar="KEY.pub", help="Their public key, in PEM.")],
    authority: options.Authority,
    person: Annotated[
        str, typer.Option(envvar="AIRGAP_PERSON", help="Whose key it is: persons are counted.")
    ],
    role: RoleOption = Role.TARGETS,
    threshold: Threshold = None,
    keys: Keys = None,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Let a person sign bundles (targets) or roots: a new root, signed by the root keys.

    \b
    airgap trust add bob.pub --person Bob --threshold 2 --authority ./acme
    airgap trust add carol.pub --person Carol --role root --threshold 2 --key /media/usb/root.pem
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_keys import read_public_key
        from airgap.authority_roles import add_key
        from airgap.authority_roots import change_root

        opened = Authority.open(authority)
        change = add_key(read_public_key(key), str(role), person=person, threshold=threshold)
        keyring = open_keyring(keys, passphrase_file, passphrase_fd, places=opened.keys)
        _answer(opened, change_root(opened, change, keyring, now=_now()), form)


def remove(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The start of its id, or the person it is of.")
    ],
    authority: options.Authority,
    role: RoleOption = Role.TARGETS,
    threshold: Threshold = None,
    keys: Keys = None,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Let a key sign no more: a new root, signed by the root keys.

    \b
    airgap trust remove Bob --role targets --threshold 1 --authority ./acme
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_roles import find_key, remove_key
        from airgap.authority_roots import change_root

        opened = Authority.open(authority)
        keyid = find_key(opened.roots[-1], str(role), key)
        change = remove_key(keyid, str(role), threshold=threshold)
        keyring = open_keyring(keys, passphrase_file, passphrase_fd, places=opened.keys)
        _answer(opened, change_root(opened, change, keyring, now=_now()), form)


def rotate(
    what: Annotated[Rotatable, typer.Argument(help="online is the key of snapshot and timestamp.")],
    authority: options.Authority,
    old: Annotated[
        str | None,
        typer.Option(envvar="AIRGAP_OLD", help="Which key goes, if there are several: id, person."),
    ] = None,
    new: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRGAP_NEW", help="A public key that somebody holds, instead of one made."
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(envvar="AIRGAP_PERSON", help="Whose the new key is. Default: as the old one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRGAP_OUT", help="Write the new private key here: a folder, or a file."
        ),
    ] = None,
    scheme: Scheme = "ecdsa-p256",
    no_passphrase: NoPassphrase = False,
    new_passphrase_file: NewPassphraseFile = None,
    keys: Keys = None,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Replace a key that is old, lost or leaked, in every role that it has.

    It takes the root keys, not the key that goes. A root key that is lost can be replaced while the
    other root keys reach the threshold.

    \b
    airgap trust rotate online --authority ./acme --key /media/usb/root.pem
    airgap trust rotate root --authority ./acme --out /media/usb
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_keys import read_public_key
        from airgap.authority_rotation import NewKey, rotate_key

        opened = Authority.open(authority)
        key = (
            read_public_key(new)
            if new is not None
            else NewKey(
                scheme=scheme,
                passphrase=new_passphrase(new_passphrase_file, plain=no_passphrase)(),
                place=out,
            )
        )
        rotation = rotate_key(
            opened,
            str(what),
            key,
            open_keyring(keys, passphrase_file, passphrase_fd, places=opened.keys),
            old=old,
            person=person,
            now=_now(),
        )
        _answer(opened, rotation.request, form, rotation=rotation)


def renew(
    authority: options.Authority,
    keys: Keys = None,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Make a new root that says the same and lives longer.

    \b
    airgap trust renew --authority ./acme --key /media/usb/root.pem
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_roots import renew_root

        opened = Authority.open(authority)
        keyring = open_keyring(keys, passphrase_file, passphrase_fd, places=opened.keys)
        _answer(opened, renew_root(opened, keyring, now=_now()), form)


def add_signature(
    authority: options.Authority,
    signatures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SIG", help="What airgap sign --key K FILE -o SIG wrote."),
    ] = None,
    keys: Keys = None,
    passphrase_file: PassphraseFiles = None,
    passphrase_fd: options.PassphraseFd = None,
    form: options.Form = Format.TEXT,
) -> None:
    """Add signatures to the root that waits for them; with the last one it is in force.

    Whoever holds a key makes one with airgap sign, out of metadata/N.root.json.pending.

    \b
    airgap trust add-signature carol.sig --authority ./acme
    airgap trust add-signature --key carol.pem --authority ./acme
    """
    with answering(form):
        from airgap.authority import Authority
        from airgap.authority_roots import sign_pending
        from airgap.trust.signing import DetachedSignature

        opened = Authority.open(authority)
        came = [
            DetachedSignature.decode(read_input(path) or b"", str(path))
            for path in signatures or ()
        ]
        keyring = open_keyring(keys, passphrase_file, passphrase_fd, places=opened.keys)
        _answer(opened, sign_pending(opened, came, keyring), form)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _answer(
    authority: Authority, request: OpenRequest, form: Format, rotation: Rotation | None = None
) -> None:
    """Say what became of the next root, and which bundles it retires."""
    from airgap.authority_retired import find_retired

    retired = find_retired(authority.numbers, (*authority.roots, request.root))
    if form is Format.JSON:
        print_json(
            {
                "schemaVersion": 1,
                "root": request.root.version,
                "complete": request.complete,
                "waiting": [
                    {"keyid": key.keyid, "holder": request.holder(key.keyid)}
                    for key in request.waiting
                ],
                "retired": [one.to_json() for one in retired],
                **({} if rotation is None else rotation.to_json()),
            }
        )
        return
    root = request.root
    if rotation is not None:
        where = "" if rotation.path is None else f", in {rotation.path}"
        print_line(f"Key {rotation.old[:16]} goes, {rotation.new[:16]} comes{where}.")
    if request.complete:
        print_line(
            f"Root {root.version} of {root.name} is in force, good until "
            f"{root.envelope.expires:%Y-%m-%d}. Bundles bring it to the sites."
        )
    else:
        tallies = ", ".join(f"{signed} of {asked}" for signed, asked in request.tallies)
        print_line(f"Root {root.version} of {root.name} waits for signatures: {tallies}.")
        for key in request.waiting:
            print_line(f"  may sign: {request.holder(key.keyid)}   {key.keyid}")
        pending = f"{authority.path}/metadata/{root.version}.root.json.pending"
        print_line(f"Each signs {pending}:")
        print_line(f"  airgap sign --key KEY.pem {pending} -o SIG")
        print_line(f"  airgap trust add-signature SIG --authority {authority.path}")
    for one in retired:
        fate = "is retired" if one.certain else "is retired, unless others signed it"
        when = "" if request.complete else " then"
        print_line(
            f"  stream {one.stream}, number {one.sequence} {fate}{when}: sites that know root "
            f"{root.version} refuse it"
        )
    if retired:
        print_line("Export again what is still needed.")
