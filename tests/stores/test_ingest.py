"""Writing to a layout: in one step, by many at once, and on a disk that fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airgap.errors import (
    StoreError,
)
from airgap.stores import ingest
from airgap.stores.layout import LayoutStore
from tests.stores.layouts import (
    AMD,
    ARM,
    MULTI,
    SBOM,
    entries,
    failing,
)
from tests.stores.samples import make_image, put


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "layout", side="destination")


def test_batch_is_one_step(store: LayoutStore) -> None:
    put(store.repository("app"), AMD, "v1")
    before = store.generation()
    with store.batch():
        put(store.repository("app"), MULTI, "v2")
        put(store.repository("app"), SBOM)
        assert store.generation() == before
        app = store.repository("app")
        assert app.resolve("v2").digest == MULTI.digest
        assert app.resolve("v1").digest == AMD.digest
        assert list(app.tags()) == ["v1", "v2"]
        assert [r.descriptor.digest for r in app.referrers(MULTI.digest)] == [SBOM.digest]
        assert app.resolve(str(ARM.digest)).digest == ARM.digest
        assert list(LayoutStore(store.root).repository("app").tags()) == ["v1"]
    assert store.generation() != before
    assert list(LayoutStore(store.root).repository("app").tags()) == ["v1", "v2"]


def test_batch_that_fails_changes_nothing(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, AMD, "v1")

    def work() -> None:
        with app.batch(), app.batch():
            put(app, MULTI, "v1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert entries(store) == [(str(AMD.digest), "app:v1", "app")]
    assert app.resolve("v1").digest == AMD.digest
    assert app.has_blob(MULTI.descriptor)


def test_many_processes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from airgap.stores.layout import LayoutStore\n"
        "from tests.stores.samples import make_image, put\n"
        "store = LayoutStore(Path(sys.argv[1]), side='destination')\n"
        "for n in range(15):\n"
        "    put(store.repository('app'), make_image(f'{sys.argv[2]}-{n}', layers=1), "
        "f'v{sys.argv[2]}-{n}')\n"
    )
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "layout"), str(n)], cwd=root
        )
        for n in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    store = LayoutStore(tmp_path / "layout")
    assert len(list(store.repository("app").tags())) == 45
    assert list(store.verify()) == []
    assert [path.name for path in (store.root / "ingest").iterdir()] == ["lock"]


def test_killed_writers_leave_every_name_on_good_content(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from airgap.stores.layout import LayoutStore\n"
        "from tests.stores.samples import make_image, put\n"
        "store = LayoutStore(Path(sys.argv[1]), side='destination')\n"
        "print(flush=True)\n"
        "for n in range(10000):\n"
        "    put(store.repository('app'), make_image(f'{n}', layers=1, size=100000), 'v1')\n"
    )
    root = Path(__file__).parents[2]
    for attempt in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "layout")],
            cwd=root, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.read(1)
            time.sleep(0.05 + attempt * 0.013)
            process.kill()
        if (tmp_path / "layout/oci-layout").exists():
            assert list(LayoutStore(tmp_path / "layout").verify()) == []


def test_lock_without_flock(store: LayoutStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "fcntl", None)
    samples = [make_image(str(number), layers=1) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        stores = [LayoutStore(store.root, side="destination") for _ in samples]
        done = [
            pool.submit(put, one.repository("app"), sample, f"v{sample.digest.hex}")
            for one, sample in zip(stores, samples, strict=True)
        ]
        for future in done:
            future.result()
    assert len(list(store.repository("app").tags())) == 8
    (store.root / "ingest/lock.held").touch()
    monkeypatch.setattr(ingest, "_LOCK_SECONDS", 0.03)
    with pytest.raises(StoreError, match=r"lock.held is there") as caught:
        put(store.repository("app"), AMD, "v1")
    assert caught.value.reason == "store-locked"
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    with pytest.raises(StoreError, match="cannot lock"), ingest.locked(store.root):
        pass


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "disk-permission"),
        (errno.EIO, "disk-failed"),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_disk_that_fails_is_said_and_leaves_nothing(
    store: LayoutStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int, reason: str
) -> None:
    put(store.repository("app"), AMD, "v1")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(StoreError) as caught:
            put(store.repository("app"), ARM, "v1")
    assert caught.value.reason == reason
    assert not store.repository("app").has_blob(ARM.descriptor)
    assert [path.name for path in (store.root / "ingest").iterdir()] == ["lock"]
    put(store.repository("app"), ARM, "v1")
    assert store.repository("app").resolve("v1").digest == ARM.digest


def test_disk_that_cannot_be_read(store: LayoutStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store.repository("app"), AMD, "v1")
    app = store.repository("app")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", failing(errno.EIO))
        for work in (lambda: app.has_blob(AMD.descriptor), lambda: app.resolve("v1")):
            with pytest.raises(StoreError, match="cannot read"):
                work()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(errno.EACCES))
        with pytest.raises(StoreError, match="cannot read") as caught:
            app.read_manifest(AMD.descriptor)
        assert caught.value.reason == "disk-permission"
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing(errno.EIO))
        with pytest.raises(StoreError, match="Input/output error"):
            app.read_manifest(AMD.descriptor)


def test_layout_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = LayoutStore(tmp_path / "file/layout", side="destination")
    assert not store.repository("app").has_blob(AMD.descriptor)
    with pytest.raises(StoreError, match="cannot make a layout"):
        put(store.repository("app"), AMD)


def test_error_of_the_source_stays_its_own(store: LayoutStore) -> None:
    class Broken:
        def read(self, _size: int = -1, /) -> bytes:
            raise ConnectionResetError("the other side")

    with pytest.raises(ConnectionResetError):
        store.ingest(AMD.descriptor, Broken())


def test_what_killed_writers_left_is_swept_away(store: LayoutStore) -> None:
    put(store.repository("app"), AMD, "v1")
    old, new = store.root / "ingest/old", store.root / "ingest/new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(store.root / "ingest/lock", (0, 0))
    put(LayoutStore(store.root).repository("app"), ARM)
    assert {path.name for path in (store.root / "ingest").iterdir()} == {"new", "lock"}


def test_stored_files_are_read_only(store: LayoutStore) -> None:
    put(store.repository("app"), AMD, "v1")
    assert {path.stat().st_mode & 0o777 for path in (store.root / "blobs/sha256").iterdir()} == {
        0o444
    }
    assert (store.root / "index.json").stat().st_mode & 0o777 == 0o644
