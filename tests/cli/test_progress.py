"""Progress: bars at a terminal, a line now and then elsewhere, nothing for programs; on stderr."""

from __future__ import annotations

import io
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING

from airgap.cli import progress
from airgap.cli.progress import choose_progress
from airgap.progress import Silent
from tests.cli.scenes import at_a_terminal

if TYPE_CHECKING:
    import pytest


def test_hidden() -> None:
    assert isinstance(choose_progress(hidden=True), Silent)
    with Silent().phase("copy", 10) as advance:
        advance(10)


def test_bars_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, "progress")
    with choose_progress(hidden=False).phase("copy", 4 << 20) as advance:
        threads = [Thread(target=advance, args=[1 << 20]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    out, err = capsys.readouterr()
    assert out == ""
    assert "copy" in err


def test_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 5.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("sys.stderr", io.StringIO())
    chosen = choose_progress(hidden=False)
    monkeypatch.undo()
    clock = iter([0.0, 5.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with chosen.phase("verify", 3 << 20) as advance:
        for _ in range(3):
            advance(1 << 20)
    assert capsys.readouterr().err == "airgap: verify: 2.0 MiB of 3.0 MiB\n"
