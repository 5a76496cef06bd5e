"""Artifacts: the bytes that were signed, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airgap.errors import AirgapError
from tests.conformance.simulator import CONTENT, TOP

if TYPE_CHECKING:
    from tests.conformance.client_scene import Scene


@pytest.mark.parametrize("path", ["file.txt", "path/to/file.txt"])
def test_an_artifact(scene: Scene, path: str) -> None:
    target = scene.repository.add_artifact(path, b"content")
    scene.repository.publish(*CONTENT)
    assert scene.refresh() == 0
    assert scene.downloaded == []
    assert scene.download(path) == 0
    assert scene.downloaded == [b"content"]
    folder, slash, name = path.rpartition("/")
    assert scene.asked()[-1] in {f"{folder}{slash}{h}.{name}" for h in target.hashes.values()}


def test_a_download_refreshes(scene: Scene) -> None:
    assert scene.download("missing") == 1
    assert set(scene.trusted) == set(TOP)
    client = scene.client()
    client.refresh()
    with pytest.raises(AirgapError, match="no role that is asked knows missing") as caught:
        client.find("missing")
    assert caught.value.reason == "file-unknown"


def test_what_is_here_is_not_fetched_again(scene: Scene) -> None:
    scene.repository.add_artifact("file", b"one")
    scene.repository.publish(*CONTENT)
    assert scene.download("file") == 0
    assert scene.download("file") == 0
    assert len(scene.repository.artifacts_asked) == 1
    (place,) = scene.artifacts.iterdir()
    place.write_bytes(b"changed here")
    assert scene.download("file") == 0
    assert scene.downloaded == [b"one"]
    scene.repository.add_artifact("file", b"two")
    scene.repository.publish(*CONTENT)
    assert scene.download("file") == 0
    assert scene.downloaded == [b"two"]


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (b"evil!!!", "target-mismatch"),
        (b"short", "target-mismatch"),
        (b"longer than it was signed", "file-too-large"),
        (None, "file-not-found"),
    ],
)
def test_other_bytes_than_were_signed(scene: Scene, served: bytes | None, reason: str) -> None:
    for name in ("file", "other"):
        scene.repository.add_artifact(name, b"content")
    scene.repository.publish(*CONTENT)
    assert scene.download("other") == 0
    for name in ("file", "other"):
        if served is None:
            del scene.repository.artifacts[name]
        else:
            scene.repository.artifacts[name] = served
    assert scene.download("other") == 0  # it is here
    assert scene.download("file") == 1
    client = scene.client()
    client.refresh()
    with pytest.raises(AirgapError) as caught:
        client.download("file", scene.artifacts / "file")
    assert caught.value.reason == reason
    assert scene.downloaded == [b"content"]


@pytest.mark.parametrize("algorithms", [("sha256",), ("sha512",), ("sha256", "sha512")])
def test_hash_algorithms(scene: Scene, algorithms: tuple[str, ...]) -> None:
    target = scene.repository.add_artifact("file", b"content")
    target.hashes = {name: target.hashes[name] for name in algorithms}
    scene.repository.publish(*CONTENT)
    assert scene.download("file") == 0
    assert scene.downloaded == [b"content"]


@pytest.mark.parametrize("beside", [False, True])
def test_an_unknown_hash_algorithm(scene: Scene, beside: bool) -> None:
    target = scene.repository.add_artifact("file", b"content")
    target.hashes["unknown"] = target.hashes["sha512"]
    if not beside:
        del target.hashes["sha256"], target.hashes["sha512"]
    scene.repository.publish(*CONTENT)
    assert scene.download("file") == 1
    assert scene.downloaded == []


@pytest.mark.parametrize("name", ["a b", "ü", "what?", "#1", "100%", "a/../b", "../up", "a+b@c"])
def test_names_of_artifacts_are_quoted(scene: Scene, name: str) -> None:
    scene.repository.root.consistent_snapshot = False
    scene.repository.publish("root")
    scene.repository.add_artifact(name, b"content")
    scene.repository.publish(*CONTENT)
    before = set(scene.folder.iterdir())
    found = scene.download(name)
    assert set(scene.folder.iterdir()) - before <= {scene.artifacts}
    if ".." in name:  # no address can name it: dots are resolved before it is sent
        assert (found, scene.downloaded) == (1, [])
    else:
        assert found == 0
        (place,) = scene.artifacts.iterdir()
        assert (place.name, place.read_bytes()) == (quote(name, safe=""), b"content")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_is_a_folder(scene: Scene, name: str) -> None:
    scene.repository.add_artifact(name, b"content")
    scene.repository.publish(*CONTENT)
    scene.artifacts.mkdir()
    assert scene.download(name) == 1
    assert scene.downloaded == []


def test_a_large_artifact_comes_in_pieces(scene: Scene) -> None:
    scene.repository.add_artifact("large", b"0123456789abcdef" * 20_000)
    scene.repository.publish(*CONTENT)
    assert scene.download("large") == 0
    assert [len(data) for data in scene.downloaded] == [320_000]
