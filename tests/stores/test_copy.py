"""copy(): everything arrives, once, children first; plan() says so before."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    StoreError,
)
from airgap.oci.graph import Root
from airgap.stores.copy import CopyPlan, CopyReport, copy, plan
from airgap.stores.memory import MemoryRepository, MemoryStore
from tests.stores.contract import sent
from tests.stores.copying import (
    AMD,
    ARM,
    BIGGEST,
    EVERYTHING,
    LONE,
    MULTI,
    NOTE,
    SBOM,
    SIGNED,
    TOTAL,
    check,
    install,
    job,
)
from tests.stores.samples import make_index, opener, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor
    from airgap.oci.digest import Digest
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


def test_everything_arrives_and_no_tag_is_set(source: MemoryRepository, store: MemoryStore) -> None:
    report = copy(source, [job(store, "app")])
    check(store.repository("app"))
    assert report == CopyReport(
        blobs_written=len(EVERYTHING),
        blobs_present=0,
        blobs_mounted=0,
        blobs_repaired=0,
        bytes_written=TOTAL,
        manifests_written=5,
        referrers_added=2,
    )
    assert list(store.repository("app").tags()) == []


def test_nothing_to_do(source: MemoryRepository) -> None:
    assert copy(source, []).manifests_written == 0
    assert plan(source, []).manifests == 0


def test_second_time_everything_is_there(source: MemoryRepository, store: MemoryStore) -> None:
    copy(source, [job(store, "app")])
    report = copy(source, [job(store, "app")])
    assert (report.blobs_written, report.blobs_present) == (0, len(EVERYTHING))
    assert report.bytes_written == 0


def test_other_repositories_are_mounted_into(source: MemoryRepository, store: MemoryStore) -> None:
    report = copy(source, [job(store, name) for name in ("one", "two", "three")])
    for name in ("one", "two", "three"):
        check(store.repository(name))
    assert report.blobs_written == len(EVERYTHING)
    assert report.blobs_mounted == 2 * len(EVERYTHING)
    assert report.bytes_written == TOTAL
    assert report.manifests_written == 15


def test_jobs_of_one_repository_are_one(source: MemoryRepository, store: MemoryStore) -> None:
    one, other = Root(descriptor=AMD.descriptor), Root(descriptor=MULTI.descriptor)
    report = copy(source, [job(store, "app", one), job(store, "app", other), job(store, "app")])
    assert report.manifests_written == 5
    assert report.blobs_mounted == 0


def test_mount_that_is_refused_is_an_upload(source: MemoryRepository, store: MemoryStore) -> None:
    class Unmounted(MemoryRepository):
        def mount_blob(self, descriptor: Descriptor, repository: str) -> bool:
            return False

    install(store, Unmounted(store=store, repository="two"))
    report = copy(source, [job(store, "one"), job(store, "two")])
    check(store.repository("two"))
    assert (report.blobs_written, report.blobs_mounted) == (2 * len(EVERYTHING), 0)


def test_children_come_first_and_tags_never(source: MemoryRepository, store: MemoryStore) -> None:
    class Strict(MemoryRepository):
        """A registry that takes nothing before what it names, as Debian's does."""

        def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
            assert tag is None
            assert all(self.has_blob(blob) for blob in manifest.blobs)
            assert all(child.digest in self.manifests for child in manifest.manifests)
            super().write_manifest(manifest)

        def add_referrer(self, manifest: Manifest) -> None:
            assert len(self.manifests) == 7
            super().add_referrer(manifest)

    # The inner index is met after its child was met under the outer one.
    outer = make_index(AMD, make_index(ARM, AMD, MULTI))
    put(source, outer)
    roots = [Root(descriptor=outer.descriptor), SIGNED, Root(descriptor=AMD.descriptor)]
    strict = install(store, Strict(store=store, repository="app"))
    report = copy(source, [job(store, "app", *roots)])
    assert report.manifests_written == 7
    assert len(strict.manifests) == 7


def test_referrer_of_what_does_not_travel_is_not_announced(
    source: MemoryRepository, store: MemoryStore
) -> None:
    announced = []

    class Watched(MemoryRepository):
        def add_referrer(self, manifest: Manifest) -> None:
            announced.append(manifest.digest)

    install(store, Watched(store=store, repository="app"))
    copy(source, [job(store, "app", SIGNED, Root(descriptor=LONE.descriptor))])
    assert announced == [SBOM.digest, NOTE.digest]


