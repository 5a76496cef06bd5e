"""Two machines write the same bytes, whatever their hash seed, locale, umask, zone and folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from airgap.stores import StoreOptions, open_store
from tests.journey import Journey
from tests.stores.samples import make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from pathlib import Path

MACHINES = (
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "4711", "LC_ALL": "C.UTF-8", "TZ": "Pacific/Chatham"},
)


def test_two_machines_write_the_same_bundle(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    store = open_store("oci", str(layout), StoreOptions(side="destination"))
    repository = store.repository("r.example/app")
    image = make_index(make_image("one"), make_image("two", size=200_000))
    put(repository, image, "1", "latest")
    put(repository, make_artifact(b"sbom", subject=image.manifest))
    put(repository, make_artifact(b"note", subject=image.children[0].manifest))
    store.close()
    Journey.begin(tmp_path, pin=False, scheme="ed25519")
    bundles = []
    for number, settings in enumerate(MACHINES):
        home = tmp_path / f"machine {number}"
        home.mkdir()
        shutil.copytree(tmp_path / "acme", home / "authority")
        _export(home, layout, settings, umask=0o077 if number else 0o022)
        bundles.append((home / "bundle.tar").read_bytes())
    assert bundles[0] == bundles[1]
    assert len(bundles[0]) > 200_000


def _export(home: Path, layout: Path, settings: dict[str, str], *, umask: int) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "airgap", "export",
            f"oci:{layout}:r.example/app:1", f"oci:{layout}:r.example/app:latest",
            "--authority", "authority", "--stream", "prod", "-o", "bundle.tar",
            "--created", "2026-11-22T00:00:00Z", "--concurrency", "3",
        ],
        check=True, cwd=home, env={**os.environ, **settings}, umask=umask, capture_output=True,
    )  # fmt: skip
