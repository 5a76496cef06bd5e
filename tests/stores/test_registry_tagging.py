"""Writing manifests: by digest, by tag, read back each time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airgap.errors import FormatError, StoreError, UsageError
from tests.simulators.fake_registry import FakeRegistry, fail, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import describe, image, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.stores.registry import RegistryRepository

DATA = os.urandom(1 << 20)
BLOB = describe(DATA)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


@pytest.fixture
def repository(fake: FakeRegistry) -> Iterator[RegistryRepository]:
    with visit(fake, side="destination", retries=2) as store:
        yield store.repository("app")


def test_a_manifest_arrives_by_digest_and_by_tag(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    manifest = image()
    repository.write_manifest(manifest)
    repository.write_manifest(manifest, "v1")
    assert list(fake.manifests["app"]) == [str(manifest.digest), "v1"]
    assert [one.headers["content-type"] for one in fake.asked("PUT")] == [manifest.media_type] * 2
    assert len(fake.asked("GET", "/manifests/")) == 2, "both were read back"


@pytest.mark.parametrize("name", ["..", "a/b", "", "a b", "sha256:abc", "x" * 129])
def test_what_is_neither_tag_nor_digest_is_not_asked_for(
    fake: FakeRegistry, repository: RegistryRepository, name: str
) -> None:
    with pytest.raises(FormatError):
        repository.resolve(name)
    with pytest.raises(UsageError, match="is not a tag"):
        repository.write_manifest(image(), name)
    assert not fake.seen


def test_a_manifest_that_is_refused_says_why(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.faults.append(fail(400, method="PUT", part=""))
    with pytest.raises(StoreError, match=f"{image().digest} was refused with 400: FAULT") as caught:
        repository.write_manifest(image())
    assert caught.value.reason == "manifest-refused"


def test_a_tag_that_somebody_else_moved_is_told(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    put_image(fake, "app", image(b"theirs"), "v1")
    fake.faults.append(
        lambda one: Reply(status=201) if one.method == "PUT" and "v1" in one.path else None
    )
    repository.write_manifest(image())
    with pytest.raises(StoreError, match="the tag v1 of app") as caught:
        repository.write_manifest(image(), "v1")
    assert caught.value.reason == "tag-race"
