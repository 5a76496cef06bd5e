"""What people see and type: summaries, confirmations, passphrases."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.inventory import Frozen
from airgap.composition import compose_inventory
from airgap.errors import AirgapError, FormatError
from airgap.oci.digest import Digest
from airgap.oci.strict_json import encode
from airgap.signing import request_signature
from airgap.signing_summary import summarise
from airgap.trust.signing import SigningRequest
from tests.conftest import REPOSITORY
from tests.release_team import Team, must

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.bundle.inventory import Inventory

NOW = datetime.now(UTC).replace(microsecond=0)


def refused(reason: str, kind: type[AirgapError]) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def at_a_terminal(typed: str, *arguments: object) -> tuple[int, str]:
    """Run the command at a terminal where a person types; return exit code and errors."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.run(
        [sys.executable, "-m", "airgap", *map(str, arguments)],
        stdin=theirs, capture_output=True, text=True, check=False, cwd=REPOSITORY,
        start_new_session=True,
    )  # fmt: skip
    for descriptor in (ours, theirs):
        os.close(descriptor)
    return done.returncode, done.stderr


class TestSummary:
    """Also what no export of this release says yet is shown."""

    @pytest.fixture
    def team(self, tmp_path: Path) -> Team:
        return Team.of_two(tmp_path)

    def saying(
        self,
        team: Team,
        monkeypatch: pytest.MonkeyPatch,
        change: Callable[[Inventory], Inventory],
    ) -> Path:
        def composed(*arguments: object, **named: object) -> Inventory:
            return change(compose_inventory(*arguments, **named))  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr("airgap.export_plan.compose_inventory", composed)
            return team.hello()

    def test_everything_that_is_signed_is_shown(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bad = Digest.of(b"bad release")
        bundle = self.saying(
            team, monkeypatch,
            lambda it: replace(it, audience=("site-17",), withdrawn=(bad,), names={}),
        )  # fmt: skip
        lines = summarise(request_signature(bundle, previous=None))
        assert "audience    site-17" in lines
        assert f"  {bad}   withdrawn" in lines
        assert any("registry.example/samples/hello" in line and "without a name" in line
                   for line in lines)  # fmt: skip

    def test_trust_material_is_shown(self, team: Team) -> None:
        request = request_signature(team.hello(), previous=None).request
        inventory = json.loads(request.inventory or b"")
        piece = Frozen(path="trust/a.pub", digest=Digest.of(b"a"), source="x", captured=NOW)
        inventory["frozen"] = [piece.to_json()]
        assert f"  trust/a.pub   {Digest.of(b'a')}   trust material" in _lines_of(
            request, inventory
        )

    def test_what_changes_since_the_number_before(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "registry.example/samples/hello"
        one = self.saying(
            team,
            monkeypatch,
            lambda it: replace(it, names={f"{name}:old": next(iter(it.names.values()))}),
        )
        two = team.hello()
        lines = summarise(request_signature(two, previous=one))
        assert any(f"{name}:1.0" in line and line.endswith("new") for line in lines)
        assert any(f"{name}:old   no longer named" in line for line in lines)
        without = summarise(request_signature(two, previous=None))
        assert any("is not known here" in line for line in without)

    def test_names_that_stand_for_something_else(self, team: Team) -> None:
        one, two = team.hello(), team.hello()
        request = request_signature(two, previous=one).request
        inventory = json.loads(request.inventory or b"")
        before = json.loads(request.previous or b"")
        (name,) = before["names"]
        digest = "sha256:" + "0" * 64
        before["names"][name] = digest
        before["items"][0]["descriptor"]["digest"] = digest
        inventory["previous"]["inventory"] = str(Digest.of(encode(before)))
        inventory["skips"] = []
        lines = _lines_of(replace(request, previous=encode(before)), inventory)
        assert any(line.endswith(f"was {digest}") for line in lines)

    def test_abandoned_numbers_are_shown(self, team: Team) -> None:
        request = request_signature(team.hello(), previous=None).request
        inventory = json.loads(request.inventory or b"")
        inventory["sequence"], inventory["skips"] = 3, [1, 2]
        assert "skips       1, 2" in _lines_of(request, inventory)

    def test_parts_of_different_bundles(self, team: Team) -> None:
        one, two = team.hello(), team.hello()
        request = request_signature(two, previous=None).request
        inventory = json.loads(request.inventory or b"")
        for changed in ({"stream": "test"}, {"authority": "0" * 8 + inventory["authority"][8:]}):
            with refused("request-inconsistent", FormatError):
                _lines_of(request, {**inventory, **changed}, same=False)
        first = request_signature(one, previous=None).request
        for wrong in (replace(first, previous=b"{}"), replace(request, previous=b"{}")):
            with refused("request-inconsistent", FormatError):
                summarise(wrong.opened())

    def test_a_root_with_persons_that_change(self, team: Team) -> None:
        (team.authority / "keys" / "root.pem").rename(team.folder / "root.pem")
        team.trust("add", team.folder / "bob.pub", "--person", "Robert")
        pending = team.authority / "metadata" / "3.root.json.pending"
        lines = summarise(SigningRequest.decode(pending.read_bytes()).opened())
        assert any(line.startswith("  kept (was of Bob)") for line in lines)
        pending.unlink()
        team.trust("remove", "Bob", "--threshold", "1")
        lines = summarise(SigningRequest.decode(pending.read_bytes()).opened())
        assert "targets     1 of 1 keys   (was 2)" in lines
        assert any(line.startswith("  gone") and line.endswith("Bob") for line in lines)


def _lines_of(
    request: SigningRequest, inventory: dict[str, object], *, same: bool = True
) -> tuple[str, ...]:
    """Return the summary of `request` with another inventory, as if it were signed so."""
    data = encode(inventory)
    envelope = json.loads(request.envelope)
    target = {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data)}
    envelope["signed"]["targets"]["inventory.json"] = target
    if same:
        envelope["signed"]["version"] = inventory["sequence"]
    envelope["signatures"] = []
    return summarise(replace(request, inventory=data, envelope=encode(envelope)).opened())


class TestTerminal:
    def test_a_person_reads_and_signs_or_does_not(self, tmp_path: Path) -> None:
        team = Team.of_two(tmp_path)
        must("sign", team.hello(), "--request", tmp_path / "req")
        sign = ("sign", tmp_path / "req", "--key", tmp_path / "bob.pem", "-o", tmp_path / "sig")
        code, errors = at_a_terminal("n\n", *sign)
        assert (code, "confirmation-refused" in errors) == (2, True)
        assert not (tmp_path / "sig").exists()
        assert at_a_terminal("y\n", *sign)[0] == 0
        assert (tmp_path / "sig").exists()

    def test_a_person_types_the_name_of_the_stream(self, tmp_path: Path) -> None:
        team = Team.gather(tmp_path)
        assert team.load(team.hello(), *team.code(1)).code == 0
        team.trust("rotate", "online", "--no-passphrase")
        recover = (
            "trust", "recover", "acme", "--stream", "prod", "--bundle", team.hello(),
            "--state", team.state,
        )  # fmt: skip
        code, errors = at_a_terminal("test\n", *recover)
        assert (code, "confirmation-refused" in errors) == (2, True)
        assert at_a_terminal("prod\n", *recover)[0] == 0


class TestPassphrases:
    def test_from_a_descriptor_line_by_line(self, tmp_path: Path) -> None:
        team = Team.gather(tmp_path)
        for name in ("bob", "carol"):
            (tmp_path / f"{name}.txt").write_text(f"{name}'s")
            must(
                "trust", "key", tmp_path / f"{name}.pem",
                "--new-passphrase-file", tmp_path / f"{name}.txt",
            )  # fmt: skip
        bob, carol = tmp_path / "bob.pem", tmp_path / "carol.pem"
        team.trust("add", tmp_path / "bob.pub", "--person", "Bob", "--role", "root")
        team.trust("add", tmp_path / "carol.pub", "--person", "Carol", "--role", "root")
        keys = ("--key", bob, "--key", carol)
        assert team.trust("renew", *keys, *_descriptor("bob's\ncarol's\n")).document["complete"]
        assert team.refused("renew", *keys, *_descriptor("bob's\n")) == (2, "passphrase-wrong")
        assert team.refused("renew", *keys, *_descriptor("")) == (2, "passphrase-needed")
        assert team.refused("renew", *keys, "--passphrase-fd", "987") == (
            2, "passphrase-unreadable",
        )  # fmt: skip
        assert team.refused("renew", *keys) == (2, "passphrase-needed")
        two = (
            "--passphrase-file",
            tmp_path / "bob.txt",
            "--passphrase-file",
            tmp_path / "carol.txt",
        )
        third = ("--key", team.key("dora").with_suffix(".pem"))
        assert team.refused("renew", *third, *keys, *two) == (2, "key-not-of-role")
        plain = ("--key", team.authority / "keys" / "root.pem")
        assert team.refused("renew", *plain, *keys, *two) == (2, "passphrase-wrong")
        assert team.refused("renew", *keys, *plain, *two[:2], *two[:2]) == (2, "passphrase-wrong")

    def test_fewer_files_than_keys(self, tmp_path: Path) -> None:
        team = Team.gather(tmp_path)
        (tmp_path / "secret").write_text("s")
        for name in ("a", "b", "c"):
            must(
                "trust",
                "key",
                tmp_path / f"{name}.pem",
                "--new-passphrase-file",
                tmp_path / "secret",
            )
            team.trust("add", tmp_path / f"{name}.pub", "--person", name, "--role", "root")
        keys = [part for name in ("a", "b", "c") for part in ("--key", tmp_path / f"{name}.pem")]
        files = ("--passphrase-file", tmp_path / "secret")
        assert team.refused("renew", *keys, *files, *files) == (2, "passphrase-count")
        assert team.trust("renew", *keys, *files).document["complete"] is True


def _descriptor(text: str) -> tuple[str, int]:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return "--passphrase-fd", reading
