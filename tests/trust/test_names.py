from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import UsageError
from airgap.trust.names import check_pattern, matches, matches_any, overlap


@pytest.mark.parametrize(
    ("pattern", "name", "answer"),
    [
        ("registry.example/**", "registry.example/prod/app", True),
        ("registry.example/**", "registry.example/prod/app:1.4", True),
        ("registry.example/**", "registry.example/prod/app@sha256:" + "0" * 64, True),
        ("registry.example/**", "registry.example/prod/app:1@sha256:" + "0" * 64, True),
        ("registry.example/**", "registry.example.evil/prod/app", False),
        ("registry.example/*", "registry.example/prod/app", False),
        ("registry.example/*/app", "registry.example/prod/app:1", True),
        ("registry.example/prod-*", "registry.example/prod-a:1", True),
        ("registry.example/prod-*", "registry.example/test-a:1", False),
        ("127.0.0.1:5000/**", "127.0.0.1:5000/app:1", True),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:1", True),
        ("127.0.0.1:5000/app", "127.0.0.1:5001/app:1", False),
        ("**", "a/b/c", True),
        ("**/app", "a/b/app", True),
        ("a/**/z", "a/z", True),
        ("a", "a", True),
        ("a/b", "a", False),
        ("a/b", "**", False),
    ],
)
def test_a_pattern_matches_names(pattern: str, name: str, answer: bool) -> None:
    assert matches(pattern, name) is answer
    assert matches_any(["nothing/here", pattern], name) is answer


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("a/**", "a/b", True),
        ("a/**", "b/**", False),
        ("a/*", "**/b", True),
        ("a/*/c", "a/b/*", True),
        ("a/x*", "a/*y", True),
        ("a/x*z", "a/y*", False),
        ("**", "**", True),
        ("a/*", "a/b/c", False),
    ],
)
def test_patterns_overlap(one: str, other: str, answer: bool) -> None:
    assert overlap(one, other) is answer
    assert overlap(other, one) is answer


NAMES = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(
    st.one_of(
        st.just("**"), st.text("ab*", min_size=1, max_size=3).filter(lambda s: "**" not in s)
    ),
    min_size=1,
    max_size=4,
).map("/".join)


def as_regex(pattern: str) -> re.Pattern[str]:
    """Translate over names with a slash at the end of each segment: `**` is any of those."""
    parts = [
        "(?:[^/]+/)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") + "/"
        for part in pattern.split("/")
    ]
    return re.compile("".join(parts))


@given(PATTERNS, NAMES)
def test_a_regular_expression_agrees(pattern: str, name: str) -> None:
    assert matches(pattern, name) is bool(as_regex(pattern).fullmatch(name + "/"))


@given(PATTERNS, PATTERNS, NAMES)
def test_patterns_that_share_a_name_overlap(one: str, other: str, name: str) -> None:
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)


def test_many_wildcards_take_no_time() -> None:
    assert not matches("*a" * 120 + "b", "a" * 500)


@pytest.mark.parametrize("text", ["registry.example/**", "a/*/b", "h:5000/x", "[::1]:5000/**", "*"])
def test_patterns_are_accepted(text: str) -> None:
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text", ["", "/", "a/", "/a", "a//b", "A/b", "a/b**", "a/***", "a b", "a/b:1", "a" * 256, "a\n"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a pattern") as caught:
        check_pattern(text)
    assert caught.value.reason == "pattern-invalid"
