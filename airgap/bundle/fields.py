"""Fields: the grammars of the inventory's values, each read and judged in one place.

`schemas/inventory.schema.json` says the same; a test holds the two to the same answers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, UsageError
from airgap.oci.descriptor import Descriptor
from airgap.oci.manifest import MANIFEST_LIMIT, MANIFEST_TYPES
from airgap.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Collection

    from airgap.oci.strict_json import Reader

__all__ = [
    "format_time",
    "is_target_path",
    "read_authority",
    "read_labels",
    "read_line",
    "read_manifest_descriptor",
    "read_name",
    "read_numbers",
    "read_source",
    "read_stream",
    "read_target_path",
    "read_time",
    "read_word",
]

_INVALID: Final = "field-invalid"
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TIME: Final = re.compile(
    r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
)
_SEGMENT: Final = r"[A-Za-z0-9_][A-Za-z0-9._:@+-]*"
_TARGET_PATH: Final = re.compile(rf"(?=.{{1,255}}\Z){_SEGMENT}(?:/{_SEGMENT})*")
# A line of text for people: no control characters, so no line breaks either.
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,1000}")
_RESERVED_TAG: Final = re.compile(r"sha(?:256|512)-")


def is_target_path(text: str) -> bool:
    """Tell whether `text` may be the path of a target: relative, plain segments, 255 characters."""
    return _TARGET_PATH.fullmatch(text) is not None


def format_time(time: datetime) -> str:
    """Spell `time`, which is in UTC, as RFC 3339 with whole seconds and ``Z``."""
    return time.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def read_time(reader: Reader, key: str) -> datetime:
    """Return the time at `key`: RFC 3339, UTC, whole seconds."""
    text = _matching(reader, key, _TIME, "a time such as 2026-11-22T00:00:00Z")
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError(
            f"there is no such day as {text} in {reader.at(key)}", reason="time-impossible"
        ) from error


def read_authority(reader: Reader, key: str) -> str:
    """Return the UUID at `key`, in lower case as RFC 9562 writes it."""
    return _matching(reader, key, _UUID, "a lower-case UUID")


def read_stream(reader: Reader, key: str) -> str:
    """Return the name of a stream at `key`."""
    return _matching(reader, key, _LABEL, "a name of lower-case letters, digits and ._-")


def read_labels(reader: Reader, key: str) -> tuple[str, ...]:
    """Return the names of sites at `key`."""
    labels = reader.texts(key)
    for label in labels:
        _match(label, reader.at(key), _LABEL, "names of lower-case letters, digits and ._-")
    return labels


def read_numbers(reader: Reader, key: str) -> tuple[int, ...]:
    """Return the numbers of bundles at `key`."""
    numbers = reader.array(key)
    if any(type(number) is not int or number < 1 for number in numbers):
        raise FormatError(f"expected numbers from 1 in {reader.at(key)}", reason=_INVALID)
    return tuple(numbers)


def read_target_path(reader: Reader, key: str) -> str:
    """Return the path of a target below ``trust/`` at `key`."""
    path = _matching(reader, key, _TARGET_PATH, "a path of plain segments")
    if not path.startswith("trust/"):
        raise FormatError(f"expected a path below trust/ in {reader.at(key)}", reason=_INVALID)
    return path


def read_line(reader: Reader, key: str) -> str:
    """Return the line of text at `key`."""
    return _matching(reader, key, _LINE, "one line of at most 1000 characters")


def read_word(reader: Reader, key: str, words: Collection[str]) -> str:
    """Return the text at `key`, which must be one of `words`."""
    text = reader.text(key)
    if text not in words:
        raise FormatError(
            f"expected one of {', '.join(sorted(words))} in {reader.at(key)}, got {text!r:.100}",
            reason=_INVALID,
        )
    return text


def read_source(reader: Reader, key: str) -> str:
    """Return the normalised host and repository at `key`."""
    text = reader.text(key)
    if _reference(text, reader.at(key)).source != text:
        raise _not_normalised(text, reader.at(key))
    return text


def read_name(text: str, path: str) -> Reference:
    """Return the full name, host/repository:tag, that `text` spells in its normalised form.

    Tags that stand for signatures and referrers (``sha256-…``) are no names (A068 and A069).
    """
    reference = _reference(text, path)
    if reference.name != text:
        raise _not_normalised(text, path)
    if reference.tag is not None and _RESERVED_TAG.match(reference.tag):
        raise FormatError(f"{text!r:.300} in {path} is a reserved tag", reason="name-reserved")
    return reference


def read_manifest_descriptor(reader: Reader) -> Descriptor:
    """Return the media type, digest and size at `reader`, which must be those of a manifest."""
    kind = reader.text("mediaType")
    if kind not in MANIFEST_TYPES:
        raise FormatError(f"{reader.at('mediaType')} is not a manifest's", reason=_INVALID)
    size = reader.integer("size", least=1)
    if size > MANIFEST_LIMIT:
        raise FormatError(
            f"{reader.at('size')} is more than {MANIFEST_LIMIT}", reason="manifest-too-large"
        )
    return Descriptor(media_type=kind, digest=reader.digest("digest"), size=size)


def _matching(reader: Reader, key: str, grammar: re.Pattern[str], what: str) -> str:
    return _match(reader.text(key), reader.at(key), grammar, what)


def _match(text: str, path: str, grammar: re.Pattern[str], what: str) -> str:
    if grammar.fullmatch(text) is None:
        raise FormatError(f"expected {what} in {path}, got {text!r:.100}", reason=_INVALID)
    return text


def _reference(text: str, path: str) -> Reference:
    try:
        return Reference.parse(text)
    except UsageError as error:
        raise FormatError(f"{error.message} in {path}", reason="name-not-normalised") from error


def _not_normalised(text: str, path: str) -> FormatError:
    return FormatError(
        f"{text!r:.300} in {path} is not spelled in full", reason="name-not-normalised"
    )
