from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airgap.errors import StoreError
from airgap.ledger.log import GENESIS, Log

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDS = st.lists(
    st.dictionaries(st.text("abc", max_size=3), st.text(max_size=20), max_size=3), max_size=4
)


def frame(payload: bytes) -> bytes:
    """Build a frame by the description alone."""
    head = struct.pack(">II", len(payload), zlib.crc32(payload))
    return head + struct.pack(">I", zlib.crc32(head)) + payload


def written(path: Path, records: Sequence[dict[str, str]]) -> list[int]:
    """Write `records` and return the length of the file before and after each."""
    sizes = [0]
    with Log(path).writing() as log:
        for record in records:
            log.append(record)
            sizes.append(path.stat().st_size)
    return sizes


def read(path: Path) -> list[dict[str, object]]:
    entries = [dict(entry.record) for entry in Log(path).read()]
    for entry in entries:
        entry.pop("prev")
    return entries


def damaged(path: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        list(Log(path).read())
    assert caught.value.reason == "ledger-damaged"
    with pytest.raises(StoreError) as caught, Log(path).writing():
        pass
    assert caught.value.reason == "ledger-damaged"
    return caught.value


def test_the_file_is_as_described(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, [{"b": "1"}, {"a": "é\n"}])
    first = b'{"b":"1","prev":"' + GENESIS.encode() + b'"}'
    link = hashlib.sha256(first).hexdigest()
    second = '{"a":"é\\n","prev":"'.encode() + link.encode() + b'"}'
    assert path.read_bytes() == frame(first) + frame(second)
    entries = list(Log(path).read())
    assert [entry.number for entry in entries] == [0, 1]
    assert [entry.hash for entry in entries] == [link, hashlib.sha256(second).hexdigest()]


def test_reading_creates_nothing(tmp_path: Path) -> None:
    assert list(Log(tmp_path / "none" / "log").read()) == []
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "log"
    written(path, [{}])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_written_is_known_at_once(tmp_path: Path) -> None:
    with Log(tmp_path / "log").writing() as log:
        assert log.hash == GENESIS
        entry = log.append({"a": "b"})
        assert log.entries == [entry]
        assert log.hash == entry.hash
        assert [one.hash for one in Log(tmp_path / "log").read()] == [entry.hash]


@given(RECORDS, st.data())
@settings(deadline=None)
def test_a_crash_at_any_byte_loses_only_what_was_not_acknowledged(
    records: list[dict[str, str]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        sizes = written(path, records)
        cut = data.draw(st.integers(0, sizes[-1]))
        zeros = data.draw(st.sampled_from([0, 1, 5, 4096]))
        os.truncate(path, cut)
        whole = sum(1 for size in sizes[1:] if size <= cut)
        if zeros and cut not in sizes and cut - sizes[whole] < 12:
            zeros = 0  # a half-written header is all or nothing: 12 bytes lie in one sector
        before = path.read_bytes()
        if cut > sizes[whole] and zeros:
            # The rest of the frame was allotted, and never written.
            zeros = min(zeros, sizes[whole + 1] - cut)
        path.write_bytes(before + bytes(zeros))
        assert read(path) == records[:whole]
        with Log(path).writing() as log:
            log.append({"after": "the crash"})
        assert read(path) == [*records[:whole], {"after": "the crash"}]


def test_every_flipped_bit_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, [{"a": "1"}, {"b": "2"}])
    good = path.read_bytes()
    for place in range(len(good)):
        for bit in range(8):
            wrong = bytearray(good)
            wrong[place] ^= 1 << bit
            path.write_bytes(wrong)
            damaged(path)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"[]", "expected object"),
        (b"{", "not JSON"),
        (b"{}", "missing"),
        (b'{"prev":"' + b"1" * 64 + b'"}', "does not follow"),
        (b'{"prev": "' + GENESIS.encode() + b'"}', "does not follow"),
        (b'{"prev":"' + GENESIS.encode() + b'","prev":"x"}', "duplicate"),
    ],
)
def test_a_frame_of_the_wrong_content_is_damage(tmp_path: Path, payload: bytes, why: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(frame(payload))
    error = damaged(path)
    assert why in error.message
    assert "byte 0" in error.message


def test_a_frame_that_claims_too_much_is_damage(tmp_path: Path) -> None:
    head = struct.pack(">II", 2**31, 0)
    path = tmp_path / "log"
    path.write_bytes(head + struct.pack(">I", zlib.crc32(head)) + b"x")
    assert "header" in damaged(path).message


def test_records_that_are_swapped_or_missing_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sizes = written(path, [{"n": "1"}, {"n": "2"}, {"n": "3"}])
    data = path.read_bytes()
    one, two, three = (data[sizes[n] : sizes[n + 1]] for n in range(3))
    for wrong in (two + one + three, one + three, two + three, one + one + two + three):
        path.write_bytes(wrong)
        damaged(path)


def test_a_long_tail_of_zeros_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, [{"n": "1"}])
    with path.open("ab") as file:
        file.truncate(3 << 20)
    assert read(path) == [{"n": "1"}]
    with path.open("ab") as file:
        file.write(b"x")
    damaged(path)


