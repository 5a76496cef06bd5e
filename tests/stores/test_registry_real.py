"""The real registries: Debian's docker-registry 2.8 and Distribution 3, plain and with TLS.

Neither has the referrers API, so the fallback tag is what is seen here. skopeo judges the digests.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    AuthenticationError,
    IntegrityError,
    NotFoundError,
    RegistryCorruptError,
    StoreError,
)
from airgap.oci.manifest import EMPTY_CONFIG
from airgap.stores import StoreOptions
from airgap.stores.registry import RegistryRepository, RegistryStore, open_registry
from tests.conftest import find_tool
from tests.simulators.registry_process import (
    DEBIAN,
    DISTRIBUTION_3,
    RegistryProcess,
    start_registry,
)
from tests.simulators.registry_scenes import describe, image, index, opener, referrer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYER = os.urandom(2 << 20)
IMAGE = image(LAYER)


@pytest.fixture(scope="module", params=[
    (DEBIAN, False), (DEBIAN, True), (DISTRIBUTION_3, False), (DISTRIBUTION_3, True),
], ids=["2.8", "2.8-tls-basic", "3", "3-tls-basic"])  # fmt: skip
def registry(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryProcess]:
    kind, secured = request.param
    folder = tmp_path_factory.mktemp(kind)
    with start_registry(find_tool(kind), folder, kind=kind, tls=secured, auth=secured) as process:
        yield process


@pytest.fixture
def options(registry: RegistryProcess, tmp_path: Path) -> StoreOptions:
    return StoreOptions(
        side="destination",
        insecure_http=registry.insecure,
        ca_file=registry.ca_file,
        authfile=registry.write_authfile(tmp_path / "auth.json") if registry.username else None,
        retries=0,
    )


@pytest.fixture
def store(registry: RegistryProcess, options: StoreOptions) -> Iterator[RegistryStore]:
    opened = open_registry(registry.host, options)
    yield opened
    opened.close()


def push(repository: RegistryRepository, tag: str = "v1") -> None:
    repository.write_blob(describe(LAYER), opener(LAYER))
    repository.write_blob(EMPTY_CONFIG, opener(b"{}"))
    repository.write_manifest(IMAGE)
    repository.write_manifest(IMAGE, tag)


def test_an_image_makes_the_trip(store: RegistryStore) -> None:
    repository = store.repository("trip/app")
    with pytest.raises(NotFoundError):
        repository.resolve("v1")
    assert not repository.has_blob(describe(LAYER))
    push(repository)
    assert repository.has_blob(describe(LAYER))
    assert repository.resolve("v1") == IMAGE.descriptor
    assert repository.read_manifest(IMAGE.descriptor) == IMAGE
    with repository.open_blob(describe(LAYER)) as stream:
        assert stream.read() == LAYER
    assert list(repository.tags()) == ["v1"]
    push(repository)


def test_skopeo_sees_the_same_digest(
    registry: RegistryProcess, store: RegistryStore, options: StoreOptions, tmp_path: Path
) -> None:
    skopeo = find_tool("skopeo")
    push(store.repository("judged"))
    command = [skopeo, "inspect", "--raw", f"docker://{registry.host}/judged:v1"]
    if registry.ca_file is None:
        command.insert(2, "--tls-verify=false")
    else:
        certificates = tmp_path / "certificates"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(registry.ca_file.read_bytes())
        command[2:2] = [f"--authfile={options.authfile}", f"--cert-dir={certificates}"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (IMAGE.data, b"")


def test_a_blob_is_mounted_and_not_sent_again(store: RegistryStore) -> None:
    push(store.repository("mount/from"))
    repository = store.repository("mount/to")
    assert repository.mount_blob(describe(LAYER), "mount/from")
    assert repository.has_blob(describe(LAYER))
    assert not repository.mount_blob(describe(b"nowhere"), "mount/from")


def test_referrers_are_found_by_the_fallback_tag(store: RegistryStore) -> None:
    repository = store.repository("referred")
    push(repository)
    assert repository.referrers(IMAGE.digest) == ()
    signatures = [referrer(IMAGE, f"application/x-{number}") for number in range(4)]
    for signature in signatures:
        repository.write_manifest(signature)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repository.add_referrer, signatures))
    found = repository.referrers(IMAGE.digest)
    assert {each.descriptor.digest for each in found} == {each.digest for each in signatures}
    assert {each.found for each in found} == {"fallback"}
    assert found[0].descriptor.annotations == {"made-by": "a test"}


def test_an_index_needs_its_children(store: RegistryStore) -> None:
    repository = store.repository("sparse")
    push(repository)
    repository.write_manifest(index(IMAGE), "all")
    with pytest.raises(StoreError, match="was refused with 400") as caught:
        repository.write_manifest(index(IMAGE, image(b"absent")))
    assert caught.value.reason == "manifest-refused"


def test_small_and_empty_and_wrong_blobs(registry: RegistryProcess, store: RegistryStore) -> None:
    repository = store.repository("blobs")
    for data in (b"", b"x", os.urandom(300_000)):
        repository.write_blob(describe(data), opener(data))
        with repository.open_blob(describe(data)) as stream:
            assert stream.read() == data
    data = os.urandom(300_000)
    for wrong in (data[:-1], data + b"x", data[:-1] + b"x"):
        with pytest.raises(IntegrityError):
            repository.write_blob(describe(data), lambda wrong=wrong: io.BytesIO(wrong))  # type: ignore[misc]
    assert not repository.has_blob(describe(data))
    if registry.kind == DISTRIBUTION_3:  # 2.8 cannot be made to forget what broke within a PUT
        assert list(registry.storage.rglob("repositories/blobs/_uploads/*/data")) == []


def test_what_a_poisoned_registry_says_is_not_believed(
    registry: RegistryProcess, store: RegistryStore
) -> None:
    """An earlier crash left empty files; the registry answers 201 to every later push."""
    repository = store.repository("poisoned")
    layer = os.urandom(5000)
    poisoned = image(layer)
    for content in (describe(layer), poisoned.descriptor):
        path = registry.storage / "docker/registry/v2/blobs/sha256"
        path = path / content.digest.hex[:2] / content.digest.hex / "data"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    with pytest.raises(RegistryCorruptError, match=str(describe(layer).digest)):
        repository.write_blob(describe(layer), opener(layer))
    repository.write_blob(EMPTY_CONFIG, opener(b"{}"))
    with pytest.raises(StoreError):
        repository.write_manifest(image(layer))


def test_bytes_that_rotted_are_found(registry: RegistryProcess, store: RegistryStore) -> None:
    repository = store.repository("rotten")
    layer = os.urandom(5000)
    descriptor = describe(layer)
    repository.write_blob(descriptor, opener(layer))
    path = registry.storage / "docker/registry/v2/blobs/sha256"
    path = path / descriptor.digest.hex[:2] / descriptor.digest.hex / "data"
    path.write_bytes(layer[:-1] + bytes([layer[-1] ^ 1]))
    assert repository.has_blob(descriptor), "a hint and no proof"
    with (
        pytest.raises(RegistryCorruptError, match=str(descriptor.digest)),
        repository.open_blob(descriptor) as stream,
    ):
        stream.read()


def test_what_the_registry_can_do(registry: RegistryProcess, store: RegistryStore) -> None:
    push(store.repository("probed"))
    facts = store.probe("probed", write=True)
    assert facts.api_version == "registry/2.0"
    assert facts.repository_exists
    assert not facts.referrers_api
    assert facts.refuses_wrong_digest
    assert facts.mounts
    assert facts.authentication == ("basic" if registry.username else "none")


def test_who_may_enter_and_how(registry: RegistryProcess, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    entry = {"username": registry.username, "password": "wrong"}
    wrong.write_text(json.dumps({"auths": {registry.host: entry}}))
    visits = [(StoreOptions(), "registry-not-https")]
    if registry.ca_file is not None:
        visits = [
            (StoreOptions(), "tls-not-verified"),
            (StoreOptions(ca_file=registry.ca_file), "credentials-missing"),
            (StoreOptions(ca_file=registry.ca_file, authfile=wrong), "credentials-refused"),
        ]
    for options, reason in visits:
        store = open_registry(registry.host, options)
        with pytest.raises(StoreError) as caught:
            store.repository("app").resolve("v1")
        assert caught.value.reason == reason
        assert isinstance(caught.value, AuthenticationError) == reason.startswith("credentials")
        store.close()
