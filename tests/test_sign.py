"""Signatures that come later: the four forms of `airgap sign`, and what sites answer meanwhile."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from airgap.bundle.reader import open_bundle
from airgap.trust.envelope import EnvelopeSignature, write_envelope
from tests.release_team import HELLO, Team, forge, must, run, trust_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.of_two(tmp_path)


def body_of(path: Path) -> bytes:
    with open_bundle(path) as bundle:
        start = bundle.inventory.content.body_at
        assert start is not None
    return path.read_bytes()[start:]


def sign(*arguments: object) -> dict[str, Any]:
    return must("sign", *arguments, "--format", "json").document


def refused(*arguments: object) -> tuple[int, str]:
    answer = run("sign", *arguments, "--format", "json")
    assert answer.out == ""
    return answer.code, answer.error["reason"]


class TestOutstanding:
    def test_an_export_says_what_is_outstanding_and_ends_well(self, team: Team) -> None:
        answer = must(
            "export", HELLO, "--authority", team.authority, "--stream", "prod",
            "-o", team.folder / "prod-1.tar",
        )  # fmt: skip
        assert "Signatures: 1 of 2" in answer.out
        assert "Bob" in answer.out

    def test_sites_wait_for_the_rest_with_exit_code_8(self, team: Team) -> None:
        bundle = team.hello()
        assert team.outcome(bundle, *team.code(1)) == (8, {"threshold-not-met"})
        loaded = team.load(bundle, *team.code(1))
        assert (loaded.code, loaded.reasons) == (8, {"threshold-not-met"})
        assert not (team.state / "store").exists()
        sign(bundle, "--key", team.folder / "bob.pem")
        assert team.outcome(bundle, *team.code(1)) == (0, set())
        assert team.load(bundle, *team.code(1)).code == 0

    def test_where_nobody_released_it_there_is_nothing_to_wait_for(self, team: Team) -> None:
        """Persons alone sign the targets; the exporter's key signs what its machine may."""
        team.trust("add", team.key("carol"), "--person", "Carol")
        online = next(
            key["keyid"]
            for key in team.trust("show").document["roles"]["targets"]["keys"]
            if key["person"] is None
        )
        team.trust("remove", online)
        bundle = team.hello()
        assert team.outcome(bundle, *team.code(1)) == (6, {"threshold-not-met"})
        sign(bundle, "--key", team.folder / "carol.pem")
        assert team.outcome(bundle, *team.code(1)) == (8, {"threshold-not-met"})
        sign(bundle, "--key", team.folder / "bob.pem")
        assert team.outcome(bundle, *team.code(1)) == (0, set())

    def test_two_keys_of_one_person_do_not_release(self, team: Team) -> None:
        """The threshold asks for two persons, and Bob has two keys."""
        online = team.trust("show").document["roles"]["snapshot"]["keys"][0]["keyid"]
        team.trust("add", team.key("bob2"), "--person", "bob")
        team.trust("add", team.key("carol"), "--person", "Carol")
        team.trust("remove", online)
        bundle = team.hello()
        for name in ("bob", "bob2"):
            report = sign(bundle, "--key", team.folder / f"{name}.pem")
            assert report["signatures"] == "1 of 2"
        assert team.outcome(bundle, *team.code(1)) == (8, {"threshold-not-met"})
        assert sign(bundle, "--key", team.folder / "carol.pem")["signatures"] == "2 of 2"
        assert team.outcome(bundle, *team.code(1)) == (0, set())


class TestFourForms:
    @pytest.mark.parametrize("scheme", ["ecdsa-p256", "ed25519", "ecdsa-p384", "rsa-pss-3072"])
    def test_on_the_bundle_content_does_not_move(self, tmp_path: Path, scheme: str) -> None:
        team = Team.of_two(tmp_path, scheme=scheme)
        bundle = team.hello()
        size, body = bundle.stat().st_size, body_of(bundle)
        report = sign(bundle, "--key", team.folder / "bob.pem")
        assert report["complete"] is True
        assert (report["signatures"], report["waiting"]) == ("2 of 2", [])
        assert (bundle.stat().st_size, body_of(bundle)) == (size, body)
        assert team.outcome(bundle, *team.code(1)) == (0, set())

    def test_without_carrying_the_bundle(self, team: Team) -> None:
        first = team.hello()
        sign(first, "--key", team.folder / "bob.pem")
        bundle = team.hello()
        wanted, came = team.folder / "prod-2.req", team.folder / "bob.sig"
        asked = sign(bundle, "--request", wanted, "--previous", first)
        assert wanted.stat().st_size < 16_000
        name = "registry.example/samples/hello:1.0"
        assert any(name in line and line.endswith("as before") for line in asked["summary"])
        # Where Bob's key is there is no bundle.
        there = team.folder / "there"
        there.mkdir()
        shutil.copy(wanted, there)
        shutil.copy(team.folder / "bob.pem", there)
        made = sign(
            there / "prod-2.req", "--key", there / "bob.pem", "-o", there / "bob.sig", "--yes"
        )
        assert made["summary"] == asked["summary"]
        shutil.copy(there / "bob.sig", came)
        report = sign(bundle, "--add", came)
        assert (report["signatures"], report["added"]) == ("2 of 2", [made["keyid"]])
        assert team.load(first, *team.code(1)).code == 0
        assert team.outcome(bundle) == (0, set())

    def test_every_way_gives_the_same_bundle(self, tmp_path: Path) -> None:
        """Ed25519 signatures are the same each time."""
        team = Team.of_two(tmp_path, scheme="ed25519")
        bundle = team.hello()
        other = tmp_path / "other.tar"
        shutil.copy(bundle, other)
        sign(bundle, "--key", team.folder / "bob.pem")
        sign(other, "--request", tmp_path / "req")
        sign(tmp_path / "req", "--key", tmp_path / "bob.pem", "-o", tmp_path / "sig", "--yes")
        sign(other, "--add", tmp_path / "sig")
        assert bundle.read_bytes() == other.read_bytes()

    def test_a_signature_that_is_there_changes_nothing(self, team: Team) -> None:
        bundle = team.hello()
        sign(bundle, "--key", team.folder / "bob.pem")
        before = bundle.read_bytes()
        for arguments in (("--key", team.folder / "bob.pem"), ()):
            report = sign(bundle, *arguments)
            assert (report["added"], report["signatures"]) == ([], "2 of 2")
        assert bundle.read_bytes() == before

    def test_what_is_signed_is_shown(self, team: Team) -> None:
        bundle = team.hello()
        shown = must("sign", bundle, "--key", team.folder / "bob.pem").out
        assert team.fingerprint in shown
        assert "stream prod, number 1, the first" in shown
        assert "registry.example/samples/hello:1.0" in shown
        assert "2 of 2 signatures" in shown


