"""`verify` and `import` need no network but the destination, and what only reads never writes.

The command runs in a process of its own whose every connection but to the named address ends it
(an audit hook, which no library gets around); as root also in a network namespace without a link.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.freight import Freight, ask, write_layout
from tests.journey import Journey, running_registry
from tests.simulators.registry_process import DEBIAN

if TYPE_CHECKING:
    from pathlib import Path

GUARD = """
import os, sys

allowed = os.environ["ALLOWED"]

def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        asked = f"{arguments[0]}:{arguments[1]}"
    elif event in ("socket.connect", "socket.sendto"):
        asked = ":".join(map(str, arguments[1][:2]))
    else:
        return
    if asked != allowed:
        os.write(2, f"FORBIDDEN {event} {asked}".encode())
        os._exit(99)

sys.addaudithook(guard)
from airgap.cli import main
main()
"""


class Scene:
    def __init__(self, folder: Path) -> None:
        self.freight = Freight.make("offline", size=70_000)
        self.journey = Journey.begin(folder)
        self.bundle = self.journey.export(write_layout(folder / "layout", self.freight))
        self.code = ("--bootstrap", self.journey.codes[1])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def alone(scene: Scene, *arguments: object, allowed: str = "") -> dict[str, Any]:
    """Run the command where only `allowed` may be connected to; return the JSON that it answers."""
    done = subprocess.run(
        [sys.executable, "-c", GUARD, *map(str, arguments),
         "--state", str(scene.journey.state), "--format", "json"],
        env={**os.environ, "ALLOWED": allowed}, cwd=REPOSITORY,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return what lies below a folder: each name with its time (ns) and its bytes."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def test_the_guard_bites(scene: Scene) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARD, "doctor", "docker://127.0.0.1:1/app"],
        env={**os.environ, "ALLOWED": "127.0.0.1:2"}, cwd=REPOSITORY,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 99
    assert done.stderr.startswith("FORBIDDEN socket.")


def test_verify_and_import_into_the_store_open_no_socket(scene: Scene) -> None:
    assert alone(scene, "verify", scene.bundle, *scene.code)["result"] == "accepted"
    loaded = alone(scene, "import", scene.bundle, *scene.code)
    assert loaded["loaded"]["manifests"] > 0


def test_import_speaks_with_the_destination_only(scene: Scene, tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "target") as target:
        loaded = alone(
            scene, "import", scene.bundle, *scene.code, "--to", f"docker://{target.host}/mirror",
            "--insecure-http", target.host, allowed=target.host,
        )  # fmt: skip
        assert loaded["loaded"]["manifests"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_verify_runs_where_there_is_no_network(scene: Scene) -> None:
    try:
        ask("unshare", "--net", "true")
    except AssertionError:
        pytest.skip("this system allows no network namespaces")
    answer = json.loads(
        ask("unshare", "--net", sys.executable, "-m", "airgap", "verify", scene.bundle,
            *scene.code, "--state", scene.journey.state, "--format", "json")
    )  # fmt: skip
    assert answer["result"] == "accepted"


def test_what_only_reads_writes_nothing(scene: Scene, tmp_path: Path) -> None:
    journey = scene.journey
    assert journey.load(scene.bundle, *scene.code).code == 0
    two = journey.export(f"oci:{tmp_path}/layout:registry.example/prod/app:1.4")
    before = everything(tmp_path)
    with running_registry(DEBIAN, tmp_path.parent / f"{tmp_path.name}-registry") as target:
        to = ("--to", f"docker://{target.host}/mirror", "--insecure-http", target.host)
        for arguments in (
            ("verify", two),
            ("import", two, "--dry-run"),
            ("import", two, "--dry-run", *to),
            ("doctor", f"docker://{target.host}/mirror/app", *to[2:]),
            ("store", "list"),
            ("store", "verify"),
            ("log", "show"),
            ("trust", "show"),
        ):
            alone(scene, *arguments, allowed=target.host)
        assert not (target.storage / "docker").exists()
    assert everything(tmp_path) == before


READ_ONLY = """
for folder in "$1" "$2"; do
    mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder" || exit 77
done
shift 2
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting read-only needs root")
def test_verify_works_from_media_that_cannot_be_written(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "medium").mkdir()
    bundle = scene.bundle.rename(tmp_path / "medium" / "prod-1.tar")
    for arguments in (["verify"], ["import", "--dry-run"]):
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh",
             tmp_path / "medium", scene.journey.state,
             sys.executable, "-m", "airgap", *arguments, bundle, *scene.code,
             "--state", scene.journey.state, "--format", "json"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode == 77 or "unshare" in done.stderr:
            pytest.skip("this system allows no mount namespaces")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["result"] == "accepted"
