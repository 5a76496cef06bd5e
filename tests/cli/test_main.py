"""`airgap` itself: version, help, debugging, what no command is, Ctrl-C, odd locales."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airgap import __version__, cli
from tests.conftest import REPOSITORY
from tests.journey import run

if TYPE_CHECKING:
    from tests.cli.scenes import Scene

COMMANDS = [
    ("export",), ("verify",), ("import",), ("inspect",), ("serve",), ("doctor",),
    ("trust", "init"), ("trust", "pin"), ("trust", "show"), ("store", "list"),
    ("store", "verify"), ("log", "show"),
]  # fmt: skip


def test_version() -> None:
    answer = run("--version")
    assert answer.code == 0
    assert answer.out.startswith(f"airgap {__version__} (Python 3.")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_the_commonest_lines_first(command: tuple[str, ...]) -> None:
    answer = run(*command, "--help")
    assert answer.code == 0
    example = answer.out.index(f"airgap {' '.join(command)}", answer.out.index("Usage:") + 10)
    assert example < answer.out.index("--help")


def test_what_is_no_command() -> None:
    for arguments in (("frobnicate",), ("verify",), ("export", "--nonsense"), ("log", "tail")):
        answer = run(*arguments)
        assert answer.code == 2
        assert "Traceback" not in answer.err


def test_debug_logs_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, object] = {}
    monkeypatch.setattr(logging, "basicConfig", said.update)
    assert run("--debug", "trust", "show").code == 0
    assert said["level"] == logging.DEBUG


def test_ctrl_c_before_a_command_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    ended: list[int] = []
    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr("sys.stdout", sys.__stdout__)
    monkeypatch.setattr("sys.stderr", sys.__stderr__)
    monkeypatch.setattr("airgap.cli.os._exit", ended.append)
    cli.main()
    assert ended == [130]


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_any_locale_will_do(scene: Scene, locale: str) -> None:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                   "PYTHONIOENCODING": "ascii"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "airgap", "inspect", str(scene.bundle)],
        cwd=REPOSITORY, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\\u2514\\u2500 index" in done.stdout