class TestRefused:
    def test_a_stranger_does_not_sign(self, team: Team) -> None:
        bundle = team.hello()
        before = bundle.read_bytes()
        team.key("mallory")
        assert refused(bundle, "--key", team.folder / "mallory.pem") == (2, "key-not-of-role")
        assert bundle.read_bytes() == before

    def test_a_signature_for_another_bundle(self, team: Team) -> None:
        one, two = team.hello(), team.hello()
        sign(one, "--request", team.folder / "req")
        bob = team.folder / "bob.pem"
        sign(team.folder / "req", "--key", bob, "-o", team.folder / "sig", "--yes")
        before = two.read_bytes()
        assert refused(two, "--add", team.folder / "sig") == (2, "signature-of-other")
        assert two.read_bytes() == before

    def test_a_signature_that_was_changed(self, team: Team) -> None:
        bundle = team.hello()
        sign(bundle, "--request", team.folder / "req")
        sig = team.folder / "sig"
        sign(team.folder / "req", "--key", team.folder / "bob.pem", "-o", sig, "--yes")
        document = json.loads(sig.read_bytes())
        document["sig"] = document["sig"][:-2] + f"{int(document['sig'][-2:], 16) ^ 1:02x}"
        sig.write_text(json.dumps(document))
        code, reason = refused(bundle, "--add", sig)
        assert (code, reason) in {(6, "signature-invalid"), (4, "signature-not-canonical")}

    def test_nobody_signs_blindly_without_saying_so(self, team: Team) -> None:
        sign(team.hello(), "--request", team.folder / "req")
        key = ("--key", team.folder / "bob.pem")
        output = team.folder / "sig"
        assert refused(team.folder / "req", *key, "-o", output) == (2, "confirmation-needed")
        assert not output.exists()

    def test_a_bundle_that_is_not_right_is_not_signed(self, team: Team) -> None:
        """Somebody put a signature on it that is none."""
        bundle = team.hello()
        targets = json.loads(trust_of(bundle).targets)
        keyid = targets["signatures"][0]["keyid"]
        wrong = [EnvelopeSignature(keyid, bytes.fromhex("3006020101020101"))]
        forged = forge(
            bundle, team.folder / "forged.tar", targets=write_envelope(targets["signed"], wrong)
        )
        bob = team.folder / "bob.pem"
        assert refused(forged, "--key", bob) == (6, "signature-invalid")
        assert team.outcome(forged, *team.code(1)) == (6, {"signature-invalid"})

    def test_forms_do_not_mix(self, team: Team) -> None:
        bundle = team.hello()
        for arguments in (
            ("--request", "a", "--add", "b"),
            ("--request", "a", "-o", "b"),
            ("--key", "k", "--add", "b"),
            ("--key", "k", "--request", "b"),
            ("--previous", bundle),
        ):
            assert refused(bundle, *arguments) == (2, "sign-mixed")
        assert refused(bundle, "-o", team.folder / "sig") == (2, "key-missing")

    def test_nothing_is_written_over(self, team: Team) -> None:
        bundle = team.hello()
        taken = team.folder / "taken"
        taken.write_text("x")
        assert refused(bundle, "--request", taken) == (2, "output-exists")
        key = ("--key", team.folder / "bob.pem")
        assert refused(bundle, *key, "-o", taken, "--yes") == (2, "output-exists")
        assert taken.read_text() == "x"

    def test_another_bundle_before_it(self, team: Team) -> None:
        one, two = team.hello(), team.hello()
        request = ("--request", team.folder / "req")
        assert refused(one, *request, "--previous", two) == (2, "previous-mismatch")
        assert refused(two, *request, "--previous", two) == (2, "previous-mismatch")

    @pytest.mark.parametrize("name", ["missing", "folder", "text"])
    def test_what_is_no_bundle_and_no_request(self, team: Team, name: str) -> None:
        (team.folder / "folder").mkdir()
        (team.folder / "text").write_text("{}")
        path = team.folder / name
        codes = {"missing": (5, "bundle-not-found"), "folder": (2, "bundle-not-a-file")}
        assert refused(path) == codes.get(name, (4, "bundle-truncated"))
        code, _ = refused(path, "--key", team.folder / "bob.pem", "-o", team.folder / "s", "--yes")
        assert code == (4 if name == "text" else 2)
