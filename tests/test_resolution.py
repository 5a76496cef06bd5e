"""Resolution by itself: every referrer of every manifest, and what stops it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.errors import FormatError, IntegrityError, NotFoundError, UsageError
from airgap.oci.descriptor import Platform
from airgap.oci.manifest import OCI_MANIFEST, Manifest
from airgap.request import ImageRequest, parse_image
from airgap.resolution import ResolvedImage, Sources, resolve_images
from airgap.spool import Spool
from airgap.stores import Referrer, StoreOptions
from airgap.stores.memory import MemoryStore
from tests.freight import NAME, Freight
from tests.stores.samples import (
    CONFIG_TYPE,
    Sample,
    describe,
    make_artifact,
    make_image,
    make_index,
    put,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor
    from airgap.stores.memory import MemoryRepository


class Memory(Sources):
    """Sources whose only store is in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(StoreOptions())
        self.store = store

    def open(self, request: ImageRequest) -> MemoryRepository:
        return self.store.repository(request.repository)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool() as opened:
        yield opened


def resolve(store: MemoryStore, spool: Spool) -> tuple[ResolvedImage, ...]:
    return resolve_images((parse_image(f"{NAME}:1.4"),), Memory(store), spool)


def repository(store: MemoryStore) -> MemoryRepository:
    return store.repository("prod/app")


def test_all_referrers_of_all_manifests(store: MemoryStore, spool: Spool) -> None:
    """Of the root, of every child, of referrers, of signatures found by their tags; indexes too."""
    freight = Freight.make("resolution")
    child = freight.image.children[1]
    of_child = make_artifact(b"of a child", subject=child.manifest)
    of_signature = make_artifact(b"of a signature", subject=freight.signature.manifest)
    attestation = make_image("attestation", layers=1, size=10)
    freight.put(repository(store), "1.4")
    put(repository(store), of_child)
    put(repository(store), of_signature)
    put(repository(store), attestation, f"{child.digest.tag_stem}.att")
    (image,) = resolve(store, spool)
    found = {one.descriptor.digest: (one.subject, one.found) for one in image.referrers}
    assert found == {
        freight.sbom.digest: (freight.image.digest, "api"),
        freight.note.digest: (freight.sbom.digest, "api"),
        freight.signature.digest: (freight.image.digest, "sig"),
        of_child.digest: (child.digest, "api"),
        of_signature.digest: (freight.signature.digest, "api"),
        attestation.digest: (child.digest, "att"),
    }
    assert image.signatures == "present"
    for sample in (*freight.all, of_child, attestation):
        for part in sample.everything():
            assert part.digest in spool
    assert all(blob.digest in spool for blob in attestation.blobs)


def test_an_order_that_does_not_depend_on_the_registry(store: MemoryStore, spool: Spool) -> None:
    image = make_image("order")
    put(repository(store), image, "1.4")
    notes = [make_artifact(f"note {n}".encode(), subject=image.manifest) for n in range(5)]
    for note in notes:
        put(repository(store), note)
    (resolved,) = resolve(store, spool)
    assert [one.descriptor.digest for one in resolved.referrers] == sorted(
        note.digest for note in notes
    )


def test_a_signature_of_itself_by_tag_ends(store: MemoryStore, spool: Spool) -> None:
    """Tags can make circles that digests cannot: the signature of an image is the image."""
    image = make_image("circle")
    put(repository(store), image, "1.4", f"{image.digest.tag_stem}.sig")
    (resolved,) = resolve(store, spool)
    assert [one.descriptor.digest for one in resolved.referrers] == [image.digest]


