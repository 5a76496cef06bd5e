"""`airgap verify`: one word first, then who, what number, when; the same in JSON."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from airgap.trust.verdict import REQUIRED
from tests.journey import flip, run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.scenes import Scene


def verify(scene: Scene, *arguments: object) -> tuple[object, ...]:
    return ("verify", scene.bundle, "--state", scene.state, "--bootstrap", scene.code, *arguments)


def test_accepted_for_people(scene: Scene) -> None:
    answer = run(*verify(scene))
    assert (answer.code, answer.err) == (0, "")
    first, *rest = answer.out.splitlines()
    assert first.startswith("ACCEPTED   stream prod, number 1, by acme, made 20")
    assert first.endswith(" UTC")
    said = [line.split()[:2] for line in rest[:5]]
    assert said == [["PASS", str(check)] for check in REQUIRED]
    assert rest[5].split()[:3] == ["not", "asked", "images"]
    assert rest[6].startswith("Imports until 20")


def test_accepted_for_programs(scene: Scene) -> None:
    found = run(*verify(scene, "--format", "json")).document
    assert (found["result"], found["exitCode"], found["alreadyCurrent"]) == ("accepted", 0, False)
    assert {finding["check"] for finding in found["findings"]} == {
        *(str(check) for check in REQUIRED), "images",
    }  # fmt: skip
    assert found["bundle"]["stream"] == "prod"
    assert list(found["names"]) == ["registry.example/prod/app:1.4"]


def test_rejected_for_people(scene: Scene, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tar"
    shutil.copy(scene.bundle, damaged)
    flip(damaged, damaged.stat().st_size - 2000)
    answer = run("verify", damaged, "--state", scene.state, "--bootstrap", scene.code)
    assert answer.code == 4
    assert answer.out.startswith("REJECTED   this bundle would not be imported\n  stream prod, ")
    lines = answer.out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  FAIL"))
    assert lines[at].split()[1] == "integrity"
    assert lines[at + 1].startswith("        sha256:")
    assert "Obtain the bundle again" in lines[at + 2]
    assert any(line.split()[:2] == ["SKIPPED", "completeness"] for line in lines)


def test_what_is_no_bundle_at_all(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "letter.tar").write_text("dear bundle")
    for form in ("text", "json"):
        answer = run("verify", tmp_path / "letter.tar", "--state", scene.state, "--format", form)
        assert answer.code == 4
        assert "rejected" in answer.out.lower()
        assert "Traceback" not in answer.out + answer.err


def test_a_name_of_a_file_that_plays_with_the_terminal(scene: Scene, tmp_path: Path) -> None:
    nasty = tmp_path / "a\x1b[2J\u202e\nACCEPTED.tar"
    nasty.write_text("no bundle")
    for form in ("text", "json"):
        for command in ("verify", "import", "inspect"):
            options = () if command == "inspect" else ("--state", scene.state)
            answer = run(command, nasty, *options, "--format", form)
            assert answer.code == 4
            for said in (answer.out, answer.err):
                assert not set(said) & {"\x1b", "\u202e"}
                assert "\nACCEPTED" not in said


def test_colours_only_where_they_are_wanted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run(*verify(scene)).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(*verify(scene)).out.startswith("\x1b[32mACCEPTED\x1b[0m   stream")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in run(*verify(scene)).out
    monkeypatch.delenv("TERM")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*verify(scene)).out


def test_already_current(fresh: Scene) -> None:
    assert fresh.journey.load(fresh.bundle, "--bootstrap", fresh.code).code == 0
    answer = run("verify", fresh.bundle, "--state", fresh.state)
    assert answer.code == 0
    assert answer.out.endswith("Already current: this bundle was imported here before.\n")
