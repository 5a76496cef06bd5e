"""Routes without sockets: whatever is asked, the answer is a Response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airgap.errors import IntegrityError, NotFoundError
from airgap.serve.request import Request
from airgap.serve.response import Part, Response
from airgap.serve.routes import answer, unavailable
from tests.serve.content import NOTHING, Content, request

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.serve.catalog import Catalog

LARGE = b"x" * ((1 << 20) + 1)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    content = Content(root=tmp_path_factory.mktemp("routes") / "store")
    content.record("app", content.image(b"small", LARGE), "1")
    return content


@pytest.fixture(scope="module")
def catalog(content: Content) -> Catalog:
    return content.catalog()


def image(content: Content) -> Descriptor:
    return content.image(b"small", LARGE)


def test_content_is_answered_by_reference_not_by_value(catalog: Catalog, content: Content) -> None:
    response = answer(catalog, request("/v2/app/manifests/1"))
    assert isinstance(response.body, Part)
    assert (response.body.kind, response.body.hashed) == ("manifest", True)
    assert response.body.descriptor.digest == image(content).digest
    assert response.length == image(content).size


@pytest.mark.parametrize(("number", "hashed"), [(0, True), (1, False)])
def test_small_blobs_are_hashed_before_they_are_sent(
    catalog: Catalog, content: Content, number: int, hashed: bool
) -> None:
    blob = content.blob(image(content), number)
    response = answer(catalog, request(f"/v2/app/blobs/{blob.digest}"))
    assert isinstance(response.body, Part)
    assert response.body.hashed is hashed


def test_a_head_ignores_the_range(catalog: Catalog, content: Content) -> None:
    blob = content.blob(image(content))
    head = request(f"/v2/app/blobs/{blob.digest}", "HEAD", headers={"range": "bytes=1-2"})
    response = answer(catalog, head)
    assert (response.status, response.length) == (200, blob.size)


def test_what_cannot_be_opened_is_told_without_paths(content: Content) -> None:
    blob = content.blob(image(content))
    part = Part(descriptor=blob, start=0, stop=blob.size, kind="blob", hashed=True)
    gone = unavailable(part, NotFoundError("/secret/path", reason="x"))
    assert (gone.status, b"BLOB_UNKNOWN" in bytes(str(gone.body), "ascii")) == (404, True)
    for error in (IntegrityError("/secret/path", reason="x"), PermissionError(13, "no", "/secret")):
        broken = unavailable(part, error)
        assert broken.status == 500
        assert b"secret" not in bytes(str(broken.body), "ascii")
        assert unavailable(None, error).status == 500


PIECES = st.one_of(
    st.sampled_from(
        ["v2", "app", "manifests", "blobs", "referrers", "tags", "list", "uploads", "_catalog",
         "..", ".", "", "1", str(NOTHING), "sha256:", "\n", "\x00", "%2F", "é", "a" * 300]
    ),
    st.text(max_size=8),
)  # fmt: skip
PATHS = st.one_of(
    st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "/".join(pieces)), st.text()
)
VALUES = st.lists(PIECES, min_size=1, max_size=2).map(tuple)
QUERIES = st.dictionaries(st.sampled_from(["n", "last", "ns", "artifactType", "x"]), VALUES)
HEADERS = st.dictionaries(
    st.sampled_from(["range", "if-range", "if-none-match", "accept", "host"]), st.text(max_size=20)
)
METHODS = st.one_of(st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]), st.text(max_size=5))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METHODS, PATHS, QUERIES, HEADERS)
def test_any_request_is_answered_with_a_response(
    catalog: Catalog,
    method: str,
    path: str,
    query: dict[str, tuple[str, ...]],
    headers: dict[str, str],
) -> None:
    response = answer(catalog, Request(method=method, path=path, query=query, headers=headers))
    assert isinstance(response, Response)
    assert response.status in {200, 206, 304, 400, 404, 405, 416}
    for name, value in response.headers:
        assert (name + value).isascii()
        assert (name + value).isprintable(), "no request can write a header of its own"
    if method not in {"GET", "HEAD"}:
        assert response.status in {400, 405}


@given(st.text(max_size=80))
def test_only_digests_lead_to_content(catalog: Catalog, text: str) -> None:
    for kind in ("manifests", "blobs"):
        response = answer(catalog, request(f"/v2/app/{kind}/{text}"))
        assert not isinstance(response.body, Part) or text == "1"
