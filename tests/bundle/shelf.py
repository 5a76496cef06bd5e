"""Third-party content for tests: images, indexes, artifacts and referrers, by digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from airgap.bundle.inventory import BundledReferrer, Item, Signatures
from airgap.oci import strict_json
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SOURCE = "registry.example/prod/app"


def noise(size: int, seed: int = 0) -> bytes:
    """Return `size` bytes that look random and are the same every time."""
    return hashlib.shake_256(b"%d" % seed).digest(size)


@dataclass
class Shelf:
    """Third-party content by digest."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def add(self, data: bytes, media_type: str = LAYER) -> Descriptor:
        descriptor = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
        self.blobs[descriptor.digest] = data
        return descriptor

    def image(self, *layers: bytes, architecture: str = "amd64", **fields: object) -> Descriptor:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(one)) for one in layers]},
        }
        return self.manifest(
            self.add(strict_json.encode(config), CONFIG),
            *(self.add(layer) for layer in layers),
            **fields,
        )

    def manifest(self, config: Descriptor, *layers: Descriptor, **fields: object) -> Descriptor:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
            **fields,
        }
        return self.add(strict_json.encode(document), OCI_MANIFEST)

    def index(self, *children: Descriptor, **fields: object) -> Descriptor:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [child.to_json() for child in children],
            **fields,
        }
        return self.add(strict_json.encode(document), OCI_INDEX)

    def signature(self, subject: Descriptor, *blobs: bytes, **fields: object) -> Descriptor:
        """Return a referrer of `subject` with `blobs` as its layers."""
        return self.manifest(
            self.add(b"{}", "application/vnd.oci.empty.v1+json"),
            *(self.add(blob, "application/vnd.dev.sigstore.bundle.v0.3+json") for blob in blobs),
            artifactType="application/vnd.dev.sigstore.bundle.v0.3+json",
            subject=subject.to_json(),
            **fields,
        )

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        return Manifest.verified(self.blobs[descriptor.digest], descriptor)

    def read_head(self, descriptor: Descriptor) -> bytes:
        return self.blobs[descriptor.digest]

    def item(
        self,
        root: Descriptor,
        *referrers: BundledReferrer,
        source: str = SOURCE,
        children: tuple[Descriptor, ...] | None = None,
    ) -> Item:
        chosen = None if children is None else tuple(sorted(child.digest for child in children))
        return Item(
            source=source,
            kind=self.read_manifest(root).kind,
            descriptor=root,
            children=chosen,
            referrers=referrers,
            signatures=Signatures.PRESENT if referrers else Signatures.CONFIRMED_ABSENT,
        )


def referrer(descriptor: Descriptor, subject: Descriptor, found: str = "api") -> BundledReferrer:
    return BundledReferrer(descriptor=descriptor, subject=subject.digest, found=found)
