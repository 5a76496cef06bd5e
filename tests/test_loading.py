"""Loading by itself: content first, names last, and only what was admitted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import (
    IntegrityError,
    NotFoundError,
    RegistryCorruptError,
    RejectedError,
    StoreError,
)
from airgap.judgement import admit_bundle
from airgap.loading import Delivery, load, plan_load, prepare
from airgap.oci.naming import Naming
from airgap.progress import Silent
from airgap.release_record import RELEASE_TYPE, read_release
from airgap.site import Site
from airgap.stores.memory import MemoryRepository, MemoryStore
from tests.freight import NAME, Freight, write_layout
from tests.journey import Journey
from tests.stores.samples import make_image, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.bundle.reader import Bundle
    from airgap.oci.manifest import Manifest
    from airgap.stores.copy import CopyReport
    from airgap.trust.verdict import Admission


class Scene:
    def __init__(self, folder: Path) -> None:
        self.freight = Freight.make("loading")
        self.journey = Journey.begin(folder)
        self.path = self.journey.export(write_layout(folder / "layout", self.freight))

    @contextmanager
    def admitted(self) -> Iterator[tuple[Bundle, Admission]]:
        site = Site(state=self.journey.state)
        with admit_bundle(
            self.path, site=site, policy=site.read_policy(), code=self.journey.codes[1],
            progress=Silent(),
        ) as (bundle, admission):  # fmt: skip
            yield bundle, admission


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("loading"))


def deliver(bundle: Bundle, delivery: Delivery, admission: Admission) -> CopyReport:
    return load(bundle, delivery, admission, threads=2, read_back="existing", progress=Silent())


def test_everything_arrives_and_the_record_says_so(scene: Scene) -> None:
    store = MemoryStore()
    with scene.admitted() as (bundle, admission):
        delivery = prepare(bundle, store, title="here", naming=Naming(prefix="m"))
        assert [change.name for change in delivery.names] == [f"here/m/{NAME}:1.4"]
        assert len(delivery.tags) == 2
        plan = plan_load(bundle, delivery)
        report = deliver(bundle, delivery, admission)
        assert report.manifests_written == plan.manifests
        scene.freight.check(store.repository(f"m/{NAME}"), "1.4")
        floor = read_release(store.repository("m/airgap/releases"), "prod")
        assert floor is not None
        assert (floor.sequence, floor.inventory) == (1, str(bundle.inventory_digest))
        record = store.repository("m/airgap/releases")
        manifest = record.read_manifest(record.resolve("prod"))
        assert manifest.artifact_type == RELEASE_TYPE
        # Again: everything is there.
        again = prepare(bundle, store, title="here", naming=Naming(prefix="m"))
        assert [change.change for change in again.tags] == ["unchanged", "unchanged"]
        assert deliver(bundle, again, admission).blobs_written == 0


def test_nothing_said_is_no_floor() -> None:
    assert read_release(MemoryStore().repository("airgap/releases"), "prod") is None


def test_an_admission_is_good_for_one_bundle_only(scene: Scene) -> None:
    store = MemoryStore()
    with scene.admitted() as (bundle, admission):
        delivery = prepare(bundle, store, title="", naming=Naming())
        for other in (
            replace(admission, inventory=scene.freight.image.digest),
            replace(admission, roots=frozenset()),
        ):
            with pytest.raises(IntegrityError) as raised:
                deliver(bundle, delivery, other)
            assert raised.value.reason == "bundle-changed"
    with pytest.raises(NotFoundError):
        store.repository(NAME).resolve("1.4")


def test_what_was_not_admitted_is_never_yielded(scene: Scene, tmp_path: Path) -> None:
    site = Site(state=tmp_path / "stranger")
    with (
        pytest.raises(RejectedError),
        admit_bundle(
            scene.path, site=site, policy=site.read_policy(), code=None, progress=Silent()
        ),
    ):
        pytest.fail("no admission, no bundle")


class Racing(MemoryRepository):
    """A repository whose tag somebody else moves, or that forgets what it acknowledged."""

    moved: Manifest | None = None
    forgets = False

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        if tag is not None and self.forgets:
            return
        super().write_manifest(manifest, tag)
        if self.moved is not None and tag is None:
            moved, self.moved = self.moved, None
            super().write_manifest(moved, "1.4")


def racing(store: MemoryStore) -> Racing:
    repository: Any = store.repository(NAME)
    repository.__class__ = Racing
    assert isinstance(repository, Racing)
    return repository


def test_a_tag_that_somebody_else_moves_is_left_alone(scene: Scene) -> None:
    store = MemoryStore()
    other = make_image("other")
    put(store.repository(NAME), other)
    with scene.admitted() as (bundle, admission):
        delivery = prepare(bundle, store, title="", naming=Naming())
        racing(store).moved = other.manifest
        with pytest.raises(StoreError) as raised:
            deliver(bundle, delivery, admission)
    assert raised.value.reason == "tag-race"
    assert store.repository(NAME).resolve("1.4").digest == other.digest


def test_a_tag_that_somebody_else_moves_to_the_same_is_fine(scene: Scene) -> None:
    store = MemoryStore()
    with scene.admitted() as (bundle, admission):
        delivery = prepare(bundle, store, title="", naming=Naming())
        scene.freight.put(store.repository(NAME), "1.4")
        deliver(bundle, delivery, admission)


def test_a_tag_that_does_not_stay_is_said(scene: Scene) -> None:
    store = MemoryStore()
    with scene.admitted() as (bundle, admission):
        delivery = prepare(bundle, store, title="", naming=Naming())
        racing(store).forgets = True
        with pytest.raises(RegistryCorruptError) as raised:
            deliver(bundle, delivery, admission)
    assert raised.value.reason == "registry-corrupt"
    assert raised.value.message.endswith("reads None")
