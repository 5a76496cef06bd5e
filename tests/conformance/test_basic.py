"""The workflow of the program: what is asked for, what is kept, what each fault leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airgap.conformance import client as client_module
from airgap.conformance.tuf import main
from tests.conformance.client_scene import TRUSTED, Scene
from tests.conformance.simulator import CONTENT, TOP, RepositorySimulator, serving

if TYPE_CHECKING:
    from pathlib import Path

FIRST = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
AGAIN = ["2.root.json", "timestamp.json"]


def test_a_first_refresh(scene: Scene) -> None:
    assert scene.refresh() == 0
    assert scene.asked() == FIRST
    assert scene.trusted == TRUSTED
    for role in TOP:  # the bytes of the repository, not a spelling of ours
        kept = (scene.cache / f"{role}.json").read_bytes()
        assert kept == scene.repository.published[role][1]


def test_what_is_current_is_not_fetched_again(scene: Scene) -> None:
    assert scene.refresh() == 0
    scene.asked()
    assert scene.refresh() == 0
    assert scene.asked() == AGAIN
    scene.repository.publish("targets")  # nobody has signed that it is there
    assert scene.refresh() == 0
    assert scene.asked() == AGAIN
    scene.repository.publish("snapshot", "timestamp")
    assert scene.refresh() == 0
    assert scene.asked() == [*AGAIN, "2.snapshot.json", "2.targets.json"]


def test_without_consistent_snapshot_names_have_no_version(repository: RepositorySimulator,
                                                           tmp_path: Path) -> None:  # fmt: skip
    repository.root.consistent_snapshot = False
    repository.replace("root", repository.sign("root"))
    repository.add_artifact("a/b", b"content")
    repository.publish(*CONTENT)
    with serving(repository) as url:
        scene = Scene(folder=tmp_path, url=url, repository=repository)
        scene.init()
        assert scene.download("a/b") == 0
        assert scene.asked() == [
            "2.root.json", "timestamp.json", "snapshot.json", "targets.json", "a/b",
        ]  # fmt: skip
        assert scene.downloaded == [b"content"]


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        ("root", {"root": 1}),
        ("timestamp", {"root": 2}),
        ("snapshot", {"root": 2, "timestamp": 2}),
        ("targets", {"root": 2, "timestamp": 2, "snapshot": 2}),
    ],
)
def test_one_unsigned_role(scene: Scene, role: str, kept: dict[str, int]) -> None:
    scene.repository.signers[role].clear()
    scene.repository.publish("root", *CONTENT)
    assert scene.refresh() == 1
    assert scene.trusted == kept


@pytest.mark.parametrize("role", ["root", "snapshot", "targets"])
def test_a_version_that_is_not_that_of_the_address(scene: Scene, role: str) -> None:
    scene.repository.publish("root", *CONTENT)
    scene.repository.roles[role].version = 3
    data = scene.repository.sign(role)
    scene.repository.roles[role].version = 2
    scene.repository.published[role][2] = data
    assert scene.refresh() == 1
    assert role not in scene.trusted or scene.trusted[role] == 1


def test_a_type_that_is_not_that_of_the_address(scene: Scene) -> None:
    """A snapshot that could be a timestamp, signed by the timestamp's key as well."""
    (key,) = scene.repository.signers["timestamp"]
    scene.repository.add_key("snapshot", key=key)
    scene.repository.publish("root", "snapshot")
    scene.repository.published["timestamp"][2] = scene.repository.published["snapshot"][2]
    scene.refused("metadata-type-wrong")
    assert scene.trusted == {"root": 2}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_is_missing_ends_the_refresh(scene: Scene, role: str) -> None:
    assert scene.refresh() == 0
    scene.repository.publish(*CONTENT)
    scene.repository.published[role].clear()
    assert scene.refresh() == 1
    assert scene.trusted[role] == 1


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("m/2.root.json", 500, "read-failed"),
        ("m/timestamp.json", 503, "read-failed"),
        ("m/timestamp.json", 403, "file-not-found"),
    ],
)
def test_a_server_that_fails(scene: Scene, path: str, status: int, reason: str) -> None:
    """That a root is missing is told by 404 alone (and by 403, of stores that hide what is not)."""
    scene.repository.failing[path] = status
    scene.refused(reason)
    scene.repository.failing = {"m/2.root.json": 403}
    assert scene.refresh() == 0


def test_a_server_that_is_not_there(scene: Scene) -> None:
    assert scene.run("--metadata-url", "http://127.0.0.1:9/m", "refresh") == 1


