"""The one JSON parser for bytes that came from outside, and the one encoder for our own.

Rules (threat model A043 to A053):

1. strict UTF-8, no byte order mark, no lone surrogates;
2. no duplicate keys (A044, keys that differ only in case, is `Reader.refuse_case_variants`);
3. no floats, no ``NaN``, no ``Infinity``; integers of at most 16 digits within ±(2^53-1);
4. nesting of at most 64 levels, at most 2,000,000 values: both found before the parser runs;
5. nothing after the document.

`encode` writes RFC 8785 canonical JSON for what our documents hold, and nothing that `decode`
would not read back as the same value. Getters on `Reader` carry a path, so that an error says
where: ``expected int in items[0].size``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from airgap.errors import FormatError
from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "MAX_VALUES", "JsonObject", "Reader", "decode", "encode"]

MAX_DEPTH: Final = 64
MAX_INTEGER: Final = 2**53 - 1
MAX_VALUES: Final = 2_000_000
"""Thrice what an inventory of 10,000 signed images holds: ``[{},{},…`` costs 20 times its bytes."""
_MAX_DIGITS: Final = 16
# Runs of anything that is no bracket, and whole strings. Nothing backtracks, and a string that has
# no end takes the rest: the scan looks at each character once, whatever the document (A022).
_NOT_A_BRACKET: Final = re.compile(r'[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")

_TYPE_NAMES: Final = {
    dict: "object", list: "array", str: "string", int: "int", bool: "bool", float: "number",
    type(None): "null",
}  # fmt: skip

JsonObject = dict[str, Any]


def decode(data: bytes, what: str = "document", *, floats: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value that `data` spells, or raise FormatError naming `what`.

    `floats` admits fractions and exponents, for documents of third parties (annotations of SBOMs
    and the like) whose numbers we never use.
    """
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} is not UTF-8", reason="json-not-utf8") from error
    if text.startswith("\ufeff"):
        raise FormatError(f"{what} starts with a byte order mark", reason="json-not-utf8")
    _refuse_excess(text, what)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_pairs,
            parse_float=float if floats else _refuse_number,
            parse_int=_bounded_integer,
            parse_constant=_refuse_number,
        )
    except FormatError as error:
        raise FormatError(f"{error.message} in {what}", reason=error.reason) from error
    except ValueError as error:
        raise FormatError(f"{what} is not JSON", reason="json-invalid") from error
    # A lone surrogate can only be written as an escape: the input itself was UTF-8.
    if _ESCAPED_SURROGATE.search(text):
        _refuse_surrogates(value, what)
    return value


def encode(value: object) -> bytes:
    """Return the RFC 8785 canonical JSON of `value`, or raise FormatError ``json-not-canonical``.

    Dicts with string keys, lists, tuples, strings, integers within ±(2^53-1), booleans and None.
    Keys are sorted by UTF-16 code units (RFC 8785 section 3.2.3); ours are in the Basic
    Multilingual Plane, where that is code point order, and any other key is refused.
    """
    _refuse_foreign(value, MAX_DEPTH)
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _not_canonical("a lone surrogate") from error


def _refuse_excess(text: str, what: str) -> None:
    brackets = text.count("[") + text.count("{")
    if brackets + text.count(",") > MAX_VALUES:
        raise FormatError(f"{what} holds too many values", reason="json-too-large")
    if brackets <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _NOT_A_BRACKET.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise FormatError(
                f"{what} nests deeper than {MAX_DEPTH} levels", reason="json-too-deep"
            )