def test_sparse_index_is_written_as_it_is(source: MemoryRepository, store: MemoryStore) -> None:
    root = Root(descriptor=MULTI.descriptor, children=frozenset({ARM.digest}))
    copy(source, [job(store, "app", root)])
    app = store.repository("app")
    assert set(app.manifests) == {MULTI.digest, ARM.digest}
    assert set(app.blobs) == {blob.digest for blob in ARM.blobs}


class Refusing(MemoryRepository):
    """Takes no index."""

    def __init__(self, *, store: MemoryStore, repository: str, reason: str) -> None:
        super().__init__(store=store, repository=repository)
        self.reason = reason

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        if manifest.manifests:
            raise StoreError("no", reason=self.reason)
        super().write_manifest(manifest, tag)


def test_the_one_chosen_child_stands_for_a_refused_index(
    source: MemoryRepository, store: MemoryStore
) -> None:
    install(store, Refusing(store=store, repository="app", reason="manifest-refused"))
    root = Root(descriptor=MULTI.descriptor, children=frozenset({ARM.digest}))
    report = copy(source, [job(store, "app", root, Root(descriptor=LONE.descriptor))])
    (substitute,) = report.substitutes
    assert (substitute.repository, substitute.platform) == ("app", "linux/arm64")
    assert (substitute.index, substitute.child) == (MULTI.digest, ARM.digest)
    assert set(store.repository("app").manifests) == {ARM.digest, LONE.digest}


@pytest.mark.parametrize(
    ("reason", "sparse", "told"),
    [
        ("manifest-refused", True, "sparse-index-refused"),
        ("manifest-refused", False, "manifest-refused"),
        ("registry-unreachable", True, "registry-unreachable"),
    ],
)
def test_refused_index(
    source: MemoryRepository, store: MemoryStore, reason: str, sparse: bool, told: str
) -> None:
    install(store, Refusing(store=store, repository="app", reason=reason))
    children: frozenset[Digest] | None = frozenset() if sparse else None
    with pytest.raises(StoreError) as caught:
        copy(source, [job(store, "app", Root(descriptor=MULTI.descriptor, children=children))])
    assert caught.value.reason == told


class Display:
    """Keeps what a progress display would be told."""

    def __init__(self) -> None:
        self.total = 0
        self.steps: list[int] = []

    @contextmanager
    def phase(self, total: int) -> Iterator[Callable[[int], None]]:
        self.total = total
        yield self.steps.append


def test_progress_ends_at_its_total(source: MemoryRepository, store: MemoryStore) -> None:
    for _ in range(2):  # written and mounted, then read back and mounted
        display = Display()
        copy(source, [job(store, "one"), job(store, "two")], progress=display.phase)
        assert sum(display.steps) == display.total == 2 * TOTAL


def test_progress_of_a_transfer_that_starts_over(
    source: MemoryRepository, store: MemoryStore
) -> None:
    class Retrying(MemoryRepository):
        def write_blob(
            self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
        ) -> None:
            with opener() as stream:
                assert len(stream.read()) == descriptor.size
            super().write_blob(descriptor, opener)

    install(store, Retrying(store=store, repository="app"))
    display = Display()
    copy(source, [job(store, "app")], progress=display.phase)
    assert sum(display.steps) == display.total
    assert min(display.steps) < 0


def test_plan_asks_and_writes_nothing(source: MemoryRepository, store: MemoryStore) -> None:
    app = store.repository("app")
    app.write_blob(BIGGEST, opener(sent(MULTI)[BIGGEST.digest]))
    before = dict(app.blobs)
    assert plan(source, [job(store, "app"), job(store, "two")]) == CopyPlan(
        blobs_new=len(EVERYTHING) - 1,
        bytes_new=TOTAL - BIGGEST.size,
        blobs_present=1,
        bytes_present=BIGGEST.size,
        blobs_mounted=len(EVERYTHING),
        manifests=10,
    )
    assert app.blobs == before
    assert not app.manifests
