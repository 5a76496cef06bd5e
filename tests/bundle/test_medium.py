from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.medium import Medium
from airgap.errors import AirgapError, FormatError, NotFoundError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    return file


PLATFORMS = {
    "with preadv": [],
    "with pread": ["preadv"],
    "with neither": ["preadv", "pread", "pwrite"],
}


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in PLATFORMS[request.param]:
        monkeypatch.delattr(os, name)
    return str(request.param)


@pytest.fixture
def medium(path: Path) -> Iterator[Medium]:
    with Medium.open(path) as opened:
        yield opened


def test_reading_at_positions(platform: str, medium: Medium) -> None:
    assert medium.size == len(DATA)
    assert medium.read(1000, 300) == DATA[1000:1300]
    assert medium.read(len(DATA), 0) == b""
    buffer = bytearray(10)
    medium.read_into(5, memoryview(buffer))
    assert buffer == DATA[5:15]


def test_writing_at_positions(platform: str, path: Path) -> None:
    with Medium.create(path, 3000) as medium:
        medium.write(2990, b"0123456789")
        medium.write(0, b"abc")
        medium.sync()
    assert path.read_bytes() == b"abc" + DATA[3:2990] + b"0123456789"


def test_a_new_file_is_made_as_long_as_asked(tmp_path: Path) -> None:
    with Medium.create(tmp_path / "new", 5000) as medium:
        assert medium.size == 5000
    assert (tmp_path / "new").read_bytes() == bytes(5000)


def test_short_reads_and_writes_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv, pwrite = os.preadv, os.pwrite
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:7]], at))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
    with Medium.create(path, len(DATA)) as medium:
        assert medium.read(3, 100) == DATA[3:103]
        medium.write(0, DATA[::-1])
    assert path.read_bytes() == DATA[::-1]


def test_reading_past_the_end_is_a_truncated_bundle(medium: Medium) -> None:
    for offset, size in ((0, len(DATA) + 1), (len(DATA), 1), (1 << 60, 1 << 60)):
        with pytest.raises(FormatError, match="ends before byte") as caught:
            medium.read(offset, size)
        assert caught.value.reason == "bundle-truncated"


def test_a_file_that_shrinks_is_a_truncated_bundle(medium: Medium, path: Path) -> None:
    medium.refuse_change()
    os.truncate(path, 100)
    with pytest.raises(FormatError) as caught:
        medium.read(50, 100)
    assert caught.value.reason == "bundle-truncated"
    with pytest.raises(FormatError) as caught:
        medium.refuse_change()
    assert caught.value.reason == "bundle-changed"


def test_only_a_regular_file_is_opened(tmp_path: Path, path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("fifo", "link", "dangling", "."):
        for opening in (Medium.open, lambda file: Medium.create(file, 10)):
            with pytest.raises(UsageError, match="is not a regular file") as caught:
                opening(tmp_path / name)
            assert caught.value.reason == "bundle-not-a-file"
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(NotFoundError) as missing:
        Medium.open(tmp_path / "nothing")
    assert missing.value.reason == "bundle-not-found"
    with pytest.raises(StoreError) as unreadable:
        Medium.open(path / "below")
    assert unreadable.value.reason == "bundle-unreadable"


def test_a_failing_disk_is_said_to_fail(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Medium.create(path, len(DATA)) as medium:
        for name in ("pread", "preadv", "pwrite", "fsync", "ftruncate"):
            monkeypatch.setattr(os, name, fail)
        reasons = []
        for action in (
            lambda: medium.read(0, 1),
            lambda: medium.write(0, b"x"),
            lambda: medium.resize(1),
            medium.sync,
        ):
            with pytest.raises(StoreError, match="No space left") as caught:
                action()
            reasons.append(caught.value.reason)
        assert reasons == ["bundle-unreadable", *["bundle-unwritable"] * 3]
        with pytest.raises(AirgapError, match="cannot be written"):
            Medium.create(path, 1)
