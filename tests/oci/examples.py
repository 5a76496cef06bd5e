"""Small documents of third parties, for the tests of what reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def blob(content: bytes, media_type: str = LAYER) -> dict[str, Any]:
    """Return the JSON of the descriptor of `content`."""
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


def image_document(name: str = "app", layer_count: int = 1, **fields: object) -> dict[str, Any]:
    """Return an image manifest whose content is told apart by `name`."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(f"config of {name}".encode(), CONFIG),
        "layers": [blob(f"layer {number} of {name}".encode()) for number in range(layer_count)],
        **fields,
    }


def index_document(*children: Manifest, **fields: object) -> dict[str, Any]:
    """Return an index of `children`."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [child.descriptor.to_json() for child in children],
        **fields,
    }


def data(document: dict[str, Any]) -> bytes:
    """Return the bytes of `document`."""
    return json.dumps(document).encode()


def image(name: str = "app", layer_count: int = 1, **fields: object) -> Manifest:
    """Return a parsed image manifest."""
    return Manifest.parse(data(image_document(name, layer_count, **fields)))


def index(*children: Manifest, **fields: object) -> Manifest:
    """Return a parsed index."""
    return Manifest.parse(data(index_document(*children, **fields)))


class Library:
    """Manifests by digest, as a Walk asks for them; `reads` counts how often it did."""

    def __init__(self, *manifests: Manifest) -> None:
        self._manifests = {manifest.digest: manifest for manifest in manifests}
        self.reads: list[Digest] = []

    def read(self, descriptor: Descriptor) -> Manifest:
        self.reads.append(descriptor.digest)
        return Manifest.verified(self._manifests[descriptor.digest].data, descriptor)
