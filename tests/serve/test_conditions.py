from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.serve.conditions import is_current, wanted_range

ETAG = '"sha256:00"'


@pytest.mark.parametrize(
    ("known", "current"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"a", {ETAG} ,"b"', True),
        ("*", True),
        ('"a"', False),
        ("sha256:00", False),
        ("", False),
    ],
)
def test_if_none_match(known: str, current: bool) -> None:
    assert is_current({"if-none-match": known}, ETAG) is current


def test_without_a_condition_nothing_is_current() -> None:
    assert not is_current({}, ETAG)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=2-5", (2, 6)),
        ("bytes=5-", (5, 10)),
        ("bytes=0-", (0, 10)),
        ("bytes=5-999", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-10", (0, 10)),
        ("bytes=-999", (0, 10)),
        ("BYTES= 2-5 ", (2, 6)),
        ("bytes=9-9", (9, 10)),
    ],
)
def test_a_range_that_is_there(asked: str, wanted: tuple[int, int]) -> None:
    assert wanted_range({"range": asked}, ETAG, 10) == wanted


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=999-"])
def test_a_range_of_which_no_byte_is_there(asked: str) -> None:
    found = wanted_range({"range": asked}, ETAG, 10)
    assert found is not None
    assert found[0] == found[1]


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_nothing_has_no_range(asked: str) -> None:
    assert wanted_range({"range": asked}, ETAG, 0) == (0, 0)


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "bytes 0-1",
        "pages=0-1",
        "bytes=²-3",
        "bytes=0-" + "9" * 20,
        "",
    ],
)
def test_a_range_that_is_not_understood_is_ignored(asked: str) -> None:
    assert wanted_range({"range": asked}, ETAG, 10) is None


def test_if_range_of_other_content_makes_the_range_void() -> None:
    headers = {"range": "bytes=0-1", "if-range": '"other"'}
    assert wanted_range(headers, ETAG, 10) is None
    assert wanted_range({**headers, "if-range": ETAG}, ETAG, 10) == (0, 2)


@given(st.text(max_size=30), st.integers(0, 100))
def test_a_range_is_never_outside(text: str, size: int) -> None:
    wanted = wanted_range({"range": f"bytes={text}"}, ETAG, size)
    assert wanted is None or 0 <= wanted[0] <= wanted[1] <= size


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 20))
def test_a_range_is_the_slice_that_it_says(first: int, last: int, size: int) -> None:
    data = bytes(range(size))
    wanted = wanted_range({"range": f"bytes={first}-{last}"}, ETAG, size)
    if last < first:
        assert wanted is None
    else:
        assert wanted is not None
        assert data[slice(*wanted)] == data[first : last + 1]
