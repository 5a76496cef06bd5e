"""What travels in the benchmarks: incompressible images, made and pushed piece by piece."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_MANIFEST, Manifest
from airgap.stores import StoreOptions, open_store

if TYPE_CHECKING:
    from airgap.stores import Destination

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """`images` of `layers` layers of `size` bytes each; the first layer is the same in all."""

    title: str
    images: int
    layers: int
    size: int
    shared: bool

    @property
    def bytes(self) -> int:
        """The bytes of all layers, each once."""
        own = self.layers - self.shared
        return self.size * (self.images * own + self.shared)


def large(scale: float) -> Load:
    """8 images of 4 layers of 128 MiB, one of them shared: 3.1 GiB (times `scale`)."""
    return Load(title="large", images=8, layers=4, size=int((128 << 20) * scale) or 1, shared=True)


def small(scale: float) -> Load:
    """200 images (times `scale`) of ten layers of 4 KiB."""
    return Load(title="small", images=max(1, int(200 * scale)), layers=10, size=4096, shared=False)


def fill(host: str, load: Load) -> tuple[str, ...]:
    """Push `load` to the registry at `host` and return the references of its images."""
    store = open_store(
        "docker", host, StoreOptions(side="destination", insecure_http=frozenset({host}))
    )
    common = os.urandom(load.size) if load.shared else b""

    def push(number: int) -> str:
        name = f"{load.title}/app{number}"
        repository = store.repository(name)
        layers = [common] if load.shared else []
        put_image(repository, layers, own=load.layers - len(layers), size=load.size)
        return f"{host}/{name}:v1"

    with ThreadPoolExecutor(2) as pool:
        references = tuple(pool.map(push, range(load.images)))
    store.close()
    return references


def put_image(repository: Destination, layers: list[bytes], *, own: int, size: int) -> None:
    """Put one image with the given layers and `own` more of random bytes under the tag v1."""
    described = [_put(repository, LAYER, data) for data in layers]
    described += [_put(repository, LAYER, os.urandom(size)) for _ in range(own)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(one.digest) for one in described]},
        "config": {},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _put(repository, CONFIG, json.dumps(config).encode()).to_json(),
        "layers": [one.to_json() for one in described],
    }
    manifest = Manifest.parse(json.dumps(document).encode(), OCI_MANIFEST)
    repository.write_manifest(manifest, "v1")


def _put(repository: Destination, media_type: str, data: bytes) -> Descriptor:
    descriptor = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
    repository.write_blob(descriptor, lambda: nullcontext(io.BytesIO(data)))
    return descriptor
