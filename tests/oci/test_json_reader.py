from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import FormatError
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = Digest.of(b"")


def _refusal(read: Callable[[], object]) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read()
    return caught.value


def _reader(**fields: object) -> Reader:
    return Reader(fields, "cover")


def test_getters_return_what_is_there() -> None:
    reader = _reader(
        text="a", number=0, yes=True, digest=str(DIGEST), child={"x": 1}, array=[1, "b"],
        children=[{"y": 2}, {}], texts=["a", ""], digests=[str(DIGEST)], map={"k": "v"},
    )  # fmt: skip
    assert reader.text("text") == "a"
    assert reader.optional_text("text") == "a"
    assert reader.optional_text("other") is None
    assert reader.integer("number") == 0
    assert reader.integer("number", least=0) == 0
    assert reader.boolean("yes") is True
    assert reader.digest("digest") == DIGEST
    assert reader.child("child") == Reader({"x": 1}, "cover.child")
    assert reader.array("array") == [1, "b"]
    assert [child.path for child in reader.children("children")] == [
        "cover.children[0]",
        "cover.children[1]",
    ]
    assert reader.texts("texts") == ("a", "")
    assert reader.digests("digests") == (DIGEST,)
    assert reader.text_map("map") == {"k": "v"}
    assert reader.has("text")
    assert not reader.has("other")
    assert Reader.parse(b'{"a":1.5}', "x", floats=True).value == {"a": 1.5}


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (Reader.text, 1, "expected string in cover.key, got int"),
        (Reader.text, None, "expected string in cover.key, got null"),
        (Reader.optional_text, None, "expected string in cover.key, got null"),
        (Reader.integer, True, "expected int in cover.key, got bool"),
        (Reader.integer, 3.0, "expected int in cover.key, got number"),
        (Reader.integer, "3", "expected int in cover.key, got string"),
        (Reader.integer, -1, "expected at least 0 in cover.key"),
        (Reader.boolean, 1, "expected bool in cover.key, got int"),
        (Reader.boolean, "true", "expected bool in cover.key, got string"),
        (Reader.child, [], "expected object in cover.key, got array"),
        (Reader.array, {}, "expected array in cover.key, got object"),
        (Reader.array, "abc", "expected array in cover.key, got string"),
        (Reader.texts, ["a", 1], "expected string in cover.key[1], got int"),
        (Reader.text_map, {"a": "b", "c": 1}, "expected string in cover.key.c, got int"),
        (lambda reader, key: list(reader.children(key)), [{}, 1], "in cover.key[1], got int"),
        (lambda reader, key: reader.integer(key, least=1), 0, "expected at least 1 in cover.key"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(
    read: Callable[[Reader, str], object], value: object, message: str
) -> None:
    error = _refusal(lambda: read(_reader(key=value), "key"))  # A046
    assert error.reason == "field-invalid"
    assert message in error.message


def test_digests_are_refused_with_their_path() -> None:
    assert "in cover.key, got None" in _refusal(lambda: _reader(key=None).digest("key")).message
    error = _refusal(lambda: _reader(key=[str(DIGEST), "md5:1"]).digests("key"))
    assert "in cover.key[1], got 'md5:1'" in error.message
    assert error.reason == "digest-invalid"


@pytest.mark.parametrize(
    "read",
    [Reader.text, Reader.integer, Reader.boolean, Reader.digest, Reader.child, Reader.array,
     Reader.texts, Reader.digests, Reader.text_map, lambda reader, key: list(reader.children(key))],
)  # fmt: skip
def test_what_is_missing_is_named(read: Callable[[Reader, str], object]) -> None:
    error = _refusal(lambda: read(_reader(other=1), "key"))
    assert (error.reason, error.message) == ("field-missing", "missing cover.key")


def test_only_an_object_has_fields() -> None:
    assert _refusal(lambda: Reader.of([], "cover")).message == "expected object in cover, got array"
    assert _refusal(lambda: Reader.parse(b'"x"', "cover")).reason == "field-invalid"


def test_a_closed_document_has_no_other_fields() -> None:
    reader = _reader(a=1, z=1, b=2)
    reader.close("a", "b", "z")
    reader.close("a", "b", "c", "z")
    error = _refusal(lambda: reader.close("a"))
    assert (error.reason, error.message) == ("field-unknown", "unknown field cover.b")


def test_a_key_of_yaml_that_is_no_text_is_unknown_too() -> None:
    mixed: dict[Any, Any] = {1: "a", "b": 2, None: 3}
    assert _refusal(lambda: Reader(mixed, "cover").close("b")).reason == "field-unknown"


@pytest.mark.parametrize("key", ["MEDIATYPE", "mediatype", "mediaTYPE", "\u017fize", "os.Version"])
def test_a_key_that_differs_only_in_case_is_refused(key: str) -> None:
    error = _refusal(
        lambda: _reader(**{key: 1}).refuse_case_variants("mediaType", "size", "os.version")
    )  # A044; U+017F is a small s to Go as well
    assert (error.reason, error.message) == ("json-duplicate-key", f"ambiguous field cover.{key}")


@given(st.dictionaries(st.sampled_from(["mediaType", "size", "other", "Other"]), st.none()))
def test_known_and_unknown_keys_are_no_variants(fields: dict[str, None]) -> None:
    _reader(**fields).refuse_case_variants("mediaType", "size")


def test_null_is_absent_where_third_parties_mean_that() -> None:
    reader = _reader(a=None, b=0, c="", d=False, e=[None])
    assert reader.without_nulls() == _reader(b=0, c="", d=False, e=[None])
