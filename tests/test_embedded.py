"""The embedded store from outside: what it lists, what it verifies, what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap.embedded import list_names, open_catalog, parse_address, verify_store
from airgap.errors import NotFoundError, RejectedError, UsageError
from airgap.progress import Silent
from airgap.site import Site
from tests.freight import NAME, Freight, write_layout
from tests.journey import Journey, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


@pytest.fixture
def freight() -> Freight:
    return Freight.make("embedded")


@pytest.fixture
def loaded(journey: Journey, freight: Freight, tmp_path: Path) -> Site:
    bundle = journey.export(write_layout(tmp_path / "layout", freight))
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0
    return Site(state=journey.state)


def test_before_the_first_import_there_is_nothing(tmp_path: Path) -> None:
    site = Site(state=tmp_path / "state")
    assert list_names(site) == ()
    for command in ("verify", "serve"):
        arguments = ("store", "verify") if command == "verify" else ("serve",)
        answer = run(*arguments, "--state", site.state, "--format", "json")
        assert (answer.code, answer.error["reason"]) == (5, "store-missing")
        assert "airgap import" in answer.error["hint"]
    with pytest.raises(NotFoundError):
        verify_store(site, progress=Silent())
    assert not site.state.exists()


def test_names_and_blobs(loaded: Site, freight: Freight) -> None:
    names = {entry.name: entry.digest for entry in list_names(loaded)}
    assert names[f"{NAME}:1.4"] == str(freight.image.digest)
    assert names[f"{NAME}:{freight.signature_tag}"] == str(freight.signature.digest)
    report = verify_store(loaded, progress=Silent())
    assert report.problems == ()
    assert report.size == sum(path.stat().st_size for path in loaded.store.glob("blobs/sha256/*"))
    assert report.sentence.startswith("every one")


def test_what_may_be_served(loaded: Site, journey: Journey, tmp_path: Path) -> None:
    policy = loaded.read_policy()
    with open_catalog(loaded, None, policy=policy, code=None, progress=Silent()) as catalog:
        assert NAME in catalog.repositories()
    bundle = tmp_path / "prod-1.tar"
    with open_catalog(loaded, bundle, policy=policy, code=None, progress=Silent()) as catalog:
        assert catalog.repositories() == (NAME,)
    stranger = Site(state=tmp_path / "other")
    with (
        pytest.raises(RejectedError),
        open_catalog(stranger, bundle, policy=policy, code=None, progress=Silent()),
    ):
        pytest.fail("nothing is served that was not admitted")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:5000", "127.0.0.1", 5000), ("[::1]:0", "::1", 0), ("host:65535", "host", 65535)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "host", ":5000", "host:", "host:x", "host:65536", "host:²", "host:" + "9" * 5000]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_address(text)
    assert raised.value.reason == "address-invalid"
