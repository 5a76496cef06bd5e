from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.bundle.medium import Medium
from airgap.bundle.tar import END, Members, header, pad_member, padded, padding
from airgap.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def members(tmp_path: Path, *parts: bytes) -> Members:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
    path.write_bytes(b"".join(parts))
    return Members(Medium.open(path))


@given(st.one_of(st.integers(0, 2**53 - 1), st.integers(8 * GIB - 2, 8 * GIB + 2)))
def test_the_standard_library_reads_every_header(size: int) -> None:
    block = header("blobs/sha256/" + "a" * 64, size)
    assert len(block) == 512
    info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    assert (info.name, info.size, info.type) == ("blobs/sha256/" + "a" * 64, size, b"0")
    assert (info.mode, info.uid, info.gid, info.mtime) == (0o444, 0, 0, 0)
    assert (info.uname, info.gname, info.linkname) == ("", "", "")


def test_headers_are_spelled_as_the_format_says() -> None:
    block = header("oci-layout", 30)
    assert block[:100] == b"oci-layout" + bytes(90)
    assert block[100:156] == b"0000444\x000000000\x000000000\x0000000000036\x0000000000000\x00" + (
        b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    )
    assert block[156:157] == b"0"
    assert block[157:257] == bytes(100)
    assert block[257:329] == b"ustar\x0000" + bytes(64)
    assert block[329:345] == b"0000000\x000000000\x00"
    assert block[345:] == bytes(167)


def test_a_size_of_8_gib_is_in_base_256_and_one_less_is_octal() -> None:
    assert header("a", 8 * GIB - 1)[124:136] == b"77777777777\0"
    assert header("a", 8 * GIB)[124:136] == b"\x80" + (8 * GIB).to_bytes(11, "big")


@given(st.integers(2, 2049))
def test_a_pad_fills_exactly_what_it_is_asked_to(blocks: int) -> None:
    pad = pad_member(512 * blocks)
    assert len(pad) == 512 * blocks
    length, _, rest = pad[512:].partition(b" comment=")
    assert int(length) == len(pad) - 512
    assert rest == b" " * (len(rest) - 1) + b"\n"
    with tarfile.open(fileobj=io.BytesIO(pad + header("a", 0) + END)) as archive:
        (only,) = archive.getmembers()
        assert (only.name, only.pax_headers["comment"].strip()) == ("a", "")


def test_padding_goes_to_the_next_block() -> None:
    assert [padded(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]
    assert [len(padding(size)) for size in (0, 1, 512, 513)] == [0, 511, 0, 511]


def test_members_are_read_in_order(tmp_path: Path) -> None:
    reader = members(
        tmp_path, header("a", 3), b"abc", bytes(509), pad_member(1024), header("b", 512),
        b"b" * 512, END,
    )  # fmt: skip
    assert reader.size_of_next("a", 3) == 3
    assert reader.take("a", 3) == b"abc"
    reader.expect_pad(1024)
    assert reader.skip("b", 512) == 2560
    assert reader.offset == 3072
    reader.expect_end()


GOOD = header("a", 3)
FAULTS = {
    "another member": (header("b", 3), "member-out-of-order"),
    "another size": (header("a", 4), "member-size-mismatch"),
    "nothing": (bytes(512), "tar-header-not-canonical"),
    "noise": (b"\xff" * 512, "tar-header-not-canonical"),
    "checksum": (GOOD[:148] + b"000000\0 " + GOOD[156:], "tar-header-not-canonical"),
    "size in spaces": (
        GOOD.replace(b"00000000003\0", b"          3\0"),
        "tar-header-not-canonical",
    ),
    "a pad": (pad_member(1024)[:512], "tar-header-not-canonical"),
    "a link": (GOOD[:156] + b"2" + GOOD[157:], "tar-header-not-canonical"),
    "mode": (GOOD.replace(b"0000444", b"0000644"), "tar-header-not-canonical"),
    "small in base 256": (
        GOOD[:124] + b"\x80" + (3).to_bytes(11, "big") + GOOD[136:],
        "tar-header-not-canonical",
    ),
    "negative": (GOOD[:124] + b"\xff" * 12 + GOOD[136:], "tar-header-not-canonical"),
    "8 GiB": (header("a", 8 * GIB), "member-size-mismatch"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_any_other_header_is_refused(tmp_path: Path, name: str) -> None:
    block, reason = FAULTS[name]
    for expect in (Members.take, Members.skip):
        with pytest.raises(FormatError) as caught:
            expect(members(tmp_path, block, b"abc", bytes(509), END), "a", 3)
        assert caught.value.reason == reason


def test_where_the_size_is_not_known_the_header_says_it(tmp_path: Path) -> None:
    for block, limit, reason in (
        (header("a", 4), 3, "member-too-large"),
        (header("b", 3), 3, "member-out-of-order"),
        (bytes(512), 3, "tar-header-not-canonical"),
    ):
        with pytest.raises(FormatError) as caught:
            members(tmp_path, block).size_of_next("a", limit)
        assert caught.value.reason == reason


def test_padding_pads_and_the_end_are_compared(tmp_path: Path) -> None:
    faults = {
        "tar-padding-not-zero": members(tmp_path, GOOD, b"abc", bytes(508), b"x").take,
        "bundle-truncated": members(tmp_path, GOOD, b"abc", bytes(508)).take,
    }
    for reason, take in faults.items():
        with pytest.raises(FormatError) as caught:
            take("a", 3)
        assert caught.value.reason == reason
    with pytest.raises(FormatError) as caught:
        members(tmp_path, pad_member(1024).replace(b"  ", b" x", 1)).expect_pad(1024)
    assert caught.value.reason == "tar-pad-not-canonical"
    ends = {
        "bundle-truncated": END[:-1],
        "bundle-trailing-bytes": END + b"\0",
        "tar-header-not-canonical": END[:-1] + b"\1",
        "member-out-of-order": header("a", 0) + END,
    }
    for reason, end in ends.items():
        with pytest.raises(FormatError) as caught:
            members(tmp_path, end).expect_end()
        assert caught.value.reason == reason


@given(st.binary(min_size=512, max_size=512))
def test_any_block_ends_in_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, block: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tar"
    path.write_bytes(block * 2)
    with Medium.open(path) as medium, pytest.raises(FormatError):
        Members(medium).take("a", 3)
