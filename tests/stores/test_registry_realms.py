"""To whom credentials are shown, and to whom never: realms (A123) and a canary."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import AirgapError, AuthenticationError
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
    from collections.abc import Iterator
    from pathlib import Path

USERS = {"me": "right"}


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry(auth="bearer", users=dict(USERS))) as registry:
        put_image(registry, "app", image(), "v1")
        put_image(registry, "other", image(), "v1")
        yield registry


@pytest.fixture
def mine(fake: FakeRegistry, tmp_path: Path) -> Path:
    return log_in(tmp_path / "auth.json", (fake.host, {"username": "me", "password": "right"}))


def test_a_realm_on_another_host_is_taken_from_a_registry_that_tls_has_verified(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context, ca_file = make_tls(tmp_path)
    realms = run_registry(FakeRegistry(users=USERS), context, "localhost")
    with realms as service, run_registry(FakeRegistry(auth="bearer"), context) as fake:
        put_image(fake, "app", image(), "v1")
        fake.realm = f"{service.url}/token"
        fake.tokens = service.tokens
        key = {"username": "me", "password": "right"}
        options: dict[str, Any] = {
            "ca_file": ca_file,
            "authfile": log_in(tmp_path / "a.json", (fake.host, key)),
        }
        with caplog.at_level(logging.INFO), visit(fake, **options) as store:
            store.repository("app").resolve("v1")
            store.repository("app").write_blob(describe(b"x"), opener(b"x"))
            assert store.foreign_realms == {fake.realm}
        assert caplog.text.count(f"tokens come from {fake.realm}") == 1
        with visit(fake, side="destination", **options) as store:
            with pytest.raises(AuthenticationError, match="not named") as caught:
                store.repository("app").resolve("v1")
            assert caught.value.reason == "auth-realm-refused"
            assert f"--auth-realm {service.host}" in caught.value.hint
        named = frozenset({service.host})
        with visit(fake, side="destination", auth_realms=named, **options) as store:
            store.repository("app").resolve("v1")


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_plain_realm_is_never_taken_from_a_registry_with_tls(tmp_path: Path, side: str) -> None:
    context, ca_file = make_tls(tmp_path)
    realms = run_registry(FakeRegistry(users=USERS))
    with realms as service, run_registry(FakeRegistry(auth="bearer"), context) as fake:
        fake.realm = f"{service.url}/token"
        hosts = frozenset({service.host})
        with (
            visit(
                fake, side=side, ca_file=ca_file, insecure_http=hosts, auth_realms=hosts
            ) as store,
            pytest.raises(AuthenticationError, match="which is not https"),
        ):
            store.repository("app").resolve("v1")
        assert not service.seen


@pytest.mark.parametrize(("side", "insecure", "named", "taken"), [
    ("source", False, False, False), ("source", False, True, False), ("source", True, False, True),
    ("destination", True, False, False), ("destination", True, True, True),
])  # fmt: skip
def test_a_plain_realm_of_a_plain_registry_has_to_be_named(
    fake: FakeRegistry, mine: Path, side: str, insecure: bool, named: bool, taken: bool
) -> None:
    with run_registry(FakeRegistry(users=USERS, tokens=fake.tokens)) as service:
        fake.realm = f"{service.url}/token"
        hosts = frozenset({service.host})
        with visit(
            fake,
            side=side,
            authfile=mine,
            insecure_http=hosts if insecure else frozenset(),
            auth_realms=hosts if named else frozenset(),
        ) as store:
            if taken:
                store.repository("app").resolve("v1")
            else:
                with pytest.raises(AuthenticationError, match="for a token, which is not"):
                    store.repository("app").resolve("v1")
        assert bool(service.seen) == taken


def test_a_plain_registry_cannot_vouch_for_a_realm_elsewhere(fake: FakeRegistry) -> None:
    fake.realm = "https://auth.example/token"
    with visit(fake) as store, pytest.raises(AuthenticationError, match="was not named"):
        store.repository("app").resolve("v1")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_never_reach_another_host(
    fake: FakeRegistry, mine: Path, status: int, auth: str
) -> None:
    """The foreign host of every kind of redirect sees neither password nor token."""
    fake.auth = auth
    with run_registry(FakeRegistry(auth="basic")) as foreign:
        location = {"Location": f"{foreign.url}/v2/app/manifests/v1"}

        def fault(request: Request) -> Reply | None:
            if request.authorization is None or request.path == "/token":
                return None
            return Reply(status=status, headers=location)

        fake.faults.append(fault)
        for side in ("source", "destination"):
            visit_all(fake, mine, side, frozenset({foreign.host}))
        assert foreign.seen, "the canary has to have been tempted"
        for request in foreign.seen:
            told = json.dumps([request.path, dict(request.headers), request.body.decode()])
            assert request.authorization is None
            for secret in ("right", "bWU6cmlnaHQ", "token-", "Bearer", "Basic"):
                assert secret not in told


def visit_all(fake: FakeRegistry, mine: Path, side: str, insecure: frozenset[str]) -> None:
    data = b"secret layer"
    with visit(fake, side=side, authfile=mine, insecure_http=insecure) as store:
        repository = store.repository("app")
        for call in (
            lambda: repository.resolve("v1"),
            lambda: list(repository.tags()),
            lambda: repository.referrers(image().digest),
            lambda: repository.has_blob(describe(data)),
            lambda: repository.open_blob(describe(data)).__enter__(),
            lambda: repository.mount_blob(describe(data), "other"),
            lambda: repository.write_blob(describe(data), opener(data)),
            lambda: repository.write_manifest(image(), "v2"),
        ):
            with pytest.raises(AirgapError):
                call()
