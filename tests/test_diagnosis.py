"""What `doctor` finds out about this machine and about registries."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from airgap.diagnosis import Fact, examine_machine, examine_registry
from airgap.errors import UsageError
from airgap.site import Site
from airgap.stores import StoreOptions
from tests.journey import open_registry_store, running_registry
from tests.simulators.fake_registry import FakeRegistry, Reply, Request, run_registry
from tests.simulators.registry_process import DEBIAN
from tests.stores.samples import make_image, put

if TYPE_CHECKING:
    from pathlib import Path


def by_subject(facts: list[Fact]) -> dict[str, Fact]:
    return {fact.subject: fact for fact in facts}


# --- this machine ---------------------------------------------------------------------------


def test_a_machine_where_all_is_well(tmp_path: Path) -> None:
    facts = by_subject(examine_machine(Site(state=tmp_path / "not" / "yet" / "there")))
    assert {fact.outcome for fact in facts.values()} <= {"PASS", "WARN"}
    assert {"python", "tls", "tuf", "requests", "urllib3", "fast file calls"} <= facts.keys()
    assert "bytes free" in facts["state folder"].sentence
    assert not (tmp_path / "not").exists()


def test_a_machine_where_much_is_amiss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "tuf":
            raise metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr("airgap.diagnosis.metadata.version", version)
    monkeypatch.setattr("airgap.diagnosis.os.access", lambda *_: False)
    monkeypatch.delattr(os, "preadv")
    facts = by_subject(examine_machine(Site(state=tmp_path)))
    assert (facts["tuf"].outcome, facts["tuf"].hint) == ("FAIL", "pip install tuf")
    assert facts["urllib3"].outcome == "WARN"
    assert "urllib3-future 1.2" in facts["urllib3"].sentence
    assert facts["fast file calls"].outcome == "WARN"
    assert facts["state folder"].outcome == "FAIL"
    assert "NOT writable" in facts["state folder"].sentence


def test_little_room_is_worth_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("airgap.diagnosis.shutil.disk_usage", lambda _: usage)
    assert by_subject(examine_machine(Site(state=tmp_path)))["state folder"].outcome == "WARN"


# --- a registry -----------------------------------------------------------------------------


def test_a_real_registry_with_tls_and_a_user(tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "registry", tls=True, auth=True) as registry:
        options = StoreOptions(
            side="destination",
            ca_file=registry.ca_file,
            authfile=registry.write_authfile(tmp_path / "auth.json"),
        )
        place = f"docker://{registry.host}/team/app"
        facts = by_subject(examine_registry(place, options, write=True))
        assert {fact.outcome for fact in facts.values()} <= {"PASS", "WARN"}
        assert facts[registry.host].outcome == "PASS"
        assert "auth.json" in facts["credentials"].sentence
        assert facts["team/app"].outcome == "WARN"
        assert "Harbor" in facts["team/app"].hint
        assert facts["referrers"].sentence == "no API: by the fallback tag"
        assert facts["push"].sentence == "allowed"
        assert facts["wrong digest"].sentence == "refused"
        store = open_registry_store(registry, tmp_path)
        put(store.repository("team/app"), make_image("there"), "1")
        store.close()
        facts = by_subject(examine_registry(place, options, write=False))
        assert facts["team/app"].sentence == "is there"
        assert "push" not in facts
        assert "wrong digest" not in facts


def probe(registry: FakeRegistry, *, write: bool = True) -> dict[str, Fact]:
    options = StoreOptions(side="destination", insecure_http=frozenset({registry.host}), retries=0)
    return by_subject(examine_registry(f"docker://{registry.host}/a/b", options, write=write))


def test_a_registry_that_does_not_let_us_push() -> None:
    def refuse(request: Request) -> Reply | None:
        return Reply(status=403, body=b"denied") if request.method == "POST" else None

    with run_registry(FakeRegistry(faults=[refuse], referrers_api=True)) as registry:
        facts = probe(registry)
    assert facts["push"].outcome == "FAIL"
    assert "credentials" in facts["push"].hint
    assert facts["referrers"].sentence == "by the API"
    assert facts[registry.host].outcome == "WARN", "plain HTTP"


def test_a_registry_that_takes_whatever_it_is_given() -> None:
    def accept(request: Request) -> Reply | None:
        return Reply(status=201) if request.method == "PUT" else None

    with run_registry(FakeRegistry(faults=[accept])) as registry:
        facts = probe(registry)
    assert facts["wrong digest"].outcome == "WARN"


def test_a_registry_that_is_not_there() -> None:
    with run_registry(FakeRegistry(faults=[lambda _: Reply(status=500)])) as registry:
        facts = probe(registry)
    assert facts[registry.host].outcome == "FAIL"
    assert facts[registry.host].hint


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("oci:folder", "not-a-registry"),
        ("docker://127.0.0.1:5000", "repository-missing"),
        ("registry", "repository-missing"),
        ("docker://127.0.0.1:5000/UPPER", "reference-invalid"),
    ],
)
def test_places_that_are_no_repository(place: str, reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        examine_registry(place, StoreOptions(), write=False)
    assert raised.value.reason == reason
