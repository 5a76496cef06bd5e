"""An import that was cut off, a store that was damaged: the same command, or --repair, heals it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airgap.ledger.ledger import Ledger
from airgap.stores import StoreOptions, open_store
from tests.conftest import REPOSITORY
from tests.freight import NAME, Freight, write_layout
from tests.journey import Journey, flip, run, running_registry
from tests.simulators.fake_registry import FakeRegistry, Reply, Request, run_registry
from tests.simulators.registry_process import DEBIAN

if TYPE_CHECKING:
    from pathlib import Path


class Scene:
    def __init__(self, folder: Path) -> None:
        self.freight = Freight.make("cut off", size=300_000)
        self.journey = Journey.begin(folder)
        self.bundle = self.journey.export(write_layout(folder / "layout", self.freight))
        self.code = ("--bootstrap", self.journey.codes[1])

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "airgap", "import", str(self.bundle), *self.code,
             "--state", str(self.journey.state), "--concurrency", "1", *arguments],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_in_the_middle_of_the_blobs(scene: Scene, how: signal.Signals) -> None:
    """What was sent is not sent again; no tag was moved."""
    with run_registry(FakeRegistry()) as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        sent = []

        def slow(request: Request) -> Reply | None:
            if request.method == "PUT" and "/uploads/" in request.path:
                sent.append(request.query["digest"][0])
                if len(sent) > 2:
                    time.sleep(0.3)
            return None

        registry.faults.append(slow)
        process = scene.start(*to)
        until = time.monotonic() + 30
        while len(sent) < 3:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
        if how is signal.SIGINT:
            assert process.returncode == 130
            assert "interrupted; the same command goes on" in err
        assert "Traceback" not in out + err
        assert not any(":" not in tag for tags in registry.manifests.values() for tag in tags)
        assert [intent.sequence for intent in Ledger(scene.journey.state).history().intents] == [1]

        registry.faults.clear()
        there = set(registry.blobs[f"m/{NAME}"])
        registry.seen.clear()
        again = scene.journey.load(scene.bundle, *to, *scene.code)
        assert again.code == 0, again.err
        resent = {one.query["digest"][0] for one in registry.asked("PUT", "/uploads/")}
        assert there
        assert not resent & there
        assert again.document["loaded"]["blobsPresent"] >= len(there)
        options = StoreOptions(insecure_http=frozenset({registry.host}))
        store = open_store("docker", registry.host, options)
        scene.freight.check(store.repository(f"m/{NAME}"), "1.4")
        store.close()
    assert not Ledger(scene.journey.state).history().intents


@pytest.mark.parametrize("method", ["write_manifest", "add_referrer", "record", "receipt"])
def test_cut_off_at_each_later_step(
    scene: Scene, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the step, every tag is old or new, and the same command ends it."""
    places = {
        "write_manifest": "airgap.stores.indexed.IndexedRepository.write_manifest",
        "add_referrer": "airgap.stores.indexed.IndexedRepository.add_referrer",
        "record": "airgap.loading.write_release",
        "receipt": "airgap.importer.write_receipt",
    }

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(places[method], fail)
        answer = scene.journey.load(scene.bundle, *scene.code)
    assert (answer.code, answer.error["reason"]) == (5, "os-error")
    history = Ledger(scene.journey.state).history()
    assert (len(history.intents), len(history.commits)) == (1, 0)
    again = scene.journey.load(scene.bundle, *scene.code)
    assert again.code == 0
    store = open_store("oci", str(scene.journey.state / "store"), StoreOptions())
    scene.freight.check(store.repository(NAME), "1.4")
    assert run("store", "verify", "--state", scene.journey.state).code == 0


@pytest.mark.parametrize("damage", ["deleted", "flipped", "shorter", "manifest", "index"])
def test_repair_heals_the_embedded_store(scene: Scene, damage: str) -> None:
    state = scene.journey.state
    assert scene.journey.load(scene.bundle, *scene.code).code == 0
    child = scene.freight.image.children[0]
    layer = max(child.blobs, key=lambda descriptor: descriptor.size)
    broken = (child.manifest.descriptor if damage == "manifest" else layer).digest
    path = state / "store" / broken.blob_path
    path.chmod(0o644)
    match damage:
        case "deleted":
            path.unlink()
        case "shorter":
            path.write_bytes(path.read_bytes()[:-1])
        case "flipped" | "manifest":
            flip(path, 20)
        case "index":
            (state / "store" / "index.json").unlink()
    found = run("store", "verify", "--state", state, "--format", "json")
    assert (found.code, len(found.document["problems"]) > 0) == (4, True)
    assert damage == "index" or broken.hex in "".join(found.document["problems"])
    # Without --repair the ledger is taken at its word, unless the store itself knows nothing.
    again = scene.journey.load(scene.bundle)
    assert again.code == 0
    repaired = scene.journey.load(scene.bundle, "--repair")
    assert repaired.code == 0, repaired.err
    assert run("store", "verify", "--state", state).code == 0
    store = open_store("oci", str(state / "store"), StoreOptions())
    scene.freight.check(store.repository(NAME), "1.4")


def test_repair_heals_a_registry_that_lost_a_blob(scene: Scene, tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        assert scene.journey.load(scene.bundle, *scene.code, *to).code == 0
        layer = max(scene.freight.image.children[0].blobs, key=lambda d: d.size)
        links = list(registry.storage.rglob(f"_layers/sha256/{layer.digest.hex}"))
        links += list(registry.storage.rglob(f"blobs/sha256/*/{layer.digest.hex}"))
        assert len(links) == 2
        for folder in links:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        answer = scene.journey.load(scene.bundle, "--repair", *to)
        assert answer.code == 0, answer.err
        options = StoreOptions(insecure_http=frozenset({registry.host}))
        store = open_store("docker", registry.host, options)
        scene.freight.check(store.repository(f"m/{NAME}"), "1.4")
        store.close()


def test_a_registry_that_never_heals_says_so(scene: Scene, tmp_path: Path) -> None:
    """Debian's registry keeps damaged content under its digest: what to do is in the hint."""
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        assert scene.journey.load(scene.bundle, *scene.code, *to).code == 0
        layer = max(scene.freight.image.children[0].blobs, key=lambda d: d.size)
        (data,) = registry.storage.rglob(f"blobs/sha256/*/{layer.digest.hex}/data")
        flip(data, 100)
        answer = scene.journey.load(scene.bundle, "--repair", *to)
        assert (answer.code, answer.error["reason"]) == (5, "registry-corrupt")
        assert "garbage collection" in answer.error["hint"]
