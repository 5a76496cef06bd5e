"""kill -9 at random moments of export, import and sign: nothing half done is ever taken for done.

Not part of any other run: scripts/torture runs it. `AIRGAP_KILLS` says how often each command is
killed (200). After each kill what is on disk and in the registry is looked at, then the same
command is run once more and must complete.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airgap.errors import NotFoundError
from airgap.oci.graph import Root, Walk
from tests.conftest import REPOSITORY
from tests.freight import Freight, write_layout
from tests.journey import Journey, must, open_registry_store, run, running_registry
from tests.release_team import Team
from tests.simulators.registry_process import DISTRIBUTION_3

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.stores import Source

KILLS = int(os.environ.get("AIRGAP_KILLS", "200"))
SEED = 20261122


def kill_after(seconds: float, *arguments: object) -> bool:
    """Run the command, kill it after so many seconds; tell whether it had ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airgap", *(str(argument) for argument in arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    return True


def time_of(*arguments: object) -> float:
    """Return how many seconds the command takes when nobody kills it."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "airgap", *(str(argument) for argument in arguments)],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    write_layout(tmp_path / "layout", Freight.make("torture", size=400_000))
    return Journey.begin(tmp_path)


def test_export_leaves_no_half_a_bundle(journey: Journey, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", Freight.make("torture", size=400_000))
    base = ("export", layout, "--authority", journey.authority, "--stream", "prod")
    whole = time_of(*base, "-o", tmp_path / "first.tar")
    chance = random.Random(SEED)
    for number in range(KILLS):
        output = tmp_path / f"{number}.tar"
        ended = kill_after(chance.uniform(0.1, whole * 1.1), *base, "-o", output)
        assert output.exists() or not ended
        if not output.exists():
            must(*base, "-o", output)
        code = must("inspect", output, "--format", "json").document["inventoryDigest"]
        assert code.startswith("sha256:")
        assert not output.with_name(f"{output.name}.partial").exists()
        output.unlink()
    last = must(*base, "-o", tmp_path / "last.tar", "--format", "json").document
    verified = journey.verify(tmp_path / "last.tar", "--bootstrap", last["code"])
    assert verified.code == 0, verified.out


def test_import_leaves_every_tag_on_verified_content(journey: Journey, tmp_path: Path) -> None:
    freights = [Freight.make(f"torture {number}", size=400_000) for number in range(2)]
    bundles = []
    for number, freight in enumerate(freights):
        shutil.rmtree(tmp_path / "layout")
        bundles.append(journey.export(write_layout(tmp_path / "layout", freight)))
        assert bundles[number].exists()
    chance = random.Random(SEED)
    whole = 0.0
    with running_registry(DISTRIBUTION_3, tmp_path / "registry") as registry:
        for number in range(KILLS):
            state = tmp_path / "states" / str(number)
            shutil.copytree(journey.state, state)
            to = (
                "--to", f"docker://{registry.host}/m{number}", "--insecure-http", registry.host,
                "--state", state,
            )  # fmt: skip
            first = ("import", bundles[0], *to, "--bootstrap", journey.codes[1])
            whole = whole or time_of(*first)
            must(*first)
            kill_after(chance.uniform(0.1, whole * 1.1), "import", bundles[1], *to)
            store = open_registry_store(registry, tmp_path)
            repository = store.repository(f"m{number}/registry.example/prod/app")
            tagged = check_tags(repository)
            assert tagged in {freight.image.digest for freight in freights}
            must("import", bundles[1], *to)
            assert repository.resolve("1.4").digest == freights[1].image.digest
            store.close()


def check_tags(repository: Source) -> object:
    """Read all that any tag leads to, verified; return what the image's tag names."""
    for tag in list(repository.tags()):
        root = Root(descriptor=repository.resolve(tag))
        try:
            for visit in Walk(repository.read_manifest).visit(root):
                if visit.manifest is None:
                    with repository.open_blob(visit.descriptor) as stream:
                        stream.read()
        except NotFoundError as error:
            pytest.fail(f"{tag} is on content that is not all there: {error}")
    return repository.resolve("1.4").digest


def test_sign_leaves_the_old_head_or_the_new_one_or_one_run_away(tmp_path: Path) -> None:
    team = Team.of_two(tmp_path, scheme="ed25519")
    bundle, key = team.hello(), tmp_path / "bob.pem"
    old = bundle.read_bytes()
    whole = time_of("sign", bundle, "--key", key)
    new = bundle.read_bytes()
    assert old != new
    chance = random.Random(SEED)
    seen = set()
    for _ in range(KILLS):
        bundle.write_bytes(old)
        kill_after(chance.uniform(0.05, whole * 1.1), "sign", bundle, "--key", key)
        seen.add(bundle.read_bytes() == new)
        answer = run("sign", bundle, "--key", key)
        assert answer.code == 0, answer.err
        assert bundle.read_bytes() == new
    assert seen <= {True, False}
