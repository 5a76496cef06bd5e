"""Fingerprint and codes: what people tell each other by another way than the bundles.

Three texts in Crockford's base32 (no I, L, O, U), in groups of four:

* the **fingerprint** of an authority: the first 130 bits of SHA-256 over the canonical `signed` of
  root 1 (26 characters), then two check characters, the first 10 bits of SHA-256 over those 26;
* the **bootstrap code** of a bundle: its number and the first 40 bits of its inventory's digest,
  ``1:8FQ2-T6MD``;
* the **short form** of a receipt: the first 130 bits of its SHA-256, 26 characters.

A person may type lower case, spaces, dashes, O for 0, I or L for 1.
Source: docs/bundle-format.md, section 4; docs/trust.md, "Sequence, and importers that forget".
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from airgap.errors import UsageError

if TYPE_CHECKING:
    from airgap.oci.digest import Digest

__all__ = ["bootstrap_code", "fingerprint", "parse_code", "parse_fingerprint", "short_form"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES: Final = str.maketrans("OIL", "011", " -")
_BODY: Final = 26
_CHECK: Final = 2
_CODE: Final = 8
_GROUP: Final = 4
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


def fingerprint(signed: bytes) -> str:
    """Return the fingerprint of an authority, 7 groups of four.

    `signed` is the OLPC canonical JSON of the `signed` of its root 1.
    """
    body = _base32(signed, _BODY)
    return _grouped(body + _check_characters(body))


def parse_fingerprint(text: str) -> str:
    """Return the fingerprint that a person typed, in its one spelling.

    Raises UsageError ``fingerprint-mistyped`` where a character or the check is wrong.
    """
    typed = _normalised(text)
    body, check = typed[:_BODY], typed[_BODY:]
    if not _is_base32(typed, _BODY + _CHECK) or _check_characters(body) != check:
        raise UsageError(
            f"{text!r:.80} is not a fingerprint: a character is wrong, missing or too many",
            reason="fingerprint-mistyped",
            hint="Type the 28 characters again as they were told to you, in groups of four.",
        )
    return _grouped(typed)


def bootstrap_code(sequence: int, inventory: Digest) -> str:
    """Return the code for a site that starts with this bundle: ``NUMBER:XXXX-XXXX``."""
    return f"{sequence}:{_grouped(_digits_of(bytes.fromhex(inventory.hex), _CODE))}"


def parse_code(text: str) -> str:
    """Return the bootstrap code that a person typed, in its one spelling.

    Raises UsageError ``bootstrap-code-mistyped`` where it has not the form of one.
    """
    number, _, digits = (_normalised(part) for part in text.partition(":"))
    if not _NUMBER.fullmatch(number) or not _is_base32(digits, _CODE):
        raise UsageError(
            f"{text!r:.80} is not a bootstrap code",
            reason="bootstrap-code-mistyped",
            hint="The export printed it: a number, a colon and eight characters, as 1:8FQ2-T6MD.",
        )
    return f"{number}:{_grouped(digits)}"


def short_form(data: bytes) -> str:
    """Return the 26 characters that stand for `data` on paper, in groups of four."""
    return _grouped(_base32(data, _BODY))


def _base32(data: bytes, characters: int) -> str:
    return _digits_of(hashlib.sha256(data).digest(), characters)


def _digits_of(digest: bytes, characters: int) -> str:
    """Spell the first 5 bits for each of `characters`, the first bits first."""
    number = int.from_bytes(digest, "big")
    bits = 8 * len(digest)
    return "".join(_ALPHABET[number >> (bits - 5 * n) & 31] for n in range(1, characters + 1))


def _check_characters(body: str) -> str:
    return _base32(body.encode("ascii", errors="replace"), _CHECK)


def _normalised(text: str) -> str:
    return text.strip().upper().translate(_LOOK_ALIKES)


def _is_base32(text: str, length: int) -> bool:
    return len(text) == length and all(character in _ALPHABET for character in text)


def _grouped(text: str) -> str:
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))
