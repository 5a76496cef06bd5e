"""Delegations: who is asked in which order, and under whose word each role is believed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airgap.conformance import client as client_module
from airgap.errors import AirgapError
from tests.conformance.simulator import CONTENT

if TYPE_CHECKING:
    from tests.conformance.client_scene import Scene

Edge = tuple[str, str, str]
"""Delegator, role, and what is special: a pattern, or ``!`` for a terminating delegation."""

GRAPHS: dict[str, tuple[str, tuple[Edge, ...]]] = {
    "one": ("A", (("targets", "A", "*"),)),
    "two": ("AB", (("targets", "A", "*"), ("targets", "B", "*"))),
    "two levels": ("ABC", (("targets", "A", "*"), ("targets", "B", "*"), ("B", "C", "*"))),
    "depth first": (
        "ACDB",
        (("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "*"), ("A", "D", "*")),
    ),
    "deeper first": (
        "ACDB",
        (("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "*"), ("C", "D", "*")),
    ),
    "terminating": (
        "AC",
        (("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "!"), ("A", "D", "*")),
    ),
    "terminating with children": (
        "ACD",
        (("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "!"), ("C", "D", "*")),
    ),
    "pattern above": ("B", (("targets", "A", "*.py"), ("targets", "B", "*"), ("A", "C", "*"))),
    "pattern below": (
        "AB",
        (("targets", "A", "*"), ("targets", "B", "*"), ("A", "C", "*.py"), ("C", "D", "*")),
    ),
    "cycle": (
        "ABCD",
        (("targets", "A", "*"), ("targets", "B", "*"), ("B", "C", "*"), ("C", "D", "*"),
         ("D", "B", "*")),
    ),
    "one role, two ways": (
        "ACB",
        (("targets", "A", "*"), ("targets", "B", "*"), ("B", "C", "*"), ("A", "C", "*")),
    ),
    "one role, one way": (
        "ABC",
        (("targets", "A", "*"), ("targets", "B", "*"), ("B", "C", "*"), ("A", "C", "*.py")),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("order", "edges"), GRAPHS.values(), ids=GRAPHS)
def test_roles_are_asked_in_order(scene: Scene, order: str, edges: tuple[Edge, ...]) -> None:
    for delegator, role, special in edges:
        pattern = "*" if special == "!" else special
        scene.repository.delegate(delegator, role, paths=(pattern,), terminating=special == "!")
    scene.repository.publish_all()
    assert scene.refresh() == 0
    scene.asked()
    assert scene.download("missing") == 1
    assert scene.asked()[2:] == [f"1.{role}.json" for role in order]
    assert set(scene.trusted) >= set(order)
    assert scene.download("missing") == 1  # what is kept is not fetched again
    assert scene.asked()[2:] == []


@pytest.mark.parametrize(
    ("path", "order", "found"),
    [
        ("file", "", True),
        ("README.md", "A", True),
        ("releases/x/x_v1", "BC", True),
        ("releases/y/y_v1.zip", "BD", True),
        ("releases/z/z_v1.zip", "B", False),
        ("releases/x/deep/er", "", False),
    ],
)
def test_patterns_are_of_whole_path_parts(scene: Scene, path: str, order: str, found: bool) -> None:
    repository = scene.repository
    repository.delegate("targets", "A", paths=("*.doc", "*.md"))
    repository.delegate("targets", "B", paths=("releases/*/*",))
    repository.delegate("B", "C", paths=("releases/x/*",))
    repository.delegate("B", "D", paths=("releases/y/*.zip",))
    for role, name in [
        ("targets", "file"), ("A", "README.md"), ("C", "releases/x/x_v1"),
        ("D", "releases/y/y_v1.zip"), ("D", "releases/z/z_v1.zip"), ("C", "releases/x/deep/er"),
    ]:  # fmt: skip
        repository.add_artifact(name, name.encode(), role=role)
    repository.publish_all()
    assert scene.refresh() == 0
    scene.asked()
    assert scene.download(path) == (0 if found else 1)
    assert scene.asked()[2:][: len(order)] == [f"1.{role}.json" for role in order]
    assert scene.downloaded == ([path.encode()] if found else [])


def test_hash_prefixes(scene: Scene) -> None:
    digest = hashlib.sha256(b"foo").hexdigest()
    scene.repository.delegate("targets", "A", prefixes=(f"{(int(digest[0], 16) + 1) % 16:x}",))
    scene.repository.delegate("targets", "B", prefixes=("zz", digest[:3]))
    scene.repository.add_artifact("foo", b"content", role="B")
    scene.repository.publish_all()
    assert scene.download("foo") == 0
    assert set(scene.trusted) & {"A", "B"} == {"B"}


@pytest.mark.parametrize(
    ("bits", "path", "name"),
    [(1, "boo", "bin-0"), (1, "too", "bin-1"), (2, "foo", "bin-0"), (2, "bar", "bin-3"),
     (8, "bar", "bin-fc")],
)  # fmt: skip
def test_bins(scene: Scene, bits: int, path: str, name: str) -> None:
    scene.repository.delegate_bins(bits)
    scene.repository.add_artifact(path, b"content", role=name)
    scene.repository.publish_all()
    assert scene.refresh() == 0
    scene.asked()
    assert scene.download(path) == 0
    assert scene.asked()[2] == f"1.{name}.json"
    assert set(scene.trusted) - {"root", "timestamp", "snapshot", "targets"} == {name}


@pytest.mark.parametrize("limit", [2, 3])
def test_roles_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(client_module, "_MAX_DELEGATIONS", limit)
    for delegator, role in [("targets", "A"), ("A", "B"), ("B", "C")]:
        scene.repository.delegate(delegator, role)
    scene.repository.add_artifact("deep", b"content", role="C")
    scene.repository.publish_all()
    assert scene.download("deep") == (0 if limit == 3 else 1)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_cached_role_is_verified_under_the_delegator_of_this_time(
    scene: Scene, at_once: bool
) -> None:
    """C is A's and B's, signed for A alone: kept for A, it is not believed for B."""
    repository = scene.repository
    repository.delegate("targets", "A", paths=("a/*",))
    repository.delegate("targets", "B", paths=("b/*",))
    repository.delegate("A", "C", paths=("*/*",))
    repository.delegate("B", "C", paths=("*/*",), sign=False)
    for path in ("a/x", "b/x"):
        repository.add_artifact(path, path.encode(), role="C")
    repository.publish_all()
    if at_once:
        assert scene.download("a/x", "b/x") == 1
    else:
        assert scene.download("a/x") == 0
        assert scene.download("b/x") == 1
    assert scene.downloaded == [b"a/x"]
    client = scene.client()
    client.refresh()
    assert client.find("a/x").length == 3
    with pytest.raises(AirgapError) as caught:
        client.find("b/x")
    assert caught.value.reason == "threshold-not-met"
    repository.add_key("C", delegator="B")
    repository.publish("C", "B", *CONTENT)
    assert scene.download("b/x", "a/x") == 0


def test_a_role_that_the_snapshot_does_not_list(scene: Scene) -> None:
    scene.repository.delegate("targets", "A")
    scene.repository.publish_all()
    del scene.repository.roles["snapshot"].meta["A.json"]
    scene.repository.publish("snapshot", "timestamp")
    client = scene.client()
    client.refresh()
    with pytest.raises(AirgapError, match="does not list A") as caught:
        client.find("any")
    assert caught.value.reason == "role-not-listed"


@pytest.mark.parametrize("role", ["?", "#", "/role", "../role", "a b", "ü", "%2F", "..", ".new"])
def test_names_of_roles_are_quoted(scene: Scene, role: str) -> None:
    """In the address, and in the name of the file, which stays in the folder."""
    before = set(scene.folder.rglob("*"))
    scene.repository.delegate("targets", role)
    scene.repository.publish_all()
    assert scene.download("missing") == 1
    name = quote(role, safe="")
    assert scene.asked()[-1] == f"1.{name}.json"
    new = {f"{kept}.json" for kept in ("timestamp", "snapshot", "targets", name)}
    assert set(scene.folder.rglob("*")) - before == {scene.cache / kept for kept in new}
