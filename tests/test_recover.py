"""Recovery from fast-forward: new keys, and a person; nothing else is forgotten."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from airgap.authority import Authority, Statement
from airgap.errors import StoreError
from airgap.ledger.ledger import Ledger
from airgap.recovery import plan_recovery, recover_stream
from tests.release_team import HELLO, Team, must, run
from tests.test_rotate import online

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    """A site whose stream stands at number 9, which a thief has signed; the authority is at 1."""
    team = Team.gather(tmp_path)
    one = team.hello()
    assert team.load(one, *team.code(1)).code == 0
    # The thief has a copy of everything but the root key.
    shutil.copytree(team.authority, tmp_path / "thief")
    _skip_numbers(tmp_path / "thief")
    stolen(team, "stolen.tar")
    return team


def stolen(team: Team, name: str) -> None:
    """Let the thief make the next number, and the site import it."""
    bundle = team.folder / name
    must(
        "export", HELLO, "--authority", team.folder / "thief", "--stream", "prod", "-o", bundle
    )  # fmt: skip
    assert team.load(bundle).code == 0


def _skip_numbers(authority: Path) -> None:
    """Use up the numbers 2 to 8."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(2, 9):
        with Authority.open(authority).edition("prod") as edition:
            inventory = json.dumps(number).encode()
            edition.prepare({"inventory.json": inventory}, Statement(), now=now).sign()


def recover(team: Team, *arguments: object) -> tuple[int, str]:
    answer = run(
        "trust", "recover", *arguments, "--stream", "prod", "--state", team.state,
        "--format", "json",
    )  # fmt: skip
    return answer.code, "" if answer.code == 0 else answer.error["reason"]


def test_new_keys_and_a_person_begin_the_stream_anew(team: Team) -> None:
    head = Ledger(team.state).history()
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    assert team.outcome(two) == (7, {"replay"})
    assert recover(team, "acme", "--bundle", two, "--yes") == (0, "")
    # Nothing is known of the stream: the next bundle needs its code, and counts from there.
    assert team.outcome(two) == (7, {"bootstrap-needed"})
    assert team.load(two, *team.code(2)).code == 0
    assert team.load(team.hello()).code == 0
    # What the stolen keys signed is refused by the new root.
    for bundle in (team.folder / "stolen.tar", team.folder / "prod-1.tar"):
        assert team.outcome(bundle, *team.code(1)) == (6, {"signed-by-dropped-key"})
    history = Ledger(team.state).history()
    (authority,) = {commit.authority for commit in history.commits}
    assert [commit.sequence for commit in history.commits] == [1, 9, 2, 3]
    assert {link.sequence for link in history.recovered(authority, "prod")} == {1, 9}
    assert max(floor.at for floor in history.floors) >= max(floor.at for floor in head.floors)
    assert len(history.roots(authority)) == 2


def test_it_is_recorded(team: Team) -> None:
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    answer = run(
        "trust", "recover", "acme", "--stream", "prod", "--bundle", two, "--yes",
        "--state", team.state, "--format", "json",
    )  # fmt: skip
    assert answer.document["recoveredFrom"]["sequence"] == 9
    assert (answer.document["root"], answer.document["recoveredFrom"]["root"]) == (2, 1)
    *_, last = Ledger(team.state).log.read()
    assert (last.record["kind"], last.record["sequence"], last.record["root"]) == (
        "recovered", 9, 2,
    )  # fmt: skip


def test_the_root_may_have_come_with_a_bundle_that_was_rejected(team: Team) -> None:
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    assert team.load(two).code == 7
    assert recover(team, "acme", "--yes") == (0, "")
    assert team.load(two, *team.code(2)).code == 0


def test_without_new_keys_there_is_no_way_back(team: Team) -> None:
    assert recover(team, "acme", "--yes") == (6, "recovery-keys-shared")
    team.trust("renew")
    assert recover(team, "acme", "--bundle", team.hello(), "--yes") == (6, "recovery-keys-shared")


def test_one_key_that_stays_is_one_too_many(team: Team) -> None:
    """Targets are Bob's now; the thief still has the key of the timestamp."""
    old = online(team)
    team.trust("add", team.key("bob"), "--person", "Bob")
    team.trust("remove", old)
    two = team.hello()
    must("sign", two, "--key", team.folder / "bob.pem")
    assert recover(team, "acme", "--bundle", two, "--yes") == (6, "recovery-keys-shared")
    team.trust("rotate", "online", "--no-passphrase")
    assert recover(team, "acme", "--bundle", team.hello(), "--yes") == (0, "")


def test_a_key_that_comes_back_is_none_that_is_new(team: Team) -> None:
    """Root 3 has again the key of root 1."""
    team.trust("rotate", "online", "--no-passphrase")
    assert team.load(team.hello()).code == 7
    bundle_key = team.authority / "keys" / "bundle.pem"
    pem = public_half(bundle_key)
    public = team.folder / "old.pub"
    public.write_bytes(pem)
    team.trust("rotate", "online", "--new", public)
    assert recover(team, "acme", "--bundle", team.hello(), "--yes") == (6, "recovery-keys-shared")


def public_half(private: Path) -> bytes:
    key = load_pem_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_person_decides(team: Team) -> None:
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    assert recover(team, "acme", "--bundle", two) == (2, "confirmation-needed")
    kinds = [entry.record["kind"] for entry in Ledger(team.state).log.read()]
    assert "recovered" not in kinds


def test_for_people(team: Team) -> None:
    team.trust("rotate", "online", "--no-passphrase")
    out = must(
        "trust", "recover", "acme", "--stream", "prod", "--bundle", team.hello(), "--yes",
        "--state", team.state,
    ).out  # fmt: skip
    assert "stands at number 9" in out
    assert "it needs its code" in out
    assert "Recovered" in out


def test_what_cannot_be_recovered(team: Team) -> None:
    assert recover(team, "nobody", "--yes") == (2, "authority-not-pinned")
    answer = run(
        "trust", "recover", "acme", "--stream", "test", "--yes", "--state", team.state,
        "--format", "json",
    )  # fmt: skip
    assert (answer.code, answer.error["reason"]) == (2, "nothing-to-recover")


def test_a_ledger_that_went_on_is_looked_at_again(team: Team) -> None:
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    plan = plan_recovery(team.state, "acme", "prod", bundle=two)
    stolen(team, "more.tar")
    with pytest.raises(StoreError, check=lambda error: error.reason == "ledger-changed"):
        recover_stream(team.state, plan)
    recover_stream(team.state, plan_recovery(team.state, "acme", "prod", bundle=two))
    assert team.load(two, *team.code(2)).code == 0


def test_a_destination_that_still_has_the_stolen_number(team: Team) -> None:
    """Its release record says 9: a person has recovered from that very one, and from no other."""
    team.trust("rotate", "online", "--no-passphrase")
    two = team.hello()
    assert recover(team, "acme", "--bundle", two, "--yes") == (0, "")
    assert team.load(two, *team.code(2), "--to", "store").code == 0
