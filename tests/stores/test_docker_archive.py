"""docker-archive:FILE, as docker saved images before version 25, and since."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import (
    FormatError,
    IntegrityError,
    NotFoundError,
)
from airgap.oci.digest import Digest
from airgap.stores.archive import ArchiveStore, open_docker_archive
from airgap.stores.layout import LayoutStore
from tests.stores.archives import (
    AMD,
    FROM,
    MULTI,
    SBOM,
    check,
    files_of,
    skopeo,
    write_tar,
)
from tests.stores.samples import make_layer, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def layout(tmp_path: Path) -> LayoutStore:
    store = LayoutStore(tmp_path / "layout", side="destination")
    put(store.repository(""), MULTI, "registry.example/app:v1")
    put(store.repository(""), SBOM)
    return store


TARS = [make_layer({f"file{number}": bytes([number]) * 3000}) for number in range(2)]


def config_of(*layers: bytes, **more: object) -> bytes:
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        | more
    ).encode()


def saved(
    tmp_path: Path, layers: list[bytes], *, config: bytes | None = None, tags: object = ("app:v1",)
) -> Path:
    """Write what docker save wrote before version 25."""
    config = config_of(*TARS) if config is None else config
    name = f"{Digest.of(config).hex}.json"
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    listed = [{"Config": name, "RepoTags": tags, "Layers": names}]
    files = dict(zip(names, layers, strict=True))
    for layer in names:
        files[f"{Path(layer).parent}/VERSION"] = b"1.0"
    files |= {name: config, "manifest.json": json.dumps(listed).encode()}
    return write_tar(tmp_path / "saved.tar", files)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], ArchiveStore]]:
    stores = []

    def work(path: Path) -> ArchiveStore:
        stores.append(open_docker_archive(str(path), FROM))
        return stores[-1]

    yield work
    for store in stores:
        store.close()


def test_docker_25(
    layout: LayoutStore, tmp_path: Path, opened: Callable[[Path], ArchiveStore]
) -> None:
    index = json.loads((layout.root / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {
        "io.containerd.image.name": "registry.example/app:v1",
        "org.opencontainers.image.ref.name": "v1",
    }
    files = files_of(layout) | {"index.json": json.dumps(index).encode(), "manifest.json": b"[]"}
    store = opened(write_tar(tmp_path / "a.tar", files))
    check(store)
    assert sorted(store.repository("").tags()) == ["registry.example/app:v1", "v1"]


def test_docker_before_25(tmp_path: Path, opened: Callable[[Path], ArchiveStore]) -> None:
    path = saved(tmp_path, TARS, tags=["app:v1", "registry.example/other:v2", "not a reference"])
    store = opened(path)
    whole = store.repository("")
    found = whole.resolve("docker.io/library/app:v1")
    assert found == whole.resolve("app:v1") or found.digest == whole.resolve("app:v1").digest
    assert store.repository("registry.example/other").resolve("v2").digest == found.digest
    assert whole.resolve("not a reference").digest == found.digest
    manifest = whole.read_manifest(found)
    assert manifest.config is not None
    assert [layer.digest for layer in manifest.layers] == [Digest.of(layer) for layer in TARS]
    assert {layer.media_type for layer in manifest.layers} == {
        "application/vnd.oci.image.layer.v1.tar"
    }
    for descriptor, data in zip(manifest.blobs, [config_of(*TARS), *TARS], strict=True):
        assert whole.has_blob(descriptor)
        with whole.open_blob(descriptor) as stream:
            assert stream.read() == data
    again = opened(saved(tmp_path, TARS)).repository("")
    assert again.resolve("app:v1").digest == found.digest
    with pytest.raises(NotFoundError):
        whole.resolve(str(Digest.of(b"else")))
    assert whole.resolve(str(found.digest)).digest == found.digest


@pytest.mark.parametrize("tags", [None, []])
def test_image_without_name(
    tmp_path: Path, opened: Callable[[Path], ArchiveStore], tags: object
) -> None:
    whole = opened(saved(tmp_path, TARS, tags=tags)).repository("")
    assert list(whole.tags()) == []
    assert whole.read_manifest(whole.resolve("")).kind == "image"


def test_compressed_layers(tmp_path: Path, opened: Callable[[Path], ArchiveStore]) -> None:
    """As go-containerregistry writes them."""
    packed = [gzip.compress(TARS[0]), b"\x28\xb5\x2f\xfd and what zstd makes of it"]
    whole = opened(saved(tmp_path, packed)).repository("")
    layers = whole.read_manifest(whole.resolve("app:v1")).layers
    assert [layer.media_type.rpartition(".")[2] for layer in layers] == ["tar+gzip", "tar+zstd"]


def test_layer_used_twice(tmp_path: Path, opened: Callable[[Path], ArchiveStore]) -> None:
    config, layer = config_of(TARS[0], TARS[0], TARS[0]), TARS[0]
    names = ["a/layer.tar", "b/layer.tar", "a/layer.tar"]
    listed = [{"Config": "config.json", "RepoTags": ["app:v1"], "Layers": names}]
    files = {"config.json": config, "manifest.json": json.dumps(listed).encode()}
    files |= dict.fromkeys(names, layer)
    whole = opened(write_tar(tmp_path / "a.tar", files)).repository("")
    layers = whole.read_manifest(whole.resolve("app:v1")).layers
    assert [found.digest for found in layers] == [Digest.of(layer)] * 3


def test_skopeo_writes_docker_archives(
    tmp_path: Path, tool: Callable[[str], str], opened: Callable[[Path], ArchiveStore]
) -> None:
    store = LayoutStore(tmp_path / "layout", side="destination")
    put(store.repository("app"), AMD, "v1")
    target = f"docker-archive:{tmp_path}/d.tar:registry.example/app:v1"
    skopeo(tool, "copy", f"oci:{store.root}:app:v1", target)
    whole = opened(tmp_path / "d.tar").repository("")
    manifest = whole.read_manifest(whole.resolve("registry.example/app:v1"))
    unpacked = [gzip.decompress(data) for d, data in AMD.blobs.items() if "gzip" in d.media_type]
    assert [layer.digest for layer in manifest.layers] == [Digest.of(data) for data in unpacked]
    for blob in manifest.blobs:
        with whole.open_blob(blob) as stream:
            assert stream.read()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config": config_of(TARS[0])}, "archive-layers-mismatch"),
        ({"config": config_of(TARS[1], TARS[0])}, "layer-diff-id-mismatch"),
        ({"config": b"{}"}, "field-missing"),
        ({"config": b"not json"}, "json-invalid"),
        ({"tags": "app:v1"}, "field-invalid"),
        ({"tags": [1]}, "field-invalid"),
    ],
)
def test_saved_images_that_contradict_themselves(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises((FormatError, IntegrityError)) as caught:
        open_docker_archive(str(saved(tmp_path, TARS, **change)), FROM)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"manifest.json": b"{}"}, "field-invalid"),
        ({"manifest.json": b'[{"Config": "none.json"}]'}, "archive-member-missing"),
        ({"manifest.json": b"[1]"}, "field-invalid"),
        ({"repositories": b"{}"}, "archive-unknown"),
    ],
)
def test_what_docker_never_saved(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    with pytest.raises((FormatError, NotFoundError)) as caught:
        open_docker_archive(str(write_tar(tmp_path / "a.tar", files)), FROM)
    assert caught.value.reason == reason
