"""One test for each requirement on pulling: the base, manifests, blobs (end-1, end-2, end-3).

Source: OCI distribution-spec 1.1. Each test is named after the requirement and cites the endpoint's
id. All of them ask a real server over a real socket, which serves a real layout.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airgap.oci.digest import Digest
from airgap.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.serve.content import EMPTY, NOTHING, Content
from tests.serve.sites import BASE

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor
    from tests.serve.content import Client
    from tests.serve.sites import Site


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_end_1_the_base_answers_200(client: Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status == 200
    assert reply.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert reply.json == {}


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_end_3_get_of_an_existing_manifest_is_200_with_the_expected_manifest(
    client: Client, site: Site, by: str
) -> None:
    target = "1.4" if by == "tag" else str(site.image.digest)
    reply = client.get(f"{BASE}/manifests/{target}")
    assert reply.status == 200
    assert reply.body == site.content.data(site.image)


def test_end_3_a_child_of_an_index_is_pulled_by_digest(client: Client, site: Site) -> None:
    reply = client.get(f"{BASE}/manifests/{site.arm64.digest}")
    assert (reply.status, reply.body) == (200, site.content.data(site.arm64))


def test_end_3_the_content_type_is_that_of_the_manifest_without_parameters(
    client: Client, site: Site
) -> None:
    assert client.get(f"{BASE}/manifests/1.4").headers["Content-Type"] == OCI_INDEX
    child = client.get(f"{BASE}/manifests/{site.amd64.digest}")
    assert child.headers["Content-Type"] == OCI_MANIFEST


def test_end_3_a_manifest_keeps_its_type_whatever_accept_says(client: Client, site: Site) -> None:
    for accept in (OCI_INDEX, DOCKER_MANIFEST, "*/*", "text/html"):
        reply = client.get(f"{BASE}/manifests/1.4", Accept=accept)
        assert (reply.status, reply.headers["Content-Type"]) == (200, OCI_INDEX)


def test_end_3_docker_content_digest_is_the_digest_of_the_manifest(
    client: Client, site: Site
) -> None:
    reply = client.get(f"{BASE}/manifests/latest")
    assert reply.headers["Docker-Content-Digest"] == str(Digest.of(reply.body))


@pytest.mark.parametrize(
    "target", ["no-such-tag", str(NOTHING), ".INVALID_MANIFEST_NAME", "t" * 129, "a b"]
)
def test_end_3_a_manifest_that_is_not_in_the_repository_is_404(client: Client, target: str) -> None:
    reply = client.get(f"{BASE}/manifests/{quote(target)}")
    assert (reply.status, reply.code) == (404, "MANIFEST_UNKNOWN")


def test_end_3_a_manifest_of_another_repository_is_404(client: Client, site: Site) -> None:
    reply = client.get(f"{BASE}/manifests/{site.other.digest}")
    assert (reply.status, reply.code) == (404, "MANIFEST_UNKNOWN")


def test_end_3_pull_of_a_nonexistent_repository_is_404(client: Client) -> None:
    reply = client.get("/v2/no/such/manifests/latest")
    assert (reply.status, reply.code) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize(
    "digest",
    ["sha256:totallywrong", "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha512:" + "0" * 128],
)
def test_end_3_a_digest_that_is_none_is_400(client: Client, digest: str) -> None:
    reply = client.get(f"{BASE}/manifests/{digest}")
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_end_3_head_of_an_existing_manifest_is_200_with_length_and_digest(
    client: Client, site: Site, by: str
) -> None:
    target = "1.4" if by == "tag" else str(site.image.digest)
    reply = client.head(f"{BASE}/manifests/{target}")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Length"] == str(site.image.size)
    assert reply.headers["Docker-Content-Digest"] == str(site.image.digest)
    assert reply.headers["Content-Type"] == OCI_INDEX


@pytest.mark.parametrize("target", ["no-such-tag", str(NOTHING)])
def test_end_3_head_of_an_unknown_manifest_is_404_without_a_body(
    client: Client, target: str
) -> None:
    reply = client.head(f"{BASE}/manifests/{target}")
    assert (reply.status, reply.body) == (404, b"")


@pytest.mark.parametrize("number", [-1, 0])
def test_end_2_get_of_an_existing_blob_is_200_with_the_expected_blob(
    client: Client, site: Site, number: int
) -> None:
    blob = site.content.blob(site.amd64, number)
    reply = client.get(f"{BASE}/blobs/{blob.digest}")
    assert (reply.status, reply.body) == (200, site.content.data(blob))
    assert reply.headers["Content-Type"] == "application/octet-stream"


def test_end_2_docker_content_digest_is_the_digest_of_the_blob(client: Client, site: Site) -> None:
    blob = site.content.blob(site.amd64)
    reply = client.get(f"{BASE}/blobs/{blob.digest}")
    assert reply.headers["Docker-Content-Digest"] == str(Digest.of(reply.body))


def test_end_2_head_of_an_existing_blob_is_200_with_length_and_digest(
    client: Client, site: Site
) -> None:
    blob = site.content.blob(site.amd64)
    reply = client.head(f"{BASE}/blobs/{blob.digest}")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Length"] == str(blob.size)
    assert reply.headers["Docker-Content-Digest"] == str(blob.digest)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_end_2_a_blob_that_is_not_in_the_repository_is_404(client: Client, method: str) -> None:
    reply = client.ask(f"{BASE}/blobs/{NOTHING}", method)
    assert reply.status == 404
    assert method == "HEAD" or reply.code == "BLOB_UNKNOWN"


def test_end_2_a_blob_of_another_repository_is_404(client: Client, site: Site) -> None:
    blob = site.content.blob(site.other)
    assert client.get(f"{BASE}/blobs/{blob.digest}").code == "BLOB_UNKNOWN"
    assert client.get(f"/v2/registry.example/prod/other/blobs/{blob.digest}").status == 200


def test_end_2_range_requests_are_supported(client: Client, site: Site) -> None:
    blob = site.content.blob(site.amd64)
    reply = client.get(f"{BASE}/blobs/{blob.digest}", Range="bytes=2-5")
    assert (reply.status, reply.body) == (206, site.content.data(blob)[2:6])
    assert reply.headers["Content-Range"] == f"bytes 2-5/{blob.size}"
    assert client.get(f"{BASE}/blobs/{blob.digest}").headers["Accept-Ranges"] == "bytes"


def test_end_2_a_range_that_does_not_exist_is_416(client: Client, site: Site) -> None:
    blob = site.content.blob(site.amd64)
    reply = client.get(f"{BASE}/blobs/{blob.digest}", Range=f"bytes={blob.size}-")
    assert (reply.status, reply.code) == (416, "SIZE_INVALID")
    assert reply.headers["Content-Range"] == f"bytes */{blob.size}"


@pytest.mark.parametrize("kind", ["blobs", "manifests"])
def test_end_2_and_3_content_that_the_client_has_is_304(
    client: Client, site: Site, kind: str
) -> None:
    digest = (site.content.blob(site.amd64) if kind == "blobs" else site.amd64).digest
    first = client.get(f"{BASE}/{kind}/{digest}")
    assert first.headers["Cache-Control"] == "max-age=31536000, immutable"
    again = client.get(f"{BASE}/{kind}/{digest}", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert client.get(f"{BASE}/{kind}/{digest}", If_None_Match='"other"').status == 200


def test_end_3_a_tag_may_move_so_it_is_asked_again(client: Client) -> None:
    assert client.get(f"{BASE}/manifests/1.4").headers["Cache-Control"] == "no-cache"


def test_a_manifest_is_served_byte_for_byte(tmp_path: Path) -> None:
    content = Content(root=tmp_path / "store")
    odd = content.image(b"layer")
    document = json.dumps(json.loads(content.data(odd)) | {"unknown": [1.5]}, indent=3).encode()
    content.record("app", content.put(document, OCI_MANIFEST), "1")
    with content.serve() as client:
        assert client.get("/v2/app/manifests/1").body == document


def all_of(site: Site) -> list[Descriptor]:
    return [site.image, site.amd64, site.arm64, site.sbom, site.signature, site.list]


def test_all_manifests_of_a_repository_are_pulled_by_digest(client: Client, site: Site) -> None:
    for descriptor in all_of(site):
        reply = client.get(f"{BASE}/manifests/{descriptor.digest}")
        assert (reply.status, reply.body) == (200, site.content.data(descriptor))
    blob = Digest.of(b"{}")
    assert client.get(f"{BASE}/blobs/{blob}").body == b"{}"
    assert EMPTY