def _unique_pairs(pairs: list[tuple[str, Any]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        # Each key is taken out once; the first that is gone already stands there twice.
        twice = next(key for key, _ in pairs if result.pop(key, pairs) is pairs)
        raise FormatError(f"duplicate key {twice!r:.100}", reason="json-duplicate-key")
    return result


def _bounded_integer(token: str) -> int:
    if len(token.lstrip("-")) > _MAX_DIGITS or abs(int(token)) > MAX_INTEGER or token == "-0":  # noqa: S105 - a number
        raise FormatError(f"the number {token[:40]} is not allowed", reason="json-number-invalid")
    return int(token)


def _refuse_number(token: str) -> NoReturn:
    raise FormatError(f"the number {token[:40]} is not allowed", reason="json-number-invalid")


def _refuse_surrogates(value: object, what: str) -> None:
    for text in _strings(value):
        if _SURROGATE.search(text):
            raise FormatError(f"lone surrogate in {what}", reason="json-not-utf8")


def _refuse_foreign(value: object, depth: int) -> None:
    """Refuse what JSON, RFC 8785 or our own decoder has no one form for."""
    if isinstance(value, dict | list | tuple):
        if depth == 0:
            raise _not_canonical(f"nesting of more than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            _refuse_foreign_keys(value)
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_foreign(item, depth - 1)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise _not_canonical(f"an integer of {value.bit_length()} bits")
    elif not (value is None or isinstance(value, str)):
        raise _not_canonical(f"a {type(value).__name__}")


def _refuse_foreign_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str) or _ASTRAL.search(key):
            raise _not_canonical(f"the key {key!r:.100}")


def _not_canonical(what: str) -> FormatError:
    return FormatError(f"{what} has no canonical JSON here", reason="json-not-canonical")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


@dataclass(frozen=True, slots=True)
class Reader:
    """A decoded JSON object with typed getters that name the path in every error.

    `value` is the object, `path` where it stands in its document.
    """

    value: JsonObject
    path: str

    @classmethod
    def of(cls, value: object, path: str) -> Reader:
        """Return a reader over `value`, which must be an object."""
        return cls(cast("JsonObject", _expect(value, dict, path)), path)

    @classmethod
    def parse(cls, data: bytes, path: str, *, floats: bool = False) -> Reader:
        """Decode `data` and return a reader over the object in it."""
        return cls.of(decode(data, path, floats=floats), path)

    def at(self, key: str) -> str:
        """Return the path of `key`."""
        return f"{self.path}.{key}"

    def has(self, key: str) -> bool:
        """Tell whether `key` is there."""
        return key in self.value

    def without_nulls(self) -> Reader:
        """Return the same object without its null fields, which third parties take as absent."""
        return Reader({k: item for k, item in self.value.items() if item is not None}, self.path)

    def close(self, *known: str) -> None:
        """Refuse every key that is not in `known`: our own documents are closed."""
        unknown = sorted(str(key) for key in self.value.keys() - set(known))
        if unknown:
            raise FormatError(f"unknown field {self.at(unknown[0])}", reason="field-unknown")

    def refuse_case_variants(self, *known: str) -> None:
        """Refuse a key that equals one of `known` but for its case.

        Some parsers match keys whatever their case, so such a document has two readings (A044).
        """
        folded = {name.casefold(): name for name in known}
        for key in self.value:
            if folded.get(key.casefold(), key) != key:
                raise FormatError(f"ambiguous field {self.at(key)}", reason="json-duplicate-key")

    def text(self, key: str) -> str:
        """Return the string at `key`."""
        return cast("str", _expect(self._required(key), str, self.at(key)))

    def optional_text(self, key: str) -> str | None:
        """Return the string at `key`, or None where there is none."""
        return self.text(key) if key in self.value else None

    def integer(self, key: str, *, least: int = 0) -> int:
        """Return the integer at `key`, at least `least`."""
        number = cast("int", _expect(self._required(key), int, self.at(key)))
        if number < least:
            raise FormatError(
                f"expected at least {least} in {self.at(key)}", reason="field-invalid"
            )
        return number

    def boolean(self, key: str) -> bool:
        """Return the boolean at `key`."""
        return cast("bool", _expect(self._required(key), bool, self.at(key)))

    def digest(self, key: str) -> Digest:
        """Return the digest at `key`."""
        return Digest.parse(self._required(key), self.at(key))

    def child(self, key: str) -> Reader:
        """Return a reader over the object at `key`."""
        return Reader.of(self._required(key), self.at(key))

    def array(self, key: str) -> list[Any]:
        """Return the array at `key`."""
        return cast("list[Any]", _expect(self._required(key), list, self.at(key)))

    def children(self, key: str) -> Iterator[Reader]:
        """Yield a reader over each object of the array at `key`."""
        for number, item in enumerate(self.array(key)):
            yield Reader.of(item, f"{self.at(key)}[{number}]")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the array of strings at `key`."""
        return tuple(
            cast("str", _expect(item, str, f"{self.at(key)}[{number}]"))
            for number, item in enumerate(self.array(key))
        )

    def digests(self, key: str) -> tuple[Digest, ...]:
        """Return the array of digests at `key`."""
        return tuple(
            Digest.parse(item, f"{self.at(key)}[{number}]")
            for number, item in enumerate(self.array(key))
        )

    def text_map(self, key: str) -> dict[str, str]:
        """Return the object of strings at `key`."""
        child = self.child(key)
        return {name: child.text(name) for name in child.value}

    def _required(self, key: str) -> object:
        if key not in self.value:
            raise FormatError(f"missing {self.at(key)}", reason="field-missing")
        return self.value[key]


def _expect(value: object, kind: type, path: str) -> object:
    # `True` is an int in Python; type(), not isinstance(), keeps the two apart (A046).
    if type(value) is not kind:
        found = _TYPE_NAMES.get(type(value), type(value).__name__)
        raise FormatError(
            f"expected {_TYPE_NAMES[kind]} in {path}, got {found}", reason="field-invalid"
        )
    return value
