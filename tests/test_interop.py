"""Today's tools read a bundle as it is, and pull from `airgap serve`.

Required: skopeo, oras, crane, tar. regctl, hauler and ctr are asked where they are found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap.oci.digest import Digest
from tests.conftest import REPOSITORY, TOOLS, find_tool
from tests.freight import NAME, Freight, ask, write_layout
from tests.journey import Journey, running_registry
from tests.simulators.registry_process import DEBIAN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = f"{NAME}:1.4"


class Scene:
    """A site that holds one bundle, imported into its store."""

    def __init__(self, folder: Path) -> None:
        self.freight = Freight.make("interop", size=70_000)
        self.journey = Journey.begin(folder)
        self.bundle = self.journey.export(write_layout(folder / "layout", self.freight))
        code = ("--bootstrap", self.journey.codes[1])
        assert self.journey.load(self.bundle, *code).code == 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("interop"))


@pytest.fixture
def unpacked(scene: Scene, tmp_path: Path) -> Path:
    ask("tar", "-xf", scene.bundle, "-C", tmp_path)
    return tmp_path


def optional(name: str) -> None:
    """Skip where a tool that nothing requires is not installed."""
    if shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}") is None:
        pytest.skip(f"{name} is not installed (nothing requires it)")


# --- a bundle is an OCI layout in a tar -----------------------------------------------------


def test_gnu_tar_lists_only_a_layout(scene: Scene) -> None:
    names = ask("tar", "-tf", scene.bundle).split()
    assert names[:2] == ["oci-layout", "index.json"]
    assert all(name.startswith("blobs/sha256/") for name in names[2:])


def test_skopeo_copies_every_platform_out_of_a_bundle(scene: Scene, tmp_path: Path) -> None:
    image = f"oci-archive:{scene.bundle}:{FULL}"
    raw = ask("skopeo", "inspect", "--raw", image)
    assert Digest.of(raw.encode()) == scene.freight.image.digest
    ask("skopeo", "copy", "--all", "--preserve-digests", image, f"dir:{tmp_path}/copy")
    for child in scene.freight.image.children:
        for descriptor, data in child.blobs.items():
            assert (tmp_path / "copy" / descriptor.digest.hex).read_bytes() == data


def test_skopeo_pushes_out_of_a_bundle(scene: Scene, tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        target = f"docker://{registry.host}/app:1"
        ask("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
            f"oci-archive:{scene.bundle}:{FULL}", target)  # fmt: skip
        found = ask("skopeo", "inspect", "--raw", "--tls-verify=false", target)
        assert found.encode() == scene.freight.image.manifest.data


def test_oras_reads_a_bundle(scene: Scene, tmp_path: Path) -> None:
    layout = ("--oci-layout-path", scene.bundle, FULL)
    assert ask("oras", "manifest", "fetch", *layout).encode() == scene.freight.image.manifest.data
    tree = json.loads(ask("oras", "discover", "--format=json", *layout))
    (sbom,) = tree["referrers"]
    assert sbom["digest"] == str(scene.freight.sbom.digest)
    assert [note["digest"] for note in sbom["referrers"]] == [str(scene.freight.note.digest)]
    tags = ask("oras", "repo", "tags", "--oci-layout-path", scene.bundle, NAME)
    assert tags.split() == ["1.4"]


def test_oras_copies_an_image_with_its_referrers_out_of_a_bundle(
    scene: Scene, tmp_path: Path
) -> None:
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        target = f"{registry.host}/app:1"
        ask("oras", "cp", "--recursive", "--from-oci-layout-path", scene.bundle, FULL,
            "--to-plain-http", target)  # fmt: skip
        tree = json.loads(ask("oras", "discover", "--plain-http", "--format=json", target))
        assert [one["digest"] for one in tree["referrers"]] == [str(scene.freight.sbom.digest)]
        raw = ask("oras", "manifest", "fetch", "--plain-http", target)
        assert raw.encode() == scene.freight.image.manifest.data


def test_crane_pushes_an_unpacked_bundle(scene: Scene, unpacked: Path, tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        ask("crane", "push", "--index", unpacked, f"{registry.host}/app:1")
        image = f"{registry.host}/app@{scene.freight.image.digest}"
        assert ask("crane", "manifest", image).encode() == scene.freight.image.manifest.data
        index = json.loads(ask("crane", "manifest", f"{registry.host}/app:1"))
        names = [entry.get("annotations", {}) for entry in index["manifests"]]
        assert {"io.containerd.image.name": FULL}.items() <= names[1].items()


def test_regctl_imports_a_bundle(scene: Scene, tmp_path: Path) -> None:
    optional("regctl")
    target = f"ocidir://{tmp_path}/imported:1"
    ask("regctl", "image", "import", "--name", FULL, target, scene.bundle)
    assert ask("regctl", "image", "digest", target).strip() == str(scene.freight.image.digest)


def test_hauler_loads_a_bundle(scene: Scene, tmp_path: Path) -> None:
    optional("hauler")
    store = f"--store={tmp_path}/hauler"
    ask("hauler", "store", "load", store, "--filename", scene.bundle)
    assert "prod/app:1.4" in ask("hauler", "store", "info", store)


def test_containerd_imports_a_bundle(scene: Scene) -> None:
    optional("ctr")
    if subprocess.run(["ctr", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("containerd is not running (nothing requires it)")
    ask("ctr", "--namespace=airgap-tests", "images", "import", "--no-unpack", scene.bundle)
    ask("ctr", "--namespace=airgap-tests", "images", "rm", FULL)


# --- airgap serve ---------------------------------------------------------------------------


@contextmanager
def serving(scene: Scene, *arguments: object) -> Iterator[str]:
    """Run `airgap serve` in a process of its own and yield where it listens; end it by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airgap", "serve", "--address", "127.0.0.1:0",
         "--state", str(scene.journey.state), *map(str, arguments)],
        stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://(127\.0\.0\.1:\d+), read-only", line)
        assert found, line + process.stderr.read()
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(20) == 0, rest
        assert rest == "airgap: stopped\n"
        process.stderr.close()


