"""`airgap doctor`: facts for people and for programs; exit 5 where something is amiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.journey import run
from tests.simulators.fake_registry import FakeRegistry, Reply, run_registry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_this_machine(tmp_path: Path) -> None:
    answer = run("doctor", "--state", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("  PASS  python ")
    found = run("doctor", "--state", tmp_path, "--format", "json").document
    assert {fact["outcome"] for fact in found["facts"]} <= {"PASS", "WARN"}
    assert list(tmp_path.iterdir()) == []


def test_a_registry(tmp_path: Path) -> None:
    with run_registry(FakeRegistry()) as registry:
        answer = run("doctor", f"docker://{registry.host}/team/app", "--write",
                     "--insecure-http", registry.host, "--state", tmp_path)  # fmt: skip
        assert answer.code == 0, answer.out
        assert "  PASS  wrong digest           refused\n" in answer.out
        assert "Harbor" in answer.out
        assert not any(registry.manifests.values())


def test_what_is_amiss_ends_with_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = b"\x1b[2J\xe2\x80\xae down"
    with run_registry(FakeRegistry(faults=[lambda _: Reply(status=400, body=nasty)])) as registry:
        for form in ("text", "json"):
            answer = run("doctor", f"docker://{registry.host}/a", "--state", tmp_path,
                         "--insecure-http", registry.host, "--format", form)  # fmt: skip
            assert answer.code == 5
            assert "FAIL" in answer.out
            assert not set(answer.out) & {"\x1b", "\u202e"}


def test_what_is_no_repository(tmp_path: Path) -> None:
    answer = run("doctor", "docker://127.0.0.1:1", "--state", tmp_path, "--format", "json")
    assert (answer.code, answer.error["reason"]) == (2, "repository-missing")
