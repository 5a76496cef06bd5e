"""Numbers: given out once, for ever; what a bundle must say of those before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from airgap.authority import Authority, Statement
from airgap.errors import AirgapError, StoreError, UsageError
from airgap.ledger.log import Log
from airgap.oci.digest import Digest
from airgap.trust.sequence import Link
from tests.simulators.authority import DAY, NOW

if TYPE_CHECKING:
    from airgap.trust.envelope import Envelopes

SCHEMA = Path(__file__).parents[1] / "schemas" / "authority-record.schema.json"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "acme", "acme", now=NOW, scheme="ed25519", passphrase=None)


def refused(reason: str, kind: type[AirgapError] = UsageError) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def files(text: str) -> dict[str, bytes]:
    return {"inventory.json": json.dumps(text).encode()}


def export(
    authority: Authority,
    text: str,
    *names: str,
    finish: bool = True,
    number: int | None = None,
    stream: str = "prod",
) -> tuple[int, Envelopes]:
    """Make one bundle, or leave it unfinished, and return its number and metadata."""
    with authority.edition(stream, number=number) as edition:
        statement = Statement(names=frozenset(names))
        signed = edition.prepare(files(text), statement, now=NOW).sign()
        if finish:
            edition.finish(now=NOW)
        return edition.number, signed


def version(data: bytes) -> int:
    return int(json.loads(data)["signed"]["version"])


def test_numbers_rise_and_link(authority: Authority) -> None:
    with authority.edition("prod") as edition:
        assert (edition.number, edition.previous, edition.skips) == (1, None, ())
        assert edition.covers(Statement()) == 0
    assert [export(authority, text)[0] for text in "ab"] == [1, 2]
    with authority.edition("prod") as edition:
        assert edition.number == 3
        assert edition.previous == Link(2, Digest.of(b'"b"'))
        assert edition.skips == ()


def test_streams_count_for_themselves(authority: Authority) -> None:
    export(authority, "a")
    number, signed = export(authority, "a", stream="test")
    assert (number, version(signed.timestamp)) == (1, 1)


def test_a_number_is_recorded_before_it_is_signed(authority: Authority) -> None:
    """A kill between record and signature leaves the record: no number is given out twice."""
    with authority.edition("prod") as edition:
        draft = edition.prepare(files("a"), Statement(), now=NOW)
        log = authority.path / "numbers.log"
        assert not log.exists()
        draft.sign()
        assert len(list(Log(log).read())) == 1


def test_an_abandoned_number_is_skipped(authority: Authority) -> None:
    export(authority, "a")
    export(authority, "b", finish=False)
    export(authority, "c", finish=False)
    number, signed = export(authority, "d")
    assert number == 4
    assert version(signed.targets) == 4
    with authority.edition("prod") as edition:
        assert edition.skips == (2, 3)
        assert edition.previous == Link(4, Digest.of(b'"d"'))


def test_an_interrupted_number_is_gone_on_with(authority: Authority) -> None:
    _, once = export(authority, "a", finish=False)
    number, again = export(authority, "a", number=1)
    assert number == 1
    assert again == once
    with authority.edition("prod") as edition:
        assert (edition.number, edition.skips) == (2, ())
        assert edition.previous == Link(1, Digest.of(b'"a"'))


@pytest.mark.parametrize("finish", [True, False])
def test_a_number_is_signed_again_only_for_the_same_content(
    authority: Authority, finish: bool
) -> None:
    export(authority, "a", finish=finish)
    with refused("number-taken"):
        export(authority, "b", number=1)
    with authority.edition("prod", number=1) as edition:
        # The same inventory, but other targets: the metadata would live longer.
        draft = edition.prepare(files("a"), Statement(), now=NOW + DAY)
        with refused("number-taken"):
            draft.sign()


def test_a_number_that_was_never_given_out(authority: Authority) -> None:
    for number in (0, 2, 7):
        with refused("number-unknown"), authority.edition("prod", number=number):
            pass
    with authority.edition("prod", number=1) as edition:
        assert edition.number == 1


def test_timestamps_count_for_themselves(authority: Authority) -> None:
    versions = [version(export(authority, text, finish=False)[1].timestamp) for text in "abc"]
    assert versions == [1, 2, 3]
    assert version(export(authority, "b", number=2)[1].timestamp) == 2


def test_another_timestamp_of_a_number_gets_a_version_of_its_own(authority: Authority) -> None:
    export(authority, "a")
    shorter = authority.lifetimes.__class__(timestamp=7 * DAY)
    path = authority.path / "authority.json"
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "lifetimes": shorter.days()}))
    assert version(export(Authority.open(authority.path), "a", number=1)[1].timestamp) == 2
    assert version(export(authority, "b")[1].timestamp) == 3


class TestCovers:
    def test_who_says_all_again_covers_all(self, authority: Authority) -> None:
        export(authority, "a", "x/a:1")
        export(authority, "b", "x/a:1", "x/b:1")
        with authority.edition("prod") as edition:
            assert edition.covers(Statement(names=frozenset({"x/a:1", "x/b:1", "x/c:1"}))) == 0

    def test_what_is_not_said_again_ends_it(self, authority: Authority) -> None:
        for text, name in (("a", "x/a:1"), ("b", "x/b:1"), ("c", "x/c:1")):
            export(authority, text, name)
        with authority.edition("prod") as edition:
            said = [
                frozenset(f"x/{one}:1" for one in names) for names in ("", "c", "bc", "ac", "abc")
            ]
            assert [edition.covers(Statement(names=names)) for names in said] == [3, 2, 1, 2, 0]

    def test_withdrawals_and_trust_material_count(self, authority: Authority) -> None:
        statement = Statement(
            withdrawn=frozenset({Digest.of(b"bad")}), frozen=frozenset({"trust/keys/a.pub"})
        )
        with authority.edition("prod") as edition:
            edition.prepare(files("a"), statement, now=NOW).sign()
            edition.finish(now=NOW)
        with authority.edition("prod") as edition:
            assert edition.covers(statement) == 0
            assert edition.covers(Statement(withdrawn=statement.withdrawn)) == 1
            assert edition.covers(Statement(frozen=statement.frozen)) == 1

    def test_abandoned_numbers_need_not_be_said_again(self, authority: Authority) -> None:
        export(authority, "a", "x/a:1", finish=False)
        export(authority, "b", "x/b:1")
        with authority.edition("prod") as edition:
            assert edition.covers(Statement(names=frozenset({"x/b:1"}))) == 0


class TestConcurrency:
    def test_a_second_export_of_a_stream_fails(self, authority: Authority) -> None:
        with authority.edition("prod"):
            with (
                refused("authority-busy", StoreError) as caught,
                authority.edition("prod", wait=0.1),
            ):
                pass
            assert caught.value.exit_code == 5
            with authority.edition("test") as other:
                other.prepare(files("a"), Statement(), now=NOW).sign()
        with authority.edition("prod"):
            pass

    def test_two_processes_never_get_one_number(self, authority: Authority) -> None:
        program = (
            "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
            "from airgap.authority import Authority, Statement\n"
            "now = datetime(2026, 11, 22, 12, tzinfo=UTC)\n"
            "for n in range(5):\n"
            "    with Authority.open(Path(sys.argv[1])).edition('prod', wait=60) as edition:\n"
            "        text = f'{sys.argv[2]} {n}'.encode()\n"
            "        edition.prepare({'inventory.json': text}, Statement(), now=now).sign()\n"
            "        edition.finish(now=now); print(edition.number)\n"
        )
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(authority.path), name],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in "ab"
        ]
        numbers = [int(line) for process in running for line in process.communicate()[0].split()]
        assert sorted(numbers) == list(range(1, 11))


@pytest.mark.parametrize("stream", ["", "../x", "Prod", "a" * 64, "a/b"])
def test_what_is_no_name_of_a_stream(authority: Authority, stream: str) -> None:
    with refused("stream-invalid"), authority.edition(stream):
        pass


def test_a_folder_that_cannot_be_written(authority: Authority) -> None:
    (authority.path / "locks").write_text("x")
    with refused("authority-unusable", StoreError), authority.edition("prod"):
        pass


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "number", "stream": "prod"},
        {"kind": "other", "stream": "prod"},
        {"kind": "finished", "stream": "prod", "sequence": 1},
        {"kind": "finished", "stream": "prod"},
        {"stream": "prod"},
        {"kind": "number"},
    ],
)
def test_damaged_records_stop_everything(authority: Authority, record: dict[str, object]) -> None:
    with Log(authority.path / "numbers.log").writing() as log:
        log.append(record)
    with refused("authority-damaged", StoreError), authority.edition("prod"):
        pass


def test_records_are_as_the_schema_says(authority: Authority) -> None:
    export(authority, "a", "x/a:1")
    export(authority, "a", "x/a:1", number=1)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    entries = list(Log(authority.path / "numbers.log").read())
    assert [entry.record["kind"] for entry in entries] == ["number", "finished"]
    for entry in entries:
        validator.validate(dict(entry.record))
        assert not validator.is_valid({**entry.record, "more": 1})
