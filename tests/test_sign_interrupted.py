"""kill -9 while a signature is added: the head is the old one or the new one, or one run away."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.head_journal import journal_path, partial_path
from airgap.bundle.medium import Medium
from airgap.ledger.durable import try_lock
from tests.release_team import Team, must, run

if TYPE_CHECKING:
    from pathlib import Path

# The command, in a process that kills itself in the middle of the n-th thing it does to a file.
_KILLED = """
import os, signal, sys

left = int(sys.argv.pop(1))

def deadly(name):
    act = getattr(os, name)
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            if name == "pwrite":
                descriptor, data, offset = arguments
                act(descriptor, data[: len(data) // 20], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*arguments, **options)
    setattr(os, name, wrapped)

for name in ("pwrite", "fsync", "replace", "rename", "unlink", "ftruncate"):
    deadly(name)
from airgap.cli import main
main()
"""


def sign_and_die(bundle: Path, key: Path, after: int) -> int:
    """Sign in a process that dies after so many acts; return its exit code."""
    return subprocess.run(
        [sys.executable, "-c", _KILLED, str(after), "sign", str(bundle), "--key", str(key)],
        check=False,
        capture_output=True,
    ).returncode


@pytest.mark.parametrize("known", ["unsigned", "signed"])
def test_whenever_it_is_killed_one_run_more_completes_it(tmp_path: Path, known: str) -> None:
    """With Ed25519 there is one old and one new bundle, whoever signs when."""
    team = Team.of_two(tmp_path, scheme="ed25519")
    bundle, key = team.hello(), tmp_path / "bob.pem"
    old = bundle.read_bytes()
    must("sign", bundle, "--key", key)
    new = bundle.read_bytes()
    torn = 0
    # Most acts write the journal, one like the other: the first, some, and all of the last.
    moments = [1, 2, 3, 9, *range(20, 40)]
    for after in moments:
        bundle.write_bytes(old)
        code = sign_and_die(bundle, key, after)
        found = bundle.read_bytes()
        if code == 0:
            assert found == new
            break
        assert code == -9
        waiting = journal_path(bundle).exists()
        if found not in {old, new}:
            torn += 1
            assert waiting
            refused = team.verify(bundle, *team.code(1))
            assert refused.code == 4
            assert "airgap sign" in refused.out
        # The same command again, or no more than what there is to complete.
        again = must("sign", bundle, *(["--key", key] if known == "unsigned" else []))
        assert ("has been completed" in again.out) == waiting
        after_all = new if waiting or found == new or known == "unsigned" else old
        assert bundle.read_bytes() == after_all
        assert not journal_path(bundle).exists()
    else:
        pytest.fail("it was killed every time")
    assert torn
    assert team.outcome(bundle, *team.code(1)) == (0, set())


def test_two_at_once_do_not_lose_a_signature(tmp_path: Path) -> None:
    """The second one is told to wait."""
    team = Team.of_two(tmp_path)
    bundle, key = team.hello(), tmp_path / "bob.pem"
    with Medium.open(bundle) as held:
        assert try_lock(held.fileno())
        answer = run("sign", bundle, "--key", key, "--format", "json")
        assert (answer.code, answer.error["reason"]) == (5, "bundle-busy")
    must("sign", bundle, "--key", key)


def test_a_bundle_that_was_replaced_is_not_completed(tmp_path: Path) -> None:
    team = Team.of_two(tmp_path)
    one, two = team.hello(), team.hello()
    key = tmp_path / "bob.pem"
    for after in range(22, 40):
        assert sign_and_die(one, key, after) == -9
        if journal_path(one).exists():
            break
        partial_path(one).unlink(missing_ok=True)
    shutil.copy(two, one)
    answer = run("sign", one, "--key", key, "--format", "json")
    assert (answer.code, answer.error["reason"]) == (2, "journal-of-other-bundle")
    assert one.read_bytes() == two.read_bytes()
