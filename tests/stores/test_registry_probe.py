"""What ``doctor`` is told about a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap.errors import AuthenticationError
from tests.simulators.fake_registry import FakeRegistry, fail, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import image, log_in, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        put_image(registry, "app", image(), "v1")
        yield registry


def test_reading_only(fake: FakeRegistry) -> None:
    with visit(fake) as store:
        facts = store.probe("app")
        assert (facts.host, facts.repository, facts.scheme) == (fake.host, "app", "http")
        assert facts.api_version == "registry/2.0"
        assert (facts.authentication, facts.credentials) == ("none", None)
        assert facts.repository_exists
        assert not facts.referrers_api
        assert facts.refuses_wrong_digest is facts.push_allowed is facts.mounts is None
        assert not store.probe("other").repository_exists
    assert not fake.asked("POST")


def test_writing_too(fake: FakeRegistry) -> None:
    fake.referrers_api = True
    with visit(fake, side="destination") as store:
        facts = store.probe("app", write=True)
        assert facts.referrers_api
        assert facts.push_allowed
        assert facts.refuses_wrong_digest
        assert facts.mounts
        assert not fake.uploads
        assert list(fake.blobs["app"].values()) == [b"{}"]
        fake.faults.append(lambda one: Reply(status=201) if one.method == "PUT" else None)
        assert not store.repository("app").refuses_wrong_digest()


def test_a_missing_project_is_told(fake: FakeRegistry) -> None:
    fake.faults.append(fail(404, method="POST", part=""))
    with visit(fake, side="destination") as store:
        facts = store.probe("team/app", write=True)
    assert facts.push_allowed is False
    assert facts.refuses_wrong_digest is None
    assert "create the project 'team'" in (facts.push_refusal or "")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_credentials_are_named_and_not_shown(fake: FakeRegistry, tmp_path: Path, auth: str) -> None:
    fake.auth, fake.users = auth, {"me": "right"}
    key = (fake.host, {"username": "me", "password": "right"})
    authfile = log_in(tmp_path / "auth.json", key)
    with visit(fake, authfile=authfile) as store:
        facts = store.probe("app")
    assert facts.authentication == auth
    assert facts.credentials == f"password from {authfile}"
    assert facts.realms == ()
    with visit(fake) as store, pytest.raises(AuthenticationError):
        store.probe("app")
