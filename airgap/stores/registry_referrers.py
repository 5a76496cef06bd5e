"""Referrers of a repository: by the API where there is one, else in the fallback tag's index.

Source: OCI distribution-spec 1.1, "Listing Referrers", "Unavailable Referrers API", "Pushing
Manifests with Subject". Neither docker-registry 2.8 nor Distribution 3 has the API, so the tag
``sha256-<hex>`` is the usual case. It may also be a user's own: an index is merged into, anything
else is refused and never overwritten (threat model A068).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from airgap.errors import AirgapError, FormatError, NotFoundError, StoreError
from airgap.oci.manifest import OCI_INDEX, Manifest
from airgap.oci.strict_json import Reader, encode
from airgap.stores import Referrer
from airgap.stores.registry_paging import pages

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.oci.strict_json import JsonObject
    from airgap.stores.registry_client import Client
    from airgap.stores.registry_manifests import Manifests

__all__ = ["Referrers"]

_MAX_REFERRERS: Final = 10_000
_TRIES: Final = 3
_EMPTY: Final = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


class Referrers:
    """Finds and announces referrers. One object per repository: its lock keeps merges apart."""

    def __init__(self, client: Client, manifests: Manifests) -> None:
        self._client = client
        self._manifests = manifests
        self._lock = threading.Lock()

    def list(self, digest: Digest) -> tuple[Referrer, ...]:
        """Return the manifests that the registry lists for `digest`, each once."""
        found, descriptors = "api", self._by_api(digest)
        if descriptors is None:
            index = self._fallback(digest)
            found, descriptors = "fallback", () if index is None else index.manifests
        unique: dict[Digest, Descriptor] = {}
        for descriptor in descriptors:
            unique.setdefault(descriptor.digest, descriptor)
        return tuple(
            Referrer(descriptor=descriptor, subject=digest, found=found)
            for descriptor in unique.values()
        )

    def has_api(self, digest: Digest) -> bool:
        """Tell whether the registry answers for the referrers of `digest`, were it with none."""
        return self._by_api(digest) is not None

    def _by_api(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        """Return what the API lists, or None where the registry has no API."""
        connection = self._client.connection
        if connection.lacks_referrers:
            return None
        descriptors: list[Descriptor] = []
        path = self._client.path("referrers", str(digest))
        for response, body in pages(self._client, path, accept=OCI_INDEX):
            if response.status_code == 404:
                # An error of the API is JSON. Another 404 says that there is no such endpoint, for
                # no repository; only that is remembered.
                kind = response.headers.get("Content-Type", "application/json")
                connection.lacks_referrers = "json" not in kind.lower()
                return None
            try:
                index = Manifest.parse(body, OCI_INDEX, f"referrers of {digest}")
            except AirgapError as error:
                raise connection.error(
                    f"its answer cannot be read: {error.message}", reason="referrers-invalid"
                ) from error
            descriptors += index.manifests
            if len(descriptors) > _MAX_REFERRERS:
                raise connection.error(
                    f"{digest} has more than {_MAX_REFERRERS} referrers",
                    reason="referrers-too-many",
                )
        return tuple(descriptors)

    def _fallback(self, digest: Digest) -> Manifest | None:
        tag = digest.tag_stem
        try:
            index = self._manifests.get(tag)
        except NotFoundError:
            return None
        except StoreError:
            raise
        except AirgapError as error:
            raise self._foreign_tag(tag, error.message) from error
        if index.media_type != OCI_INDEX:
            raise self._foreign_tag(tag, f"it is {index.media_type}")
        return index

    def _foreign_tag(self, tag: str, why: str) -> StoreError:
        return self._client.connection.error(
            f"the tag {tag} of {self._client.repository}, which lists referrers, is not an OCI "
            f"index: {why}",
            reason="referrers-fallback-invalid",
            hint="Somebody used the tag for something else; give that another tag, then run again.",
        )

    def add(self, manifest: Manifest) -> None:
        """Make `manifest`, which is stored and has a subject, findable by that subject."""
        if manifest.subject is None:
            raise FormatError(f"{manifest.digest} has no subject", reason="subject-missing")
        subject = manifest.subject.digest
        if self._manifests.is_announced(manifest):
            return
        listed = self._by_api(subject)
        if listed is not None:
            if manifest.digest in {descriptor.digest for descriptor in listed}:
                return
            # The API may have come after the manifest: written again, it is listed.
            self._manifests.write(manifest)
            if self._manifests.is_announced(manifest):
                return
        with self._lock:
            self._merge(subject, manifest)

    def _merge(self, subject: Digest, manifest: Manifest) -> None:
        tag = subject.tag_stem
        for attempt in range(1, _TRIES + 1):
            current = self._fallback(subject)
            if current and manifest.digest in {each.digest for each in current.manifests}:
                return
            merged = self._merged(current, manifest, tag)
            self._manifests.write(merged)
            try:
                self._manifests.write(merged, tag)
            except StoreError as error:
                # Another writer was faster; its entries are taken in at the next try.
                if error.reason != "tag-race" or attempt == _TRIES:
                    raise

    def _merged(self, current: Manifest | None, manifest: Manifest, tag: str) -> Manifest:
        document: JsonObject = dict(_EMPTY)
        try:
            if current is not None:
                # What is listed is kept as it stands, unknown fields and all.
                document = Reader.parse(current.data, tag).value
            entries = [*document["manifests"], _entry(manifest)]
            return Manifest.parse(encode({**document, "manifests": entries}), OCI_INDEX, tag)
        except FormatError as error:
            raise self._foreign_tag(tag, error.message) from error


def _entry(manifest: Manifest) -> JsonObject:
    """Return the descriptor that a referrers list shows: with artifact type and annotations."""
    entry = manifest.descriptor.to_json()
    if manifest.effective_artifact_type is not None:
        entry["artifactType"] = manifest.effective_artifact_type
    if manifest.annotations:
        entry["annotations"] = dict(manifest.annotations)
    return entry
