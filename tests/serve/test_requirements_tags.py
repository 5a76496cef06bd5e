"""One test for each requirement on listing tags (end-8a, end-8b).

Source: OCI distribution-spec 1.1. Each test is named after the requirement and cites the endpoint's
id. All of them ask a real server over a real socket, which serves a real layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.serve.sites import APP, BASE

if TYPE_CHECKING:
    from tests.serve.content import Client


def ordered() -> list[str]:
    return ["1.4", "alpha", "Beta", "latest", "v10", "v9"]


def test_end_8a_the_tags_of_a_repository_are_200_in_lexical_order(client: Client) -> None:
    reply = client.get(f"{BASE}/tags/list")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == {"name": APP, "tags": ordered()}
    assert "Link" not in reply.headers


def test_end_8a_the_list_of_tags_may_be_empty(client: Client) -> None:
    reply = client.get("/v2/registry.example/untagged/tags/list")
    assert (reply.status, reply.json["tags"]) == (200, [])


def test_end_8a_an_unknown_repository_is_404(client: Client) -> None:
    reply = client.get("/v2/no/such/tags/list")
    assert (reply.status, reply.code) == (404, "NAME_UNKNOWN")


def test_end_8b_n_limits_the_number_of_tags(client: Client) -> None:
    reply = client.get(f"{BASE}/tags/list?n=3")
    assert reply.json["tags"] == ordered()[:3]
    assert reply.headers["Link"] == f'<{BASE}/tags/list?n=3&last=Beta>; rel="next"'


def test_end_8b_all_tags_are_there_when_n_is_as_large(client: Client) -> None:
    for n in (6, 7, 10**17):
        reply = client.get(f"{BASE}/tags/list?n={n}")
        assert reply.json["tags"] == ordered()
        assert "Link" not in reply.headers


def test_end_8b_n_of_zero_is_an_empty_list_without_link(client: Client) -> None:
    reply = client.get(f"{BASE}/tags/list?n=0")
    assert (reply.status, reply.json["tags"]) == (200, [])
    assert "Link" not in reply.headers


def test_end_8b_last_begins_after_the_tag(client: Client) -> None:
    assert client.get(f"{BASE}/tags/list?n=2&last=alpha").json["tags"] == ["Beta", "latest"]


def test_end_8b_last_without_n_and_last_that_is_no_tag_of_the_repository(client: Client) -> None:
    assert client.get(f"{BASE}/tags/list?last=latest").json["tags"] == ["v10", "v9"]
    assert client.get(f"{BASE}/tags/list?last=b").json["tags"] == ordered()[2:]
    assert client.get(f"{BASE}/tags/list?last=zzz").json["tags"] == []


def test_end_8b_following_link_gives_every_tag_once(client: Client) -> None:
    path, seen = f"{BASE}/tags/list?n=4", []
    while path:
        reply = client.get(path)
        seen += reply.json["tags"]
        path = reply.headers.get("Link", "<>").split(">")[0].removeprefix("<")
    assert seen == ordered()


@pytest.mark.parametrize("n", ["-1", "x", "1.0", "", "²", "9" * 19])
def test_end_8b_an_n_that_is_no_number_is_400(client: Client, n: str) -> None:
    reply = client.get(f"{BASE}/tags/list?n={quote(n)}")
    assert (reply.status, reply.code) == (400, "UNSUPPORTED")
