"""`airgap store`: list and verify, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.scenes import Scene
from tests.freight import NAME
from tests.journey import flip, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def loaded(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    assert scene.journey.load(scene.bundle, "--bootstrap", scene.code).code == 0
    return scene


def test_list(loaded: Scene) -> None:
    answer = run("store", "list", "--state", loaded.state)
    assert (answer.code, answer.err) == (0, "")
    assert f"{NAME}:1.4   {loaded.freight.image.digest}" in answer.out.splitlines()
    found = run("store", "list", "--state", loaded.state, "--format", "json").document
    assert {"name": f"{NAME}:1.4", "digest": str(loaded.freight.image.digest)} in found["names"]


def test_an_empty_store(tmp_path: Path) -> None:
    answer = run("store", "list", "--state", tmp_path / "none")
    assert (answer.code, answer.out) == (0, "The embedded store is empty.\n")
    found = run("store", "list", "--state", tmp_path / "none", "--format", "json").document
    assert found == {"schemaVersion": 1, "names": []}


def test_verify(loaded: Scene) -> None:
    answer = run("store", "verify", "--state", loaded.state)
    assert answer.code == 0
    assert answer.out.endswith(": every one has the bytes that its digest names\n")
    found = run("store", "verify", "--state", loaded.state, "--format", "json").document
    assert found["problems"] == []
    assert found["blobs"] > 6


def test_verify_finds_damage(loaded: Scene) -> None:
    digest = loaded.freight.image.children[0].digest
    path = loaded.state / "store" / digest.blob_path
    path.chmod(0o644)
    flip(path, 3)
    answer = run("store", "verify", "--state", loaded.state)
    assert answer.code == 4
    assert answer.out.startswith(f"FAIL  {digest.blob_path} (blob-digest-mismatch): ")
    assert "1 problems; import the bundle again with --repair" in answer.out
    found = run("store", "verify", "--state", loaded.state, "--format", "json")
    assert (found.code, len(found.document["problems"])) == (4, 1)


def test_a_file_that_does_not_belong_there(loaded: Scene) -> None:
    (loaded.state / "store" / "blobs" / "sha256" / "\x1b[2Jnote").write_text("hello")
    answer = run("store", "verify", "--state", loaded.state)
    assert answer.code == 4
    assert "file-unknown" in answer.out
    assert "\x1b" not in answer.out
