"""The index.json of an OCI image layout: which names stand for what, and in which repository.

One layout holds many repositories. An entry of ours says where it belongs:

* ``vnd.airgap.repository`` is its repository;
* ``org.opencontainers.image.ref.name`` is ``<repository>:<tag>``, so that ``skopeo inspect
  oci:DIR:<repository>:<tag>`` finds it; an entry without it is a member that has no tag.

Repository ``""`` is the whole layout: its tags are the names of all entries, as they stand. What
other tools wrote is read there; a name that is a full reference is its repository's tag as well.
What we do not know (other fields, other annotations) is kept when the index is written again.

Source: OCI image-spec 1.1, image-layout.md and annotations.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, UsageError
from airgap.oci.descriptor import Descriptor
from airgap.oci.manifest import OCI_INDEX
from airgap.oci.reference import Reference
from airgap.oci.strict_json import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airgap.oci.digest import Digest
    from airgap.oci.strict_json import JsonObject

__all__ = ["INDEX_LIMIT", "REPOSITORY", "Addition", "Entry", "Index", "make_entry"]

INDEX_LIMIT: Final = 64 << 20
"""The most bytes that an index.json may have."""
REF_NAME: Final = "org.opencontainers.image.ref.name"
CONTAINERD_NAME: Final = "io.containerd.image.name"
REPOSITORY: Final = "vnd.airgap.repository"
# Tags that are made from a digest mean the same in every repository, so the whole layout has them.
_DERIVED_TAG: Final = re.compile(r"sha256-[0-9a-f]{64}(?:\.[a-z]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One manifest that the index names; `raw` is the entry as it stands in the document."""

    raw: JsonObject = field(repr=False, hash=False)
    descriptor: Descriptor

    @classmethod
    def from_json(cls, reader: Reader) -> Entry:
        """Return the entry at `reader`, or raise FormatError."""
        return cls(raw=reader.value, descriptor=Descriptor.from_json(reader))

    @property
    def repository(self) -> str:
        """The repository that this entry of ours belongs to; empty for entries of others."""
        return self.descriptor.annotations.get(REPOSITORY, "")

    @property
    def tag(self) -> str | None:
        """The tag in that repository; None for a member without one."""
        name = self.descriptor.annotations.get(REF_NAME)
        return None if name is None else name.removeprefix(f"{self.repository}:")

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """Every (repository, tag) by which the manifest is found."""
        annotations = self.descriptor.annotations
        plain = {annotations[key] for key in (REF_NAME, CONTAINERD_NAME) if key in annotations}
        found = {("", name) for name in plain}
        if self.tag is not None:
            found.add((self.repository, self.tag))
            if _DERIVED_TAG.fullmatch(self.tag):
                found.add(("", self.tag))
        if not self.repository:
            found.update(filter(None, map(_full_name, plain)))
        return frozenset(found)


def make_entry(
    descriptor: Descriptor, repository: str, tag: str | None, more: Mapping[str, str] | None = None
) -> Entry:
    """Return the entry that records `descriptor` in `repository`, under `tag` if there is one."""
    annotations = dict(more or {})
    if tag is not None:
        annotations[REF_NAME] = f"{repository}:{tag}" if repository else tag
    if repository:
        annotations[REPOSITORY] = repository
    raw: JsonObject = descriptor.to_json()
    if descriptor.artifact_type is not None:
        raw["artifactType"] = descriptor.artifact_type
    if annotations:
        raw["annotations"] = annotations
    return Entry(
        raw=raw,
        descriptor=Descriptor(
            media_type=descriptor.media_type,
            digest=descriptor.digest,
            size=descriptor.size,
            artifact_type=descriptor.artifact_type,
            annotations=MappingProxyType(annotations),
        ),
    )


def _full_name(text: str) -> tuple[str, str] | None:
    """Return repository and tag of a name that says its host; "app:1" alone could be anybody's."""
    host, slash, _ = text.partition("/")
    if not slash or not (set(host) & set(".:") or host == "localhost"):
        return None
    try:
        reference = Reference.parse(text)
    except UsageError:
        return None
    return None if reference.tag is None else (reference.source, reference.tag)


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """A manifest that was written to `repository`; `children` are those that it names itself."""

    repository: str
    descriptor: Descriptor
    tag: str | None = None
    children: frozenset[Digest] = frozenset()


