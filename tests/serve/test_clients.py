"""The tools that people have pull from `airgap serve`: skopeo, crane and oras."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from airgap.oci.digest import Digest
from tests.conftest import find_tool
from tests.serve.content import SBOM, SIGNATURE, Client, Content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor

APP = "registry.example/prod/app"


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [find_tool(name), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class Site:
    def __init__(self, root: Path) -> None:
        self.content = content = Content(root=root)
        self.layer = bytes(range(256)) * 9000
        self.amd64 = content.image(self.layer, b"second layer")
        self.arm64 = content.image(b"layer of arm64", architecture="arm64")
        self.image = content.index(self.amd64, self.arm64)
        self.sbom = content.artifact(self.image, artifactType=SBOM, annotations={"made": "today"})
        self.signature = content.artifact(self.sbom, artifactType=SIGNATURE)
        content.record(APP, self.image, "1.4", "latest")
        content.record(APP, self.amd64, "amd64")
        content.record(APP, self.sbom)
        content.record(APP, self.signature)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("clients") / "store")


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    with site.content.serve() as client:
        yield client


def written(folder: Path, descriptor: Descriptor) -> bytes:
    return (folder / descriptor.digest.blob_path).read_bytes()


def test_skopeo_inspects_and_lists_tags(client: Client, site: Site) -> None:
    image = f"docker://{client.host}/{APP}"
    raw = run("skopeo", "inspect", "--tls-verify=false", "--raw", f"{image}:1.4")
    assert Digest.of(raw.encode()) == site.image.digest
    found = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"{image}:amd64"))
    assert found["Digest"] == str(site.amd64.digest)
    listed: Any = json.loads(run("skopeo", "list-tags", "--tls-verify=false", image))
    assert listed["Tags"] == ["1.4", "amd64", "latest"]


def test_skopeo_copies_all_platforms(client: Client, site: Site, tmp_path: Path) -> None:
    source = f"docker://{client.host}/{APP}:1.4"
    run("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", source,
        f"oci:{tmp_path}/copy:1.4")  # fmt: skip
    for descriptor in (site.image, site.amd64, site.arm64):
        assert written(tmp_path / "copy", descriptor) == site.content.data(descriptor)
    layer = site.content.blob(site.amd64)
    assert written(tmp_path / "copy", layer) == site.layer


def test_crane_gets_manifests_digests_and_tags(client: Client, site: Site) -> None:
    image = f"{client.host}/{APP}"
    assert run("crane", "manifest", f"{image}:1.4").encode() == site.content.data(site.image)
    assert run("crane", "digest", f"{image}:latest").strip() == str(site.image.digest)
    assert run("crane", "ls", image).split() == ["1.4", "amd64", "latest"]
    assert run("crane", "catalog", client.host).split() == [APP]


def test_crane_pulls_and_validates(client: Client, site: Site, tmp_path: Path) -> None:
    image = f"{client.host}/{APP}"
    run("crane", "pull", "--format=oci", f"{image}:1.4", f"{tmp_path}/pulled")
    assert written(tmp_path / "pulled", site.arm64) == site.content.data(site.arm64)
    layer = site.content.blob(site.amd64)
    assert written(tmp_path / "pulled", layer) == site.layer


def test_crane_is_refused_to_push_and_delete(client: Client, site: Site) -> None:
    for arguments in (
        ("tag", f"{client.host}/{APP}:1.4", "new"),
        ("delete", f"{client.host}/{APP}@{site.image.digest}"),
        ("copy", f"{client.host}/{APP}:1.4", f"{client.host}/{APP}:copied"),
    ):
        done = subprocess.run(
            [find_tool("crane"), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode != 0
        assert "UNSUPPORTED" in done.stderr
    assert client.get(f"/v2/{APP}/tags/list").json["tags"] == ["1.4", "amd64", "latest"]


def test_oras_discovers_the_tree_of_referrers(client: Client, site: Site) -> None:
    image = f"{client.host}/{APP}:1.4"
    tree = json.loads(run("oras", "discover", "--plain-http", "--format=json", image))
    [sbom] = tree["referrers"]
    assert (sbom["digest"], sbom["artifactType"]) == (str(site.sbom.digest), SBOM)
    assert sbom["annotations"] == {"made": "today"}
    [signature] = sbom["referrers"]
    assert signature["digest"] == str(site.signature.digest)
    arguments = ("--plain-http", "--format=json", "--artifact-type", SIGNATURE)
    filtered = json.loads(run("oras", "discover", *arguments, image))
    assert not filtered.get("referrers")


def test_oras_lists_tags_and_repositories_and_pulls(
    client: Client, site: Site, tmp_path: Path
) -> None:
    image = f"{client.host}/{APP}"
    assert run("oras", "repo", "tags", "--plain-http", image).split() == ["1.4", "amd64", "latest"]
    assert run("oras", "repo", "ls", "--plain-http", client.host).split() == [APP]
    run("oras", "pull", "--plain-http", "--output", str(tmp_path), f"{image}@{site.sbom.digest}")
    fetched = run("oras", "manifest", "fetch", "--plain-http", f"{image}:1.4")
    assert Digest.of(fetched.encode()) == site.image.digest


def test_oras_copies_the_whole_graph(client: Client, site: Site, tmp_path: Path) -> None:
    source = f"{client.host}/{APP}:1.4"
    run("oras", "cp", "--recursive", "--from-plain-http", source, "--to-oci-layout",
        f"{tmp_path}/graph:1.4")  # fmt: skip
    for descriptor in (site.image, site.amd64, site.arm64, site.sbom, site.signature):
        assert written(tmp_path / "graph", descriptor) == site.content.data(descriptor)
