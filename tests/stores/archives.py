"""Archives for tests, and how to see that they were read."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from airgap.stores import StoreOptions
from tests.stores.contract import read
from tests.stores.samples import make_artifact, make_image, make_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.stores.archive import ArchiveStore
    from airgap.stores.layout import LayoutStore


FROM = StoreOptions()
AMD, ARM = make_image("amd"), make_image("arm", architecture="arm64")
MULTI = make_index(AMD, ARM)
SBOM = make_artifact(b"an sbom", subject=MULTI.manifest)


def skopeo(tool: Callable[[str], str], *arguments: str) -> None:
    subprocess.run(
        [tool("skopeo"), "--insecure-policy", *arguments], check=True, capture_output=True
    )


def add(tar: tarfile.TarFile, name: str, data: bytes, **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in changes.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            add(tar, name, data)
    return path


def files_of(layout: LayoutStore) -> dict[str, bytes]:
    return {
        str(path.relative_to(layout.root)): path.read_bytes()
        for path in sorted(layout.root.rglob("*"))
        if path.is_file() and path.parent.name != "ingest"
    }


def check(store: ArchiveStore) -> None:
    repository = store.repository("registry.example/app")
    found = repository.resolve("v1")
    assert found.digest == MULTI.digest
    assert read(repository, MULTI) == {
        d.digest: data for part in MULTI.everything() for d, data in part.blobs.items()
    }
    assert [r.descriptor.digest for r in repository.referrers(MULTI.digest)] == [SBOM.digest]
    assert store.repositories() == ("registry.example/app",)
    assert store.repository("").has_blob(next(iter(AMD.blobs)))
