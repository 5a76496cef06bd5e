"""Redirects (threat model A122): none on a write, bounded and without credentials on a read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap.errors import StoreError
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply, Request
from tests.simulators.registry_scenes import (
    describe,
    image,
    log_in,
    make_tls,
    opener,
    put_image,
    visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airgap.stores.registry import RegistryStore

DATA = b"a layer" * 1000
BLOB = describe(DATA)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


@pytest.fixture
def storage() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        registry.faults.append(
            lambda one: Reply(body=DATA if one.path == "/blob" else image().data)
        )
        yield registry


def lead_to(url: str, *, method: str = "GET") -> Callable[[Request], Reply | None]:
    def fault(request: Request) -> Reply | None:
        if request.method not in {method, "HEAD"} or "/v2/" not in request.path:
            return None
        return Reply(status=307, headers={"Location": url})

    return fault


def read(store: RegistryStore) -> bytes:
    with store.repository("app").open_blob(BLOB) as stream:
        return stream.read()


def test_a_source_follows_tls_anywhere(tmp_path: Path) -> None:
    context, ca_file = make_tls(tmp_path)
    there = run_registry(FakeRegistry(), context, "localhost")
    with there as storage, run_registry(FakeRegistry(auth="basic"), context) as fake:
        storage.faults.append(lambda one: Reply(body=DATA if one.path == "/blob" else image().data))
        fake.users["me"] = "right"
        fake.faults.append(
            lambda one: lead_to(f"{storage.url}/blob")(one) if one.authorization else None
        )
        key = (fake.host, {"username": "me", "password": "right"})
        with visit(fake, ca_file=ca_file, authfile=log_in(tmp_path / "a.json", key)) as store:
            assert read(store) == DATA
            assert store.repository("app").has_blob(BLOB)
        assert [one.authorization for one in storage.seen] == [None, None]


def test_a_manifest_may_be_elsewhere_too(fake: FakeRegistry, storage: FakeRegistry) -> None:
    fake.faults.append(lead_to(f"{storage.url}/manifest"))
    with visit(fake, insecure_http=frozenset({storage.host})) as store:
        assert store.repository("app").resolve("v1") == image().descriptor


def test_plain_http_has_to_be_named(fake: FakeRegistry, storage: FakeRegistry) -> None:
    fake.faults.append(lead_to(f"{storage.url}/blob"))
    with visit(fake) as store, pytest.raises(StoreError, match="which is not https") as caught:
        read(store)
    assert caught.value.reason == "redirect-refused"
    assert f"--insecure-http {storage.host}" in caught.value.hint
    assert not storage.seen
    with visit(fake, insecure_http=frozenset({storage.host})) as store:
        assert read(store) == DATA


def test_a_destination_follows_only_those_that_are_named(
    fake: FakeRegistry, storage: FakeRegistry
) -> None:
    fake.faults.append(lead_to(f"{storage.url}/blob"))
    insecure = frozenset({storage.host})
    with visit(fake, side="destination", insecure_http=insecure) as store:
        for visitor in (lambda: read(store), lambda: store.repository("app").has_blob(BLOB)):
            with pytest.raises(StoreError, match="which is not the destination") as caught:
                visitor()
            assert caught.value.reason == "redirect-refused"
            assert f"--redirect-host {storage.host}" in caught.value.hint
    assert not storage.seen
    for named in (storage.host, "127.0.0.1"):
        with visit(
            fake,
            side="destination",
            insecure_http=insecure,
            redirect_hosts=frozenset({named}),
        ) as store:
            assert read(store) == DATA


@pytest.mark.parametrize("side", ["source", "destination"])
def test_within_the_registry_credentials_stay(
    fake: FakeRegistry, tmp_path: Path, side: str
) -> None:
    fake.auth, fake.users = "basic", {"me": "right"}
    fake.add_blob("moved", DATA)
    fake.faults.append(
        lambda one: (
            Reply(status=301, headers={"Location": one.path.replace("app", "moved")})
            if one.authorization and "/app/" in one.path
            else None
        )
    )
    key = (fake.host, {"username": "me", "password": "right"})
    with visit(fake, side=side, authfile=log_in(tmp_path / "a.json", key)) as store:
        assert read(store) == DATA


def test_redirects_come_to_an_end(fake: FakeRegistry) -> None:
    fake.faults.append(lambda one: Reply(status=302, headers={"Location": f"{one.path}x"}))
    with visit(fake) as store, pytest.raises(StoreError, match="at most 5") as caught:
        read(store)
    assert caught.value.reason == "redirect-refused"
    assert len(fake.seen) == 6


def test_a_redirect_without_a_place_is_refused(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(status=302))
    with visit(fake) as store, pytest.raises(StoreError, match="was redirected"):
        read(store)


def test_a_stranger_that_wants_credentials_gets_none(
    fake: FakeRegistry, storage: FakeRegistry
) -> None:
    storage.faults[:] = [lambda _: Reply(status=403, body=b"<Code>AccessDenied</Code>")]
    fake.faults.append(lead_to(f"{storage.url}/blob"))
    with (
        visit(fake, insecure_http=frozenset({storage.host})) as store,
        pytest.raises(
            StoreError,
            match=r"following a redirect to .* was answered with 403: <Code>AccessDenied",
        ),
    ):
        read(store)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_no_write_is_followed(fake: FakeRegistry, storage: FakeRegistry, method: str) -> None:
    def fault(request: Request) -> Reply | None:
        if request.method != method:
            return None
        return Reply(status=307, headers={"Location": f"{storage.url}/blob"})

    fake.faults.append(fault)
    hosts = frozenset({storage.host})
    with visit(fake, insecure_http=hosts, redirect_hosts=hosts, side="destination") as store:
        with pytest.raises(StoreError):
            store.repository("app").write_blob(BLOB, opener(DATA))
        if method == "PUT":
            with pytest.raises(StoreError, match="a write follows none") as caught:
                store.repository("app").write_manifest(image())
            assert caught.value.reason == "redirect-refused"
    assert not storage.seen


def test_a_list_may_not_go_on_elsewhere(fake: FakeRegistry, storage: FakeRegistry) -> None:
    put_image(fake, "app", image(), "v1")
    link = {"Link": f'<{storage.url}/more>; rel="next"'}
    fake.faults.append(lambda _: Reply(body=b'{"tags": ["a"]}', headers=link))
    with visit(fake) as store, pytest.raises(StoreError, match="another host"):
        list(store.repository("app").tags())
    assert not storage.seen
