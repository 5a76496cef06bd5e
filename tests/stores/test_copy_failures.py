"""copy() where content is damaged, is not given back, or where something fails."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    FormatError,
    IntegrityError,
    NotFoundError,
    RegistryCorruptError,
    StoreError,
)
from airgap.oci.graph import Root
from airgap.stores.copy import copy
from airgap.stores.memory import MemoryRepository, MemoryStore
from tests.stores.copying import (
    AMD,
    ARM,
    BIGGEST,
    EVERYTHING,
    FIRST,
    LONE,
    MULTI,
    NOTE,
    SBOM,
    check,
    install,
    job,
)
from tests.stores.samples import put

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.oci.manifest import Manifest


@pytest.fixture
def source() -> MemoryRepository:
    repository = MemoryStore().repository("source")
    for sample in (MULTI, SBOM, NOTE, LONE):
        put(repository, sample)
    return repository


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_damaged_blob_is_sent_again(source: MemoryRepository, store: MemoryStore) -> None:
    app = store.repository("app")
    copy(source, [job(store, "app")])
    app.blobs[BIGGEST.digest] = bytes(BIGGEST.size)
    report = copy(source, [job(store, "app")])
    assert (report.blobs_written, report.blobs_repaired) == (1, 1)
    check(app)


class Forgetful(MemoryRepository):
    """It acknowledges a blob and keeps other bytes, or says that it has what it cannot give."""

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        super().write_blob(descriptor, opener)
        self.blobs[descriptor.digest] = bytes(descriptor.size)


@pytest.mark.parametrize("read_back", ["existing", "always"])
def test_registry_that_does_not_heal_is_corrupt(
    source: MemoryRepository, store: MemoryStore, read_back: str
) -> None:
    forgetful = install(store, Forgetful(store=store, repository="app"))
    if read_back == "existing":
        # New blobs are not read back: the loss is found by whoever comes next.
        copy(source, [job(store, "app")])
        with pytest.raises(RegistryCorruptError, match="acknowledged the blob"):
            copy(source, [job(store, "app")])
    else:
        with pytest.raises(RegistryCorruptError, match="acknowledged the blob"):
            copy(source, [job(store, "app")], read_back="always")
    assert not forgetful.tag_table


def test_blob_that_is_said_to_be_there_and_is_not(
    source: MemoryRepository, store: MemoryStore
) -> None:
    class Boasting(MemoryRepository):
        def has_blob(self, descriptor: Descriptor) -> bool:
            return True

    install(store, Boasting(store=store, repository="app"))
    report = copy(source, [job(store, "app")])
    assert (report.blobs_written, report.blobs_repaired) == (len(EVERYTHING), len(EVERYTHING))
    check(store.repository("app"))


@pytest.mark.parametrize(
    "answer",
    [
        NotFoundError("gone", reason="manifest-missing"),
        IntegrityError("altered", reason="blob-digest-mismatch"),
        FormatError("another type", reason="media-type-mismatch"),
        RegistryCorruptError("altered", reason="registry-corrupt"),
        None,
    ],
)
def test_manifest_that_does_not_come_back(
    source: MemoryRepository, store: MemoryStore, answer: Exception | None
) -> None:
    class Losing(MemoryRepository):
        def read_manifest(self, descriptor: Descriptor) -> Manifest:
            if answer is not None:
                raise answer
            return LONE.manifest

    install(store, Losing(store=store, repository="app"))
    with pytest.raises(RegistryCorruptError):
        copy(source, [job(store, "app")])


def test_damaged_source_writes_no_manifest(source: MemoryRepository, store: MemoryStore) -> None:
    source.blobs[BIGGEST.digest] = bytes(BIGGEST.size)
    with pytest.raises(IntegrityError, match="does not have the bytes"):
        copy(source, [job(store, "app")])
    assert not store.repository("app").manifests
    assert not store.repository("app").has_blob(BIGGEST)


def test_missing_manifest_writes_nothing(source: MemoryRepository, store: MemoryStore) -> None:
    del source.manifests[ARM.digest]
    with pytest.raises(NotFoundError):
        copy(source, [job(store, "app")])
    assert not store.repository("app").blobs


class Slow(MemoryRepository):
    """Reads what it is sent in small pieces and takes its time; notes whoever gave up."""

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        if descriptor.digest == FIRST[0].digest:
            time.sleep(0.05)
            raise self.failure
        with opener() as stream:
            while stream.read(1):
                time.sleep(0.01)

    failure: BaseException = StoreError("the disk is full", reason="disk-full")


def test_first_error_stops_the_others(source: MemoryRepository, store: MemoryStore) -> None:
    install(store, Slow(store=store, repository="app"))
    begun = time.monotonic()
    with pytest.raises(StoreError, match="the disk is full"):
        copy(source, [job(store, "app", Root(descriptor=AMD.descriptor))], threads=4)
    assert time.monotonic() - begun < 5
    assert threading.active_count() == 1 or not [
        thread for thread in threading.enumerate() if thread.name.startswith("copy")
    ]


def test_interrupt_stops_everything(source: MemoryRepository, store: MemoryStore) -> None:
    slow = Slow(store=store, repository="app")
    slow.failure = KeyboardInterrupt()
    install(store, slow)
    with pytest.raises(KeyboardInterrupt):
        copy(source, [job(store, "app", Root(descriptor=AMD.descriptor))], threads=3)
    assert not slow.manifests
    # What was interrupted goes on.
    store._repositories["app"] = MemoryRepository(store=store, repository="app", blobs=slow.blobs)
    copy(source, [job(store, "app")])
    check(store.repository("app"))


def test_error_among_manifests_stops_the_other_repositories(
    source: MemoryRepository, store: MemoryStore
) -> None:
    begun = threading.Event()

    class Refusing(MemoryRepository):
        def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
            assert begun.wait(10)
            raise StoreError("no", reason="manifest-refused")

    class Waiting(MemoryRepository):
        def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
            super().write_manifest(manifest, tag)
            begun.set()
            time.sleep(0.3)

    install(store, Refusing(store=store, repository="one"))
    waiting = install(store, Waiting(store=store, repository="two"))
    with pytest.raises(StoreError, match="no"):
        copy(source, [job(store, "one"), job(store, "two")])
    assert len(waiting.manifests) < 5
