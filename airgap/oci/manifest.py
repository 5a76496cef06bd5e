"""Manifest: the raw bytes are the truth, the parsed view is derived from them.

Sources: OCI image-spec 1.1 manifest.md and image-index.md; docker's schema 2 and manifest list.
Unknown fields of third parties are kept, byte for byte, and ignored; a shape that two readers
could take for two things is refused (A054).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypedDict

from airgap.errors import FormatError, IntegrityError, UnsupportedVersionError
from airgap.oci.descriptor import Descriptor, media_type
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "EMPTY_CONFIG",
    "INDEX_TYPES",
    "MANIFEST_LIMIT",
    "MANIFEST_TYPES",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "Kind",
    "Manifest",
]

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST}) | INDEX_TYPES
MANIFEST_LIMIT: Final = 4 << 20
"""The most bytes that a third party's manifest may have."""

EMPTY_CONFIG: Final = Descriptor(
    media_type="application/vnd.oci.empty.v1+json", digest=Digest.of(b"{}"), size=2
)
_IMAGE_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_MAX_CHILDREN: Final = 1000
_MAX_LAYERS: Final = 10_000
_KNOWN_KEYS: Final = (
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject",
    "annotations", "blobs", "fsLayers", "signatures",
)  # fmt: skip


class Kind(StrEnum):
    """What a manifest is: an image, an index of manifests, or another artifact."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or index: `data` is the truth, the other fields are read from it."""

    data: bytes = field(repr=False)
    media_type: str
    digest: Digest
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @classmethod
    def parse(
        cls, data: bytes, media_type_hint: str | None = None, what: str = "manifest"
    ) -> Manifest:
        """Return the manifest in `data`, or raise FormatError naming `what`.

        `media_type_hint` is what the descriptor or the registry says; where the document names its
        own type the two must agree, and where neither does the type is refused.
        """
        if len(data) > MANIFEST_LIMIT:
            raise FormatError(
                f"{what} is larger than {MANIFEST_LIMIT} bytes", reason="manifest-too-large"
            )
        reader = Reader.parse(data, what, floats=True)
        reader.refuse_case_variants(*_KNOWN_KEYS)
        reader = reader.without_nulls()
        kind = _media_type(reader, media_type_hint)
        if kind in INDEX_TYPES:
            return cls._index(data, kind, reader)
        return cls._manifest(data, kind, reader)

    @classmethod
    def verified(cls, data: bytes, descriptor: Descriptor, what: str = "manifest") -> Manifest:
        """Return the manifest in `data` after its size and digest matched `descriptor`."""
        if len(data) != descriptor.size:
            raise IntegrityError(
                f"{what} {descriptor.digest} has {len(data)} bytes, not {descriptor.size}",
                reason="descriptor-size-mismatch",
            )
        if Digest.of(data) != descriptor.digest:
            raise IntegrityError(
                f"{what} {descriptor.digest} does not have the bytes that its digest names",
                reason="blob-digest-mismatch",
            )
        return cls.parse(data, descriptor.media_type, f"{what} {descriptor.digest}")

    @classmethod
    def _index(cls, data: bytes, kind: str, reader: Reader) -> Manifest:
        for foreign in ("layers", "config", "blobs", "fsLayers"):
            if reader.has(foreign):
                raise FormatError(
                    f"an index with {reader.at(foreign)}", reason="manifest-ambiguous"
                )
        manifests = _descriptors(reader, "manifests")
        if len(manifests) > _MAX_CHILDREN:
            raise FormatError(
                f"more than {_MAX_CHILDREN} in {reader.at('manifests')}", reason="graph-too-large"
            )
        for number, child in enumerate(manifests):
            if child.media_type not in MANIFEST_TYPES:
                place = f"{reader.at('manifests')}[{number}]"
                raise FormatError(
                    f"{place} is of type {child.media_type}, not a manifest",
                    reason="index-child-not-manifest",
                )
        return cls(
            data=data,
            media_type=kind,
            digest=Digest.of(data),
            manifests=manifests,
            **_shared(reader),
        )

    @classmethod
    def _manifest(cls, data: bytes, kind: str, reader: Reader) -> Manifest:
        for foreign in ("manifests", "blobs", "fsLayers"):
            if reader.has(foreign):
                raise FormatError(
                    f"a manifest with {reader.at(foreign)}", reason="manifest-ambiguous"
                )
        # Required by the letter, left out by some who have none, and taken by registries.
        layers = _descriptors(reader, "layers") if reader.has("layers") else ()
        if len(layers) > _MAX_LAYERS:
            raise FormatError(
                f"more than {_MAX_LAYERS} in {reader.at('layers')}", reason="graph-too-large"
            )
        return cls(
            data=data,
            media_type=kind,
            digest=Digest.of(data),
            config=Descriptor.from_json(reader.child("config")),
            layers=layers,
            **_shared(reader),
        )

    @property
    def kind(self) -> Kind:
        """Whether this is an image, an index or another artifact."""
        if self.media_type in INDEX_TYPES:
            return Kind.INDEX
        if (
            self.artifact_type is None
            and self.config is not None
            and self.config.media_type in _IMAGE_CONFIGS
        ):
            return Kind.IMAGE
        return Kind.ARTIFACT

    @property
    def effective_artifact_type(self) -> str | None:
        """The artifact type a referrers list shows: artifactType, else the config's media type.

        Source: OCI distribution-spec 1.1, "Listing Referrers".
        """
        if self.artifact_type is not None:
            return self.artifact_type
        return None if self.config is None else self.config.media_type

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    @property
    def descriptor(self) -> Descriptor:
        """What names these bytes."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers, in the order in which they are walked."""
        return self.layers if self.config is None else (self.config, *self.layers)


def _descriptors(reader: Reader, key: str) -> tuple[Descriptor, ...]:
    return tuple(Descriptor.from_json(child) for child in reader.children(key))


class _Shared(TypedDict):
    subject: Descriptor | None
    artifact_type: str | None
    annotations: Mapping[str, str]


def _shared(reader: Reader) -> _Shared:
    return {
        "subject": Descriptor.from_json(reader.child("subject")) if reader.has("subject") else None,
        "artifact_type": reader.optional_text("artifactType") or None,
        "annotations": reader.text_map("annotations")
        if reader.has("annotations")
        else MappingProxyType({}),
    }


def _media_type(reader: Reader, hint: str | None) -> str:
    if not reader.has("schemaVersion") or reader.integer("schemaVersion") != 2:
        raise UnsupportedVersionError(
            f"{reader.at('schemaVersion')} is not 2 (docker schema 1 cannot be verified)",
            reason="manifest-version-unsupported",
            hint="Push the image again with a current tool.",
        )
    own = reader.optional_text("mediaType")
    kind = media_type(own, reader.at("mediaType")) if own else hint
    if kind is None:
        raise FormatError(f"missing {reader.at('mediaType')}", reason="field-missing")
    if hint is not None and kind != hint:
        raise FormatError(
            f"{reader.at('mediaType')} is {kind}, its descriptor says {hint}",
            reason="media-type-mismatch",
        )
    if kind not in MANIFEST_TYPES:
        raise FormatError(
            f"{reader.at('mediaType')} {kind} is not a manifest", reason="media-type-unknown"
        )
    return kind
