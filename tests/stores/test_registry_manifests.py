"""Manifests of a registry that lies about them, and what is said about it."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    FormatError,
    IntegrityError,
    NotFoundError,
    RegistryCorruptError,
    StoreError,
    UnsupportedVersionError,
)
from airgap.oci.digest import Digest
from airgap.oci.manifest import MANIFEST_LIMIT, OCI_INDEX, OCI_MANIFEST
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import describe, image, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER = os.urandom(3 << 20)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


def test_a_tag_resolves_to_the_digest_of_its_bytes_and_is_fetched_once(fake: FakeRegistry) -> None:
    manifest = image(LAYER)
    put_image(fake, "app", manifest, "v1")
    with visit(fake) as store:
        repository = store.repository("app")
        assert repository.name == f"{fake.host}/app"
        assert repository.resolve("v1") == manifest.descriptor
        assert repository.read_manifest(manifest.descriptor) == manifest
        assert repository.resolve(str(manifest.digest)) == manifest.descriptor
    assert len(fake.asked("GET", "/manifests/")) == 2
    accept = fake.seen[0].headers["accept"]
    assert OCI_INDEX in accept
    assert "vnd.docker.distribution.manifest.list.v2+json" in accept


def test_a_destination_never_answers_from_memory(fake: FakeRegistry) -> None:
    manifest = image()
    put_image(fake, "app", manifest, "v1")
    with visit(fake, side="destination") as store:
        repository = store.repository("app")
        repository.resolve("v1")
        repository.read_manifest(manifest.descriptor)
    assert len(fake.asked("GET", "/manifests/")) == 2


def test_what_is_kept_in_memory_is_bounded(fake: FakeRegistry) -> None:
    for number in range(6):
        blown_up = image(annotations={"padding": "x" * (3 << 20), "number": str(number)})
        put_image(fake, "app", blown_up, f"v{number}")
    with visit(fake) as store:
        repository = store.repository("app")
        found = [repository.resolve(f"v{number}") for number in range(6)]
        asked = len(fake.seen)
        repository.read_manifest(found[5])
        assert len(fake.seen) == asked
        repository.read_manifest(found[0])
        assert len(fake.seen) == asked + 1


def test_what_is_not_there_is_not_found(fake: FakeRegistry) -> None:
    with visit(fake) as store:
        repository = store.repository("app")
        with pytest.raises(NotFoundError, match=r"source 127.0.0.1:\d+: app has no v1") as caught:
            repository.resolve("v1")
        assert caught.value.reason == "manifest-missing"
        with (
            pytest.raises(NotFoundError, match="app has no blob sha256:"),
            repository.open_blob(describe(LAYER)),
        ):
            pass
        with pytest.raises(NotFoundError, match="there is no repository app"):
            list(repository.tags())


def test_a_digest_answered_with_other_bytes_is_refused(fake: FakeRegistry) -> None:
    manifest, other = image(LAYER), image()
    fake.manifests["app"][str(manifest.digest)] = (other.data, OCI_MANIFEST)
    with visit(fake) as store:
        repository = store.repository("app")
        with pytest.raises(IntegrityError, match=f"@{manifest.digest} is answered with other"):
            repository.resolve(str(manifest.digest))
        with pytest.raises(IntegrityError, match="has 251 bytes, not") as caught:
            repository.read_manifest(manifest.descriptor)
        assert "try again" in caught.value.hint
    with visit(fake, side="destination") as store, pytest.raises(RegistryCorruptError):
        store.repository("app").read_manifest(manifest.descriptor)


def test_a_lying_digest_header_changes_nothing(fake: FakeRegistry) -> None:
    manifest = image()
    headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": f"sha256:{'0' * 64}"}
    fake.faults.append(lambda _: Reply(body=manifest.data, headers=headers))
    with visit(fake) as store:
        assert store.repository("app").resolve("v1").digest == manifest.digest


@pytest.mark.parametrize("served", ["text/html", OCI_INDEX, "application/vnd.oci.unknown+json"])
def test_a_content_type_that_contradicts_the_document_is_refused(
    fake: FakeRegistry, served: str
) -> None:
    manifest = image()
    fake.manifests["app"]["v1"] = fake.manifests["app"][str(manifest.digest)] = (
        manifest.data,
        served,
    )
    with visit(fake) as store:
        with pytest.raises(FormatError) as caught:
            store.repository("app").resolve("v1")
        assert caught.value.reason == "media-type-mismatch"
        with pytest.raises(FormatError):
            store.repository("app").read_manifest(manifest.descriptor)


@pytest.mark.parametrize("served", ["application/json; charset=utf-8", "text/plain", ""])
def test_a_content_type_that_says_nothing_is_taken(fake: FakeRegistry, served: str) -> None:
    manifest = image()
    fake.manifests["app"]["v1"] = (manifest.data, served)
    with visit(fake) as store:
        assert store.repository("app").resolve("v1") == manifest.descriptor


def test_docker_schema_1_is_named_as_what_it_is(fake: FakeRegistry) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    fake.manifests["app"]["v1"] = (b'{"schemaVersion": 1, "fsLayers": []}', kind)
    with visit(fake) as store, pytest.raises(UnsupportedVersionError, match="schema 1"):
        store.repository("app").resolve("v1")


def test_endless_answers_are_cut(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(pieces=itertools.repeat(b" " * 65536)))
    with visit(fake) as store:
        for visitor in (
            lambda: store.repository("app").resolve("v1"),
            lambda: list(store.repository("app").tags()),
            lambda: store.repository("app").referrers(Digest.of(b"")),
        ):
            with pytest.raises(StoreError, match=f"longer than {MANIFEST_LIMIT} bytes"):
                visitor()


def test_an_endless_error_is_cut_and_shown_in_short(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(status=500, pieces=itertools.repeat(b"\x1b[31m" * 999)))
    with visit(fake) as store, pytest.raises(StoreError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.message.endswith("was answered with 500")


def test_what_a_registry_complains_is_shown_safely(fake: FakeRegistry) -> None:
    body = b'{"errors": [{"code": "EVIL", "message": "\\u001b[2J", "detail": {"a": 1}}, 5]}'
    fake.faults.append(lambda _: Reply(status=500, body=body))
    with visit(fake) as store:
        with pytest.raises(StoreError) as caught:
            store.repository("app").resolve("v1")
        assert "\x1b" not in caught.value.message
        fake.faults[0] = lambda _: Reply(status=500, body=body.replace(b", 5", b""))
        with pytest.raises(StoreError, match=r"500: EVIL: \\u\{1b\}\[2J; \{'a': 1\}$"):
            store.repository("app").resolve("v1")
