"""Starting is quick because nothing heavy is imported before it is needed (benchmarks/start.py)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = frozenset(
    {"requests", "urllib3", "oras", "tuf", "securesystemslib", "cryptography", "jsonschema",
     "pydantic", "tqdm", "ruamel", "zstandard", "rich"}
)  # fmt: skip


def _imported(*arguments: str) -> tuple[str, set[str]]:
    """Run the command and return its answer and the top-level packages that it imported."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "airgap", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, "NO_COLOR": "1"},
    )
    names = {
        line.rpartition("|")[2].strip()
        for line in run.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "airgap.cli" in names
    return run.stdout, {name.partition(".")[0] for name in names}


def test_the_version_loads_nothing_heavy() -> None:
    answer, packages = _imported("--version")
    assert answer.startswith("airgap 0.")
    assert packages & HEAVY == set()


@pytest.mark.parametrize("command", ["export", "verify", "import", "inspect", "serve", "doctor"])
def test_help_loads_nothing_heavy(command: str) -> None:
    answer, packages = _imported(command, "--help")
    assert f"airgap {command}" in answer
    assert packages & HEAVY == set()


def test_the_library_loads_nothing_heavy() -> None:
    code = f"import sys, airgap; assert not {set(HEAVY)!r} & set(sys.modules)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
