"""What `docker save` wrote before Docker 25: manifest.json, a config and a tar for each layer.

There is no OCI manifest in it, so one is made, as Docker 25 makes it: the config's bytes as they
are, the layers as they are (uncompressed, where docker wrote them). The same archive always gives
the same digests. Each uncompressed layer must have the digest that the config says (``diff_ids``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, IntegrityError, UsageError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import MANIFEST_LIMIT, OCI_MANIFEST
from airgap.oci.reference import Reference
from airgap.oci.strict_json import Reader, decode, encode
from airgap.stores.ingest import CHUNK
from airgap.stores.layout_index import CONTAINERD_NAME, Index, make_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.stores.archive_tar import Members, Place
    from airgap.stores.layout_index import Entry

__all__ = ["SavedImages", "read_saved_images"]

_LIST_LIMIT: Final = 16 << 20
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_COMPRESSED: Final = {b"\x1f\x8b": "+gzip", b"\x28\xb5\x2f\xfd": "+zstd"}


@dataclass(kw_only=True, slots=True)
class SavedImages:
    """An index over the images of an archive, and where their content is: in it, or made here."""

    index: Index = field(default_factory=Index)
    places: dict[Digest, Place] = field(default_factory=dict)
    made: dict[Digest, bytes] = field(default_factory=dict)


def read_saved_images(members: Members) -> SavedImages:
    """Read every layer once for its digest, and return the images, or raise ContentError."""
    saving = _Saving(members=members)
    what = f"{members.title}/manifest.json"
    document = decode(members.read("manifest.json", _LIST_LIMIT), what, floats=True)
    if not isinstance(document, list):
        raise FormatError(f"expected array in {what}", reason="field-invalid")
    entries = [
        entry
        for number, image in enumerate(document)
        for entry in saving.add(Reader.of(image, f"{what}[{number}]"))
    ]
    saving.images.index = Index(entries=tuple(entries))
    return saving.images


@dataclass(kw_only=True, slots=True)
class _Saving:
    members: Members
    images: SavedImages = field(default_factory=SavedImages)
    layers: dict[Place, Descriptor] = field(default_factory=dict)

    def add(self, image: Reader) -> Iterator[Entry]:
        """Make the manifest of one image, and yield an entry for each of its names."""
        name = image.text("Config")
        data = self.members.read(name, MANIFEST_LIMIT)
        config = Descriptor(media_type=_CONFIG, digest=Digest.of(data), size=len(data))
        self.images.places[config.digest] = self.members.find(name)
        diff_ids = Reader.parse(data, name, floats=True).child("rootfs").digests("diff_ids")
        paths = image.texts("Layers")
        if len(paths) != len(diff_ids):
            raise FormatError(
                f"{image.path} has {len(paths)} layers, its config {len(diff_ids)}",
                reason="archive-layers-mismatch",
            )
        layers = [self._layer(*pair) for pair in zip(paths, diff_ids, strict=True)]
        manifest = encode(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": config.to_json(),
                "layers": [layer.to_json() for layer in layers],
            }
        )
        made = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(manifest), size=len(manifest))
        self.images.made[made.digest] = manifest
        named = image.has("RepoTags") and image.value["RepoTags"] is not None
        for tag in (image.texts("RepoTags") if named else ()) or (None,):
            yield make_entry(made, "", tag, _full_name(tag))

    def _layer(self, name: str, diff_id: Digest) -> Descriptor:
        place = self.members.find(name)
        if place not in self.layers:
            self.layers[place] = self._hash(name, place)
        layer = self.layers[place]
        if layer.media_type == _LAYER and layer.digest != diff_id:
            raise IntegrityError(
                f"{name:.300} in {self.members.title} is not the layer {diff_id} of its config",
                reason="layer-diff-id-mismatch",
                hint="The archive is damaged: save the image again.",
            )
        self.images.places[layer.digest] = place
        return layer

    def _hash(self, name: str, place: Place) -> Descriptor:
        stream = self.members.section(place, name)
        first = data = stream.read(CHUNK)
        hashing = hashlib.sha256()
        while data:
            hashing.update(data)
            data = stream.read(CHUNK)
        suffix = next((s for magic, s in _COMPRESSED.items() if first.startswith(magic)), "")
        return Descriptor(
            media_type=_LAYER + suffix, digest=Digest(hashing.hexdigest()), size=place.size
        )


def _full_name(tag: str | None) -> dict[str, str]:
    """Docker leaves its own registry's name out of tags; spell it out."""
    try:
        name = None if tag is None else Reference.parse(tag).name
    except UsageError:
        name = None
    return {} if name is None else {CONTAINERD_NAME: name}
