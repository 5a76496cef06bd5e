"""Sizes that only show when they are large: 8 GiB blobs, and many of them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from airgap.bundle.reader import open_bundle
from airgap.bundle.writer import BundleWriter
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import CONFIG, LAYER, Shelf, noise

GIB = 1 << 30


def test_blobs_around_8_gib_have_their_places(tmp_path: Path) -> None:
    """Show it in a sparse file: headers and positions are real, the blobs are holes."""
    shelf = Shelf()
    sizes = [8 * GIB - 1, 8 * GIB, 8 * GIB + 1, (1 << 40) + 5, 70_000]
    layers = [
        Descriptor(media_type=LAYER, digest=Digest.of(b"%d" % size), size=size) for size in sizes
    ]
    root = shelf.manifest(shelf.add(b"{}", CONFIG), *layers)
    recipe = Recipe(shelf, inventory(shelf.item(root)))
    layout = recipe.layout()
    path = tmp_path / "large.tar"
    with BundleWriter(path, layout) as writer:
        writer._placed.update(layout.positions)
        writer.finish(*recipe.draft(layout.body_at, longest=False), shelf.read_head)
    with open_bundle(path) as bundle:
        bundle.survey()
        assert bundle.size == layout.size > 1 << 40
        assert bundle.inventory.content.size == sum(sizes) + 2
        assert {digest: bundle.position(digest) for digest in layout.positions} == (
            dict(layout.positions)
        )
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive}
        for layer in layers:
            member = members[layer.digest.blob_path]
            assert (member.size, member.offset_data % 4096) == (layer.size, 0)
            assert member.offset_data == layout.positions[layer.digest].offset


# VmHWM is this process's own high-water mark; getrusage would count its parent's from the fork.
MEASURE = """
import sys
from pathlib import Path
from airgap.bundle.reader import open_bundle

def high_water():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = high_water()
with open_bundle(Path(sys.argv[1])) as bundle:
    bundle.survey()
    bundle.verify_blobs()
print(high_water() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the memory used")
def test_memory_does_not_grow_with_blobs(tmp_path: Path) -> None:
    shelf = Shelf()
    root = shelf.image(noise(64 << 20), noise(32 << 20, 1))
    Recipe(shelf, inventory(shelf.item(root))).pack(tmp_path / "b.tar")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "b.tar"],
        capture_output=True,
        check=True,
        text=True,
    )
    kibibytes = int(done.stdout)
    assert kibibytes < 16 << 10
