"""Small images, indexes and artifacts, made here, and how to put them into a store."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.graph import Root
from airgap.oci.manifest import EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream
    from airgap.stores import Destination

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A manifest with the blobs that it names and the manifests that are its children."""

    manifest: Manifest
    blobs: dict[Descriptor, bytes] = field(default_factory=dict)
    children: tuple[Sample, ...] = ()

    @property
    def digest(self) -> Digest:
        return self.manifest.digest

    @property
    def descriptor(self) -> Descriptor:
        return self.manifest.descriptor

    @property
    def root(self) -> Root:
        return Root(descriptor=self.descriptor)

    def everything(self) -> Iterator[Sample]:
        """Yield the children, then the sample itself."""
        for child in self.children:
            yield from child.everything()
        yield self


def describe(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


def make_layer(files: dict[str, bytes]) -> bytes:
    """Return an uncompressed layer."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_image(
    seed: str, *, layers: int = 2, architecture: str = "amd64", size: int = 2000
) -> Sample:
    """Return an image that real tools accept; the same seed gives the same bytes."""
    blobs: dict[Descriptor, bytes] = {}
    diff_ids = []
    parts = []
    for number in range(layers):
        noise = hashlib.shake_256(f"{seed} {number}".encode()).digest(size)
        tar = make_layer({f"{seed}-{number}": noise})
        packed = gzip.compress(tar, mtime=0)
        diff_ids.append(str(Digest.of(tar)))
        layer = describe(packed, LAYER_TYPE)
        blobs[layer] = packed
        parts.append(layer.to_json())
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"seed": seed}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    blobs[describe(config, CONFIG_TYPE)] = config
    return Sample(
        manifest=_manifest(
            {"config": describe(config, CONFIG_TYPE).to_json(), "layers": parts}, OCI_MANIFEST
        ),
        blobs=blobs,
    )


def make_index(*children: Sample, architectures: tuple[str, ...] = ("amd64", "arm64")) -> Sample:
    entries = []
    for number, child in enumerate(children):
        entry = child.descriptor.to_json()
        if child.manifest.config is not None:
            entry["platform"] = {"os": "linux", "architecture": architectures[number]}
        entries.append(entry)
    return Sample(manifest=_manifest({"manifests": entries}, OCI_INDEX), children=children)


def make_artifact(
    payload: bytes, *, subject: Manifest | None = None, kind: str = "application/vnd.example.sbom"
) -> Sample:
    layer = describe(payload, "text/plain")
    document: dict[str, object] = {
        "artifactType": kind,
        "config": EMPTY_CONFIG.to_json(),
        "layers": [layer.to_json()],
        "annotations": {"org.example.note": "made for a test"},
    }
    if subject is not None:
        document["subject"] = subject.descriptor.to_json()
    return Sample(
        manifest=_manifest(document, OCI_MANIFEST), blobs={EMPTY_CONFIG: b"{}", layer: payload}
    )


def _manifest(document: dict[str, object], media_type: str) -> Manifest:
    data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
    return Manifest.parse(data, media_type)


def opener(data: bytes) -> Callable[[], AbstractContextManager[ByteStream]]:
    """Return what `write_blob` takes."""

    @contextmanager
    def opened() -> Iterator[ByteStream]:
        yield io.BytesIO(data)

    return opened


def put(destination: Destination, sample: Sample, *tags: str) -> None:
    """Store a sample with everything that it names, by digest, then under `tags`."""
    for part in sample.everything():
        for descriptor, data in part.blobs.items():
            destination.write_blob(descriptor, opener(data))
        destination.write_manifest(part.manifest)
        if part.manifest.subject is not None:
            destination.add_referrer(part.manifest)
    for tag in tags:
        destination.write_manifest(sample.manifest, tag)
