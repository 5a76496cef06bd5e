"""What is tried again, how long is waited, and what is final."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    StoreError,
)
from tests.simulators.fake_registry import FakeRegistry, fail, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import image, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER = os.urandom(3 << 20)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


def drip(seconds: float) -> Iterator[bytes]:
    while True:
        yield b"x"
        time.sleep(seconds)


def test_a_silent_registry_times_out(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(pieces=drip(30)))
    with visit(fake, timeout=(1.0, 0.2), retries=1) as store, pytest.raises(StoreError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "registry-unreachable"
    assert len(fake.seen) == 2


def test_an_answer_that_comes_too_slowly_is_given_up(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap.stores.registry_http._BODY_SECONDS", 0.2)
    fake.faults.append(lambda _: Reply(pieces=drip(0.05)))
    with visit(fake) as store, pytest.raises(StoreError, match="comes too slowly"):
        store.repository("app").resolve("v1")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(fake: FakeRegistry, status: int) -> None:
    put_image(fake, "app", image(), "v1")
    fake.faults.append(fail(status, method="GET", part="v1", times=2, headers={"Retry-After": "7"}))
    waits: list[float] = []
    with visit(fake, waits) as store:
        store.repository("app").resolve("v1")
    assert waits == [7, 7]


def test_retry_after_may_be_a_date_or_nonsense(fake: FakeRegistry) -> None:
    put_image(fake, "app", image(), "v1")
    for text in ("Mon, 01 Jan 2001 00:00:00 GMT", "soon"):
        fake.faults.append(fail(429, method="GET", part="v1", headers={"Retry-After": text}))
    waits: list[float] = []
    with visit(fake, waits) as store:
        store.repository("app").resolve("v1")
    assert waits == [0, 1.0]


@pytest.mark.parametrize(("after", "asked"), [("3600", 1), ("1", 4)])
def test_a_limit_that_lasts_is_said(fake: FakeRegistry, after: str, asked: int) -> None:
    fake.faults.append(fail(429, method="GET", part="", times=9, headers={"Retry-After": after}))
    with visit(fake) as store, pytest.raises(StoreError, match="429: FAULT: no") as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "rate-limited"
    assert len(fake.seen) == asked


@pytest.mark.parametrize("status", [400, 418, 500])
def test_other_failures_are_final(fake: FakeRegistry, status: int) -> None:
    fake.faults.append(fail(status, method="GET", part=""))
    with visit(fake) as store, pytest.raises(StoreError, match=str(status)) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "registry-failed"
    assert len(fake.seen) == 1


def test_a_connection_that_breaks_within_a_manifest_is_tried_again(fake: FakeRegistry) -> None:
    manifest = image()
    put_image(fake, "app", manifest, "v1")
    left = [1]
    fake.faults.append(lambda _: Reply(body=manifest.data, cut=10) if left and left.pop() else None)
    with visit(fake) as store:
        assert store.repository("app").resolve("v1") == manifest.descriptor


def test_a_dead_registry_is_said_to_be(fake: FakeRegistry) -> None:
    fake.host = "127.0.0.1:1"
    waits: list[float] = []
    with (
        visit(fake, waits, side="destination") as store,
        pytest.raises(
            StoreError, match=r"destination 127.0.0.1:1: GET .* failed: Connection refused"
        ) as caught,
    ):
        store.repository("app").resolve("v1")
    assert caught.value.exit_code == 5
    assert waits == [0.5, 1.0, 2.0]


def test_a_connection_that_breaks_within_an_error(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(status=500, body=b"x" * 100, cut=10))
    with visit(fake) as store, pytest.raises(StoreError, match=r"was answered with 500$"):
        store.repository("app").resolve("v1")