@pytest.mark.parametrize(
    ("signed", "reason"), [(False, "file-too-large"), (True, "file-too-large")]
)
def test_no_more_is_read_than_is_allowed(scene: Scene, signed: bool, reason: str) -> None:
    scene.repository.hashes = signed
    scene.repository.publish(*CONTENT)
    role = "snapshot" if signed else "timestamp"
    long = scene.repository.published[role][2] + b" " * (1 if signed else 16_384)
    scene.repository.published[role][2] = long
    scene.refused(reason)


def test_hashes_of_metadata(scene: Scene) -> None:
    scene.repository.hashes = True
    scene.repository.publish(*CONTENT)
    assert scene.refresh() == 0
    scene.repository.publish("targets")
    scene.repository.roles["snapshot"].meta["targets.json"].hashes["sha256"] = "46" * 32
    scene.repository.publish("snapshot", "timestamp")
    scene.refused("metadata-digest-mismatch")
    assert (scene.trusted["snapshot"], scene.trusted["targets"]) == (3, 2)


def test_fields_that_nobody_knows_are_signed_too(scene: Scene) -> None:
    assert scene.refresh() == 0
    scene.repository.root.unrecognized_fields["custom"] = {"a": 1}
    scene.repository.root.roles["root"].unrecognized_fields["custom"] = "value"
    scene.repository.publish("root")
    assert scene.refresh() == 0
    data = json.loads((scene.cache / "root.json").read_bytes())
    data["signed"]["custom"] = {"a": 2}
    (scene.cache / "root.json").write_text(json.dumps(data))
    scene.refused("threshold-not-met")


@pytest.mark.parametrize("fault", ["field", "signature", "bytes", "missing"])
def test_a_first_root_that_is_no_good(scene: Scene, fault: str) -> None:
    root = json.loads((scene.cache / "root.json").read_bytes())
    if fault == "field":
        del root["signed"]["version"]
    elif fault == "signature":
        root["signatures"][0]["sig"] = "00" * 64
    data = b"not metadata" if fault == "bytes" else json.dumps(root).encode()
    (scene.cache / "root.json").write_bytes(data)
    if fault == "missing":
        (scene.cache / "root.json").unlink()
    assert scene.refresh() == 1
    assert scene.asked() == []


def test_cached_files_that_are_damaged_are_fetched_again(scene: Scene) -> None:
    assert scene.refresh() == 0
    for role in ("timestamp", "snapshot", "targets"):
        (scene.cache / f"{role}.json").write_bytes(b"{")
    scene.asked()
    assert scene.refresh() == 0
    assert scene.asked() == FIRST
    assert scene.trusted == TRUSTED


def test_a_timestamp_that_changes_under_its_version_is_not_taken(scene: Scene) -> None:
    assert scene.refresh() == 0
    scene.repository.roles["timestamp"].snapshot_meta.version = 100
    scene.repository.replace("timestamp", scene.repository.sign("timestamp"))
    scene.asked()
    assert scene.refresh() == 0
    assert scene.asked() == AGAIN
    kept = json.loads((scene.cache / "timestamp.json").read_bytes())
    assert kept["signed"]["meta"]["snapshot.json"]["version"] == 1


def test_roots_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MAX_ROOTS", 3)
    for _ in range(5):
        scene.repository.publish("root")
    assert scene.refresh() == 0
    assert scene.trusted["root"] == 4
    assert scene.refresh() == 0
    assert scene.trusted["root"] == 6


def test_a_write_that_is_cut_off_leaves_the_old_file(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scene.refresh() == 0
    scene.repository.publish("timestamp")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert scene.refresh() == 1
    assert scene.trusted == TRUSTED
    assert scene.refresh() == 0
    assert scene.trusted["timestamp"] == 2


def test_the_program(scene: Scene) -> None:
    """As tuf-conformance runs it: a process, the options before the command."""
    command = [
        sys.executable, "-m", "airgap.conformance.tuf", "--metadata-url", f"{scene.url}/m/",
        "--metadata-dir", str(scene.cache), "refresh",
    ]  # fmt: skip
    assert subprocess.run(command, check=False).returncode == 0
    scene.repository.failing["m/timestamp.json"] = 404
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr == f"{scene.url}/m/timestamp.json is not there\n"


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("refresh",), "--metadata-url"),
        (("--metadata-url", "http://a", "download"),
         "--target-name, --target-base-url, --target-dir"),
    ],
)  # fmt: skip
def test_options_that_a_command_needs(
    arguments: tuple[str, ...], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--metadata-dir", "none", *arguments])
    assert caught.value.code == 2
    assert f"needs {missing}" in capsys.readouterr().err
