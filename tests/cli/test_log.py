"""`airgap log`: what the ledger remembers, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.freight import NAME
from tests.journey import flip, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.scenes import Scene


def test_nothing_yet(tmp_path: Path) -> None:
    answer = run("log", "show", "--state", tmp_path)
    assert (answer.code, answer.out) == (0, "Nothing was imported here yet.\n")
    found = run("log", "show", "--state", tmp_path, "--format", "json").document
    assert found == {"schemaVersion": 1, "imports": []}
    assert list(tmp_path.iterdir()) == []


def test_every_import_with_its_digests(fresh: Scene) -> None:
    assert fresh.journey.load(fresh.bundle, "--bootstrap", fresh.code).code == 0
    answer = run("log", "show", "--state", fresh.state)
    first, name = answer.out.splitlines()
    assert "   stream prod, number 1   sha256:" in first
    assert name == f"  {NAME}:1.4   {fresh.freight.image.digest}"
    (entry,) = run("log", "show", "--state", fresh.state, "--format", "json").document["imports"]
    assert (entry["stream"], entry["sequence"]) == ("prod", 1)
    assert entry["names"] == {f"{NAME}:1.4": str(fresh.freight.image.digest)}
    other = run("log", "show", "--state", fresh.state, "--stream", "other")
    assert other.out == "Nothing was imported here yet.\n"


def test_verify(fresh: Scene, tmp_path: Path) -> None:
    empty = run("log", "verify", "--state", tmp_path / "none")
    assert (empty.code, empty.out.startswith("0 records, 0 imports")) == (0, True)
    assert fresh.journey.load(fresh.bundle, "--bootstrap", fresh.code).code == 0
    answer = run("log", "verify", "--state", fresh.state)
    assert (answer.code, ", 1 imports: " in answer.out) == (0, True)
    found = run("log", "verify", "--state", fresh.state, "--format", "json").document
    assert (found["imports"], found["hash"] in answer.out) == (1, True)
    flip(fresh.state / "ledger.log", 60)
    broken = run("log", "verify", "--state", fresh.state, "--format", "json")
    assert (broken.code, broken.error["reason"]) == (5, "ledger-damaged")
