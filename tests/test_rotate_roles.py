"""Persons, thresholds, roots that wait for signatures, and what an authority says of itself."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap.authority import Authority
from tests.release_team import Team, must, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.gather(tmp_path)


def online(team: Team) -> str:
    keys = team.trust("show").document["roles"]["timestamp"]["keys"]
    assert len(keys) == 1
    return str(keys[0]["keyid"])


class TestPersons:
    def test_a_person_comes_and_goes(self, team: Team) -> None:
        added = team.trust("add", team.key("bob"), "--person", "Bob").document
        assert (added["root"], added["retired"]) == (2, [])
        entry = team.trust("show").document["roles"]["targets"]
        assert entry["threshold"] == 1
        assert [key["person"] for key in entry["keys"]] == [None, "Bob"]
        removed = team.trust("remove", "Bob").document
        assert removed["root"] == 3
        root = json.loads((team.authority / "metadata" / "3.root.json").read_bytes())["signed"]
        assert "persons" not in root["x-airgap"]
        assert len(root["keys"]) == 2

    def test_whose_a_key_is_can_be_said_later(self, team: Team) -> None:
        team.trust("add", team.key("bob"), "--person", "Bob")
        assert team.refused("add", team.folder / "bob.pub", "--person", "Bob") == (
            2, "root-unchanged",
        )  # fmt: skip
        team.trust("add", team.folder / "bob.pub", "--person", "Robert")
        keys = team.trust("show").document["roles"]["targets"]["keys"]
        assert [key["person"] for key in keys] == [None, "Robert"]

    def test_a_threshold_that_the_persons_cannot_reach(self, team: Team) -> None:
        bob = ("add", team.key("bob"), "--person", "Bob")
        assert team.refused(*bob, "--threshold", "3") == (2, "threshold-impossible")
        team.trust(*bob, "--threshold", "2")
        again = ("add", team.key("bob2"), "--person", "BOB", "--threshold", "3")
        assert team.refused(*again) == (2, "threshold-impossible")
        assert team.refused("remove", "Bob") == (2, "threshold-impossible")
        team.trust("remove", "Bob", "--threshold", "1")
        assert team.refused("remove", online(team)) == (2, "threshold-impossible")

    def test_a_role_has_room_for_eight_keys(self, team: Team) -> None:
        for number in range(7):
            key = team.key(f"p{number}", scheme="ed25519")
            team.trust("add", key, "--person", f"P {number}", "--role", "root")
        eighth = team.key("p8", scheme="ed25519")
        refused = team.refused("add", eighth, "--person", "P 8", "--role", "root")
        assert refused == (2, "role-full")

    @pytest.mark.parametrize("name", ["", " Bob", "B\nob"])
    def test_a_person_has_a_name(self, team: Team, name: str) -> None:
        assert team.refused("add", team.key("bob"), "--person", name) == (2, "person-invalid")

    def test_what_is_no_public_key(self, team: Team) -> None:
        team.key("bob")
        (team.folder / "text").write_text("no key")
        for path in (team.folder / "text", team.folder / "bob.pem"):
            assert team.refused("add", path, "--person", "Bob") == (2, "key-invalid")
        refused = team.refused("add", team.folder / "none", "--person", "Bob")
        assert refused == (5, "key-unreadable")

    def test_a_higher_threshold_retires_what_one_has_released(self, team: Team) -> None:
        one = team.hello()
        done = team.trust("add", team.key("bob"), "--person", "Bob", "--threshold", "2").document
        assert done["retired"] == [{"stream": "prod", "sequence": 1, "certain": True}]
        two = team.hello()
        must("sign", two, "--key", team.folder / "bob.pem")
        assert team.load(two, *team.code(2)).code == 0
        assert team.outcome(one) == (6, {"signed-by-dropped-key"})
        # With a third person, and one of the three gone, it depends on who signed.
        team.trust("add", team.key("carol"), "--person", "Carol")
        three = team.hello()
        done = team.trust("remove", "Bob").document
        assert done["retired"] == [
            {"stream": "prod", "sequence": 2, "certain": True},
            {"stream": "prod", "sequence": 3, "certain": False},
        ]
        must("sign", three, "--key", team.folder / "carol.pem")
        assert team.outcome(three) == (0, set())


class TestPending:
    @pytest.fixture
    def waiting(self, team: Team) -> Path:
        """Return root 2 of an authority that is to have two root keys; Bob's is elsewhere."""
        bob = ("add", team.key("bob"), "--person", "Bob", "--role", "root", "--threshold", "2")
        done = team.trust(*bob).document
        assert (done["complete"], done["root"]) == (False, 2)
        assert [entry["holder"] for entry in done["waiting"]] == ["Bob"]
        return team.authority / "metadata" / "2.root.json.pending"

    def test_nothing_changes_until_it_is_signed(self, team: Team, waiting: Path) -> None:
        assert team.trust("show").document["root"] == 1
        assert team.trust("show").document["pending"]["root"] == 2
        assert "waits for signatures; may sign: Bob" in must(
            "trust", "show", "--authority", team.authority
        ).out  # fmt: skip
        assert team.refused("renew") == (2, "root-pending")
        assert team.outcome(team.hello(), *team.code(1)) == (0, set())

    def test_it_is_signed_where_the_key_is(self, team: Team, waiting: Path) -> None:
        sig = team.folder / "bob.sig"
        made = must(
            "sign", waiting, "--key", team.folder / "bob.pem", "-o", sig, "--yes",
            "--format", "json",
        ).document  # fmt: skip
        assert "root        2, instead of root 1" in made["summary"]
        assert "root        2 of 2 keys   (was 1)" in made["summary"]
        done = team.trust("add-signature", sig).document
        assert (done["complete"], done["waiting"]) == (True, [])
        assert not waiting.exists()
        assert team.outcome(team.hello(), *team.code(1)) == (0, set())

    def test_it_is_signed_here(self, team: Team, waiting: Path) -> None:
        done = team.trust("add-signature", "--key", team.folder / "bob.pem").document
        assert done["complete"] is True
        assert team.refused("add-signature") == (2, "root-not-pending")

    def test_a_signature_for_something_else(self, team: Team, waiting: Path) -> None:
        bundle = team.hello()
        must("sign", bundle, "--request", team.folder / "req")
        key = ("--key", team.authority / "keys" / "bundle.pem")
        must("sign", team.folder / "req", *key, "-o", team.folder / "sig", "--yes")
        assert team.refused("add-signature", team.folder / "sig") == (2, "signature-of-other")

    def test_it_can_be_given_up(self, team: Team, waiting: Path) -> None:
        waiting.unlink()
        assert team.trust("renew").document["root"] == 2

    def test_one_that_is_damaged(self, team: Team, waiting: Path) -> None:
        waiting.write_bytes(waiting.read_bytes().replace(b'"role":"root"', b'"role":"toor"'))
        assert team.refused("add-signature") == (5, "authority-damaged")

    def test_one_of_another_authority(self, team: Team, waiting: Path) -> None:
        other = Team.gather(team.folder / "other")
        other.trust("add", other.key("x"), "--person", "X", "--role", "root", "--threshold", "2")
        shutil.copy(other.authority / "metadata" / waiting.name, waiting)
        assert team.refused("add-signature") == (5, "authority-damaged")

    def test_people_are_told_what_to_do(self, team: Team) -> None:
        key = team.key("bob")
        out = must(
            "trust", "add", key, "--person", "Bob", "--role", "root", "--threshold", "2",
            "--authority", team.authority,
        ).out  # fmt: skip
        assert "Root 2 of acme waits for signatures: 1 of 1, 1 of 2." in out
        assert "may sign: Bob" in out
        assert "airgap trust add-signature SIG" in out