def test_a_long_record_is_read_back(tmp_path: Path) -> None:
    text = "x" * (3 << 20)
    written(tmp_path / "log", [{"a": text}])
    assert read(tmp_path / "log") == [{"a": text}]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Log(path).writing():
        with pytest.raises(StoreError) as caught, Log(path).writing(wait=0.1):
            pass
        assert (caught.value.reason, caught.value.exit_code) == ("ledger-busy", 5)
        assert list(Log(path).read()) == []
    with Log(path).writing():
        pass


def test_two_processes_write_in_turn(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from airgap.ledger.log import Log\n"
        "for n in range(20):\n"
        "    with Log(Path(sys.argv[1])).writing(wait=60) as log: log.append({'n': n})\n"
    )
    path = tmp_path / "log"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(list(Log(path).read())) == 40


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from airgap.ledger.log import Log\n"
        "with Log(Path(sys.argv[1])).writing() as log: log.append({}); os._exit(9)\n"
    )
    path = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == 9
    with Log(path).writing() as log:
        assert len(log.entries) == 1


def test_the_callers_own_failure_stays_its_own(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), Log(tmp_path / "log").writing():
        raise OSError("mine")


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(StoreError) as caught:
        list(Log(tmp_path / "log").read())
    assert caught.value.reason == "ledger-unusable"
    with pytest.raises(StoreError) as caught, Log(tmp_path / "log").writing():
        pass
    assert caught.value.reason == "ledger-unusable"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_and_nothing_more_is_written(tmp_path: Path) -> None:
    with Log(tmp_path / "log").writing() as log:
        full = os.open("/dev/full", os.O_RDWR)
        try:
            log._descriptor = full
            for _ in range(2):
                with pytest.raises(StoreError) as caught:
                    log.append({"a": "b"})
                assert caught.value.reason == "ledger-unusable"
        finally:
            os.close(full)
        assert log.entries == []
    assert read(tmp_path / "log") == []


def test_where_there_is_no_flock_a_byte_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand in for Windows: its lock is per byte, and a taken one is an OSError."""
    held: set[int] = set()

    class Msvcrt:
        LK_NBLCK = 2

        @staticmethod
        def locking(descriptor: int, mode: int, count: int) -> None:
            inode = os.fstat(descriptor).st_ino
            if inode in held:
                raise OSError(36, "deadlock avoided")
            held.add(inode)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    with Log(tmp_path / "log").writing() as log:
        log.append({})
        with pytest.raises(StoreError) as caught, Log(tmp_path / "log").writing():
            pass
        assert caught.value.reason == "ledger-busy"


def test_a_record_is_json_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, [{"a": "ü"}])
    assert json.loads(path.read_bytes()[12:])["a"] == "ü"
