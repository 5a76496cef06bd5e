"""A refresh lengthens the life of the newest bundle, and of no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap.authority import Authority
from airgap.authority_refresh import sign_refresh
from airgap.errors import UsageError
from airgap.ledger.ledger import Ledger
from tests.release_team import Team, must, run, trust_of

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(days=300)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.gather(tmp_path)


def stale(team: Team) -> Path:
    """Export a bundle whose timestamp is overdue beyond every tolerance."""
    return team.hello("--created", f"{LONG_AGO:%Y-%m-%dT%H:%M:%SZ}")


def refresh(team: Team, name: str = "refresh.json") -> Path:
    path = team.folder / name
    team.trust("refresh", "--stream", "prod", "-o", path)
    return path


def test_a_bundle_that_had_expired_is_loaded(team: Team) -> None:
    bundle = stale(team)
    code, reasons = team.outcome(bundle, *team.code(1))
    assert code == 3
    assert {reason.partition("-")[0] for reason in reasons} == {"expired"}
    file = refresh(team)
    assert file.stat().st_size < 700
    verdict = team.verify(bundle, *team.code(1), "--refresh", file)
    assert (verdict.code, verdict.reasons) == (0, set())
    loaded = team.load(bundle, *team.code(1), "--refresh", file)
    assert loaded.code == 0
    authentic = loaded.document["findings"][0]
    assert authentic["evidence"]["refreshed"] is True
    assert authentic["sentence"].endswith(", refreshed")


def test_the_ledger_keeps_what_the_bundle_says_itself(team: Team) -> None:
    bundle = stale(team)
    assert team.load(bundle, *team.code(1), "--refresh", refresh(team)).code == 0
    (commit,) = Ledger(team.state).history().commits
    timestamp = json.loads(trust_of(bundle).timestamp)["signed"]
    assert commit.roles["timestamp"].version == timestamp["version"] == 1
    # The next bundle's timestamp counts on from the refresh.
    two = team.hello()
    assert json.loads(trust_of(two).timestamp)["signed"]["version"] == 3
    assert team.load(two).code == 0


def test_it_is_for_the_newest_number_only(team: Team) -> None:
    one = team.hello()
    early = refresh(team, "one.json")
    two = team.hello()
    late = refresh(team, "two.json")
    assert team.outcome(one, *team.code(1), "--refresh", early) == (0, set())
    for bundle, file, code in ((two, early, team.code(2)), (one, late, team.code(1))):
        refused = team.outcome(bundle, *code, "--refresh", file)
        assert refused == (6, {"refresh-of-other-bundle"})
        assert team.load(bundle, *code, "--refresh", file).code == 6
    assert not (team.state / "store").exists()


def test_the_bundles_own_timestamp_is_no_refresh(team: Team) -> None:
    bundle = team.hello()
    same = team.folder / "same.json"
    same.write_bytes(trust_of(bundle).timestamp)
    refused = team.outcome(bundle, *team.code(1), "--refresh", same)
    assert refused == (6, {"refresh-not-newer"})


def test_a_refresh_that_was_changed(team: Team) -> None:
    bundle = stale(team)
    file = refresh(team)
    text = file.read_text()
    year = str(datetime.now(UTC).year)
    changes = {
        text.replace(f'"expires":"{year}', '"expires":"2099'): (6, {"signature-invalid"}),
        f"{text}\n": (4, None),
        "": (4, None),
    }
    for changed, (code, reasons) in changes.items():
        file.write_text(changed)
        answer = team.outcome(bundle, *team.code(1), "--refresh", file)
        assert answer[0] == code
        assert reasons is None or answer[1] == reasons


def test_a_refresh_that_cannot_be_read(team: Team) -> None:
    bundle = team.hello()
    missing = ("--refresh", team.folder / "none")
    answer = run("verify", bundle, "--state", team.state, "--format", "json", *missing)
    assert (answer.code, answer.error["reason"]) == (2, "file-unreadable")
    large = team.folder / "large"
    large.write_bytes(bytes((1 << 20) + 1))
    answer = run("verify", bundle, "--state", team.state, "--format", "json", "--refresh", large)
    assert (answer.code, answer.error["reason"]) == (2, "file-too-large")


class TestMaking:
    def test_it_is_refused_once_the_key_has_changed(self, team: Team) -> None:
        team.hello()
        team.trust("rotate", "online", "--no-passphrase")
        output = ("--stream", "prod", "-o", team.folder / "r.json")
        assert team.refused("refresh", *output) == (2, "refresh-key-changed")
        team.hello()
        team.trust("refresh", *output)

    def test_it_is_refused_once_the_bundle_is_retired(self, team: Team) -> None:
        """The timestamp's key is the same; who released the bundle is gone."""
        online = team.trust("show").document["roles"]["timestamp"]["keys"][0]["keyid"]
        team.trust("add", team.key("bob"), "--person", "Bob")
        team.trust("add", team.key("carol"), "--person", "Carol")
        team.trust("remove", online)
        team.trust("remove", "Carol")
        team.hello()
        team.trust("add", team.folder / "carol.pub", "--person", "Carol")
        output = ("--stream", "prod", "-o", team.folder / "r.json")
        team.trust("refresh", *output)
        (team.folder / "r.json").unlink()
        team.trust("remove", "Bob")
        assert team.refused("refresh", *output) == (2, "refresh-key-changed")

    def test_there_must_be_a_bundle(self, team: Team) -> None:
        output = ("-o", team.folder / "r.json")
        assert team.refused("refresh", "--stream", "prod", *output) == (2, "nothing-to-refresh")
        assert not (team.folder / "r.json").exists()

    def test_nothing_is_written_over(self, team: Team) -> None:
        team.hello()
        file = refresh(team)
        before = file.read_bytes()
        output = ("--stream", "prod", "-o", file)
        assert team.refused("refresh", *output) == (2, "output-exists")
        assert file.read_bytes() == before

    def test_it_is_written_down_before_it_is_signed(self, team: Team) -> None:
        team.hello()
        (team.authority / "keys" / "bundle.pem").rename(team.folder / "away.pem")
        output = ("--stream", "prod", "-o", team.folder / "r.json")
        assert team.refused("refresh", *output) == (2, "key-missing")
        (team.folder / "away.pem").rename(team.authority / "keys" / "bundle.pem")
        first = json.loads(refresh(team, "1.json").read_bytes())["signed"]
        again = json.loads(refresh(team, "2.json").read_bytes())["signed"]
        assert (first["version"], again["version"]) == (2, 3)

    def test_not_under_a_root_that_has_expired(self, team: Team) -> None:
        team.hello()
        with Authority.open(team.authority).edition("prod") as edition:
            late = datetime.now(UTC) + timedelta(days=366)
            with pytest.raises(UsageError, check=lambda error: error.reason == "root-expired"):
                sign_refresh(edition, now=late)

    def test_for_people(self, team: Team) -> None:
        team.hello()
        out = must(
            "trust", "refresh", "--authority", team.authority, "--stream", "prod",
            "-o", team.folder / "r.json",
        ).out  # fmt: skip
        assert "stream prod, number 1: its timestamp is good until" in out
        assert "airgap import BUNDLE --refresh r.json" in out
