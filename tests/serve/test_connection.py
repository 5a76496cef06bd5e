"""One connection: kept alive, slow, rude, or too large."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from airgap.serve.server import Limits
from tests.serve.content import Content, connect, everything, large

GET_BASE = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"


def send_until_cut(sock: socket.socket, data: bytes, *, times: int, pause: float = 0) -> bool:
    """Send `data` so many times; tell whether the other side ended the connection before."""
    try:
        for _ in range(times):
            sock.sendall(data)
            time.sleep(pause)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_a_connection_is_kept_for_the_next_request(content: Content) -> None:
    with content.serve() as client:
        client.get("/v2/")
        used = client.connection.sock
        client.get("/v2/no/such/tags/list")
        client.head("/v2/")
        assert client.connection.sock is used


def test_requests_that_come_at_once_are_answered_in_order(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        sock.sendall(
            b"\r\n" + GET_BASE + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        first, second = everything(sock).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 OK")
    assert second.startswith(b"404 Not Found")
    assert b"Connection: close" in second


def test_http_1_0_is_answered_and_closed(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        sock.sendall(b"GET /v2/ HTTP/1.0\r\n\r\n")
        assert b"Connection: close" in everything(sock)


def test_a_head_that_comes_in_pieces_is_put_together(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        for byte in GET_BASE.replace(b"Host", b"Connection: close\r\nHost"):
            sock.sendall(bytes([byte]))
        assert everything(sock).startswith(b"HTTP/1.1 200")


def test_every_answer_has_a_date_and_forbids_sniffing(content: Content) -> None:
    with content.serve() as client:
        reply = client.get("/v2/")
    assert reply.headers["Date"].endswith("GMT")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_body_is_never_taken_for_the_next_request(content: Content) -> None:
    smuggled = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
    head = (
        f"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    )
    with content.serve() as client, connect(client) as sock:
        sock.sendall(head.encode() + smuggled)
        data = everything(sock)
    assert data.count(b"HTTP/1.1 ") == 1
    assert data.startswith(b"HTTP/1.1 405")


def test_a_large_upload_reads_its_refusal(content: Content) -> None:
    with content.serve() as client:
        reply = client.ask("/v2/app/blobs/uploads/", "POST", body=b"x" * (900 << 10))
        assert (reply.status, reply.code) == (405, "UNSUPPORTED")


def test_an_upload_without_end_is_cut_off(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        sock.sendall(b"POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n")
        assert send_until_cut(sock, b"x" * 65536, times=2000)


def test_a_head_that_is_too_large_is_431(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        sock.sendall(b"GET /v2/ HTTP/1.1\r\nX: " + b"y" * (17 << 10))
        assert everything(sock).startswith(b"HTTP/1.1 431")


def test_what_is_no_request_is_400_and_the_end(content: Content) -> None:
    with content.serve() as client, connect(client) as sock:
        sock.sendall(b"\x16\x03\x01 a TLS client\r\n\r\n" + GET_BASE)
        data = everything(sock)
    assert data.startswith(b"HTTP/1.1 400")
    assert data.count(b"HTTP/1.1 ") == 1


def test_a_tls_client_is_told_at_once(content: Content) -> None:
    """Skopeo tries TLS first and would wait for as long as we wait for the end of the head."""
    with content.serve(limits=Limits(head_seconds=60)) as client, connect(client) as sock:
        context = ssl.create_default_context()
        begun = time.monotonic()
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_hostname="localhost")
        assert time.monotonic() - begun < 10


def test_a_slow_head_is_408(content: Content) -> None:
    with content.serve(limits=Limits(head_seconds=0.3)) as client, connect(client) as sock:
        begun = time.monotonic()
        sock.sendall(b"GET /v2/ HT")
        data = everything(sock)
    assert data.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 10


def test_dripping_bytes_does_not_renew_the_deadline(content: Content) -> None:
    limits = Limits(head_seconds=0.4, idle_seconds=30)
    with content.serve(limits=limits) as client, connect(client) as sock:
        sock.sendall(b"GET /v2/ HTTP/1.1\r\nX: ")
        assert send_until_cut(sock, b"y", times=200, pause=0.05)


def test_an_idle_connection_ends_without_a_word(content: Content) -> None:
    with content.serve(limits=Limits(idle_seconds=0.2)) as client, connect(client) as sock:
        assert everything(sock) == b""


def test_a_client_that_takes_nothing_is_let_go(content: Content) -> None:
    layer = large(content)
    limits = Limits(connections=1, send_seconds=0.3)
    with content.serve(limits=limits) as client, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", client.server.port))
        sock.sendall(f"GET /v2/app/blobs/{layer.digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.get("/v2/").status == 200, "its place is free again"


def test_a_client_that_leaves_in_the_middle_does_no_harm(content: Content) -> None:
    layer = large(content)
    with content.serve() as client:
        for _ in range(3):
            with connect(client) as sock:
                sock.sendall(
                    f"GET /v2/app/blobs/{layer.digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
                )
                sock.recv(1000)
        assert client.get("/v2/").status == 200
