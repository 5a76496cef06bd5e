"""Layouts that are damaged, and those that other tools write and read."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import (
    FormatError,
    IntegrityError,
    NotFoundError,
)
from airgap.oci.digest import Digest
from airgap.stores.layout import LayoutStore
from tests.stores.layouts import (
    AMD,
    ARM,
    MULTI,
    SBOM,
    damage,
    layer_of,
    rewrite,
)
from tests.stores.samples import describe, make_artifact, make_image, opener, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "layout", side="destination")


def test_file_of_another_size_is_absent_and_replaced(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, AMD, "v1")
    digest, data = layer_of(AMD)
    descriptor = next(iter(AMD.blobs))
    damage(store, digest, data[:-1])
    assert not app.has_blob(descriptor)
    with (
        pytest.raises(IntegrityError, match=f"has {len(data) - 1} bytes"),
        app.open_blob(descriptor),
    ):
        pass
    app.write_blob(descriptor, opener(data))
    with app.open_blob(descriptor) as stream:
        assert stream.read() == data


def test_flipped_bit_is_found_on_reading(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, AMD, "v1")
    digest, data = layer_of(AMD)
    damage(store, digest, bytes([data[0] ^ 1]) + data[1:])
    with (
        pytest.raises(IntegrityError, match="does not have the bytes"),
        app.open_blob(next(iter(AMD.blobs))) as stream,
    ):
        stream.read()


@pytest.mark.parametrize("make", ["fifo", "folder"])
def test_what_is_no_file_is_refused(store: LayoutStore, make: str) -> None:
    app = store.repository("app")
    put(app, AMD, "v1")
    digest, _ = layer_of(AMD)
    damage(store, digest, None)
    path = store.blob_path(digest)
    os.mkfifo(path) if make == "fifo" else path.mkdir()
    assert not app.has_blob(next(iter(AMD.blobs)))
    with (
        pytest.raises(FormatError, match="not a regular file"),
        app.open_blob(next(iter(AMD.blobs))),
    ):
        pass


def test_linked_blobs_are_read(store: LayoutStore, tmp_path: Path) -> None:
    put(store.repository("app"), AMD, "v1")
    (store.root / "blobs/sha256").rename(tmp_path / "elsewhere")
    (store.root / "blobs/sha256").mkdir()
    for path in (tmp_path / "elsewhere").iterdir():
        (store.root / "blobs/sha256" / path.name).symlink_to(path)
    assert list(LayoutStore(store.root).verify()) == []


def test_huge_manifest_is_not_read(store: LayoutStore) -> None:
    with pytest.raises(FormatError, match="would be larger than"):
        store.repository("app").read_manifest(replace(AMD.descriptor, size=5 << 20))


def test_nameless_entry_that_cannot_be_read_is_no_empty_answer(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, MULTI, "v1")
    put(app, SBOM)
    put(app, make_artifact(b"second", subject=MULTI.manifest))
    for sample in (SBOM, make_artifact(b"second", subject=MULTI.manifest)):
        damage(store, sample.digest, b"{}")
    with pytest.raises(IntegrityError):
        LayoutStore(store.root).repository("app").referrers(MULTI.digest)
    # A name whose manifest is damaged keeps nobody else from being read.
    damage(store, MULTI.digest, None)
    damage(store, SBOM.digest, SBOM.manifest.data)
    second = make_artifact(b"second", subject=MULTI.manifest)
    damage(store, second.digest, second.manifest.data)
    found = LayoutStore(store.root).repository("app").referrers(MULTI.digest)
    assert {r.descriptor.digest for r in found} == {SBOM.digest, second.digest}


def test_verify_tells_each_problem_once(store: LayoutStore) -> None:
    app = store.repository("app")
    other = make_image("other", layers=3)
    put(app, MULTI, "v1")
    put(app, other, "v2")
    lying = describe(b"short", "text/plain")
    app.write_blob(lying, opener(b"short"))
    (flipped, data), (gone, _), (folder, _) = (
        (descriptor.digest, data) for descriptor, data in list(other.blobs.items())[:3]
    )
    damage(store, flipped, bytes([data[0] ^ 1]) + data[1:])
    damage(store, gone, None)
    damage(store, folder, None)
    store.blob_path(folder).mkdir()
    (store.root / "blobs/sha256/notes.txt").touch()
    damage(store, ARM.digest, None)  # a child that is not there: platforms need not all travel
    not_one = describe(b"{}", AMD.descriptor.media_type)
    app.write_blob(not_one, opener(b"{}"))

    def change(index: dict[str, Any]) -> None:
        missing = describe(b"missing", AMD.descriptor.media_type)
        index["manifests"] += [
            missing.to_json(),
            missing.to_json(),
            not_one.to_json(),
            replace(lying, media_type=AMD.descriptor.media_type, size=9).to_json(),
        ]

    rewrite(store, change)
    hashed: list[int] = []
    problems = list(store.verify(hashed.append))
    assert sorted((problem.what[:20], problem.reason) for problem in problems) == sorted(
        [
            (f"blobs/sha256/{flipped.hex}"[:20], "blob-digest-mismatch"),
            (str(gone)[:20], "blob-missing"),
            (f"blobs/sha256/{folder.hex}"[:20], "not-a-file"),
            ("blobs/sha256/notes.txt"[:20], "file-unknown"),
            (str(Digest.of(b"missing"))[:20], "blob-missing"),
            (str(not_one.digest)[:20], "manifest-version-unsupported"),
            (str(lying.digest)[:20], "descriptor-size-mismatch"),
        ]
    )
    assert sum(hashed) > 0


def test_stored_bytes(store: LayoutStore) -> None:
    assert store.stored_bytes() == 0
    put(store.repository("app"), AMD, "v1")
    assert store.stored_bytes() == AMD.manifest.size + sum(map(len, AMD.blobs.values()))


def skopeo(tool: Callable[[str], str], *arguments: str) -> str:
    command = [tool("skopeo"), "--insecure-policy", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_skopeo_reads_what_we_write(store: LayoutStore, tool: Callable[[str], str]) -> None:
    for repository in ("team/app", "registry.example/prod/app"):
        put(store.repository(repository), MULTI, "v1.4")
        put(store.repository(repository), AMD, "single")
        name = f"oci:{store.root}:{repository}"
        raw = skopeo(tool, "inspect", "--raw", f"{name}:v1.4")
        assert Digest.of(raw.encode()) == MULTI.digest
        shown = json.loads(skopeo(tool, "inspect", f"{name}:single"))
        assert shown["Digest"] == str(AMD.digest)
        assert shown["Labels"] == {"seed": "amd"}


def test_we_read_what_skopeo_writes(
    store: LayoutStore, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    put(store.repository("app"), MULTI, "v1")
    target = f"oci:{tmp_path}/copy"
    source = f"oci:{store.root}:app:v1"
    skopeo(tool, "copy", "--all", source, f"{target}:registry.example/app:v1")
    skopeo(tool, "copy", "--all", source, f"{target}:short")
    copy = LayoutStore(tmp_path / "copy")
    assert copy.repositories() == ("registry.example/app",)
    assert copy.repository("registry.example/app").resolve("v1").digest == MULTI.digest
    assert set(copy.repository("").tags()) == {"registry.example/app:v1", "short"}
    assert copy.repository("").resolve("short").digest == MULTI.digest
    assert list(copy.verify()) == []


@pytest.mark.parametrize("name", ["mixed", "mixed-fallback", "notation", "cosign-key"])
def test_layouts_of_other_tools(shared: Callable[[str], Path], name: str) -> None:
    store = LayoutStore(shared("fixtures") / "layouts" / name)
    assert list(store.verify()) == []
    whole = store.repository("")
    listed = json.loads((store.root / "index.json").read_bytes())["manifests"]
    for tag in whole.tags():
        assert whole.read_manifest(whole.resolve(tag)).digest == whole.resolve(tag).digest
    subjects: dict[str, set[str]] = {}
    for entry in listed:
        manifest = json.loads(store.blob_path(Digest.parse(entry["digest"])).read_bytes())
        if "subject" in manifest:
            subjects.setdefault(manifest["subject"]["digest"], set()).add(entry["digest"])
    assert subjects
    for subject, referrers in subjects.items():
        found = whole.referrers(Digest.parse(subject))
        assert {str(r.descriptor.digest) for r in found} == referrers


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("br-blob-flipped", "does not have the bytes"),
        ("br-blob-missing", "is not there"),
        ("br-manifest-flipped", "does not have the bytes"),
        ("br-size-lies", "has 401 bytes, not 402"),
        ("br-good", None),
    ],
)
def test_broken_layout(shared: Callable[[str], Path], tag: str, message: str | None) -> None:
    store = LayoutStore(shared("fixtures") / "layouts/broken")
    whole = store.repository("")

    def read() -> None:
        manifest = whole.read_manifest(whole.resolve(tag))
        assert whole.referrers(manifest.digest) == ()
        for blob in manifest.blobs:
            with whole.open_blob(blob) as stream:
                stream.read()

    if message is None:
        read()
    else:
        with pytest.raises((IntegrityError, NotFoundError), match=message):
            read()
    assert len(list(store.verify())) == 4
