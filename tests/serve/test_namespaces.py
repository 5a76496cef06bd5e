"""`?ns=`: one server as the mirror of several registries, as containerd asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serve.content import Content
from tests.serve.sites import BASE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serve.content import Client
    from tests.serve.sites import Site


def test_ns_puts_the_host_before_the_name(client: Client, site: Site) -> None:
    reply = client.get("/v2/prod/app/manifests/1.4?ns=registry.example")
    assert (reply.status, reply.body) == (200, site.content.data(site.image))
    blob = site.content.blob(site.amd64)
    assert client.get(f"/v2/prod/app/blobs/{blob.digest}?ns=registry.example").status == 200
    assert client.get("/v2/prod/app/manifests/1.4").code == "NAME_UNKNOWN"
    assert client.get("/v2/prod/app/manifests/1.4?ns=other.example").code == "NAME_UNKNOWN"


def test_ns_stays_in_the_link(client: Client) -> None:
    reply = client.get("/v2/prod/app/tags/list?n=5&ns=registry.example")
    assert reply.json["name"] == "prod/app"
    following = reply.headers["Link"].split(">")[0].removeprefix("<")
    assert client.get(following).json["tags"] == ["v9"]


def test_ns_is_allowed_where_the_path_has_the_host_already(client: Client) -> None:
    assert client.get(f"{BASE}/tags/list?ns=registry.example").status == 200
    assert client.get(f"{BASE}/tags/list?ns=other.example").code == "NAME_UNKNOWN"


@pytest.mark.parametrize(
    ("recorded", "path", "ns"),
    [
        ("docker.io/library/nginx", "library/nginx", "docker.io"),
        ("docker.io/library/nginx", "nginx", "docker.io"),
        ("docker.io/library/nginx", "library/nginx", "registry-1.docker.io"),
        ("docker.io/team/app", "team/app", "index.docker.io"),
        ("127.0.0.1__5000/app", "app", "127.0.0.1:5000"),
        ("localhost__5000/app", "app", "localhost:5000"),
        ("registry.example/app", "app", "Registry.Example"),
    ],
)
def test_ns_names_are_those_of_an_import(tmp_path: Path, recorded: str, path: str, ns: str) -> None:
    content = Content(root=tmp_path / "store")
    content.record(recorded, content.image(b"layer"), "1")
    with content.serve() as client:
        assert client.get(f"/v2/{path}/manifests/1?ns={ns}").status == 200


@pytest.mark.parametrize(
    "ns", ["library", "a.example/b", "a.example:x", "a@b", "%5B::1%5D:5000", "a.b%00"]
)
def test_an_ns_that_is_no_registry_is_400(client: Client, ns: str) -> None:
    reply = client.get(f"/v2/prod/app/tags/list?ns={ns}")
    assert (reply.status, reply.code) == (400, "NAME_INVALID")


@pytest.mark.parametrize("query", ["ns=a.b&ns=c.d", "n=1&n=2", "last=a&last=b"])
def test_a_parameter_that_stands_there_twice_is_400(client: Client, query: str) -> None:
    reply = client.get(f"{BASE}/tags/list?{query}")
    assert (reply.status, reply.code) == (400, "UNSUPPORTED")
