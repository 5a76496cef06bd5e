"""Errors are those of the specification, and whatever would write is refused (end-4 to end-11).

Source: OCI distribution-spec 1.1. Each test is named after the requirement and cites the endpoint's
id. All of them ask a real server over a real socket, which serves a real layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serve.content import NOTHING
from tests.serve.sites import APP, BASE

if TYPE_CHECKING:
    from tests.serve.content import Client
    from tests.serve.sites import Site


@pytest.mark.parametrize(
    "name", ["Upper/case", "a//b", "-a", "a/" + "b" * 256, "a%00b", "..", "a/%2e%2e/b"]
)
def test_a_name_outside_the_grammar_is_400(client: Client, name: str) -> None:
    reply = client.get(f"/v2/{name}/tags/list")
    assert (reply.status, reply.code) == (400, "NAME_INVALID")


def test_error_codes_are_those_of_the_specification(client: Client) -> None:
    reply = client.get(f"{BASE}/blobs/{NOTHING}")
    [error] = reply.json["errors"]
    assert error["code"] == "BLOB_UNKNOWN"
    assert error["message"]
    assert error["detail"] == {"blob": str(NOTHING)}
    assert set(reply.json) == {"errors"}


WRITES = [
    ("POST", f"{BASE}/blobs/uploads/"),  # end-4a
    ("POST", f"{BASE}/blobs/uploads/?digest={NOTHING}"),  # end-4b
    ("PATCH", f"{BASE}/blobs/uploads/1234"),  # end-5
    ("PUT", f"{BASE}/blobs/uploads/1234?digest={NOTHING}"),  # end-6
    ("PUT", f"{BASE}/manifests/new"),  # end-7
    ("DELETE", f"{BASE}/manifests/1.4"),  # end-9
    ("DELETE", f"{BASE}/blobs/{NOTHING}"),  # end-10
    ("POST", f"{BASE}/blobs/uploads/?mount={NOTHING}&from=a"),  # end-11
    ("POST", "/v2/"),
    ("PUT", "/v2/_catalog"),
    ("DELETE", "/elsewhere"),
    ("OPTIONS", "/v2/"),
    ("BREW", "/v2/"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_every_write_is_405_unsupported_and_changes_nothing(
    client: Client, site: Site, method: str, path: str
) -> None:
    before = (site.content.root / "index.json").read_bytes()
    reply = client.ask(path, method, body=b"written")
    assert (reply.status, reply.code) == (405, "UNSUPPORTED")
    assert reply.headers["Allow"] == "GET, HEAD"
    assert (site.content.root / "index.json").read_bytes() == before
    assert client.get(f"{BASE}/manifests/1.4").status == 200


def test_a_write_to_a_digest_that_is_none_is_400_unsupported(client: Client) -> None:
    """The official suite of 1.1 puts such a manifest and takes 400 or 404, and no 405."""
    reply = client.ask(f"{BASE}/manifests/sha256:totallywrong", "PUT", body=b"blablabla")
    assert (reply.status, reply.code) == (400, "UNSUPPORTED")


def test_end_13_there_is_no_upload_to_ask_about(client: Client) -> None:
    reply = client.get(f"{BASE}/blobs/uploads/1234")
    assert (reply.status, reply.code) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    "path", ["/", "/v1/", "/v2/a", "/v2/a/tags/all", f"{BASE}/tags/list/", "/v3/x/tags/list"]
)
def test_what_is_no_endpoint_is_404(client: Client, path: str) -> None:
    path = path.replace("/v2/a/tags/all", f"{BASE}/tags/all")
    reply = client.get(path)
    assert (reply.status, reply.code) == (404, "UNSUPPORTED")


def test_the_catalog_lists_repositories_by_pages(client: Client) -> None:
    names = [APP, "registry.example/prod/other", "registry.example/untagged"]
    assert client.get("/v2/_catalog").json == {"repositories": names}
    page = client.get("/v2/_catalog?n=2")
    assert page.json == {"repositories": names[:2]}
    following = page.headers["Link"].split(">")[0].removeprefix("<")
    assert client.get(following).json == {"repositories": names[2:]}
