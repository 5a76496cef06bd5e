from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from airgap.errors import FormatError, SequenceError, StoreError, UnsupportedVersionError
from airgap.ledger.history import RELEASED
from airgap.ledger.ledger import Ledger
from airgap.ledger.log import GENESIS
from airgap.ledger.records import Change, Commit, Intent, NewRoots, Record, read_record
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader
from airgap.trust.expiry import SKEW
from airgap.trust.release import RoleMark
from airgap.trust.sequence import Link, Standing
from tests.simulators.authority import ACME, OTHER

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCHEMA = Path(__file__).parents[2] / "schemas" / "ledger-record.schema.json"


def inventory(number: int) -> Digest:
    return Digest.of(b"inventory %d" % number)


def commit(number: int = 1, **changes: object) -> Commit:
    made = Commit(
        authority=ACME,
        stream="prod",
        sequence=number,
        inventory=inventory(number),
        at=NOW + number * HOUR,
        created=NOW - 10 * HOUR + number * HOUR,
        roles={
            "timestamp": RoleMark(number + 10, Digest.of(b"t%d" % number)),
            "targets": RoleMark(number, Digest.of(b"g%d" % number)),
        },
        names={"registry.example/app:1": Digest.of(b"app")},
        previous=Link(number - 1, inventory(number - 1)) if number > 1 else None,
        receipt=f"prod-{number}.json",
        freshness="" if number > 1 else "code given by the operator",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def intent(number: int = 1) -> Intent:
    return Intent(
        authority=ACME,
        stream="prod",
        sequence=number,
        inventory=inventory(number),
        at=NOW,
        destination="docker://registry.local:5000/mirror",
        changes=(
            Change(name="mirror/app:1", old=None, new=Digest.of(b"new")),
            Change(name="mirror/app:2", old=Digest.of(b"old"), new=Digest.of(b"new")),
        ),
    )


ROOTS = NewRoots(authority=ACME, at=NOW, first=1, roots=(b'{"root":1}', b'{"root":2}'))


class TestHeads:
    def test_nothing_is_known_before_the_first(self, tmp_path: Path) -> None:
        history = Ledger(tmp_path / "state").history()
        assert history.standing(ACME, "prod") == Standing()
        assert history.roots(ACME) == ()
        assert history.intents == ()
        assert history.commits == []
        assert list(tmp_path.iterdir()) == []

    def test_a_commit_is_the_head(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            assert ledger.hash == GENESIS
            hashes = [ledger.commit(commit(number)) for number in (1, 2, 3)]
            assert ledger.hash == hashes[-1]
            inside = ledger.history.standing(ACME, "prod")
        outside = Ledger(tmp_path).history().standing(ACME, "prod")
        assert inside == outside
        assert outside.head is not None
        assert (outside.head.sequence, outside.head.inventory) == (3, inventory(3))
        assert outside.head.imported == NOW + 3 * HOUR
        assert outside.head.timestamp_version == 13
        assert outside.inventories == {n: inventory(n) for n in (1, 2, 3)}
        assert outside.roles["targets", 2] == Digest.of(b"g2")
        assert len(set(hashes)) == 3

    def test_links_of_what_was_imported_are_known(self, tmp_path: Path) -> None:
        first = commit(9, previous=Link(8, inventory(8)), base=Link(5, inventory(5)))
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(first)
        known = Ledger(tmp_path).history().standing(ACME, "prod").inventories
        assert set(known) == {5, 8, 9}

    def test_streams_and_authorities_are_apart(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(commit(5))
            ledger.commit(commit(1, stream="test"))
            ledger.commit(commit(2, authority=OTHER))
        history = Ledger(tmp_path).history()
        heads = [
            history.standing(*key).head
            for key in ((ACME, "prod"), (ACME, "test"), (OTHER, "prod"), (OTHER, "test"))
        ]
        assert [head and head.sequence for head in heads] == [5, 1, 2, None]

    def test_a_head_is_never_lowered(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(commit(3))
            with pytest.raises(SequenceError) as caught:
                ledger.commit(commit(1))
            assert caught.value.reason == "replay"
        assert len(Ledger(tmp_path).history().commits) == 1

    def test_a_number_keeps_its_digest(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(commit(3))
            ledger.commit(commit(3))
            with pytest.raises(SequenceError) as caught:
                ledger.commit(commit(3, inventory=Digest.of(b"other")))
            assert caught.value.reason == "fork"

    def test_the_highest_timestamp_stays(self, tmp_path: Path) -> None:
        lower = {"timestamp": RoleMark(2, Digest.of(b"x"))}
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(commit(3))
            ledger.commit(commit(3, roles=lower))
            ledger.commit(commit(4, roles={}))
            head = ledger.history.standing(ACME, "prod").head
        assert head is not None
        assert head.timestamp_version == 13


class TestIntents:
    def test_what_was_cut_off_is_remembered_until_it_ends(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.intend(intent(1))
            ledger.intend(intent(2))
            ledger.commit(commit(1))
        assert Ledger(tmp_path).history().intents == (intent(2),)


class TestRoots:
    def test_a_chain_grows(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.keep_roots(ACME, [b"1"], at=NOW)
            ledger.keep_roots(ACME, [b"1", b"2", b"3"], at=NOW)
            ledger.keep_roots(ACME, [b"1", b"2"], at=NOW)
            assert ledger.history.roots(ACME) == (b"1", b"2", b"3")
        history = Ledger(tmp_path).history()
        assert history.roots(ACME) == (b"1", b"2", b"3")
        assert history.roots(OTHER) == ()
        assert len(list(Ledger(tmp_path).log.read())) == 2

    def test_a_chain_with_a_hole_is_damage(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).log.writing() as log:
            log.append(replace(ROOTS, first=2).to_json())
        with pytest.raises(StoreError) as caught:
            Ledger(tmp_path).history()
        assert caught.value.reason == "ledger-damaged"


class TestClock:
    def test_the_build_date_is_a_floor(self, tmp_path: Path) -> None:
        history = Ledger(tmp_path).history()
        assert history.effective_time(RELEASED - SKEW) == RELEASED
        with pytest.raises(SequenceError) as caught:
            history.effective_time(RELEASED - SKEW - timedelta(seconds=1))
        assert (caught.value.reason, caught.value.exit_code) == ("clock-behind-floor", 7)
        assert "date of this release" in caught.value.message
        assert history.effective_time(NOW) == NOW

    @pytest.mark.parametrize(
        ("at", "created", "why"),
        [(NOW, NOW - HOUR, "seen here"), (NOW - HOUR, NOW, "newest bundle")],
    )
    def test_what_was_seen_is_a_floor(
        self, tmp_path: Path, at: datetime, created: datetime, why: str
    ) -> None:
        with Ledger(tmp_path).writing() as ledger:
            ledger.commit(commit(1, at=at, created=created))
            ledger.commit(commit(2, at=at - HOUR, created=created - HOUR))
        history = Ledger(tmp_path).history()
        assert history.effective_time(NOW - SKEW) == NOW
        with pytest.raises(SequenceError, match=why):
            history.effective_time(NOW - SKEW - timedelta(seconds=1))

    def test_a_test_may_set_the_build_date(self, tmp_path: Path) -> None:
        early = datetime(2020, 1, 1, tzinfo=UTC)
        assert Ledger(tmp_path, released=early).history().effective_time(early) == early


EXAMPLES: list[Record] = [
    ROOTS,
    intent(),
    commit(1),
    commit(2),
    commit(5, base=Link(3, inventory(3))),
]


class TestRecords:
    @pytest.mark.parametrize("record", EXAMPLES)
    def test_a_record_survives(self, record: Record) -> None:
        document = record.to_json()
        assert read_record(Reader.of({**document, "prev": GENESIS}, "x")) == record

    @pytest.mark.parametrize("record", EXAMPLES)
    def test_schema_and_decoder_agree(self, record: Record) -> None:
        schema = json.loads(SCHEMA.read_bytes())
        validator = jsonschema.Draft202012Validator(schema)
        good = json.loads(json.dumps({**record.to_json(), "prev": GENESIS}))
        validator.validate(good)
        for change in faults(good):
            wrong = json.loads(json.dumps(good))
            change(wrong)
            with pytest.raises((FormatError, UnsupportedVersionError)):
                read_record(Reader.of(wrong, "x"))
            assert not validator.is_valid(wrong), wrong

    def test_a_time_is_one(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).log.writing() as log:
            log.append({**commit(1).to_json(), "created": "2026-13-01T00:00:00Z"})
        with pytest.raises(StoreError) as caught:
            Ledger(tmp_path).history()
        assert caught.value.reason == "ledger-damaged"

    def test_a_kind_of_a_newer_release_is_not_left_out(self, tmp_path: Path) -> None:
        with Ledger(tmp_path).log.writing() as log:
            log.append({"kind": "epoch"})
        with pytest.raises(UnsupportedVersionError) as caught:
            Ledger(tmp_path).history()
        assert caught.value.reason == "ledger-record-unknown"


def faults(good: dict[str, object]) -> list[Callable[[dict[str, object]], object]]:
    """Return changes that make a record wrong: each field gone, or of another type, or one more."""
    optional = {"previous", "base"}
    changes: list[Callable[[dict[str, object]], object]] = [lambda d: d.update(more=1)]
    for name in good.keys() - {"prev"}:  # which the log itself judges
        changes.append(lambda d, name=name: d.update({name: 0}))  # type: ignore[misc]
        if name not in optional:
            changes.append(lambda d, name=name: d.pop(name))  # type: ignore[misc]
    return changes


def test_two_imports_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path).writing():
        with pytest.raises(StoreError) as caught, Ledger(tmp_path).writing():
            pass
        assert caught.value.reason == "ledger-busy"
        assert Ledger(tmp_path).history().commits == []
