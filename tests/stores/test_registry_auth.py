"""Logging in: Basic, tokens, what expires, and to whom credentials are never shown."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from airgap.errors import AuthenticationError, StoreError
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import (
    describe,
    image,
    log_in,
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


@pytest.fixture
def wrong(fake: FakeRegistry, tmp_path: Path) -> Path:
    return log_in(tmp_path / "auth.json", (fake.host, {"username": "me", "password": "hunter2"}))


def test_one_token_for_each_repository_and_purpose(fake: FakeRegistry, mine: Path) -> None:
    with visit(fake, authfile=mine) as store:
        for _ in range(3):
            store.repository("app").resolve("v1")
            store.repository("other").resolve("v1")
        store.repository("app").write_blob(describe(b"x"), opener(b"x"))
    scopes = [request.query["scope"] for request in fake.asked("GET", "/token")]
    assert scopes == [
        ["repository:app:pull"],
        ["repository:other:pull"],
        ["repository:app:pull,push"],
    ]


def test_a_mount_asks_for_both_repositories(fake: FakeRegistry, mine: Path) -> None:
    fake.add_blob("other", b"x")
    with visit(fake, authfile=mine) as store:
        assert store.repository("app").mount_blob(describe(b"x"), "other")
    assert fake.asked("GET", "/token")[-1].query["scope"] == [
        "repository:app:pull,push",
        "repository:other:pull",
    ]


def test_basic_is_answered_and_then_sent_at_once(fake: FakeRegistry, mine: Path) -> None:
    fake.auth = "basic"
    with visit(fake, authfile=mine) as store:
        for _ in range(3):
            store.repository("app").resolve("v1")
    assert len(fake.seen) == 4


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_wrong_password_fails_at_once(fake: FakeRegistry, wrong: Path, auth: str) -> None:
    fake.auth = auth
    waits: list[float] = []
    with visit(fake, waits, authfile=wrong) as store, pytest.raises(AuthenticationError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "credentials-refused"
    assert str(wrong) in caught.value.hint
    assert "hunter2" not in json.dumps(caught.value.to_json())
    assert (len(fake.seen), waits) == (2, [])


@pytest.mark.parametrize("header", ['Basic realm="x"', 'Bearer realm="{url}/token"'])
def test_a_password_is_not_offered_for_ever(fake: FakeRegistry, mine: Path, header: str) -> None:
    challenge = {"WWW-Authenticate": header.format(url=fake.url)}
    fake.faults.append(
        lambda one: None if one.path == "/token" else Reply(status=401, headers=challenge)
    )
    with visit(fake, authfile=mine) as store:
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                store.repository("app").resolve("v1")
    assert len(fake.seen) <= 6


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_missing_credentials_are_said_to_be_missing(fake: FakeRegistry, auth: str) -> None:
    fake.auth = auth
    with (
        visit(fake) as store,
        pytest.raises(AuthenticationError, match="none were found") as caught,
    ):
        store.repository("app").resolve("v1")
    assert caught.value.reason == "credentials-missing"


def test_anonymous_may_read_where_that_is_allowed(fake: FakeRegistry) -> None:
    fake.anonymous = True
    with visit(fake) as store:
        store.repository("app").resolve("v1")
        with pytest.raises(AuthenticationError) as caught:
            store.repository("app").write_blob(describe(b"x"), opener(b"x"))
        assert caught.value.reason == "credentials-missing"
    assert all(one.authorization is None for one in fake.asked("GET", "/token"))


def test_tokens_that_expire_are_renewed(fake: FakeRegistry, mine: Path) -> None:
    fake.token_uses = 2
    with visit(fake, authfile=mine) as store:
        for _ in range(7):
            store.repository("app").resolve("v1")
    assert len(fake.asked("GET", "/token")) == 4


def test_a_token_that_expires_between_post_and_put(fake: FakeRegistry, mine: Path) -> None:
    fake.token_uses = 1
    data = b"x" * 100_000
    with visit(fake, authfile=mine) as store, pytest.raises(AuthenticationError, match="during an"):
        # Every token is good once: the PUT never comes through, and that ends.
        store.repository("app").write_blob(describe(data), opener(data))
    fake.seen.clear()
    fake.token_uses = 3
    with visit(fake, authfile=mine) as store:
        for number in range(4):
            piece = data + bytes([number])
            store.repository("app").write_blob(describe(piece), opener(piece))
            assert fake.blobs["app"][str(describe(piece).digest)] == piece


def test_many_threads_share_a_token(fake: FakeRegistry, mine: Path) -> None:
    with visit(fake, authfile=mine) as store:
        repository = store.repository("app")
        threads = [threading.Thread(target=repository.resolve, args=["v1"]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(fake.asked("GET", "/token")) == 1


def test_an_identity_token_is_exchanged(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.identity_tokens.add("long-lived")
    entry = {"identitytoken": "long-lived", "username": "me"}
    with visit(fake, authfile=log_in(tmp_path / "a.json", (fake.host, entry))) as store:
        store.repository("app").resolve("v1")
    (asked,) = fake.asked("POST", "/token")
    assert b"grant_type=refresh_token" in asked.body
    assert asked.authorization is None


def test_a_registry_token_is_used_as_it_is(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.tokens["ready"] = ({"repository:app:pull"}, 2)
    authfile = log_in(tmp_path / "a.json", (fake.host, {"registrytoken": "ready"}))
    with visit(fake, authfile=authfile) as store:
        store.repository("app").resolve("v1")
        store.repository("app").resolve("v1")
        with pytest.raises(AuthenticationError) as caught:
            store.repository("app").resolve("v1")
        assert caught.value.reason == "credentials-refused"
    assert not fake.asked("GET", "/token")


@pytest.mark.parametrize("answer", [
    b"<html>", b"{}", b'{"token": 5}', b'{"token": "a\\r\\nX-Evil: 1"}', b'{"token": ""}',
])  # fmt: skip
def test_a_token_service_that_talks_nonsense(fake: FakeRegistry, mine: Path, answer: bytes) -> None:
    fake.faults.append(lambda one: Reply(body=answer) if one.path == "/token" else None)
    with visit(fake, authfile=mine) as store, pytest.raises(AuthenticationError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "token-invalid"


def test_a_token_service_that_fails(fake: FakeRegistry, mine: Path) -> None:
    fake.faults.append(lambda one: Reply(status=500) if one.path == "/token" else None)
    with visit(fake, authfile=mine) as store, pytest.raises(StoreError, match="asking for a token"):
        store.repository("app").resolve("v1")


@pytest.mark.parametrize(("header", "reason"), [
    ("", "authentication-unknown"), ("Negotiate", "authentication-unknown"),
    ('stray="x", Digest realm="y"', "authentication-unknown"),
    ('Bearer realm=""', "auth-realm-refused"), ("Bearer", "auth-realm-refused"),
    ('Bearer realm="ftp://x.example/"', "auth-realm-refused"),
    ('Bearer realm="http://u:p@x.example/"', "location-invalid"),
    ('Bearer realm="http://[/"', "location-invalid"),
])  # fmt: skip
def test_challenges_that_cannot_be_answered(
    fake: FakeRegistry, mine: Path, header: str, reason: str
) -> None:
    fake.faults.append(lambda _: Reply(status=401, headers={"WWW-Authenticate": header}))
    with visit(fake, authfile=mine) as store, pytest.raises(StoreError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == reason


def test_bearer_is_preferred_where_both_are_offered(fake: FakeRegistry, mine: Path) -> None:
    header = (
        f'Basic realm="a, b", Bearer realm="{fake.url}/token", service=fake,'
        'scope="repository:app:pull"'
    )
    fake.faults.append(
        lambda one: (
            None
            if one.authorization or one.path == "/token"
            else Reply(status=401, headers={"WWW-Authenticate": header})
        )
    )
    with visit(fake, authfile=mine) as store:
        store.repository("app").resolve("v1")
    assert fake.asked("GET", "/token")[0].query["service"] == ["fake"]


@pytest.mark.parametrize("header", [None, 'Bearer realm="{url}/token",scope="repository:app:pull"'])
def test_a_denial_is_told_apart_from_a_wrong_password(
    fake: FakeRegistry, mine: Path, header: str | None
) -> None:
    headers = {} if header is None else {"WWW-Authenticate": header.format(url=fake.url)}
    body = b'{"errors": [{"code": "DENIED", "message": "not yours"}]}'
    fake.faults.append(
        lambda one: None if one.path == "/token" else Reply(status=403, body=body, headers=headers)
    )
    with (
        visit(fake, authfile=mine) as store,
        pytest.raises(AuthenticationError, match="access was denied: DENIED: not yours") as caught,
    ):
        store.repository("app").resolve("v1")
    assert caught.value.reason == "access-denied"


def test_a_token_that_does_not_reach_is_a_denial(fake: FakeRegistry, mine: Path) -> None:
    challenge = f'Bearer realm="{fake.url}/token",scope="repository:app:pull"'
    fake.faults.append(
        lambda one: (
            None
            if one.path == "/token"
            else Reply(status=401, headers={"WWW-Authenticate": challenge})
        )
    )
    with visit(fake, authfile=mine) as store:
        with pytest.raises(AuthenticationError) as caught:
            store.repository("app").resolve("v1")
        assert caught.value.reason == "access-denied"
        assert not store.repository("app").mount_blob(describe(b"x"), "other")