@pytest.fixture(params=["store", "bundle"])
def host(request: pytest.FixtureRequest, scene: Scene) -> Iterator[str]:
    with serving(scene, *([scene.bundle] if request.param == "bundle" else [])) as found:
        yield found


def test_everybody_pulls_from_serve(host: str, scene: Scene, tmp_path: Path) -> None:
    freight = scene.freight
    image = f"{host}/{FULL}"
    # skopeo
    raw = ask("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}")
    assert raw.encode() == freight.image.manifest.data
    ask("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false",
        f"docker://{image}", f"dir:{tmp_path}/copy")  # fmt: skip
    for child in freight.image.children:
        for descriptor, data in child.blobs.items():
            assert (tmp_path / "copy" / descriptor.digest.hex).read_bytes() == data
    # crane
    assert ask("crane", "digest", image).strip() == str(freight.image.digest)
    assert set(ask("crane", "ls", f"{host}/{NAME}").split()) == {"1.4", freight.signature_tag}
    ask("crane", "pull", "--format=oci", image, tmp_path / "crane")
    ask("crane", "validate", "--remote", image)
    # oras
    tree = json.loads(ask("oras", "discover", "--plain-http", "--format=json", image))
    (sbom,) = tree["referrers"]
    assert sbom["digest"] == str(freight.sbom.digest)
    assert [note["digest"] for note in sbom["referrers"]] == [str(freight.note.digest)]
    ask("oras", "cp", "-r", "--from-plain-http", image, "--to-oci-layout", f"{tmp_path}/oras:1")
    for sample in (freight.image, freight.sbom, freight.note):
        assert (tmp_path / "oras" / sample.digest.blob_path).read_bytes() == sample.manifest.data
    # Nobody writes.
    for command in (["crane", "tag", image, "new"], ["oras", "tag", "--plain-http", image, "new"]):
        command[0] = find_tool(command[0])
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_what_is_imported_later_is_served_without_a_restart(tmp_path: Path) -> None:
    late = Scene(tmp_path)
    with serving(late) as host:
        more = Freight.make("later")
        layout = write_layout(tmp_path / "later", more, tag="2")
        bundle = late.journey.export(layout)
        assert late.journey.load(bundle).code == 0
        until = time.monotonic() + 10
        tags = ""
        while "2" not in tags.split() and time.monotonic() < until:
            tags = ask("crane", "ls", f"{host}/{NAME}")
        assert ask("crane", "digest", f"{host}/{NAME}:2").strip() == str(more.image.digest)


def test_serve_refuses_a_bundle_that_is_not_admitted(scene: Scene, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airgap", "serve", "--address", "127.0.0.1:0",
         "--state", str(tmp_path / "empty"), "--format", "json", str(scene.bundle)],
        capture_output=True, text=True, cwd=REPOSITORY, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 6
    verdict = json.loads(done.stdout)
    assert {f["reason"] for f in verdict["findings"] if f["outcome"] == "fail"} == {
        "authority-not-pinned"
    }
    assert not (tmp_path / "empty").exists()
