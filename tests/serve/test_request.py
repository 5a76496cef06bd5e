from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.serve.request import Request, parse_head
from airgap.serve.response import Response


def parsed(head: bytes) -> Request:
    request = parse_head(head)
    assert isinstance(request, Request)
    return request


def refused(head: bytes) -> Response:
    response = parse_head(head)
    assert isinstance(response, Response)
    assert response.close, "after a head that was not understood, nothing can follow"
    return response


def test_a_head_is_method_path_query_and_headers() -> None:
    request = parsed(
        b"GET /v2/a%2Fb/tags/list?n=1&last=%C3%A4&empty= HTTP/1.1\r\n"
        b"Host: localhost\r\nACCEPT:  a/b \r\nAccept:c/d"
    )
    assert (request.method, request.path) == ("GET", "/v2/a/b/tags/list")
    assert dict(request.query) == {"n": ("1",), "last": ("ä",), "empty": ("",)}
    assert request.headers["accept"] == "a/b, c/d"
    assert request.keep_alive
    assert not request.has_body


def test_a_target_may_name_the_host_as_for_a_proxy() -> None:
    assert parsed(b"GET http://localhost:5000/v2/ HTTP/1.1\r\nHost: x").path == "/v2/"


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Foo, CLOSE", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: closely", True),
        (b"GET / HTTP/1.0", False),
    ],
)
def test_who_keeps_the_connection(head: bytes, keeps: bool) -> None:
    assert parsed(head).keep_alive is keeps


@pytest.mark.parametrize(
    "header", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Content-Length: x"]
)
def test_a_body_is_noticed(header: bytes) -> None:
    assert parsed(b"GET / HTTP/1.1\r\nHost: x\r\n" + header).has_body


def test_a_body_of_no_bytes_is_none() -> None:
    assert not parsed(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0").has_body


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /",
        b"GET  / HTTP/1.1\r\nHost: x",
        b"GET / HTTP/1.1 \r\nHost: x",
        b"GET /\xff HTTP/1.1\r\nHost: x",
        b"G(T / HTTP/1.1\r\nHost: x",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded",
        b"GET / HTTP/1.1\r\nHost: a\nX: b",
        b"GET / HTTP/1.1\r\nHost: a\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\n: empty",
        b"GET / HTTP/1.1\r\nHost: a" + b"\r\nX: y" * 101,
        b"GET /?" + b"a=1&" * 50 + b" HTTP/1.1\r\nHost: a",
    ],
)
def test_what_could_be_two_messages_is_400(head: bytes) -> None:
    assert refused(head).status == 400


def test_another_version_is_505() -> None:
    assert refused(b"PRI * HTTP/2.0").status == 505


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    assert isinstance(parse_head(data), Request | Response)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.lists(st.tuples(st.from_regex(r"[A-Za-z-]+", fullmatch=True), st.text(max_size=20))),
)
def test_any_target_and_headers_are_a_request_or_a_refusal(
    target: str, headers: list[tuple[str, str]]
) -> None:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join(lines).encode()
    assert isinstance(parse_head(head), Request | Response)