class TestOverview:
    def test_ends_within_a_time(self, team: Team) -> None:
        assert team.trust("show", "--expiring", "90d").document["endings"] == []
        team.hello()
        soon = team.trust("show", "--expiring", "90d").document["endings"]
        assert [end["what"] for end in soon] == ["timestamp of number 1 of stream prod"]
        whole = team.trust("show", "--expiring", "400d").document["endings"]
        assert next(end["what"] for end in whole) == soon[0]["what"]
        assert {end["what"].partition(" ")[0] for end in whole} == {
            "root", "timestamp", "snapshot", "targets",
        }  # fmt: skip

    def test_for_people(self, team: Team) -> None:
        (team.authority / "keys" / "root.pem").unlink()
        team.trust("rotate", "online", "--no-passphrase")
        out = must("trust", "show", "--authority", team.authority).out
        assert team.fingerprint in out
        assert "root.pem (not there)" in out
        assert "root 1 ends" in out
        out = must("trust", "show", "--authority", team.authority, "--expiring", "1d").out
        assert out == "Nothing ends within 1d.\n"

    def test_for_an_authority_and_in_days(self, team: Team) -> None:
        assert team.refused("show", "--expiring", "soon") == (2, "duration-invalid")
        answer = run("trust", "show", "--expiring", "1d", "--state", team.state, "--format", "json")
        assert (answer.code, answer.error["reason"]) == (2, "authority-needed")

    def test_a_renewed_root_lives_longer(self, team: Team) -> None:
        now = datetime.now(UTC)
        assert team.trust("renew").document["complete"] is True
        assert Authority.open(team.authority).root_expires > now + timedelta(days=364)

    def test_numbers_tell_which_bundles_are_retired(self, team: Team) -> None:
        team.hello()
        out = must(
            "trust", "rotate", "online", "--no-passphrase", "--authority", team.authority
        ).out
        assert "stream prod, number 1 is retired" in out
        assert "Root 2 of acme is in force" in out


class TestKeys:
    def test_nothing_is_written_over(self, team: Team) -> None:
        team.key("bob")
        for name in ("bob.pem", "bob.pub"):
            answer = run("trust", "key", team.folder / name, "--no-passphrase", "--format", "json")
            assert (answer.code, answer.error["reason"]) == (2, "key-exists")

    def test_for_people(self, team: Team) -> None:
        out = must("trust", "key", team.folder / "eve.pem", "--no-passphrase").out
        assert "public key" in out
        assert (team.folder / "eve.pem").stat().st_mode & 0o777 == 0o600
