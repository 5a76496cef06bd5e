"""What belongs to one repository of a layout: its manifests, their content, and who refers to whom.

A layout has no list of referrers: a manifest with a subject is found by reading the manifests that
index.json names, and those that they name in turn. Content that is not there is passed over in an
index (platforms that did not travel) and remembered as damage where a nameless entry cannot be
read: it could have been a referrer, so nobody may say that there are none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from airgap.errors import AirgapError, ContentError, NotFoundError
from airgap.oci.descriptor import Descriptor
from airgap.oci.manifest import MANIFEST_TYPES, Manifest
from airgap.stores import Referrer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airgap.oci.digest import Digest
    from airgap.stores.layout_index import Entry, Index

__all__ = ["Graph", "read_graph"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A repository's `manifests`, all its `members` (blobs too) and its `referrers` by subject.

    `damage` is why the referrers cannot be told, if they cannot.
    """

    manifests: Mapping[Digest, Descriptor]
    members: frozenset[Digest]
    referrers: Mapping[Digest, tuple[Referrer, ...]]
    damage: AirgapError | None


def read_graph(
    index: Index, repository: str, read_manifest: Callable[[Descriptor], Manifest]
) -> Graph:
    """Read what belongs to `repository` (``""``: the whole layout)."""
    reading = _Reading(read_manifest=read_manifest)
    own, loose = _sort_entries(index, repository)
    for entry in own:
        reading.read(entry.descriptor, entry)
    # A nameless entry of another tool belongs to whoever has its subject; that may be another one.
    waiting: dict[Digest | None, list[Entry]] = {}
    for entry in loose:
        waiting.setdefault(reading.subject(entry), []).append(entry)
    queue = list(reading.manifests)
    for digest in queue:  # grows while it is walked
        for entry in waiting.pop(digest, ()):
            queue.extend(reading.read(entry.descriptor, entry))
    return Graph(
        manifests=MappingProxyType(reading.manifests),
        members=frozenset(reading.members),
        referrers=MappingProxyType({s: tuple(r) for s, r in reading.referrers.items()}),
        damage=reading.damage,
    )


def _sort_entries(index: Index, repository: str) -> tuple[list[Entry], list[Entry]]:
    """Return the entries that are of `repository`, and those that no name gives to anybody."""
    manifests = [entry for entry in index.entries if entry.descriptor.media_type in MANIFEST_TYPES]
    if not repository:
        return manifests, []
    own, loose = [], []
    for entry in manifests:
        if entry.repository == repository or any(name[0] == repository for name in entry.names):
            own.append(entry)
        elif not entry.repository and not entry.names:
            loose.append(entry)
    return own, loose


@dataclass(kw_only=True, slots=True)
class _Reading:
    read_manifest: Callable[[Descriptor], Manifest]
    manifests: dict[Digest, Descriptor] = field(default_factory=dict)
    members: set[Digest] = field(default_factory=set)
    referrers: dict[Digest, list[Referrer]] = field(default_factory=dict)
    damage: AirgapError | None = None

    def subject(self, entry: Entry) -> Digest | None:
        """Return whom a nameless entry refers to."""
        manifest = self._try(entry.descriptor, entry)
        return None if manifest is None or manifest.subject is None else manifest.subject.digest

    def read(self, descriptor: Descriptor, entry: Entry) -> list[Digest]:
        """Take in a manifest and all that it names, each once; return the new manifests."""
        new = []
        queue = [(descriptor, entry if not entry.names else None)]
        while queue:
            current, nameless = queue.pop()
            if current.digest in self.manifests:
                continue
            manifest = self._try(current, nameless)
            if manifest is None:
                continue
            new.append(current.digest)
            self.manifests[current.digest] = current
            self.members.add(current.digest)
            self.members.update(blob.digest for blob in manifest.blobs)
            self._note_subject(current, manifest)
            queue.extend((child, None) for child in reversed(manifest.manifests))
        return new

    def _note_subject(self, descriptor: Descriptor, manifest: Manifest) -> None:
        if manifest.subject is None:
            return
        shown = Descriptor(
            media_type=manifest.media_type,
            digest=manifest.digest,
            size=descriptor.size,
            artifact_type=manifest.effective_artifact_type,
            annotations=manifest.annotations,
        )
        subject = manifest.subject.digest
        self.referrers.setdefault(subject, []).append(
            Referrer(descriptor=shown, subject=subject, found="api")
        )

    def _try(self, descriptor: Descriptor, nameless: Entry | None) -> Manifest | None:
        try:
            return self.read_manifest(descriptor)
        except (ContentError, NotFoundError) as error:
            if nameless is not None and self.damage is None:
                self.damage = error
            return None
