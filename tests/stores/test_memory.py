"""The store in memory, in what the contract does not ask: other tests stand on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airgap.errors import FormatError, IntegrityError, NotFoundError
from airgap.stores import Store
from airgap.stores.memory import MemoryStore
from tests.stores.samples import describe, make_artifact, make_image, opener, put


def test_it_is_a_store() -> None:
    store = MemoryStore()
    assert isinstance(store, Store)
    assert store.repository("app") is store.repository("app")
    store.close()


def test_blobs_belong_to_repositories() -> None:
    store = MemoryStore()
    one, other = store.repository("one"), store.repository("other")
    descriptor = describe(b"shared", "text/plain")
    one.write_blob(descriptor, opener(b"shared"))
    assert not other.has_blob(descriptor)
    assert other.mount_blob(descriptor, "one")
    assert other.has_blob(descriptor)


def test_manifest_whose_digest_lies_is_refused() -> None:
    image = make_image("app")
    lying = replace(image.manifest, digest=make_image("other").digest)
    with pytest.raises(IntegrityError):
        MemoryStore().repository("app").write_manifest(lying)


def test_damage_is_found_on_reading() -> None:
    repository = MemoryStore().repository("app")
    image = make_image("app")
    put(repository, image, "v1")
    descriptor, data = next(iter(image.blobs.items()))
    repository.blobs[descriptor.digest] = data[::-1]
    with pytest.raises(IntegrityError), repository.open_blob(descriptor) as stream:
        stream.read()


def test_referrer_must_be_stored() -> None:
    sample = make_artifact(b"sbom", subject=make_image("app").manifest)
    with pytest.raises(NotFoundError):
        MemoryStore().repository("app").add_referrer(sample.manifest)


def test_digest_must_be_one() -> None:
    with pytest.raises(FormatError):
        MemoryStore().repository("app").resolve("sha256:x")
