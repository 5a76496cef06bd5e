"""Today's tools open a bundle: the standard library, GNU tar and skopeo."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.reader import open_bundle
from airgap.oci.digest import BLOB_FOLDER, Digest
from tests.bundle import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = ["smallest", "bodiless", "varied"]


@pytest.fixture(params=KINDS)
def bundle_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    recipe: samples.Recipe = getattr(samples, request.param)()
    return recipe.pack(tmp_path / "bundle.tar")


def check_layout(folder: Path, bundle_file: Path) -> None:
    """Check that `folder` is the OCI layout of the bundle, with nothing else in it."""
    with open_bundle(bundle_file) as bundle:
        bundle.survey()
        expected = {digest.blob_path for digest in bundle.positions}
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert found == expected | {"oci-layout", "index.json"}
    for file in (folder / BLOB_FOLDER).iterdir():
        assert Digest.of(file.read_bytes()).hex == file.name
    index = json.loads((folder / "index.json").read_text())
    for entry in index["manifests"]:
        assert len((folder / Digest.parse(entry["digest"]).blob_path).read_bytes()) == entry["size"]


def test_the_standard_library_unpacks_it(bundle_file: Path, tmp_path: Path) -> None:
    with tarfile.open(bundle_file) as archive:
        assert all(member.isreg() for member in archive)
        archive.extractall(tmp_path / "out", filter="data")
    check_layout(tmp_path / "out", bundle_file)


def test_gnu_tar_unpacks_it(bundle_file: Path, tmp_path: Path, tool: Callable[[str], str]) -> None:
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [tool("tar"), "-xf", bundle_file, "-C", tmp_path / "out"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stderr == ""
    check_layout(tmp_path / "out", bundle_file)


def test_skopeo_copies_images_by_their_full_names(
    tmp_path: Path, tool: Callable[[str], str]
) -> None:
    recipe = samples.varied()
    path = recipe.pack(tmp_path / "bundle.tar")
    for name, digest in recipe.inventory.names.items():
        manifest = recipe.shelf.blobs[digest]
        location = f"oci-archive:{path}:{name}"
        raw = subprocess.run(
            [tool("skopeo"), "inspect", "--raw", location], capture_output=True, check=True
        )
        assert raw.stdout == manifest
        if "layers" in json.loads(manifest):
            target = tmp_path / digest.hex
            copy = ["copy", "--insecure-policy", location, f"dir:{target}"]
            subprocess.run([tool("skopeo"), *copy], capture_output=True, check=True)
            assert (target / "manifest.json").read_bytes() == manifest
