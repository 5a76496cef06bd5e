"""`airgap export`: what it prints for people and for programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.freight import NAME
from tests.journey import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.scenes import Scene


def export(scene: Scene, *arguments: object) -> tuple[object, ...]:
    return ("export", scene.layout, "--authority", scene.journey.authority, *arguments)


def test_for_people(fresh: Scene, tmp_path: Path) -> None:
    answer = run(*export(fresh, "--stream", "text", "-o", tmp_path / "text.tar"))
    assert answer.code == 0
    first, second, copied, bundle, code = answer.out.splitlines()
    assert first.startswith(f"  {NAME}:1.4   2 ")
    assert second.strip() == str(fresh.freight.image.digest), "a tag is printed with its digest"
    assert re.fullmatch(r"Copied [\d.]+ KiB in \d+\.\d s", copied)
    assert "stream text, number 1   sha256:" in bundle
    assert re.match(r"Code for a site that starts here: 1:[0-9A-Z]{4}-[0-9A-Z]{4} ", code)
    assert answer.err == ""


def test_for_programs(fresh: Scene, tmp_path: Path) -> None:
    answer = run(
        *export(fresh, "--stream", "json", "-o", tmp_path / "json.tar", "--format", "json")
    )
    found = answer.document
    assert (found["stream"], found["sequence"], found["output"]) == (
        "json", 1, str(tmp_path / "json.tar"),
    )  # fmt: skip
    assert found["images"][0]["digest"] == str(fresh.freight.image.digest)
    assert found["images"][0]["signatures"] == "present"
    assert found["fetched"] + found["reused"] > 0
    assert (tmp_path / "json.tar").stat().st_size == found["size"]


def test_a_dry_run_for_people(scene: Scene) -> None:
    answer = run(*export(scene, "--stream", "dry", "--dry-run"))
    assert answer.code == 0
    assert re.search(r"Would write \d+ blobs, .* in all; .* are free\. No layer was fetched\.",
                     answer.out)  # fmt: skip


def test_warnings_go_to_stderr(fresh: Scene, tmp_path: Path) -> None:
    insecure = ("--insecure-http", "other.example")
    answer = run(*export(fresh, "--stream", "some", "-o", tmp_path / "some.tar",
                         "--platform", "linux/amd64", *insecure))  # fmt: skip
    assert answer.code == 0
    assert "warning: plain HTTP to other.example" in answer.err
    assert "only" in answer.err
    assert "plain HTTP" not in answer.out


def test_what_was_here_already_is_said(fresh: Scene, tmp_path: Path) -> None:
    key = fresh.journey.authority / "keys" / "bundle.pem"
    key.rename(tmp_path / "key")
    arguments = export(fresh, "--stream", "again", "-o", tmp_path / "again.tar")
    refused = run(*arguments)
    assert refused.code == 2
    error, hint = refused.err.splitlines()
    assert error.startswith("airgap: error: no key")
    assert error.endswith("(key-missing)")
    assert hint.startswith("airgap: hint: ")
    (tmp_path / "key").rename(key)
    assert "were already here)" in run(*arguments).out


def test_every_option_has_a_variable(fresh: Scene, tmp_path: Path) -> None:
    answer = run(
        "export", fresh.layout,
        env={
            "AIRGAP_AUTHORITY": str(fresh.journey.authority), "AIRGAP_STREAM": "variables",
            "AIRGAP_OUTPUT": str(tmp_path / "variables.tar"), "AIRGAP_FORMAT": "json",
            "AIRGAP_CREATED": "2026-11-22T00:00:00Z", "AIRGAP_CONCURRENCY": "1",
            "AIRGAP_PLATFORM": "linux/amd64", "AIRGAP_NO_REFERRERS": "1",
            "AIRGAP_AS": "b.example/app:2",
        },
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.document["images"][0]["name"] == "b.example/app:2"
