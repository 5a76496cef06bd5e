from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap import errors
from airgap.errors import AirgapError, RejectedError, UsageError, safe

EXIT_CODES = {
    "AirgapError": 1,
    "UsageError": 2,
    "RejectedError": 3,
    "ContentError": 4,
    "FormatError": 4,
    "UnsupportedVersionError": 4,
    "IntegrityError": 4,
    "StoreError": 5,
    "NotFoundError": 5,
    "AuthenticationError": 5,
    "RegistryCorruptError": 5,
    "TrustRootError": 6,
    "SequenceError": 7,
    "WaitingError": 8,
}
CLASSES = [getattr(errors, name) for name in EXIT_CODES]


def test_the_tree_is_the_one_of_the_architecture() -> None:
    assert {*EXIT_CODES, "is_hidden", "safe"} == set(errors.__all__)
    for kind in CLASSES:
        assert issubclass(kind, AirgapError)
        assert kind.exit_code == EXIT_CODES[kind.__name__]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_sentence_a_reason_and_a_hint(kind: type[AirgapError]) -> None:
    more = {"verdict": object()} if kind is RejectedError else {}
    error = kind("blob \x1b[31m is bad", reason="some-reason", **more)  # type: ignore[arg-type]
    assert str(error) == error.message == "blob \\u{1b}[31m is bad"
    assert error.hint == kind.default_hint
    assert error.default_hint.endswith(".")
    assert error.to_json() == {
        "error": kind.__name__,
        "code": kind.exit_code,
        "reason": "some-reason",
        "message": "blob \\u{1b}[31m is bad",
        "hint": kind.default_hint,
    }


def test_a_better_hint_replaces_that_of_the_class() -> None:
    assert UsageError("no", reason="r", hint="Do\u202e this.").hint == "Do\\u{202e} this."
    assert UsageError("no", reason="r", hint="").hint == ""


def test_a_rejection_carries_its_verdict() -> None:
    verdict = object()
    error = RejectedError("no", reason="r", verdict=verdict, hint="h")
    assert error.verdict is verdict
    assert error.hint == "h"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 漢字 🙂", "plain ünïcode 漢字 🙂"),
        ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),  # A133
        ("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c"),  # A134
        ("\x7f\x80\x9f", "\\u{7f}\\u{80}\\u{9f}"),
        ("\u202eexe.\u2066\u200f", "\\u{202e}exe.\\u{2066}\\u{200f}"),
        ("a\u200bb\ufeff\u00ad\u2060", "a\\u{200b}b\\u{feff}\\u{ad}\\u{2060}"),
        ("\u2028\u2029\x85", "\\u{2028}\\u{2029}\\u{85}"),
        ("\ud800", "\\u{d800}"),
        ("\ue000\U000e0041\U0010ffff", "\\u{e000}\\u{e0041}\\u{10ffff}"),
        ("\u034f\u3164\ufe0f\U000e0100", "\\u{34f}\\u{3164}\\u{fe0f}\\u{e0100}"),
        (17, "17"),
        (None, "None"),
    ],
)
def test_what_could_fool_a_reader_is_shown(text: object, shown: str) -> None:
    assert safe(text) == shown


def test_lines_stay_where_they_are_wanted_and_nothing_else_does() -> None:
    assert safe("a\nb\r\u2028", newlines=True) == "a\nb\\u{d}\\u{2028}"


def test_endless_text_is_cut() -> None:
    assert safe("x" * 2000) == "x" * 2000
    assert safe("x" * 2001) == "x" * 2000 + "…"
    assert len(safe("\x00" * 1_000_000)) < 20_000


@given(st.text())
def test_nothing_that_a_terminal_acts_on_survives(text: str) -> None:
    shown = safe(text)
    assert not {unicodedata.category(character) for character in shown} & {
        "Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"
    }  # fmt: skip
    assert safe(shown) == shown
