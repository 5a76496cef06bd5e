"""Head: the bundle's own documents, made from inventory, TUF files and targets alone.

* `bundle_manifest` and `index_document` are functions of what is signed: the reader makes them
  again and compares bytes, so they carry no authority of their own.
* Order: bundle manifest, inventory, root metadata 1…N, timestamp, snapshot, targets, target files
  by path; then the manifests and small referrer blobs in walk order. Equal bytes are one blob.
* Layers of the bundle manifest are ``application/vnd.tuf.metadata+json`` (TUF metadata) and
  ``application/octet-stream`` (target files), titled by their path, so that
  ``oras pull --oci-layout-path`` writes a TUF repository to disk.

Source: docs/bundle-format.md, "Documents" and "Order".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.bundle.fields import read_name
from airgap.bundle.inventory import INVENTORY_TYPE, Inventory
from airgap.bundle.limits import BUNDLE_MANIFEST_LIMIT, INDEX_LIMIT
from airgap.bundle.tar import BLOCK, header, padded, padding
from airgap.bundle.trust_files import METADATA_TYPE, TARGET_TYPE, TrustFiles, check_trust
from airgap.errors import FormatError, IntegrityError
from airgap.oci import strict_json
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airgap.bundle.arrangement import Arrangement
    from airgap.oci.strict_json import JsonObject

__all__ = [
    "BUNDLE_TYPE",
    "INDEX_NAME",
    "LAYOUT_BYTES",
    "LAYOUT_NAME",
    "METADATA_TYPE",
    "TARGET_TYPE",
    "TITLE",
    "Head",
    "TrustFiles",
    "bundle_manifest",
    "check_trust",
    "compose",
    "index_document",
]

BUNDLE_TYPE: Final = "application/vnd.airgap.bundle.v1+json"
TITLE: Final = "org.opencontainers.image.title"
REF_NAME: Final = "org.opencontainers.image.ref.name"
FULL_NAME: Final = "io.containerd.image.name"
LAYOUT_NAME: Final = "oci-layout"
LAYOUT_BYTES: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_NAME: Final = "index.json"
_COMPONENT: Final = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
# image-spec 1.1, annotations.md: the grammar of org.opencontainers.image.ref.name
_REF_NAME_GRAMMAR: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


def bundle_manifest(inventory_bytes: bytes, trust: TrustFiles) -> bytes:
    """Return the bundle manifest; raise FormatError where it would be too large."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BUNDLE_TYPE,
        "config": _describe(inventory_bytes, INVENTORY_TYPE).to_json(),
        "layers": [
            {**_describe(data, media_type).to_json(), "annotations": {TITLE: title}}
            for title, media_type, data in trust.titled()
        ],
    }
    return _bounded(strict_json.encode(document), BUNDLE_MANIFEST_LIMIT, "the bundle manifest")


def index_document(
    inventory: Inventory, manifest: Descriptor, artifact_types: Mapping[Digest, str]
) -> bytes:
    """Return ``index.json``: the bundle manifest, each name of each root, each referrer once.

    `artifact_types` has the artifactType of every manifest that states one.
    """
    entries = [{**manifest.to_json(), "artifactType": BUNDLE_TYPE}]
    names: dict[tuple[str, Digest], list[str]] = {}
    for name in sorted(inventory.names):
        source = read_name(name, "inventory.names").source
        names.setdefault((source, inventory.names[name]), []).append(name)
    roots = {item.descriptor.digest for item in inventory.items}
    for item in inventory.items:
        entry = _entry(item.descriptor, artifact_types)
        annotated = [{**entry, "annotations": _name(name)} for name in names.get(item.key, ())]
        entries.extend(annotated or [entry])
    referrers = {
        referrer.descriptor.digest: referrer.descriptor
        for item in inventory.items
        for referrer in item.referrers
        if referrer.descriptor.digest not in roots
    }
    entries.extend(_entry(descriptor, artifact_types) for descriptor in referrers.values())
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return _bounded(strict_json.encode(document), INDEX_LIMIT, INDEX_NAME)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """All that stands before the body: `index`, the bundle's own `documents`, and `content`.

    `inventory` is the one among the documents. Each blob is there once: `content` are the
    manifests and small referrer blobs that are none of the documents.
    """

    inventory: Inventory
    index: bytes
    documents: Mapping[Digest, bytes] = field(hash=False)
    content: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """The number of bytes in the file, headers and padding included."""
        sizes = [len(LAYOUT_BYTES), len(self.index)]
        sizes.extend(len(data) for data in self.documents.values())
        sizes.extend(descriptor.size for descriptor in self.content)
        return sum(BLOCK + padded(size) for size in sizes)

    def members(self, read: Callable[[Descriptor], bytes]) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each member; `read` gets those of the content, checked here."""
        yield LAYOUT_NAME, LAYOUT_BYTES
        yield INDEX_NAME, self.index
        for digest, data in self.documents.items():
            yield digest.blob_path, data
        for descriptor in self.content:
            data = read(descriptor)
            if len(data) != descriptor.size or Digest.of(data) != descriptor.digest:
                raise IntegrityError(
                    f"{descriptor.digest} does not have the bytes that its digest names",
                    reason="blob-digest-mismatch",
                )
            yield descriptor.digest.blob_path, data

    def spell(self, read: Callable[[Descriptor], bytes]) -> Iterator[bytes]:
        """Yield the bytes of each member as they stand in the file, header and padding included."""
        for name, data in self.members(read):
            yield b"".join((header(name, len(data)), data, padding(len(data))))


def compose(inventory_bytes: bytes, trust: TrustFiles, arrangement: Arrangement) -> Head:
    """Return the head of the bundle with this inventory, these TUF files and this content.

    Raises FormatError where the inventory or the TUF files are not in the one form allowed.
    """
    inventory = Inventory.decode(inventory_bytes)
    check_trust(inventory, trust)
    manifest = bundle_manifest(inventory_bytes, trust)
    documents = {Digest.of(data): data for data in (manifest, inventory_bytes)}
    for _, _, data in trust.titled():
        documents.setdefault(Digest.of(data), data)
    return Head(
        inventory=inventory,
        index=index_document(
            inventory, _describe(manifest, OCI_MANIFEST), arrangement.artifact_types
        ),
        documents=MappingProxyType(documents),
        content=tuple(one for one in arrangement.head if one.digest not in documents),
    )


def _describe(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


def _entry(descriptor: Descriptor, artifact_types: Mapping[Digest, str]) -> JsonObject:
    kind = artifact_types.get(descriptor.digest)
    return {**descriptor.to_json(), **({} if kind is None else {"artifactType": kind})}


def _name(name: str) -> dict[str, str]:
    short = {REF_NAME: name} if _REF_NAME_GRAMMAR.fullmatch(name) else {}
    return {**short, FULL_NAME: name}


def _bounded(data: bytes, limit: int, what: str) -> bytes:
    if len(data) > limit:
        raise FormatError(f"{what} has more than {limit} bytes", reason="member-too-large")
    return data
