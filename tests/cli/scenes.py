"""What the tests of the command line share: a site, a bundle, a terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from airgap.cli import app
from tests.freight import Freight, write_layout
from tests.journey import Answer, Journey

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["Scene", "at_a_terminal", "typed"]


class Scene:
    """A site that has pinned an authority, and two bundles of its stream."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.freight = Freight.make("command line")
        self.journey = Journey.begin(folder)
        self.layout = write_layout(folder / "layout", self.freight)
        self.bundle = self.journey.export(self.layout)
        self.code = self.journey.codes[1]

    @property
    def state(self) -> Path:
        return self.journey.state


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let `modules` see a terminal where standard input and output are."""
    for module in modules:
        seen = SimpleNamespace(
            stdin=SimpleNamespace(isatty=lambda: True),
            stdout=_Terminal(),
            stderr=_Terminal(err=True),
        )
        monkeypatch.setattr(f"airgap.cli.{module}.sys", seen)


class _Terminal:
    """Standard output or error, whatever it is at the time, that says it is a terminal."""

    def __init__(self, *, err: bool = False) -> None:
        self._err = err

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr if self._err else sys.stdout, name)

    def isatty(self) -> bool:
        return True


def typed(text: str, *arguments: object) -> Answer:
    """Run the command line while somebody types `text`."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(code=result.exit_code, out=result.stdout, err=result.stderr)
