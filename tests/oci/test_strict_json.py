from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airgap.errors import FormatError
from airgap.oci.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_VALUES,
    decode,
    encode,
)

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_KEYS = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=8)
_INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
_VALUES = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)
# Text that is often nearly JSON: what fuzzing bytes alone hardly ever reaches.
_NEARLY = st.lists(
    st.sampled_from(
        [*'{}[],:" \\u', "\\ud800", "\\udc00", '"a"', '"A"', "1", "-", "-0", "1.5", "1e9", "NaN",
         "Infinity", "true", "null", "\ufeff", "\x00", "9" * 17, "é", "\U0001f600"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def _refusal(data: bytes, **options: bool) -> FormatError:
    with pytest.raises(FormatError) as caught:
        decode(data, "the cover", **options)
    return caught.value


@given(_VALUES)
def test_decoding_what_was_encoded_is_identity(value: object) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data  # A053
    assert json.loads(data) == value


@given(st.binary(max_size=60) | _NEARLY.map(lambda text: text.encode()), st.booleans())
@example(b"[" * 10_000, False)
@example(b'{"a":' * 10_000, False)
@example(b"\xff\xfe[\x00]\x00", False)
@example(b'["\\', True)
def test_nothing_but_format_errors_comes_out_of_hostile_bytes(data: bytes, floats: bool) -> None:
    try:
        value = decode(data, floats=floats)
    except FormatError as error:
        assert error.reason.startswith("json-")  # noqa: PT017 - most inputs end here
    else:
        assert value == json.loads(data.decode())


@given(_NEARLY)
def test_what_is_read_can_be_written_unless_its_keys_have_no_one_order(text: str) -> None:
    try:
        value = decode(text.encode())
    except FormatError:
        return
    try:
        data = encode(value)
    except FormatError as error:
        assert error.reason == "json-not-canonical"  # noqa: PT017
        assert any(character >= "\U00010000" for character in text)
    else:
        assert decode(data) == value


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b'"\xff"', "json-not-utf8", "the cover is not UTF-8"),
        ("[]".encode("utf-16"), "json-not-utf8", "the cover is not UTF-8"),
        ("[]".encode("utf-32-le"), "json-invalid", "the cover is not JSON"),
        (b'"\xed\xa0\x80"', "json-not-utf8", "the cover is not UTF-8"),
        (b"\xef\xbb\xbf[]", "json-not-utf8", "the cover starts with a byte order mark"),
        (b'["\\ud800"]', "json-not-utf8", "lone surrogate in the cover"),
        (b'{"a":{"\\uDFFF":1}}', "json-not-utf8", "lone surrogate in the cover"),
        (b'["\\udc00\\ud800"]', "json-not-utf8", "lone surrogate in the cover"),
        (b'{"a":1,"b":2,"a":1}', "json-duplicate-key", "duplicate key 'a' in the cover"),
        (b'{"a":1,"\\u0061":1}', "json-duplicate-key", "duplicate key 'a' in the cover"),
        (b'[{"x":{"b":2,"b":2}}]', "json-duplicate-key", "duplicate key 'b' in the cover"),
        (b"NaN", "json-number-invalid", "the number NaN is not allowed in the cover"),
        (b"[-Infinity]", "json-number-invalid", "the number -Infinity is not allowed in the cover"),
        (b"3.0", "json-number-invalid", "the number 3.0 is not allowed in the cover"),
        (b"1e999", "json-number-invalid", "the number 1e999 is not allowed in the cover"),
        (b"-0", "json-number-invalid", "the number -0 is not allowed in the cover"),
        (b"9007199254740992", "json-number-invalid", "9007199254740992 is not allowed"),
        (b"-9007199254740992", "json-number-invalid", "-9007199254740992 is not allowed"),
        (b"10000000000000000", "json-number-invalid", "10000000000000000 is not allowed"),
        (b"1" + b"0" * 5000, "json-number-invalid", "10000000000000000000000000000000"),
        (b"[" * 65 + b"]" * 65, "json-too-deep", "the cover nests deeper than 64 levels"),
        (b'[{"a":' * 33 + b"1" + b"}]" * 33, "json-too-deep", "deeper than 64 levels"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "json-too-large", "the cover holds too many values"),
        (b"", "json-invalid", "the cover is not JSON"),
        (b"{} {}", "json-invalid", "the cover is not JSON"),
        (b"{}\x00", "json-invalid", "the cover is not JSON"),
        (b"[1,]", "json-invalid", "the cover is not JSON"),
        (b"{'a':1}", "json-invalid", "the cover is not JSON"),
        (b"[01]", "json-invalid", "the cover is not JSON"),
        (b'["\t"]', "json-invalid", "the cover is not JSON"),
        (b"\xc2\xa0[]", "json-invalid", "the cover is not JSON"),
        (b"]" * 100, "json-invalid", "the cover is not JSON"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_what_two_readers_could_take_for_two_things_is_refused(
    data: bytes, reason: str, message: str
) -> None:
    error = _refusal(data)  # A043 to A051
    assert error.reason == reason
    assert message in error.message


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b" [ ]\r\n\t", []),
        (b"9007199254740991", MAX_INTEGER),
        (b"-9007199254740991", -MAX_INTEGER),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\uD83D\\uDE00 \\u00e9"', "\U0001f600 é"),
        (b"[" * 64 + b"]" * 64, None),
        (b"[" + b"[]," * 99 + b"[]]", [[]] * 100),
        (b'["' + b"[" * 100 + b'\\"{"]', ["[" * 100 + '"{']),
    ],
    ids=repr,
)
def test_what_is_at_the_edge_is_read(data: bytes, value: object) -> None:
    assert decode(data) == (value if value is not None else json.loads(data))


