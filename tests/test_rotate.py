"""Roots that follow roots: keys and persons come and go, and sites follow through any number."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from airgap.authority import Authority
from tests.release_team import Team, forge, must, run, trust_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.gather(tmp_path)


def online(team: Team) -> str:
    keys = team.trust("show").document["roles"]["timestamp"]["keys"]
    assert len(keys) == 1
    return str(keys[0]["keyid"])


class TestRotation:
    @pytest.mark.parametrize("what", ["online", "targets"])
    def test_a_bundle_key_is_replaced_wherever_it_signs(self, team: Team, what: str) -> None:
        one = team.hello()
        old = online(team)
        assert team.load(one, *team.code(1)).code == 0
        done = team.trust("rotate", what, "--no-passphrase").document
        assert (done["root"], done["complete"], done["oldKey"]) == (2, True, old)
        assert done["retired"] == [{"stream": "prod", "sequence": 1, "certain": True}]
        roles = team.trust("show").document["roles"]
        for role in ("targets", "snapshot", "timestamp"):
            assert [key["keyid"] for key in roles[role]["keys"]] == [done["newKey"]]
        assert team.load(team.hello()).code == 0

    def test_a_bundle_key_that_is_lost_needs_the_root_key_alone(self, team: Team) -> None:
        team.hello()
        (team.authority / "keys" / "bundle.pem").unlink()
        assert run(
            "export", "oci:x:a.example/b:1", "--authority", team.authority, "--stream", "prod",
            "-o", team.folder / "x.tar",
        ).code != 0  # fmt: skip
        team.trust("rotate", "online", "--no-passphrase")
        assert team.outcome(team.hello(), *team.code(2)) == (0, set())

    def test_the_root_key_is_replaced_with_the_old_one(self, team: Team) -> None:
        media = team.folder / "media"
        media.mkdir()
        done = team.trust("rotate", "root", "--no-passphrase", "--out", media).document
        assert done["complete"] is True
        assert done["path"] == str(media / "root-2.pem")
        assert team.outcome(team.hello(), *team.code(1)) == (0, set())
        # The old one is good for nothing any more.
        (media / "root-2.pem").rename(team.folder / "away.pem")
        old = team.authority / "keys" / "root.pem"
        assert team.refused("renew", "--key", old) == (2, "key-not-of-role")
        assert team.trust("renew", "--key", team.folder / "away.pem").document["root"] == 3

    def test_a_root_key_that_is_lost_is_replaced_by_the_others(self, team: Team) -> None:
        """2 of 3, and one is gone."""
        bob, carol = team.folder / "bob.pem", team.folder / "carol.pem"
        team.trust("add", team.key("bob"), "--person", "Bob", "--role", "root")
        carols = ("add", team.key("carol"), "--person", "Carol", "--role", "root")
        assert team.trust(*carols, "--threshold", "2", "--key", bob).document["complete"]
        root_key = team.authority / "keys" / "root.pem"
        root_key.unlink()
        lost = Authority.open(team.authority).roots[-1].roles["root"].keys[0].keyid
        rotated = team.trust(
            "rotate", "root", "--old", lost[:12], "--no-passphrase", "--key", bob, "--key", carol
        )
        assert rotated.document["complete"] is True
        assert team.outcome(team.hello(), *team.code(1)) == (0, set())

    def test_a_root_key_that_was_the_only_one_cannot_be_replaced(self, team: Team) -> None:
        (team.authority / "keys" / "root.pem").unlink()
        done = team.trust("rotate", "root", "--no-passphrase").document
        assert done["complete"] is False
        assert team.refused("rotate", "online", "--no-passphrase") == (2, "root-pending")

    def test_a_key_that_somebody_holds(self, team: Team) -> None:
        team.trust("add", team.key("bob"), "--person", "Bob", "--threshold", "2")
        done = team.trust("rotate", "targets", "--old", "Bob", "--new", team.key("bob2")).document
        assert done["path"] is None
        bundle = team.hello()
        assert must("sign", bundle, "--key", team.folder / "bob2.pem").code == 0
        keys = team.trust("show").document["roles"]["targets"]["keys"]
        assert {key["person"] for key in keys} == {None, "Bob"}
        assert team.outcome(bundle, *team.code(1)) == (0, set())

    def test_which_key_must_be_said_where_there_are_several(self, team: Team) -> None:
        team.trust("add", team.key("bob"), "--person", "Bob")
        new = ("--no-passphrase",)
        assert team.refused("rotate", "targets", *new) == (2, "key-ambiguous")
        assert team.refused("rotate", "targets", "--old", "Eve", *new) == (2, "key-unknown")
        assert not list((team.authority / "keys").glob("targets*"))

    def test_what_is_refused_leaves_no_key_behind(self, team: Team) -> None:
        (team.authority / "keys" / "root.pem").rename(team.folder / "root.pem")
        described = (team.authority / "authority.json").read_bytes()
        stranger = ("--key", team.key("eve").with_suffix(".pem"))
        refused = team.refused("rotate", "online", "--no-passphrase", *stranger)
        assert refused == (2, "key-not-of-role")
        assert [path.name for path in (team.authority / "keys").iterdir()] == ["bundle.pem"]
        assert (team.authority / "authority.json").read_bytes() == described
        assert len(Authority.open(team.authority).roots) == 1

    def test_passphrases_key_by_key(self, team: Team) -> None:
        """Two root keys, each with a passphrase of its own; the new key gets a third."""
        secrets = {}
        for name in ("bob", "carol"):
            secrets[name] = team.folder / f"{name}.txt"
            secrets[name].write_text(f"secret of {name}\n")
            must(
                "trust", "key", team.folder / f"{name}.pem",
                "--new-passphrase-file", secrets[name],
            )  # fmt: skip
        keys = [team.folder / "bob.pem", team.folder / "carol.pem"]
        team.trust("add", keys[0].with_suffix(".pub"), "--person", "Bob", "--role", "root")
        with_keys = ("--key", keys[0], "--key", keys[1])
        files = ("--passphrase-file", secrets["bob"], "--passphrase-file", secrets["carol"])
        carols = ("add", keys[1].with_suffix(".pub"), "--person", "Carol", "--role", "root")
        done = team.trust(*carols, "--threshold", "3", *with_keys, *files).document
        assert done["complete"] is True
        (team.folder / "new.txt").write_text("third")
        new = ("--new-passphrase-file", team.folder / "new.txt")
        wrong = ("--passphrase-file", secrets["bob"])
        assert team.refused("rotate", "online", *new, *with_keys, *wrong) == (
            2, "passphrase-wrong",
        )  # fmt: skip
        assert team.trust("rotate", "online", *new, *with_keys, *files).document["complete"]
        made = team.authority / "keys" / "bundle-4.pem"
        assert b"ENCRYPTED" in made.read_bytes()
        bundle = team.hello("--passphrase-file", team.folder / "new.txt")
        assert team.outcome(bundle, *team.code(1)) == (0, set())


class TestChain:
    """What sites make of bundles under other roots than the one that they know."""

    def test_several_roots_in_one_step(self, team: Team) -> None:
        first = team.hello()
        assert team.load(first, *team.code(1)).code == 0
        for what in ("online", "root", "online", "root"):
            team.trust("rotate", what, "--no-passphrase")
        team.trust("renew")
        bundle = team.hello()
        verdict = team.load(bundle)
        assert verdict.code == 0
        assert verdict.document["bundle"]["rootVersion"] == 6

    def test_a_bundle_whose_key_was_dropped(self, team: Team) -> None:
        """The site has seen the new root: what the old key signed is believed no more."""
        one, two = team.hello(), team.hello()
        assert team.load(one, *team.code(1)).code == 0
        team.trust("rotate", "online", "--no-passphrase")
        three = team.hello()
        assert team.load(three).code == 0
        assert team.outcome(two) == (6, {"signed-by-dropped-key"})
        assert team.outcome(one) == (6, {"signed-by-dropped-key"})

    def test_roots_are_kept_of_a_bundle_that_is_rejected(self, team: Team) -> None:
        one = team.hello()
        team.trust("rotate", "online", "--no-passphrase")
        two = team.hello()
        refused = team.load(two)
        assert (refused.code, refused.reasons) == (7, {"bootstrap-needed"})
        assert team.outcome(one, *team.code(1)) == (6, {"signed-by-dropped-key"})

    def test_a_root_that_is_left_out(self, team: Team) -> None:
        for _ in range(2):
            team.trust("renew")
        bundle = team.hello()
        one, _, three = trust_of(bundle).roots
        forged = forge(bundle, team.folder / "forged.tar", roots=(one, three))
        assert team.outcome(forged, *team.code(1)) == (6, {"root-version-gap"})

    def test_roots_that_were_cut_off(self, team: Team) -> None:
        """Without its last roots the bundle's signatures are by strangers."""
        team.trust("rotate", "online", "--no-passphrase")
        bundle = team.hello()
        forged = forge(bundle, team.folder / "forged.tar", roots=trust_of(bundle).roots[:1])
        assert team.outcome(forged, *team.code(1)) == (4, {"signature-foreign"})

    def test_a_root_that_nobody_signed(self, team: Team) -> None:
        """Mallory has a root key of her own, and makes root 2 with it."""
        mallory = Team.gather(team.folder / "mallory")
        mallory.trust("rotate", "root", "--no-passphrase")
        bundle = team.hello()
        theirs = (mallory.authority / "metadata" / "2.root.json").read_bytes()
        roots = (*trust_of(bundle).roots, theirs)
        forged = forge(bundle, team.folder / "forged.tar", roots=roots)
        code, reasons = team.outcome(forged, *team.code(1))
        assert (code, reasons) == (4, {"signature-foreign"})

    def test_two_roots_of_one_number(self, team: Team) -> None:
        """The authority was copied, and both copies went on."""
        shutil.copytree(team.authority, team.folder / "copy")
        team.trust("rotate", "online", "--no-passphrase")
        assert team.load(team.hello(), *team.code(1)).code == 0
        shutil.rmtree(team.authority)
        (team.folder / "copy").rename(team.authority)
        team.trust("rotate", "online", "--no-passphrase")
        assert team.outcome(team.hello()) == (6, {"root-fork"})
