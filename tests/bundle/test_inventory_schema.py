"""Schema and decoder give the same answers, as far as a schema can say."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bundle.inventories import TYPES, A, check_agreement, document


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to everything in `value`."""
    found = [path] if path else []
    entries: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    if isinstance(value, list):
        entries = list(enumerate(value))
    for key, inner in entries:
        found += places(inner, (*path, key))
    return found


PLACES = places(document())
TEXTS = ["", "a", "x\n", "prod", "trust/a", "2026-11-22T10:00:00Z", A, A.upper(), f"{A}\n", *TYPES]
NAMES = [
    "docker.io/library/base",
    "docker.io/base",
    "docker.io/library/base:1.0\n",
    "a.b:0/c",
    "a.b:70000/c",
    "a.b:65535/c",
    "localhost/a",
    "LOCALHOST/a",
    "[::1]:5000/a",
    "[::1]/a:v",
    "[::G]/a",
    "a..b/c",
    "a.b/c__d",
    "a.b/c___d",
    "a.b/c--d:_x",
    "a.b/c:.x",
    "a.b/C",
    "a/b",
    "index.docker.io/a/b:c",
    "docker.io:443/a:b",
    "a.b/" + "c" * 255,
    "a.b/" + "c" * 256,
    "a.b/c:" + "d" * 128,
    "a.b/c:" + "d" * 129,
    "a.b/c:sha256-x",
    "a" * 300 + ".b/c",
    "a.b//c",
    "a.b/c@" + A,
    "a-.b/c",
    "",
]
SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.sampled_from([0, 1, 5, 6, 8, 9, 4096, 4 << 20, (4 << 20) + 1]),
    st.sampled_from([*TEXTS, *NAMES, "index", "image", "trust", "api", "excluded"]),
    st.text(max_size=5),
    st.sampled_from([[], {}, [A], [1], ["a"], {"digest": A, "size": 1}, {"a": A}]),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tag", ["", ":1.0"])
def test_schema_and_decoder_agree_on_names(name: str, tag: str) -> None:
    text = name + tag
    value = document()
    value["items"][1]["source"] = text
    value["names"] = {}
    check_agreement(value)
    value = document()
    value["names"][text] = A
    check_agreement(value)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_schema_and_decoder_agree_on_mutations(data: st.DataObject) -> None:
    value = deepcopy(document())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES))
        holder: Any = value
        try:
            for step in path[:-1]:
                holder = holder[step]
            match data.draw(st.sampled_from(["set", "delete", "add", "double"])):
                case "set":
                    holder[path[-1]] = deepcopy(data.draw(SIMPLE))
                case "delete":
                    del holder[path[-1]]
                case "add":
                    holder[path[-1]][data.draw(st.sampled_from([*NAMES, "x", "size"]))] = A
                case _:
                    holder[path[-1]] = holder[path[-1]] * 2
        except (TypeError, KeyError, IndexError):
            continue
    check_agreement(value)
