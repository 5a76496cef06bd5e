"""Real bundles of a real authority, each with one lie in its metadata: what a site answers."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from airgap.authority import Authority, Statement
from airgap.bundle.reader import open_bundle
from airgap.oci.strict_json import encode
from tests.release_team import HELLO, Team, forge, must, trust_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    Change = Callable[[dict[str, Any]], object]

ROLES = ("timestamp", "snapshot", "targets")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team.gather(tmp_path)


def metadata(bundle: Path, role: str) -> bytes:
    data: bytes = getattr(trust_of(bundle), role)
    return data


def lied(team: Team, bundle: Path, role: str, data: bytes) -> tuple[int, set[str]]:
    """Return what the site answers to the bundle with other metadata of `role`."""
    forged = forge(bundle, team.folder / "forged.tar", **{role: data})
    refused = team.load(forged, *team.code(1))
    assert (refused.code, refused.reasons) == team.outcome(forged, *team.code(1))
    assert not (team.state / "store").exists()
    return refused.code, refused.reasons


class TestMixed:
    @pytest.mark.parametrize(
        ("role", "answer"),
        [
            ("timestamp", (6, {"stream-mismatch"})),
            ("snapshot", (6, {"stream-mismatch"})),
            ("targets", (4, {"target-mismatch"})),
        ],
    )
    def test_metadata_of_another_stream(
        self, team: Team, role: str, answer: tuple[int, set[str]]
    ) -> None:
        bundle = team.hello()
        other = team.folder / "test-1.tar"
        must("export", HELLO, "--authority", team.authority, "--stream", "test", "-o", other)
        assert lied(team, bundle, role, metadata(other, role)) == answer

    @pytest.mark.parametrize(
        ("role", "answer"),
        [
            ("timestamp", (6, {"version-mismatch"})),
            ("snapshot", (6, {"version-mismatch"})),
            ("targets", (4, {"target-mismatch"})),
        ],
    )
    def test_metadata_of_the_number_before(
        self, team: Team, role: str, answer: tuple[int, set[str]]
    ) -> None:
        before, bundle = team.hello(), team.hello()
        assert lied(team, bundle, role, metadata(before, role)) == answer

    @pytest.mark.parametrize("role", ROLES)
    def test_metadata_of_another_authority(self, team: Team, role: str) -> None:
        bundle = team.hello()
        other = Team.gather(team.folder / "other").hello()
        assert lied(team, bundle, role, metadata(other, role)) == (4, {"signature-foreign"})


def _add_junk(document: dict[str, Any]) -> None:
    document["junk"] = 1


def _add_signature(document: dict[str, Any]) -> None:
    (one,) = document["signatures"]
    document["signatures"] = sorted(
        [one, {"keyid": "0" * 64, "sig": one["sig"]}], key=lambda entry: entry["keyid"]
    )


def _repeat_signature(document: dict[str, Any]) -> None:
    document["signatures"] *= 2


def _change_signed(document: dict[str, Any]) -> None:
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"


def _drop_signature(document: dict[str, Any]) -> None:
    document["signatures"] = []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (_add_junk, (4, {"field-unknown"})),
        (_add_signature, (4, {"signature-foreign"})),
        (_repeat_signature, (4, {"signatures-not-sorted"})),
        (_change_signed, (6, {"signature-invalid"})),
        (_drop_signature, (6, {"threshold-not-met"})),
    ],
)
def test_an_envelope_that_was_changed(
    team: Team, role: str, change: Change, answer: tuple[int, set[str]]
) -> None:
    bundle = team.hello()
    document = json.loads(metadata(bundle, role))
    change(document)
    assert lied(team, bundle, role, encode(document)) == answer


@pytest.mark.parametrize("role", ROLES)
def test_an_envelope_with_other_whitespace(team: Team, role: str) -> None:
    bundle = team.hello()
    data = json.dumps(json.loads(metadata(bundle, role))).encode()
    assert lied(team, bundle, role, data) == (4, {"metadata-not-canonical"})


def test_a_timestamp_older_than_one_that_was_seen(team: Team) -> None:
    """The authority was restored from a copy, which has forgotten two timestamps."""
    team.hello()
    two = team.hello()
    shutil.copytree(team.authority, team.folder / "copy")
    for name in ("a", "b"):
        team.trust("refresh", "--stream", "prod", "-o", team.folder / name)
    three = team.hello()
    assert team.load(two, *team.code(2)).code == 0
    assert team.load(three).code == 0
    shutil.rmtree(team.authority)
    (team.folder / "copy").rename(team.authority)
    _abandon(team, three)
    four = team.hello(name="four.tar")
    assert team.outcome(four) == (7, {"rollback-timestamp"})


def _abandon(team: Team, bundle: Path) -> None:
    """Let the authority give the next number to something that is never finished."""
    created = _created(bundle)
    with Authority.open(team.authority).edition("prod") as edition:
        edition.prepare({"inventory.json": b"{}"}, Statement(), now=created).sign()


def _created(bundle: Path) -> datetime:
    with open_bundle(bundle) as opened:
        return opened.inventory.created
