"""Manifests of a repository: raw bytes, whose digest is ours to compute.

Nothing a registry says about a manifest is believed: not ``Docker-Content-Digest``, not
``Content-Length``; its Content-Type must agree with the document.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from airgap.errors import (
    FormatError,
    IntegrityError,
    NotFoundError,
    RegistryCorruptError,
    UsageError,
)
from airgap.oci.digest import Digest
from airgap.oci.manifest import MANIFEST_LIMIT, MANIFEST_TYPES, Manifest
from airgap.oci.reference import is_tag
from airgap.stores.registry_client import PUSH, missing_repository

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.stores.registry_client import Client

__all__ = ["ALTERED", "Manifests"]

ALTERED: Final = (
    "The registry, or something between it and here, serves other bytes than this digest names: "
    "try again, then from another place."
)

_ACCEPT: Final = ", ".join(sorted(MANIFEST_TYPES))
_GENERIC: Final = frozenset({"", "application/json", "application/octet-stream", "text/plain"})
_KEPT_BYTES: Final = 16 << 20


class Manifests:
    """Reads and writes the manifests of one repository. Safe to share between threads.

    A source keeps what `resolve` fetched, verified, until `read_manifest` asks for it. A
    destination keeps nothing: reading there is how a write is proven.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keeps = client.connection.options.side == "source"
        self._kept: OrderedDict[Digest, Manifest] = OrderedDict()
        self._lock = threading.Lock()
        self._announced: set[Digest] = set()

    def resolve(self, target: str) -> Descriptor:
        """Return what a tag or digest names, computed from the bytes that it leads to."""
        if not is_tag(target):
            Digest.parse(target, "target")
        manifest = self.get(target)
        if ":" in target and str(manifest.digest) != target:
            raise IntegrityError(
                f"{self._client.name}@{target} is answered with other bytes ({manifest.digest})",
                reason="blob-digest-mismatch",
                hint=ALTERED,
            )
        if self._keeps:
            self._keep(manifest)
        return manifest.descriptor

    def read(self, descriptor: Descriptor) -> Manifest:
        """Return the manifest with this digest and size."""
        with self._lock:
            kept = self._kept.get(descriptor.digest)
        what = f"manifest of {self._client.name}"
        if kept is not None:
            return Manifest.verified(kept.data, descriptor, what)
        data, content_type = self._fetch(str(descriptor.digest))
        try:
            manifest = Manifest.verified(data, descriptor, what)
        except IntegrityError as error:
            if not self._keeps:
                raise RegistryCorruptError(error.message, reason="registry-corrupt") from error
            raise IntegrityError(error.message, reason=error.reason, hint=ALTERED) from error
        self._compare_type(manifest, content_type)
        return manifest

    def get(self, target: str) -> Manifest:
        """Return the manifest that `target` names now; its digest is that of its bytes."""
        data, content_type = self._fetch(target)
        hint = content_type if content_type in MANIFEST_TYPES else None
        manifest = Manifest.parse(data, hint, f"manifest {target} of {self._client.name}")
        self._compare_type(manifest, content_type)
        return manifest

    def _fetch(self, target: str) -> tuple[bytes, str]:
        response, body = self._client.fetch(
            self._client.path("manifests", target),
            limit=MANIFEST_LIMIT,
            expected=(404,),
            headers={"Accept": _ACCEPT},
        )
        if response.status_code == 404:
            raise NotFoundError(
                f"{self._client.connection.label}: {self._client.repository} has no {target}",
                reason="manifest-missing",
            )
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return body, kind

    def _compare_type(self, manifest: Manifest, content_type: str) -> None:
        if content_type not in _GENERIC and content_type != manifest.media_type:
            raise FormatError(
                f"{self._client.name} serves {manifest.digest} as {content_type:.100}, "
                f"it is {manifest.media_type}",
                reason="media-type-mismatch",
                hint="The registry's answer contradicts itself; nothing was taken from it.",
            )

    def _keep(self, manifest: Manifest) -> None:
        with self._lock:
            self._kept[manifest.digest] = manifest
            self._kept.move_to_end(manifest.digest)
            while sum(kept.size for kept in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)

    def write(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store the bytes under their digest or `tag`, then read them back and compare."""
        if tag is not None and not is_tag(tag):
            raise UsageError(f"{tag!r:.200} is not a tag", reason="tag-invalid")
        target = tag or str(manifest.digest)
        response = self._client.ask(
            "PUT",
            self._client.path("manifests", target),
            expected={200, 201, 202, 400, 404, 413, 422},
            purpose=PUSH,
            headers={"Content-Type": manifest.media_type},
            data=manifest.data,
        )
        if response.status_code >= 400:
            self._refuse(
                manifest, response.status_code, self._client.connection.complaint(response)
            )
        subject = response.headers.get("OCI-Subject")
        response.close()
        if manifest.subject is not None and subject == str(manifest.subject.digest):
            self._announced.add(manifest.digest)
        self._read_back(manifest, tag)

    def is_announced(self, manifest: Manifest) -> bool:
        """Tell whether the registry said, on a write here, that it lists `manifest` as referrer."""
        return manifest.digest in self._announced

    def _refuse(self, manifest: Manifest, status: int, complaint: str) -> None:
        if status == 404:
            raise missing_repository(self._client, complaint)
        raise self._client.connection.error(
            f"the manifest {manifest.digest} was refused with {status}{complaint}",
            reason="manifest-refused",
            hint="Its blobs and children must be there first, and the registry must take its type.",
        )

    def _read_back(self, manifest: Manifest, tag: str | None) -> None:
        if self._serves(manifest, tag or str(manifest.digest)):
            return
        if tag is not None and self._serves(manifest, str(manifest.digest)):
            raise self._client.connection.error(
                f"the tag {tag} of {self._client.repository} was set to {manifest.digest} and "
                "names something else already",
                reason="tag-race",
                hint="Somebody else writes to this tag; find out who, then run again.",
            )
        raise RegistryCorruptError(
            f"{self._client.connection.label}: it acknowledged the manifest {manifest.digest} of "
            f"{self._client.repository} and does not give it back",
            reason="registry-corrupt",
        )

    def _serves(self, manifest: Manifest, target: str) -> bool:
        response, body = self._client.fetch(
            self._client.path("manifests", target),
            limit=MANIFEST_LIMIT,
            expected=(404, 500),
            headers={"Accept": manifest.media_type},
        )
        return response.status_code == 200 and body == manifest.data