@pytest.mark.parametrize("data", [b"1.5", b"[1e999]", b"-0.0", b"1E2"])
def test_fractions_of_third_parties_are_read_where_they_are_allowed(data: bytes) -> None:
    assert decode(data, floats=True) == json.loads(data)


@pytest.mark.parametrize("data", [b"NaN", b"Infinity", b"-Infinity", b"9007199254740992"])
def test_but_not_what_is_no_json_number(data: bytes) -> None:
    assert _refusal(data, floats=True).reason == "json-number-invalid"


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 65 + b'"' + b'\\"' * 1_000_000,
        b"[" * 65 + b'"' * 2_000_001,
        b"[" * 65 + b'"' + b"\\" * 2_000_000,
        b"[" * 65 + b"x" * 4_000_000,
        b"[]" * 100 + b'"' + b"\\u" * 1_000_000,
        b"[" * 4_000_000,
    ],
    ids=["escaped quotes", "quotes", "backslashes", "letters", "escapes", "brackets"],
)
def test_four_mebibytes_of_anything_are_refused_at_once(data: bytes) -> None:
    started = time.process_time()
    assert _refusal(data).reason in {"json-too-deep", "json-invalid", "json-too-large"}
    assert time.process_time() - started < 5  # quadratic were hours (A022, A048)


class _Word(StrEnum):
    A = "a"


def test_rfc_8785_strings_are_escaped_as_little_as_possible() -> None:
    # RFC 8785 section 3.2.2.2, and each control character that has a short form
    assert encode('€$\u000f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()
    assert (
        encode("\b\t\n\f\r\x00\x1f\x7f\u2028") == b'"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\xe2\x80\xa8"'
    )


def test_rfc_8785_keys_are_sorted_and_nothing_stands_between() -> None:
    # RFC 8785 section 3.2.3, but for its astral key
    value = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew", "1": "One",
             "\x80": "Control", "\u00f6": "Latin"}  # fmt: skip
    assert list(json.loads(encode(value))) == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\ufb33"]
    assert encode({"b": [None, True, False], "a": (1, -1)}) == b'{"a":[1,-1],"b":[null,true,false]}'
    assert encode({_Word.A: _Word.A, "A": []}) == b'{"A":[],"a":"a"}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "a float has no canonical JSON here"),
        ([float("nan")], "a float"),
        (MAX_INTEGER + 1, "an integer of 54 bits"),
        ({"a": -MAX_INTEGER - 1}, "an integer of 54 bits"),
        ({1: "a"}, "the key 1"),
        ({None: "a", "b": 1}, "the key None"),
        ({"\U0001f600": 1}, "the key '"),
        ([{"a": {"\U00010000": 1}}], "the key '"),
        ("\ud800", "a lone surrogate"),
        ({"\udfff": 1}, "a lone surrogate"),
        ({1, 2}, "a set"),
        (b"bytes", "a bytes"),
        ([object()], "a object"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        encode(value)
    assert caught.value.reason == "json-not-canonical"
    assert message in caught.value.message


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_encode_nests_as_deep_as_decode_reads() -> None:
    assert decode(encode(_nested(MAX_DEPTH))) == _nested(MAX_DEPTH)
    endless: list[Any] = []
    endless.append(endless)
    for value in (_nested(MAX_DEPTH + 1), endless):
        with pytest.raises(FormatError, match="nesting of more than 64 levels"):
            encode(value)


@settings(max_examples=30)
@given(st.dictionaries(_KEYS, _INTEGERS, min_size=2))
def test_the_order_in_which_keys_were_set_does_not_show(value: dict[str, int]) -> None:
    assert encode(value) == encode(dict(reversed(value.items())))
