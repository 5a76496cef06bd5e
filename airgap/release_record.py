"""Release record: what the destination itself says is loaded of a stream.

An artifact manifest under the import prefix, ``PREFIX/airgap/releases:<stream>``, with one layer
that maps names to digests. Where a name stands for the image of one platform, and not for the index
that the bundle says, a second layer tells which index and why. The record is not signed: it can
raise the bar for the next bundle, never lower it. Written after every tag, read before the verdict.
"""

from __future__ import annotations

import io
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from airgap.errors import ContentError, NotFoundError, StoreError
from airgap.oci import strict_json
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import EMPTY_CONFIG, OCI_MANIFEST, Manifest
from airgap.verification import Floor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.bundle.inventory import Inventory
    from airgap.stores import Destination, Source

__all__ = ["RELEASE_TYPE", "read_release", "write_release"]

RELEASE_TYPE: Final = "application/vnd.airgap.release.v1+json"
_NAMES_TYPE: Final = "application/vnd.airgap.release.names.v1+json"
_REASONS_TYPE: Final = "application/vnd.airgap.release.reasons.v1+json"
_PREFIX: Final = "vnd.airgap."
_EMPTY: Final = b"{}"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


def read_release(repository: Source, stream: str) -> Floor | None:
    """Return what `repository` says is loaded of `stream`, or None where it says nothing.

    Raises StoreError ``release-record-damaged`` where the record is there and cannot be read: an
    unreadable bar is not a low one.
    """
    try:
        manifest = repository.read_manifest(repository.resolve(stream))
    except NotFoundError:
        return None
    except ContentError as error:
        raise _damaged(repository, stream, error.message) from error
    said = manifest.annotations
    sequence = said.get(f"{_PREFIX}sequence", "")
    authority = said.get(f"{_PREFIX}authority")
    inventory = said.get(f"{_PREFIX}inventory")
    if manifest.artifact_type != RELEASE_TYPE or not (
        authority and inventory and _NUMBER.fullmatch(sequence)
    ):
        raise _damaged(repository, stream, "it is no release record")
    return Floor(authority=authority, sequence=int(sequence), inventory=inventory)


def write_release(
    repository: Destination,
    inventory: Inventory,
    inventory_digest: Digest,
    names: Mapping[str, Digest],
    *,
    reasons: Mapping[str, Mapping[str, str]],
) -> None:
    """Write the record of a loaded bundle; `names` maps names at the destination to digests.

    `reasons` has those among them that stand for a platform's image, with the index and the reason.
    """
    layers = [_layer(_NAMES_TYPE, {name: str(digest) for name, digest in names.items()})]
    if reasons:
        layers.append(_layer(_REASONS_TYPE, reasons))
    for descriptor, data in [(EMPTY_CONFIG, _EMPTY), *layers]:
        repository.write_blob(descriptor, lambda data=data: nullcontext(io.BytesIO(data)))  # type: ignore[misc]  # bound now
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": RELEASE_TYPE,
        "config": EMPTY_CONFIG.to_json(),
        "layers": [layer.to_json() for layer, _ in layers],
        "annotations": {
            f"{_PREFIX}authority": inventory.authority,
            f"{_PREFIX}stream": inventory.stream,
            f"{_PREFIX}sequence": str(inventory.sequence),
            f"{_PREFIX}inventory": str(inventory_digest),
        },
    }
    manifest = Manifest.parse(strict_json.encode(document), OCI_MANIFEST, "the release record")
    repository.write_manifest(manifest)
    repository.write_manifest(manifest, inventory.stream)
    repository.read_manifest(repository.resolve(inventory.stream))


def _layer(media_type: str, document: Mapping[str, object]) -> tuple[Descriptor, bytes]:
    data = strict_json.encode(document)
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data)), data


def _damaged(repository: Source, stream: str, why: str) -> StoreError:
    return StoreError(
        f"the release record {repository.name}:{stream} at the destination cannot be read: {why}",
        reason="release-record-damaged",
        hint="Find out who changed it. Without its tag, imports rely on the ledger alone.",
    )
