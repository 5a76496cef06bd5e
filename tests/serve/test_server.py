"""The server: many clients at once, places that run out, its start and its end."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from airgap.serve.server import DEFAULT_PORT, Limits, serve
from tests.serve.content import Content, connect, everything, large, running

GET_BASE = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"


def test_many_clients_pull_at_once(content: Content) -> None:
    layer = large(content, 8 << 20)
    small = content.image(b"small")
    content.record("app", small, "small")

    def pull(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=60)
        for _ in range(3):
            connection.request("GET", f"/v2/app/blobs/{layer.digest}")
            assert hashlib.sha256(connection.getresponse().read()).hexdigest() == layer.digest.hex
            connection.request("GET", f"/v2/app/manifests/{'small' if number % 2 else 'large'}")
            assert connection.getresponse().read()
        connection.close()

    with content.serve() as client, ThreadPoolExecutor(32) as pool:
        list(pool.map(pull, range(32)))


def test_the_connection_that_is_idle_longest_gives_way(content: Content) -> None:
    with content.serve(limits=Limits(connections=2)) as client, ExitStack() as stack:
        socks = []
        for _ in range(3):
            socks.append(stack.enter_context(connect(client)))
            socks[-1].sendall(GET_BASE)
            assert socks[-1].recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.05)
        assert socks[0].recv(1) == b""
        socks[1].sendall(GET_BASE)
        assert socks[1].recv(4096).startswith(b"HTTP/1.1 200")


def test_too_many_busy_clients_are_told_503(content: Content) -> None:
    limits = Limits(connections=1, wait_seconds=0.3)
    with content.serve(limits=limits) as client, connect(client) as busy:
        busy.sendall(b"GET /v2/ HTTP")
        time.sleep(0.1)
        with connect(client) as other:
            data = everything(other)
        assert data.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in data
        assert b"TOOMANYREQUESTS" in data
        busy.sendall(b"/1.1\r\nHost: x\r\n\r\n")
        assert busy.recv(4096).startswith(b"HTTP/1.1 200")


def test_slow_clients_do_not_keep_others_out(content: Content) -> None:
    limits = Limits(connections=4, head_seconds=0.5, wait_seconds=20)
    with content.serve(limits=limits) as client:
        slow = [connect(client) for _ in range(8)]
        for sock in slow:
            sock.sendall(b"GET /v2/ HT")
        assert client.get("/v2/").status == 200
        for sock in slow:
            sock.close()


def test_it_listens_on_loopback_unless_told_otherwise(content: Content) -> None:
    with serve(content.catalog(), port=0) as server:
        assert server.host == "127.0.0.1"
        assert server.port != 0
    assert DEFAULT_PORT == 5000


def test_it_listens_on_ipv6(content: Content) -> None:
    try:
        server = serve(content.catalog(), "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        server.start()
        connection = http.client.HTTPConnection("::1", server.port, timeout=20)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_port_that_is_taken_is_an_error_of_the_system(content: Content) -> None:
    with serve(content.catalog(), port=0) as server, pytest.raises(OSError, match="in use"):
        serve(content.catalog(), port=server.port)


def test_shutdown_ends_serve_forever_and_every_connection(content: Content) -> None:
    server = serve(content.catalog(), port=0)
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
            sock.sendall(GET_BASE)
            assert sock.recv(4096)
            server.shutdown()
            assert sock.recv(1) == b""
        thread.join(10)
        assert not thread.is_alive()
        server.shutdown()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_shutdown_from_a_signal_handler_ends_the_main_thread(content: Content) -> None:
    with serve(content.catalog(), port=0) as server:
        before = signal.signal(signal.SIGUSR1, lambda *_: server.shutdown())
        try:
            timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGUSR1])
            timer.start()
            server.serve_forever()
            timer.join()
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_a_newcomer_does_not_hold_up_the_end(content: Content) -> None:
    limits = Limits(connections=1, wait_seconds=60)
    with content.serve(limits=limits) as client, connect(client) as busy, connect(client):
        busy.sendall(b"GET ")
        time.sleep(0.3)
        begun = time.monotonic()
        client.server.shutdown()
        assert time.monotonic() - begun < 4


def test_an_accept_that_fails_does_not_end_the_server(
    content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(socket.socket):
        """A listener that once has no descriptor left, and once nobody waiting."""

        faults: list[OSError]

        def accept(self) -> tuple[socket.socket, object]:
            if self.faults:
                raise self.faults.pop()
            return super().accept()

    with serve(content.catalog(), port=0) as server:
        failing = Failing(fileno=server._listener.detach())
        failing.faults = [OSError(24, "Too many open files"), BlockingIOError()]
        server._listener = failing
        with running(server) as client:
            assert client.get("/v2/").status == 200
    assert "Too many open files" in caplog.text


def test_requests_are_logged_with_what_could_fool_a_terminal_shown(
    content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airgap.serve")
    with content.serve() as client:
        client.get("/v2/%1b%5b31m%0aforged/tags/list")
        with connect(client) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            everything(sock)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        r"127.0.0.1 GET /v2/\u{1b}[31m\u{a}forged/tags/list 404",
        "127.0.0.1 ? 400",
    ]


def test_a_server_that_is_ended_as_soon_as_it_starts_says_nothing(
    content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        with serve(content.catalog(), port=0) as server:
            server.start()
    assert caplog.text == ""
