"""`airgap import`: what it prints for people and for programs, and what it asks at a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.scenes import at_a_terminal, typed
from tests.freight import NAME
from tests.journey import run

if TYPE_CHECKING:
    import pytest

    from tests.cli.scenes import Scene


def load(scene: Scene, *arguments: object) -> tuple[object, ...]:
    return ("import", scene.bundle, "--state", scene.state, *arguments)


def test_for_people(fresh: Scene) -> None:
    answer = run(*load(fresh, "--bootstrap", fresh.code))
    assert answer.code == 0
    assert answer.out.startswith("ACCEPTED   stream prod, number 1, by acme")
    assert f"\n  {NAME}:1.4   {fresh.freight.image.digest}   new\n" in answer.out
    loaded, receipt = answer.out.splitlines()[-2:]
    assert re.match(r"Loaded 1 names, \d+ manifests, \d+ blobs in \d+\.\d s; 0 blobs were", loaded)
    assert loaded.endswith("Nothing outside these names was touched.")
    found = re.fullmatch(r"Receipt: (.+)   short form  ([0-9A-Z-]+)", receipt)
    assert found
    assert json.loads(Path(found[1]).read_text())["result"] == "accepted"


def test_for_programs(fresh: Scene) -> None:
    dry = run(*load(fresh, "--bootstrap", fresh.code, "--format", "json", "--dry-run")).document
    assert (dry["result"], dry["dryRun"], "loaded" in dry, "receipt" in dry) == (
        "accepted", True, False, False,
    )  # fmt: skip
    found = run(*load(fresh, "--bootstrap", fresh.code, "--format", "json")).document
    assert found["loaded"]["manifests"] == dry["plan"]["manifests"]
    assert found["namesAtDestination"] == dry["namesAtDestination"]
    assert Path(found["receipt"]["path"]).is_file()


def test_rejected_says_where_nothing_was_written(fresh: Scene) -> None:
    answer = run(*load(fresh, "--to", f"oci:{fresh.folder}/x"))
    assert answer.code == 7
    assert answer.out.startswith(f"REJECTED   nothing was written to oci:{fresh.folder}/x\n")
    assert "  FAIL  sequence  bootstrap-needed\n" in answer.out
    assert fresh.code not in answer.out, "the importing side never prints the code"


def test_a_replay_for_people(fresh: Scene) -> None:
    two = fresh.journey.export(fresh.layout)
    assert fresh.journey.load(two, "--bootstrap", fresh.journey.codes[2]).code == 0
    answer = run(*load(fresh))
    assert answer.code == 7
    assert "This is number 1 of stream prod; number 2 was imported on 20" in answer.out
    assert "To go back on purpose" in answer.out


def test_the_code_is_asked_for_at_a_terminal(fresh: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, "importing")
    wrong = typed("1:0000-0000\n", *load(fresh))
    assert wrong.code == 7
    assert "bootstrap-code-wrong" in wrong.out
    assert not (fresh.state / "store").exists()
    # A program is never asked.
    asked = typed(f"{fresh.code}\n", *load(fresh, "--format", "json"))
    assert (asked.code, asked.document["result"]) == (7, "rejected")
    right = typed(f"{fresh.code}\n", *load(fresh))
    assert right.code == 0
    assert right.out.startswith("REJECTED   not yet: nothing was written\n")
    assert "\nACCEPTED   stream prod" in right.out
    assert fresh.code not in right.err


def test_nothing_else_is_asked_for(fresh: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, "importing")
    (fresh.folder / "no.tar").write_text("no bundle")
    answer = typed("y\n", "import", fresh.folder / "no.tar", "--state", fresh.state)
    assert answer.code == 4
    assert "Type the code" not in answer.err