def test_too_many_referrers(
    store: MemoryStore, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap.resolution._MAX_REFERRERS", 3)
    image = make_image("many")
    put(repository(store), image, "1.4")
    for number in range(4):
        put(repository(store), make_artifact(f"{number}".encode(), subject=image.manifest))
    with pytest.raises(FormatError) as raised:
        resolve(store, spool)
    assert raised.value.reason == "referrers-too-many"


def test_a_referrer_that_names_another_subject(
    store: MemoryStore, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("subject")
    put(repository(store), image, "1.4")
    for stranger in (make_artifact(b"none"), make_artifact(b"x", subject=make_image("y").manifest)):
        put(repository(store), stranger)
        lie = (Referrer(descriptor=stranger.descriptor, subject=image.digest, found="api"),)
        with monkeypatch.context() as patch:
            patch.setattr(type(repository(store)), "referrers", lambda *_, said=lie: said)
            with pytest.raises(FormatError) as raised:
                resolve(store, spool)
        assert raised.value.reason == "referrer-subject-mismatch"


def test_a_tag_that_moved_from_the_digest(store: MemoryStore, spool: Spool) -> None:
    image, other = make_image("one"), make_image("other")
    put(repository(store), image, "1.4")
    put(repository(store), other)
    request = parse_image(f"{NAME}:1.4")
    named = replace(request, name=replace(request.name, digest=other.digest))
    with pytest.raises(IntegrityError) as raised:
        resolve_images((named,), Memory(store), spool)
    assert raised.value.reason == "digest-moved"


def test_several_in_their_order_and_each_told(store: MemoryStore, spool: Spool) -> None:
    names = [f"registry.example/prod/app:{n}" for n in range(8)]
    for number in range(8):
        put(repository(store), make_image(f"image {number}", layers=1, size=50), str(number))
    told: list[str] = []
    requests = tuple(parse_image(name) for name in names)
    resolved = resolve_images(
        requests, Memory(store), spool, report=lambda image: told.append(str(image.request))
    )
    assert [str(image.request) for image in resolved] == names == told


def test_large_blobs_of_referrers_stay_for_the_body(store: MemoryStore, spool: Spool) -> None:
    image = make_image("body")
    payload = bytes((1 << 20) + 1)
    big = make_artifact(payload, subject=image.manifest)
    put(repository(store), image, "1.4")
    put(repository(store), big)
    resolve(store, spool)
    assert big.digest in spool
    assert describe(payload, "text/plain").digest not in spool


# --- platforms ------------------------------------------------------------------------------


def single(config: bytes) -> Sample:
    described = describe(config, CONFIG_TYPE)
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described.to_json(), "layers": [],
    }  # fmt: skip
    manifest = Manifest.parse(json.dumps(document).encode(), OCI_MANIFEST)
    return Sample(manifest=manifest, blobs={described: config})


@pytest.mark.parametrize(
    "config",
    [
        b"", b"not JSON", b"[]", b"null", b"{}", b'{"os":"linux"}', b"[" * 100_000,
        b'{"os":"windows","architecture":"amd64"}', b'{"os":1,"architecture":["amd64"]}',
        b"\xff", b'{"os":"linux","architecture":"amd64","variant":"v7"}',
    ],
)  # fmt: skip
def test_configs_that_do_not_say_the_platform(
    store: MemoryStore, spool: Spool, config: bytes
) -> None:
    put(repository(store), single(config), "1.4")
    request = parse_image(f"{NAME}:1.4", platforms=["linux/amd64/v8"])
    with pytest.raises(UsageError) as raised:
        resolve_images((request,), Memory(store), spool)
    assert raised.value.reason == "platform-missing"


def test_an_image_without_a_config(store: MemoryStore, spool: Spool) -> None:
    put(repository(store), make_artifact(b"an artifact"), "1.4")
    request = parse_image(f"{NAME}:1.4", platforms=["linux/amd64"])
    with pytest.raises(UsageError):
        resolve_images((request,), Memory(store), spool)


def test_a_config_that_says_it(store: MemoryStore, spool: Spool) -> None:
    put(repository(store), single(b'{"os":"linux","architecture":"arm","variant":"v7"}'), "1.4")
    for wanted in ("linux/arm", "linux/arm/v7"):
        request = parse_image(f"{NAME}:1.4", platforms=[wanted])
        (image,) = resolve_images((request,), Memory(store), spool)
        assert image.children is None
        assert image.request.platforms == (Platform.parse(wanted),)


def test_referrers_of_platforms_that_stay_are_left_there(store: MemoryStore, spool: Spool) -> None:
    amd, arm = make_image("amd"), make_image("arm", architecture="arm64")
    index = make_index(amd, arm)
    note = make_artifact(b"of arm", subject=arm.manifest)
    put(repository(store), index, "1.4")
    put(repository(store), note)
    request = parse_image(f"{NAME}:1.4", platforms=["linux/amd64"])
    (image,) = resolve_images((request,), Memory(store), spool)
    assert image.children == (amd.digest,)
    assert image.referrers == ()
    assert arm.digest not in spool


# --- the spool ------------------------------------------------------------------------------


def test_the_spool_gives_back_what_it_was_given(tmp_path: Path, spool: Spool) -> None:
    data = b"something"
    digest = spool.add(data)
    assert spool.add(data) == digest
    descriptor = describe(data, "text/plain")
    assert spool.read(descriptor) == data
    with pytest.raises(NotFoundError):
        spool.read(describe(b"else", "text/plain"))


def test_a_spool_that_is_large_is_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap.spool._IN_MEMORY", 10)
    with Spool(tmp_path) as spool:
        blobs: list[Descriptor] = []
        for number in range(5):
            data = f"content {number}".encode()
            spool.add(data)
            blobs.append(describe(data, "text/plain"))
        assert list(tmp_path.iterdir()) == []
        assert spool.read(blobs[-1]) == b"content 4"
        # Somebody writes into it behind our back.
        spool._file.seek(3)
        spool._file.write(b"!")
        with pytest.raises(IntegrityError) as raised:
            spool.read(blobs[0])
        assert raised.value.reason == "spool-changed"