@dataclass(frozen=True, kw_only=True)  # without slots: the tables are made when they are asked for
class Index:
    """What index.json says: `entries` in order, `fields` whatever else the document holds."""

    entries: tuple[Entry, ...] = ()
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @classmethod
    def parse(cls, data: bytes, what: str = "index.json") -> Index:
        """Return the index that `data` spells, or raise FormatError naming `what`."""
        reader = Reader.parse(data, what, floats=True)
        reader.refuse_case_variants("schemaVersion", "mediaType", "manifests")
        if reader.integer("schemaVersion") != 2:
            raise FormatError(f"{reader.at('schemaVersion')} is not 2", reason="layout-version")
        if reader.has("mediaType") and reader.text("mediaType") != OCI_INDEX:
            raise FormatError(
                f"{reader.at('mediaType')} is not {OCI_INDEX}", reason="media-type-mismatch"
            )
        rest = {key: value for key, value in reader.value.items() if key != "manifests"}
        return cls(
            entries=tuple(Entry.from_json(child) for child in reader.children("manifests")),
            fields=MappingProxyType(rest),
        )

    def encode(self) -> bytes:
        """Return the document."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, **self.fields}
        document["manifests"] = [entry.raw for entry in self.entries]
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def names(self) -> Mapping[tuple[str, str], tuple[Descriptor, ...]]:
        """(repository, tag) → manifests; more than one where a short name was used twice."""
        found: dict[tuple[str, str], tuple[Descriptor, ...]] = {}
        for entry in self.entries:
            for name in entry.names:
                others = found.get(name, ())
                if all(other.digest != entry.descriptor.digest for other in others):
                    found[name] = (*others, entry.descriptor)
        return MappingProxyType(found)

    @cached_property
    def descriptors(self) -> Mapping[Digest, Descriptor]:
        """Digest → descriptor, of every entry."""
        return MappingProxyType(
            {entry.descriptor.digest: entry.descriptor for entry in self.entries}
        )

    @cached_property
    def repositories(self) -> tuple[str, ...]:
        """The repositories, sorted; without the one that stands for the whole layout."""
        named = {repository for repository, _ in self.names}
        return tuple(sorted((named | {entry.repository for entry in self.entries}) - {""}))

    def with_additions(self, additions: Iterable[Addition]) -> Index:
        """Return the index with all `additions` in it.

        A tag moves: the manifest that had it stays a member, without a tag. Every other manifest is
        recorded once, and not at all where an index that was added names it as its child.
        """
        table = _Table(self.entries)
        for addition in additions:
            table.add(addition)
        return Index(entries=tuple(table.entries.values()), fields=self.fields)


class _Table:
    """Entries that are being changed: by number, so that order stays, and by what names them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: dict[int, Entry] = {}
        self._numbers: dict[tuple[str, str | Digest], list[int]] = {}
        self._held: Counter[tuple[str, Digest]] = Counter()
        self._next = 0
        for entry in entries:
            self._put(entry)

    def add(self, addition: Addition) -> None:
        descriptor, repository = addition.descriptor, addition.repository
        for child in addition.children:
            self._take(repository, child)
        if addition.tag is not None and not self._is(repository, addition.tag, descriptor.digest):
            before = self._take(repository, addition.tag)
            self._take(repository, descriptor.digest)
            self._put(make_entry(descriptor, repository, addition.tag))
            for old in before:
                self._keep(old, repository)
        self._keep(descriptor, repository)

    def _is(self, repository: str, tag: str, digest: Digest) -> bool:
        numbers = self._numbers.get((repository, tag), ())
        return [self.entries[number].descriptor.digest for number in numbers] == [digest]

    def _keep(self, descriptor: Descriptor, repository: str) -> None:
        if not self._held[repository, descriptor.digest]:
            self._put(make_entry(descriptor, repository, None))

    def _put(self, entry: Entry) -> None:
        digest = entry.descriptor.digest
        self.entries[self._next] = entry
        self._held[entry.repository, digest] += 1
        self._numbers.setdefault((entry.repository, entry.tag or digest), []).append(self._next)
        self._next += 1

    def _take(self, repository: str, name: str | Digest) -> list[Descriptor]:
        taken = [self.entries.pop(n) for n in self._numbers.pop((repository, name), ())]
        for entry in taken:
            self._held[repository, entry.descriptor.digest] -= 1
        return [entry.descriptor for entry in taken]
