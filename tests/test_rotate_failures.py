"""An authority's folder when something is in the way, and keys of every kind."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airgap.authority import Authority
from airgap.authority_keyring import Keyring
from airgap.authority_keys import (
    generate_key,
    open_signers,
    public_key,
    read_public_key,
    write_key,
)
from airgap.authority_roles import add_key
from airgap.authority_roots import change_root
from airgap.authority_rotation import NewKey, rotate_key
from airgap.errors import AirgapError, StoreError, UsageError
from airgap.ledger.log import Log
from airgap.oci.strict_json import Reader
from airgap.trust.keys import read_key
from tests.release_team import Team

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)


def refused(reason: str, kind: type[AirgapError]) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.gather(tmp_path)


def test_keys_of_other_kinds(team: Team) -> None:
    odd = ec.generate_private_key(ec.SECP521R1())
    path = team.folder / "odd.pem"
    path.write_bytes(odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert team.refused("renew", "--key", path)[0] == 2


def test_a_key_without_a_person_can_be_added_by_programs(team: Team) -> None:
    opened = Authority.open(team.authority)
    change = add_key(read_public_key(team.key("x")), "targets", person=None, threshold=None)
    made = change_root(opened, change, Keyring(places=opened.keys), now=NOW)
    assert (made.complete, dict(made.root.persons)) == (True, {})
    # Whoever opened it before that does not make root 2 again.
    with refused("authority-busy", StoreError):
        change_root(opened, change, Keyring(places=opened.keys), now=NOW)


def test_a_folder_that_cannot_be_written(team: Team) -> None:
    pending = team.authority / "metadata" / "2.root.json"
    opened = Authority.open(team.authority)
    (team.authority / "metadata").rename(team.folder / "away")
    with refused("authority-unusable", StoreError):
        change_root(
            opened,
            add_key(read_public_key(team.key("x")), "targets", person=None, threshold=None),
            Keyring(places=opened.keys),
            now=NOW,
        )
    assert not pending.exists()
    (team.folder / "away").rename(team.authority / "metadata")
    shutil.rmtree(team.authority / "locks")
    (team.authority / "locks").write_text("x")
    assert team.refused("renew") == (5, "authority-unusable")


def test_a_new_key_takes_a_name_that_is_free(team: Team) -> None:
    (team.authority / "keys" / "bundle-2.pem").write_text("something else")
    made = team.trust("rotate", "online", "--no-passphrase").document
    assert made["path"].endswith("bundle-3.pem")
    named = team.folder / "named.pem"
    again = team.trust("rotate", "online", "--no-passphrase", "--out", named).document
    assert again["path"] == str(named)
    assert team.outcome(team.hello(), *team.code(1)) == (0, set())


def test_a_description_that_cannot_be_read(team: Team) -> None:
    opened = Authority.open(team.authority)
    (team.authority / "authority.json").unlink()
    new = NewKey(scheme="ed25519", passphrase=None)
    with refused("authority-unusable", StoreError):
        rotate_key(
            opened, "online", new, Keyring(places=opened.keys), old=None, person=None, now=NOW
        )


def test_an_output_that_cannot_be_written(team: Team) -> None:
    team.hello()
    nowhere = team.folder / "none" / "refresh.json"
    assert team.refused("refresh", "--stream", "prod", "-o", nowhere) == (
        5, "output-unwritable",
    )  # fmt: skip


def test_times_that_are_none(team: Team) -> None:
    team.hello()
    log = Log(team.authority / "numbers.log")
    record = dict(next(iter(log.read())).record)
    record.pop("prev")
    with log.writing() as writer:
        writer.append({**record, "ends": {"timestamp": "soon"}})
    assert team.refused("show") == (5, "authority-damaged")


def test_a_key_file_with_two_passphrases(team: Team) -> None:
    """An export asks again for a key that the first passphrase does not open."""
    files = {}
    for name in ("one", "two", "three"):
        private = generate_key("ed25519")
        path = team.folder / f"{name}.pem"
        write_key(path, private, b"second" if name == "two" else b"first")
        public = public_key(private)
        files[path] = read_key(public.keyid, Reader.of(public.to_dict(), name))
    told = iter([b"first", b"second"])
    assert len(open_signers(files, lambda: next(told))) == 3
    with refused("passphrase-wrong", UsageError):
        open_signers(files, lambda: b"first")
