"""copy() into layouts and into real registries."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    StoreError,
)
from airgap.oci.graph import Root
from airgap.stores import StoreOptions, open_store
from airgap.stores.copy import copy, plan
from airgap.stores.layout import LayoutStore
from airgap.stores.memory import MemoryRepository, MemoryStore
from tests.conftest import find_tool
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3, start_registry
from tests.stores.copying import (
    ARM,
    BIGGEST,
    EVERYTHING,
    LONE,
    MULTI,
    NOTE,
    SBOM,
    check,
    job,
)
from tests.stores.samples import make_artifact, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.stores import Store
    from airgap.stores.layout_index import Addition


@pytest.fixture
def source() -> MemoryRepository:
    repository = MemoryStore().repository("source")
    for sample in (MULTI, SBOM, NOTE, LONE):
        put(repository, sample)
    return repository


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_layout_is_written_in_one_step(source: MemoryRepository, tmp_path: Path) -> None:
    store = LayoutStore(tmp_path / "store", side="destination")
    written = []
    write = store._write_index

    def watched(additions: tuple[Addition, ...]) -> None:
        written.append(len(additions))
        write(additions)

    store._changes._write = watched
    report = copy(source, [job(store, "one"), job(store, "two")])
    assert len(written) == 1
    assert report.blobs_mounted == len(EVERYTHING)
    for name in ("one", "two"):
        check(store.repository(name))
        assert store.members(name) >= {blob.digest for blob in EVERYTHING}
    assert list(store.verify()) == []
    # The index and its referrers; children are found through the index.
    assert len(store.index().entries) == 6


def test_layout_heals(source: MemoryRepository, tmp_path: Path) -> None:
    store = LayoutStore(tmp_path / "store", side="destination")
    copy(source, [job(store, "app")])
    path = store.blob_path(BIGGEST.digest)
    path.chmod(0o644)
    path.write_bytes(bytes(BIGGEST.size))
    assert copy(source, [job(store, "app")]).blobs_repaired == 1
    assert list(store.verify()) == []


def test_memory_stays_flat(tmp_path: Path) -> None:
    source, target = (LayoutStore(tmp_path / name, side="destination") for name in "ab")
    big = make_artifact(bytes(64 << 20))
    put(source.repository("app"), big)
    root, repository = big.root, source.repository("app")
    del big
    tracemalloc.start()
    try:
        copy(repository, [job(target, "app", root)], read_back="always")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


@pytest.fixture(params=[DEBIAN, DISTRIBUTION_3])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    program = find_tool(request.param)
    with start_registry(program, tmp_path / "registry", kind=request.param) as process:
        options = StoreOptions(side="destination", insecure_http=process.insecure)
        store = open_store("docker", process.host, options)
        yield store
        store.close()


def test_real_registry(source: MemoryRepository, registry: Store) -> None:
    jobs = [job(registry, "team/one"), job(registry, "team/two")]
    assert plan(source, jobs).blobs_new == len(EVERYTHING)
    report = copy(source, jobs)
    assert (report.blobs_written, report.blobs_mounted) == (len(EVERYTHING), len(EVERYTHING))
    for name in ("team/one", "team/two"):
        check(registry.repository(name))
    again = copy(source, jobs, read_back="always")
    assert (again.blobs_written, again.blobs_present) == (0, len(EVERYTHING))


def test_real_registry_refuses_a_sparse_index(source: MemoryRepository, registry: Store) -> None:
    one = Root(descriptor=MULTI.descriptor, children=frozenset({ARM.digest}))
    (substitute,) = copy(source, [job(registry, "app", one)]).substitutes
    assert (substitute.index, substitute.child) == (MULTI.digest, ARM.digest)
    none = Root(descriptor=MULTI.descriptor, children=frozenset())
    with pytest.raises(StoreError, match="without all its platforms") as caught:
        copy(source, [job(registry, "app", none)])
    assert caught.value.reason == "sparse-index-refused"
    assert "embedded store" in caught.value.hint
