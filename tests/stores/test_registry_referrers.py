"""Referrers: the API with pages, the fallback tag, and what must never be taken for *none*."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from airgap.errors import FormatError, StoreError
from airgap.oci.manifest import DOCKER_LIST, OCI_INDEX
from airgap.stores import Referrer
from tests.simulators.fake_registry import FakeRegistry, fail, run_registry
from tests.simulators.fake_server import Reply, Request
from tests.simulators.registry_scenes import image, index, put_image, referrer, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.oci.manifest import Manifest
    from airgap.stores.registry import RegistryRepository

SUBJECT = image()
SIGNATURE = referrer(SUBJECT)
SBOM = referrer(SUBJECT, "application/x-sbom")
TAG = SUBJECT.digest.tag_stem


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        put_image(registry, "app", SUBJECT, "v1")
        yield registry


@pytest.fixture
def repository(fake: FakeRegistry) -> Iterator[RegistryRepository]:
    with visit(fake, side="destination") as store:
        yield store.repository("app")


def put_fallback(fake: FakeRegistry, document: object, kind: str = OCI_INDEX) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    fake.add_manifest("app", data, kind, TAG)


def listed(fake: FakeRegistry) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = json.loads(fake.manifests["app"][TAG][0])["manifests"]
    return entries


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_the_api_is_asked_first_and_to_its_end(
    fake: FakeRegistry, repository: RegistryRepository, page: int
) -> None:
    fake.referrers_api, fake.page = True, page
    for manifest in (SIGNATURE, SBOM):
        put_image(fake, "app", manifest)
    found = repository.referrers(SUBJECT.digest)
    assert {each.descriptor.digest for each in found} == {SIGNATURE.digest, SBOM.digest}
    assert {(each.found, each.subject) for each in found} == {("api", SUBJECT.digest)}
    assert {each.descriptor.artifact_type for each in found} >= {"application/x-sbom"}
    assert not fake.asked("GET", TAG)


def test_no_referrers_by_the_api(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.referrers_api = True
    assert repository.referrers(SUBJECT.digest) == ()


def test_the_fallback_tag_is_asked_where_there_is_no_api(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    assert repository.referrers(SUBJECT.digest) == ()
    put_fallback(fake, json.loads(index(SIGNATURE, SBOM, SIGNATURE).data))
    assert repository.referrers(SUBJECT.digest) == (
        Referrer(descriptor=SIGNATURE.descriptor, subject=SUBJECT.digest, found="fallback"),
        Referrer(descriptor=SBOM.descriptor, subject=SUBJECT.digest, found="fallback"),
    )


@pytest.mark.parametrize("status", [400, 401, 403, 405, 500])
@pytest.mark.parametrize("part", ["referrers", "manifests"])
def test_what_could_not_be_asked_is_not_none(
    fake: FakeRegistry, repository: RegistryRepository, status: int, part: str
) -> None:
    fake.faults.append(fail(status, method="GET", part=part, times=9))
    with pytest.raises(StoreError):
        repository.referrers(SUBJECT.digest)


@pytest.mark.parametrize("reply", [
    Reply(body=b"<html>welcome</html>", headers={"Content-Type": "text/html"}),
    Reply(body=b"[]"), Reply(body=b"{}"), Reply(body=SUBJECT.data),
    Reply(body=index(SIGNATURE).data.replace(b"image.manifest.v1+json", b"unknown")),
    Reply(body=index(SIGNATURE).data.replace(b"sha256:", b"sha256:../")),
])  # fmt: skip
def test_an_api_that_answers_nonsense_is_not_none(
    fake: FakeRegistry, repository: RegistryRepository, reply: Reply
) -> None:
    fake.faults.append(lambda one: reply if "referrers" in one.path else None)
    with pytest.raises(StoreError) as caught:
        repository.referrers(SUBJECT.digest)
    assert caught.value.reason == "referrers-invalid"


def test_pages_without_end_are_given_up(fake: FakeRegistry, repository: RegistryRepository) -> None:
    asked = iter(range(10_000))
    children = [image(str(number).encode()) for number in range(900)]
    body = index(*children).data

    def fault(request: Request) -> Reply:
        link = {"Link": f'<{request.path}?next={next(asked)}>; rel="next"'}
        return Reply(body=body, headers=link)

    fake.faults.append(fault)
    with pytest.raises(StoreError, match="more than 10000 referrers"):
        repository.referrers(SUBJECT.digest)


@pytest.mark.parametrize(("document", "kind"), [
    (json.loads(SUBJECT.data), SUBJECT.media_type),
    ({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}, DOCKER_LIST),
    (b"hello", OCI_INDEX),
    ({"schemaVersion": 2, "mediaType": OCI_INDEX}, OCI_INDEX),
])  # fmt: skip
def test_a_tag_that_is_used_for_something_else_is_neither_read_nor_overwritten(
    fake: FakeRegistry, repository: RegistryRepository, document: object, kind: str
) -> None:
    put_fallback(fake, document, kind)
    before = dict(fake.manifests["app"])
    put_image(fake, "app", SIGNATURE)
    for visitor in (
        lambda: repository.referrers(SUBJECT.digest),
        lambda: repository.add_referrer(SIGNATURE),
    ):
        with pytest.raises(StoreError, match=f"the tag {TAG} of app") as caught:
            visitor()
        assert caught.value.reason == "referrers-fallback-invalid"
    assert fake.manifests["app"][TAG] == before[TAG]
    assert not fake.asked("PUT")


def test_a_registry_with_the_api_needs_no_tag(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.referrers_api = True
    repository.write_manifest(SIGNATURE)
    repository.add_referrer(SIGNATURE)
    assert TAG not in fake.manifests["app"]
    assert not fake.asked("GET", "referrers"), "OCI-Subject had said so"


def test_a_referrer_that_was_there_before_is_asked_for(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.referrers_api = True
    put_image(fake, "app", SIGNATURE)
    repository.add_referrer(SIGNATURE)
    assert not fake.asked("PUT")


def test_an_api_that_came_later_lists_what_is_written_again(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.referrers_api = True
    empty = Reply(body=b'{"schemaVersion":2,"mediaType":"%b","manifests":[]}' % OCI_INDEX.encode())
    fake.faults.append(lambda one: empty if "referrers" in one.path else None)
    repository.add_referrer(SIGNATURE)
    assert len(fake.asked("PUT")) == 1
    assert TAG not in fake.manifests["app"]


def test_an_api_that_does_not_announce_gets_the_tag(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    empty = Reply(body=b'{"schemaVersion":2,"mediaType":"%b","manifests":[]}' % OCI_INDEX.encode())
    fake.faults.append(lambda one: empty if "referrers" in one.path else None)
    repository.add_referrer(SIGNATURE)
    assert [entry["digest"] for entry in listed(fake)] == [str(SIGNATURE.digest)]


def test_the_fallback_tag_is_merged_into(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    theirs = {**SBOM.descriptor.to_json(), "artifactType": "a/b", "x-unknown": [1, "two"]}
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [theirs], "x": "kept"}
    put_fallback(fake, document)
    repository.write_manifest(SIGNATURE)
    repository.add_referrer(SIGNATURE)
    assert json.loads(fake.manifests["app"][TAG][0])["x"] == "kept"
    assert listed(fake) == [
        theirs,
        {
            **SIGNATURE.descriptor.to_json(),
            "artifactType": "application/x-signature",
            "annotations": {"made-by": "a test"},
        },
    ]
    writes = len(fake.asked("PUT"))
    repository.add_referrer(SIGNATURE)
    assert len(fake.asked("PUT")) == writes, "nothing is written twice"


def test_a_list_with_numbers_that_cannot_be_kept_is_not_touched(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    put_fallback(fake, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "x": 1.5})
    with pytest.raises(StoreError, match="is not an OCI index"):
        repository.add_referrer(SIGNATURE)


def test_the_artifact_type_of_an_image_is_its_config(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    plain = image(subject=SUBJECT.descriptor.to_json())
    nested = index(SUBJECT)
    document = {**json.loads(nested.data), "subject": SUBJECT.descriptor.to_json()}
    without = type(nested).parse(json.dumps(document).encode())
    for manifest in (plain, without):
        repository.add_referrer(manifest)
    first, second = listed(fake)
    assert first["artifactType"] == "application/vnd.oci.empty.v1+json"
    assert "artifactType" not in second


def test_a_manifest_without_subject_is_no_referrer(repository: RegistryRepository) -> None:
    with pytest.raises(FormatError, match="has no subject"):
        repository.add_referrer(SUBJECT)


def test_threads_do_not_lose_each_others_entries(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    manifests = [referrer(SUBJECT, f"application/x-{number}") for number in range(8)]
    threads = [
        threading.Thread(target=repository.add_referrer, args=[manifest]) for manifest in manifests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry["digest"] for entry in listed(fake)} == {str(each.digest) for each in manifests}


def interfere(fake: FakeRegistry, times: int, theirs: Manifest) -> None:
    """Let another writer replace the list right after each of the next `times` writes of it."""
    left = [times]

    def fault(request: Request) -> Reply | None:
        if request.method != "PUT" or TAG not in request.path or not left[0]:
            return None
        left[0] -= 1
        fake.manifests["app"][TAG] = (theirs.data, OCI_INDEX)
        return Reply(status=201)

    fake.faults.append(fault)


def test_another_writer_is_taken_in(fake: FakeRegistry, repository: RegistryRepository) -> None:
    interfere(fake, 2, index(SBOM))
    repository.add_referrer(SIGNATURE)
    assert [entry["digest"] for entry in listed(fake)] == [str(SBOM.digest), str(SIGNATURE.digest)]


def test_a_writer_that_never_stops_is_told(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    interfere(fake, 99, index(SBOM))
    with pytest.raises(StoreError) as caught:
        repository.add_referrer(SIGNATURE)
    assert caught.value.reason == "tag-race"


def test_a_registry_that_refuses_the_list(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.faults.append(fail(400, method="PUT", part=TAG))
    with pytest.raises(StoreError) as caught:
        repository.add_referrer(SIGNATURE)
    assert caught.value.reason == "manifest-refused"
