"""Writing blobs and manifests to a registry that fails, lies, or sends us elsewhere."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap.errors import IntegrityError, NotFoundError, RegistryCorruptError, StoreError
from airgap.oci.descriptor import Descriptor, VerifyingReader
from tests.simulators.fake_registry import FakeRegistry, fail, run_registry
from tests.simulators.fake_server import Reply, Request
from tests.simulators.registry_scenes import describe, image, opener, visit

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


class Broken:
    """A stream that fails after its first piece."""

    def __init__(self, error: Exception) -> None:
        self._pieces: list[bytes | Exception] = [error, b"first"]

    def read(self, size: int = -1, /) -> bytes:
        piece = self._pieces.pop()
        if isinstance(piece, Exception):
            raise piece
        return piece


@contextmanager
def broken(error: Exception) -> Iterator[Broken]:
    yield Broken(error)


def test_a_blob_arrives(fake: FakeRegistry, repository: RegistryRepository) -> None:
    assert not repository.has_blob(BLOB)
    repository.write_blob(BLOB, opener(DATA))
    assert fake.blobs["app"] == {str(BLOB.digest): DATA}
    assert repository.has_blob(BLOB)
    put = fake.asked("PUT")[0]
    assert put.headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in put.headers
    assert put.query["state"] == ["a+b="]


def test_an_empty_blob_arrives(fake: FakeRegistry, repository: RegistryRepository) -> None:
    repository.write_blob(describe(b""), opener(b""))
    assert list(fake.blobs["app"].values()) == [b""]


def test_a_blob_of_another_size_is_not_had(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.blobs["app"][str(BLOB.digest)] = b""
    assert not repository.has_blob(BLOB)
    fake.faults.append(lambda _: Reply(headers={"Content-Length": "9" * 30}))
    assert not repository.has_blob(BLOB)


@pytest.mark.parametrize("sent", [DATA[:-1], DATA + b"?", DATA[:-1] + b"?", b""])
def test_wrong_bytes_never_arrive_whole(
    fake: FakeRegistry, repository: RegistryRepository, sent: bytes
) -> None:
    with pytest.raises(IntegrityError, match=str(BLOB.digest)):
        repository.write_blob(BLOB, opener(sent))
    assert len(fake.asked("POST")) == 1
    assert not fake.asked("PUT"), "the last piece was never sent"
    assert (fake.uploads, fake.blobs["app"]) == (set(), {})


def test_bytes_after_an_empty_blob_are_found(repository: RegistryRepository) -> None:
    with pytest.raises(IntegrityError):
        repository.write_blob(describe(b""), opener(b"x"))


def test_a_verifying_reader_is_not_hashed_twice(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    @contextmanager
    def verified(skip: int) -> Iterator[VerifyingReader]:
        with opener(DATA)() as stream:
            reader = VerifyingReader(stream, BLOB)
            reader.read(skip)
            yield reader

    with pytest.raises(IntegrityError, match="ended after"):
        repository.write_blob(BLOB, lambda: verified(7))
    repository.write_blob(BLOB, lambda: verified(0))
    assert fake.blobs["app"] == {str(BLOB.digest): DATA}


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), NotFoundError("x", reason="y")]
)
def test_a_stream_that_fails_is_no_failure_of_the_registry(
    fake: FakeRegistry, repository: RegistryRepository, error: Exception
) -> None:
    with pytest.raises(StoreError) as caught:
        repository.write_blob(BLOB, lambda: broken(error))
    assert caught.value.reason in {"read-failed", "y"}
    assert not fake.uploads
    assert len(fake.asked("POST")) == 1


def test_a_stream_that_does_not_open(fake: FakeRegistry, repository: RegistryRepository) -> None:
    with pytest.raises(StoreError, match="No such file"):
        repository.write_blob(BLOB, lambda: open("/nonexistent", "rb"))  # noqa: PTH123, SIM115 - the context is the caller's
    assert not fake.seen


@pytest.mark.parametrize("status", [400, 404, 416, 429, 500, 502, 503])
def test_an_upload_that_failed_begins_again(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.faults.append(fail(status, method="PUT", part="uploads"))
    repository.write_blob(BLOB, opener(DATA))
    assert fake.blobs["app"] == {str(BLOB.digest): DATA}
    assert len(fake.asked("POST")) == 2
    assert not fake.uploads


@pytest.mark.parametrize(("status", "posts"), [(400, 2), (500, 2), (507, 1), (413, 1), (503, 3)])
def test_an_upload_that_keeps_failing_is_given_up(
    fake: FakeRegistry, repository: RegistryRepository, status: int, posts: int
) -> None:
    fake.faults.append(fail(status, method="PUT", part="uploads", times=9))
    with pytest.raises(StoreError, match=f"the upload of {BLOB.digest} was answered with {status}"):
        repository.write_blob(BLOB, opener(DATA))
    assert len(fake.asked("POST")) == posts
    assert not fake.uploads, "every upload was cancelled"


def test_a_connection_that_breaks_during_an_upload(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    left = [2]
    fake.faults.append(lambda one: _hang_up(one, left))
    repository.write_blob(BLOB, opener(DATA))
    assert fake.blobs["app"] == {str(BLOB.digest): DATA}
    left[0] = 9
    with pytest.raises(StoreError, match=f"sending {BLOB.digest} failed"):
        repository.write_blob(BLOB, opener(DATA))
    assert not fake.uploads


def _hang_up(request: Request, left: list[int]) -> Reply | None:
    if request.method != "PUT" or not left[0]:
        return None
    left[0] -= 1
    raise ConnectionAbortedError


@pytest.mark.parametrize("location", [
    "http://evil.example/upload", "//evil.example/upload", "https://{host}/upload",
    "http://user:word@{host}/upload", "http://[", "http://{host}:99999/", "ftp://{host}/",
])  # fmt: skip
def test_an_upload_goes_to_the_registry_or_nowhere(
    fake: FakeRegistry, repository: RegistryRepository, location: str
) -> None:
    headers = {"Location": location.format(host=fake.host)}
    fake.faults.append(
        lambda one: Reply(status=202, headers=headers) if one.method == "POST" else None
    )
    with pytest.raises(StoreError) as caught:
        repository.write_blob(BLOB, opener(DATA))
    assert caught.value.reason in {"upload-location-foreign", "location-invalid"}
    assert not fake.asked("PUT")


@pytest.mark.parametrize("location", ["{url}/v2/app/blobs/uploads/s1#part", "s1"])
def test_a_location_may_be_absolute_or_bare(
    fake: FakeRegistry, repository: RegistryRepository, location: str
) -> None:
    fake.uploads.add("s1")
    reply = Reply(status=202, headers={"Location": location.format(url=fake.url)})
    fake.faults.append(lambda one: reply if one.method == "POST" else None)
    repository.write_blob(BLOB, opener(DATA))
    assert fake.asked("PUT")[-1].path == "/v2/app/blobs/uploads/s1"


def test_a_missing_project_is_named(fake: FakeRegistry) -> None:
    fake.faults.append(fail(404, method="POST", part="", times=9))
    fake.faults.append(fail(404, method="PUT", part="", times=9))
    with visit(fake, side="destination") as store:
        repository = store.repository("team/app")
        with pytest.raises(StoreError, match="no repository team/app to push to") as caught:
            repository.write_blob(BLOB, opener(DATA))
        assert caught.value.reason == "repository-missing"
        assert "create the project 'team'" in caught.value.hint
        with pytest.raises(StoreError, match="no repository team/app to push to"):
            repository.write_manifest(image())


def test_a_registry_that_acknowledges_and_does_not_have(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.faults.append(lambda one: Reply(status=201) if one.method == "PUT" else None)
    with pytest.raises(RegistryCorruptError, match=f"the blob {BLOB.digest} of app"):
        repository.write_blob(BLOB, opener(DATA))
    with pytest.raises(RegistryCorruptError, match=f"the manifest {image().digest} of app"):
        repository.write_manifest(image())
    fake.manifests["app"][str(image().digest)] = (b"", "application/json")
    with pytest.raises(RegistryCorruptError, match="does not give it back") as caught:
        repository.write_manifest(image(), "v1")
    assert "garbage collection" in caught.value.hint
    fake.faults.append(fail(500, method="GET", part="manifests"))
    with pytest.raises(RegistryCorruptError):
        repository.write_manifest(image())


def test_a_storage_elsewhere_does_not_spoil_an_upload(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    elsewhere = Reply(status=307, headers={"Location": "https://bucket.example/x"})
    fake.faults.append(lambda one: elsewhere if one.method == "HEAD" else None)
    repository.write_blob(BLOB, opener(DATA))
    fake.faults[:] = [fail(500, method="HEAD", part="")]
    with pytest.raises(StoreError, match="500"):
        repository.write_blob(BLOB, opener(DATA))


def test_mounting(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.add_blob("other", DATA)
    assert repository.mount_blob(BLOB, "other")
    assert not repository.mount_blob(describe(b"?"), "other")
    assert not fake.uploads, "the upload that was offered instead was cancelled"
    for status in (400, 403, 404, 405):
        fake.faults[:] = [fail(status, method="POST", part="")]
        assert not repository.mount_blob(BLOB, "other")
    fake.auth = "basic"
    fake.faults.clear()
    with pytest.raises(StoreError, match="none were found"):
        repository.mount_blob(BLOB, "other")


def test_a_big_blob_is_given_time_to_be_committed(fake: FakeRegistry) -> None:
    huge = Descriptor(media_type="a/b", digest=BLOB.digest, size=len(DATA))
    with visit(fake, side="destination", timeout=(0.3, 0.3)) as store:
        fake.faults.append(_slow)
        store.repository("app").write_blob(huge, opener(DATA))
    assert len(fake.asked("PUT")) == 1


def _slow(request: Request) -> None:
    if request.method == "PUT":
        time.sleep(0.35)
