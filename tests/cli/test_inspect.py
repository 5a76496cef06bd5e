"""`airgap inspect`: a tree for people, JSON for programs, never a claim that it was verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.freight import NAME
from tests.journey import run

if TYPE_CHECKING:
    from tests.cli.scenes import Scene


def test_for_people(scene: Scene) -> None:
    answer = run("inspect", scene.bundle)
    assert answer.code == 0
    title, authority, name, top, *rest = answer.out.splitlines()
    assert title.startswith(str(scene.bundle))
    assert title.endswith("stream prod, number 1")
    assert authority.endswith("NOT VERIFIED")
    assert name == f"{NAME}:1.4"
    assert top.startswith(f"└─ index   {scene.freight.image.digest}   ")
    assert rest[0].startswith("   └─ linux/amd64   sha256:")
    assert rest[1].startswith("      └─ config   sha256:")
    assert rest[-1].startswith("6 manifests, ")
    assert rest[-1].endswith("airgap verify says whether to believe them.")


def test_for_programs(scene: Scene) -> None:
    found = run("inspect", scene.bundle, "--format", "json").document
    assert found["verified"] is False
    assert found["inventory"]["stream"] == "prod"
    assert found["images"][0]["tree"]["digest"] == str(scene.freight.image.digest)


def test_what_is_not_there(scene: Scene) -> None:
    answer = run("inspect", scene.folder / "none.tar", "--format", "json")
    assert (answer.code, answer.error["reason"]) == (5, "bundle-not-found")
