"""A recovery is on the record, and forgets one stream only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema

from airgap.ledger.ledger import Ledger
from airgap.ledger.records import Commit, Recovery, read_record
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader
from airgap.trust.release import RoleMark
from airgap.trust.sequence import Link, Standing
from tests.simulators.authority import ACME

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SCHEMA = Path(__file__).parents[2] / "schemas" / "ledger-record.schema.json"
HEAD = Digest.of(b"inventory 9")
RECOVERY = Recovery(authority=ACME, stream="prod", sequence=9, inventory=HEAD, at=NOW, root=2)


def commit(stream: str, number: int, inventory: Digest) -> Commit:
    return Commit(
        authority=ACME,
        stream=stream,
        sequence=number,
        inventory=inventory,
        at=NOW,
        created=NOW,
        roles={"root": RoleMark(1, Digest.of(b"r")), "timestamp": RoleMark(5, Digest.of(b"t"))},
        names={},
        previous=Link(8, Digest.of(b"inventory 8")),
    )


def test_one_stream_is_forgotten(tmp_path: Path) -> None:
    with Ledger(tmp_path).writing() as ledger:
        for stream in ("prod", "test"):
            ledger.commit(commit(stream, 9, HEAD))
        kept = ledger.history.standing(ACME, "test")
        ledger.recover(RECOVERY)
        assert ledger.history.standing(ACME, "prod") == Standing()
    history = Ledger(tmp_path).history()
    assert history.standing(ACME, "prod") == Standing()
    assert history.standing(ACME, "test") == kept
    assert history.recovered(ACME, "prod") == {Link(9, HEAD), Link(8, Digest.of(b"inventory 8"))}
    assert history.recovered(ACME, "test") == frozenset()
    assert len(history.commits) == 2
    assert max(floor.at for floor in history.floors) == NOW


def test_it_comes_back_as_it_went() -> None:
    document = {**RECOVERY.to_json(), "prev": "0" * 64}
    assert read_record(Reader.of(document, "record")) == RECOVERY
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(document)


def test_of_a_stream_that_nothing_is_known_of(tmp_path: Path) -> None:
    with Ledger(tmp_path).writing() as ledger:
        ledger.recover(RECOVERY)
        assert ledger.history.recovered(ACME, "prod") == frozenset()
