"""`airgap serve`: what it says, what it refuses, how it ends (what it serves: tests/serve)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from airgap.serve.server import Server
from tests.cli.scenes import Scene
from tests.journey import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def loaded(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    assert scene.journey.load(scene.bundle, "--bootstrap", scene.code).code == 0
    return scene


def test_it_says_where_and_ends_by_ctrl_c(loaded: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    for what in ((), (loaded.bundle,)):
        answer = run("serve", *what, "--state", loaded.state, "--address", "127.0.0.1:0")
        assert (answer.code, answer.out) == (0, "")
        said, stopped = answer.err.splitlines()
        assert said.startswith(f"airgap: serving {what[0] if what else loaded.state / 'store'} at ")
        assert stopped == "airgap: stopped"


def test_an_address_that_is_taken(loaded: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = run("serve", "--state", loaded.state, "--address", address, "--format", "json")
    assert (answer.code, answer.error["reason"]) == (5, "os-error")
    answer = run("serve", "--state", loaded.state, "--address", "nonsense", "--format", "json")
    assert (answer.code, answer.error["reason"]) == (2, "address-invalid")


def test_a_bundle_that_is_not_admitted(scene: Scene, tmp_path: Path) -> None:
    answer = run("serve", scene.bundle, "--state", tmp_path, "--format", "json")
    assert (answer.code, answer.reasons) == (6, {"authority-not-pinned"})
    answer = run("serve", scene.bundle, "--state", scene.state, "--format", "json")
    assert (answer.code, answer.reasons) == (7, {"bootstrap-needed"})
