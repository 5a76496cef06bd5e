"""How commands answer: results on stdout, the rest on stderr, and nothing raw from strangers."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import typer

from airgap.cli.output import (
    Format,
    answering,
    human_size,
    human_time,
    note,
    print_json,
    print_line,
    print_verdict,
)
from airgap.errors import StoreError
from airgap.trust.verdict import REQUIRED, Check, Finding, Outcome, Verdict
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.cli.scenes import Scene

NASTY = "a\x1b[2J\x07\x7f\x9b\u202e\u200b\u3164\nb"
HARMFUL = {"\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u200b", "\u3164"}


def test_lines_and_notes_are_one_line_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(NASTY)
    note(NASTY)
    for said in capsys.readouterr():
        assert said.count("\n") == 1
        assert not set(said) & HARMFUL
        assert "\\u{1b}[2J" in said


def test_json_says_the_same_in_harmless_characters(capsys: pytest.CaptureFixture[str]) -> None:
    document = {NASTY: [NASTY, "größe → 漢字"], "lone": "\udc80"}
    print_json(document)
    said = capsys.readouterr().out
    assert not set(said) & HARMFUL
    assert "größe → 漢字" in said
    assert json.loads(said) == document


def verdict(*findings: Finding) -> Verdict:
    return Verdict(
        findings=findings, required=REQUIRED, judged_at=datetime(2026, 11, 22, tzinfo=UTC)
    )


def test_a_verdict_prints_no_text_of_strangers_raw(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(
        check=Check.INTEGRITY, outcome=Outcome.FAIL, reason="blob", sentence=NASTY, hint=NASTY,
        subject=NASTY, evidence={"said": NASTY},
    )  # fmt: skip
    for form in Format:
        print_verdict(verdict(finding), form)
        said = capsys.readouterr().out
        assert not set(said) & HARMFUL
        assert "\nb" not in said


def test_a_check_that_nobody_spoke_of_is_a_failure_that_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    passed = [
        Finding(check=check, outcome=Outcome.PASS, reason="fine", sentence="fine")
        for check in REQUIRED[1:]
    ]
    print_verdict(verdict(*passed), Format.TEXT)
    said = capsys.readouterr().out
    assert said.startswith("REJECTED   nothing was written\n")
    assert "  FAIL  authenticity  check-not-shown\n" in said


def test_what_passed_many_times_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Finding(check=Check.EXPIRY, outcome=Outcome.PASS, reason="ok", sentence=f"role {number}")
        for number in range(4)
    ]
    warned = Finding(check=Check.EXPIRY, outcome=Outcome.WARN, reason="soon", sentence="role 5")
    print_verdict(verdict(*found, warned), Format.TEXT)
    said = capsys.readouterr().out
    assert said.count("role ") == 2
    assert "  WARN  expiry  soon\n        role 5\n" in said


def failing(error: BaseException, form: Format = Format.JSON) -> int:
    with pytest.raises(typer.Exit) as raised, answering(form):
        raise error
    return raised.value.exit_code


def test_errors_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(StoreError("the disk", reason="disk-full")) == 5
    found = json.loads(capsys.readouterr().err)
    assert (found["error"], found["code"], found["reason"]) == ("StoreError", 5, "disk-full")
    assert failing(StoreError(NASTY, reason="x", hint=NASTY), Format.TEXT) == 5
    said = capsys.readouterr().err
    assert (said.count("\n"), bool(set(said) & HARMFUL)) == (2, False)
    assert failing(OSError(13, "Permission denied", "/a/file")) == 5
    found = json.loads(capsys.readouterr().err)
    assert (found["code"], found["reason"]) == (5, "os-error")
    assert "/a/file" in found["message"]
    assert failing(OSError("no number")) == 5
    assert "no number" in capsys.readouterr().err
    assert failing(KeyboardInterrupt()) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError), answering(Format.TEXT):
        raise ZeroDivisionError


def test_a_long_error_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    failing(StoreError("x" * 5000, reason="long", hint="y" * 5000))
    assert json.loads(capsys.readouterr().err)["reason"] == "long"


def test_a_reader_that_goes_away_and_a_disk_that_is_full(scene: Scene) -> None:
    command = [sys.executable, "-m", "airgap", "inspect", str(scene.bundle)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(30), err) == (1, "")
    process.stderr.close()
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 40, "3072.0 GiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_times() -> None:
    east = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC) + timedelta(0)
    assert human_time(east) == "2026-11-22 01:02 UTC"
