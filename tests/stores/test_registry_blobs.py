"""Blobs of a registry that lies, breaks off, or does not come to an end."""

from __future__ import annotations

import gzip
import os
import time
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    IntegrityError,
    RegistryCorruptError,
    StoreError,
)
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply, Request
from tests.simulators.registry_scenes import describe, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.oci.descriptor import Descriptor
    from airgap.stores.registry import RegistryStore

LAYER = os.urandom(3 << 20)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


def read_all(store: RegistryStore, descriptor: Descriptor) -> bytes:
    with store.repository("app").open_blob(descriptor) as stream:
        return stream.read()


def test_a_blob_is_streamed_and_verified(fake: FakeRegistry) -> None:
    fake.add_blob("app", LAYER)
    with visit(fake) as store, store.repository("app").open_blob(describe(LAYER)) as stream:
        assert stream.read(10) == LAYER[:10]
        assert stream.read() == LAYER[10:]
    assert fake.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("side", "error"), [
    ("source", IntegrityError),
    ("destination", RegistryCorruptError),
])  # fmt: skip
@pytest.mark.parametrize("served", [LAYER[:-1] + b"?", LAYER[:-1], LAYER + b"?", b""])
def test_a_blob_of_other_bytes_never_ends_well(
    fake: FakeRegistry, served: bytes, side: str, error: type[Exception]
) -> None:
    descriptor = describe(LAYER)
    fake.blobs["app"][str(descriptor.digest)] = served
    for reply in (Reply(body=served), Reply(pieces=iter([served]))):
        fake.faults[:] = [lambda _, reply=reply: reply]  # type: ignore[misc]
        with visit(fake, side=side) as store, pytest.raises(error, match=str(descriptor.digest)):
            read_all(store, descriptor)


@pytest.mark.parametrize("compressed", [gzip.compress(LAYER), LAYER])
def test_a_content_encoding_is_refused(fake: FakeRegistry, compressed: bytes) -> None:
    fake.faults.append(lambda _: Reply(body=compressed, headers={"Content-Encoding": "gzip"}))
    with visit(fake) as store:
        with pytest.raises(StoreError, match="Content-Encoding gzip") as caught:
            read_all(store, describe(LAYER))
        assert caught.value.reason == "content-encoding-refused"
        with pytest.raises(StoreError, match="Content-Encoding gzip"):
            store.repository("app").resolve("v1")


def broken(*cuts: int, ranged: bool = True) -> object:
    """Return a fault that ends the n-th answer after cuts[n] bytes."""
    left = list(cuts)

    def fault(request: Request) -> Reply | None:
        if request.method != "GET" or not left:
            return None
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        if not ranged or start == 0:
            return Reply(body=LAYER, cut=left.pop(0))
        span = {"Content-Range": f"bytes {start}-{len(LAYER) - 1}/{len(LAYER)}"}
        return Reply(status=206, body=LAYER[start:], headers=span, cut=left.pop(0))

    return fault


@pytest.mark.parametrize("ranged", [True, False])
def test_a_broken_blob_is_taken_up_where_it_stopped(fake: FakeRegistry, ranged: bool) -> None:
    fake.add_blob("app", LAYER)
    fake.faults.append(broken(1 << 20, 600_000 if ranged else 2 << 20, ranged=ranged))  # type: ignore[arg-type]
    if not ranged:
        fake.faults.append(lambda request: Reply(body=LAYER) if request.method == "GET" else None)
    waits: list[float] = []
    with visit(fake, waits) as store, store.repository("app").open_blob(describe(LAYER)) as stream:
        assert stream.read() == LAYER
    assert len(fake.seen) == 3
    assert fake.seen[1].headers["range"].startswith("bytes=")
    assert len(waits) == 2


def test_resuming_is_given_up_where_nothing_moves(fake: FakeRegistry) -> None:
    fake.faults.append(broken(*[1000] * 50))  # type: ignore[arg-type]
    with visit(fake, retries=3) as store, pytest.raises(StoreError, match="reading blob") as caught:
        read_all(store, describe(LAYER))
    assert caught.value.reason == "registry-unreachable"
    assert len(fake.seen) == 4


@pytest.mark.parametrize("span", [
    "bytes 5-9/10", "bytes 0-9/*", "lines 1-2", f"bytes 262144-{len(LAYER) - 1}/7",
])  # fmt: skip
def test_another_part_than_asked_for_is_refused(fake: FakeRegistry, span: str) -> None:
    def fault(request: Request) -> Reply:
        if "range" in request.headers:
            return Reply(status=206, body=b"xxxxx", headers={"Content-Range": span})
        return Reply(body=LAYER, cut=300_000)

    fake.faults.append(fault)
    with visit(fake) as store, pytest.raises(StoreError, match="sends another part"):
        read_all(store, describe(LAYER))


def test_a_blob_that_breaks_again_while_it_is_skipped(fake: FakeRegistry) -> None:
    fake.faults.append(broken(2 << 20, 1000, ranged=False))  # type: ignore[arg-type]
    with visit(fake) as store, pytest.raises(StoreError, match="resuming a blob"):
        read_all(store, describe(LAYER))


def test_a_blob_that_ends_while_it_is_skipped(fake: FakeRegistry) -> None:
    def fault(request: Request) -> Reply:
        if "range" in request.headers:
            return Reply(pieces=iter([b"x"]))
        return Reply(body=LAYER, cut=300_000)

    fake.faults.append(fault)
    with visit(fake) as store, pytest.raises(IntegrityError, match="ended after"):
        read_all(store, describe(LAYER))


def drip(seconds: float) -> Iterator[bytes]:
    while True:
        yield b"x"
        time.sleep(seconds)


def test_a_blob_that_drips_is_cut(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(pieces=drip(0.05)))
    begun = time.monotonic()
    with (
        visit(fake, timeout=(1.0, 0.3), retries=0) as store,
        pytest.raises((StoreError, IntegrityError)),
    ):
        read_all(store, describe(LAYER))
    assert time.monotonic() - begun < 10
