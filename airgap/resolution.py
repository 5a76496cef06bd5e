"""Resolution: from the names that were asked for to every digest that must travel.

For each image: its root manifest, for an index the chosen children, and the referrers of every
manifest met, recursively: by the referrers API, by the fallback tag, and by the tags that cosign
derives from a digest (``.sig``, ``.att``, ``.sbom``). What could not be fetched stops the export
and is never counted as unsigned.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airgap.bundle.reader import open_bundle
from airgap.errors import FormatError, IntegrityError, NotFoundError, UsageError
from airgap.oci.descriptor import Platform
from airgap.oci.graph import REFERRER_BLOB_LIMIT, Root, Walk
from airgap.oci.manifest import MANIFEST_LIMIT, Kind, Manifest
from airgap.request import BUNDLE
from airgap.stores import Referrer, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airgap.bundle.reader import Bundle
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest
    from airgap.request import ImageRequest
    from airgap.spool import Spool
    from airgap.stores import Source, Store, StoreOptions

__all__ = ["ResolvedImage", "Sources", "resolve_images"]

COSIGN_TAGS: Final = ("sig", "att", "sbom")
_RESERVED_TAG: Final = re.compile(r"sha(256|512)-.*", re.ASCII)
_SIGNATURE_TYPES: Final = (
    "application/vnd.dev.sigstore.bundle",
    "application/vnd.dev.cosign.artifact.sig",
    "application/vnd.dev.cosign.simplesigning",
    "application/vnd.cncf.notary.signature",
)
_MAX_REFERRERS: Final = 10_000
_THREADS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedImage:
    """An image request with everything that it leads to, small content already in the spool."""

    request: ImageRequest
    source: Source
    manifest: Manifest
    children: tuple[Digest, ...] | None
    referrers: tuple[Referrer, ...]
    signatures: str

    @property
    def root(self) -> Root:
        """Where the walk over this image starts."""
        return Root(
            descriptor=self.manifest.descriptor,
            children=None if self.children is None else frozenset(self.children),
            referrers=tuple(referrer.descriptor for referrer in self.referrers),
        )


class Sources:
    """The stores of one export, each opened once."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._stores: dict[tuple[str, str], Store] = {}
        self._bundles: dict[tuple[str, str], Bundle] = {}
        self._stack = ExitStack()

    def open(self, request: ImageRequest) -> Source:
        """Return the repository that `request` reads from."""
        key = (request.transport, request.location)
        if request.transport == BUNDLE:
            if key not in self._bundles:
                bundle = self._stack.enter_context(open_bundle(Path(request.location)))
                bundle.survey()
                self._bundles[key] = bundle
            return self._bundles[key]
        if key not in self._stores:
            store = open_store(request.transport, request.location, self._options)
            self._stack.callback(store.close)
            self._stores[key] = store
        return self._stores[key].repository(request.repository)

    def close(self) -> None:
        """Close every store."""
        self._stack.close()


def resolve_images(
    requests: tuple[ImageRequest, ...],
    sources: Sources,
    spool: Spool,
    report: Callable[[ResolvedImage], None] = lambda _: None,
) -> tuple[ResolvedImage, ...]:
    """Resolve all `requests`, a few at a time, in their order; small content goes to the `spool`.

    Raises StoreError where anything could not be fetched, UsageError where a request cannot be met.
    """
    opened = [sources.open(request) for request in requests]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        resolved = []
        for image in pool.map(_resolve, requests, opened, repeat(spool)):
            report(image)
            resolved.append(image)
    return tuple(resolved)


def _resolve(request: ImageRequest, source: Source, spool: Spool) -> ResolvedImage:
    if request.name.tag is not None and _RESERVED_TAG.fullmatch(request.name.tag):
        raise UsageError(
            f"{request}: tags that start with sha256- are kept for signatures and referrers",
            reason="tag-reserved",
            hint="Signatures travel with the image that they sign; name the image.",
        )
    descriptor = source.resolve(request.target)
    wanted = request.name.digest
    if wanted is not None and descriptor.digest != wanted:
        raise IntegrityError(
            f"{request.name.source}:{request.target} is {descriptor.digest}, not {wanted}",
            reason="digest-moved",
        )
    manifest = source.read_manifest(descriptor)
    spool.add(manifest.data)
    children = _choose(request, source, manifest) if request.platforms else None
    gathering = _Gathering(source=source, spool=spool)
    root = Root(
        descriptor=manifest.descriptor, children=None if children is None else frozenset(children)
    )
    referrers = gathering.collect(root) if request.referrers else gathering.spool_manifests(root)
    return ResolvedImage(
        request=request,
        source=source,
        manifest=manifest,
        children=children,
        referrers=referrers,
        signatures=gathering.signatures if request.referrers else "excluded",
    )


def _choose(request: ImageRequest, source: Source, root: Manifest) -> tuple[Digest, ...] | None:
    """Return the children of the wanted platforms with their attestation manifests, sorted."""
    if root.kind is not Kind.INDEX:
        found = [_config_platform(source, root)]
        chosen: set[Digest] = set()
    else:
        images = [child for child in root.manifests if child.attested is None]
        found = [child.platform for child in images]
        chosen = {
            child.digest
            for child in images
            if child.platform and any(child.platform.matches(want) for want in request.platforms)
        }
    for want in request.platforms:
        if not any(platform is not None and platform.matches(want) for platform in found):
            raise UsageError(
                f"{request} has no platform {want}",
                reason="platform-missing",
                hint=f"It has {', '.join(sorted({str(p) for p in found if p}))}.",
            )
    if root.kind is not Kind.INDEX:
        return None
    named = {str(digest) for digest in chosen}
    attestations = {child.digest for child in root.manifests if child.attested in named}
    return tuple(sorted(chosen | attestations))


def _config_platform(source: Source, manifest: Manifest) -> Platform | None:
    """Return the platform that an image's config states; only its two fields are looked at."""
    if manifest.config is None or manifest.config.size > MANIFEST_LIMIT:
        return None
    with source.open_blob(manifest.config) as stream:
        data = stream.read()
    try:
        document = json.loads(data)
        return Platform(
            os=str(document["os"]),
            architecture=str(document["architecture"]),
            variant=document.get("variant"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@dataclass(kw_only=True)
class _Gathering:
    """The referrers of one image: every manifest met is asked for its own, until none is new."""

    source: Source
    spool: Spool
    signatures: str = "confirmed-absent"

    def spool_manifests(self, root: Root) -> tuple[Referrer, ...]:
        """Fetch the manifests that travel with `root`, without looking for referrers."""
        for _ in self._manifests(root):
            pass
        return ()

    def collect(self, root: Root) -> tuple[Referrer, ...]:
        """Return all referrers in walk order: those of the root, of its children, then theirs."""
        found: dict[Digest, Referrer] = {}
        subjects = [manifest.digest for manifest in self._manifests(root)]
        asked = set(subjects)
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            while subjects:
                fresh: list[Digest] = []
                for referrer in chain.from_iterable(pool.map(self._ask, subjects)):
                    if referrer.descriptor.digest in found:
                        continue
                    found[referrer.descriptor.digest] = referrer
                    if len(found) > _MAX_REFERRERS:
                        raise FormatError(
                            f"more than {_MAX_REFERRERS} referrers of {root.descriptor.digest}",
                            reason="referrers-too-many",
                        )
                    fresh += [manifest.digest for manifest in self._take(referrer)]
                subjects = [digest for digest in dict.fromkeys(fresh) if digest not in asked]
                asked.update(subjects)
        return tuple(found.values())

    def _ask(self, subject: Digest) -> list[Referrer]:
        """Return who refers to `subject`, by the registry's list and by the tags of cosign."""
        found = sorted(
            self.source.referrers(subject), key=lambda referrer: referrer.descriptor.digest
        )
        for suffix in COSIGN_TAGS:
            with suppress(NotFoundError):
                descriptor = self.source.resolve(f"{subject.tag_stem}.{suffix}")
                found.append(Referrer(descriptor=descriptor, subject=subject, found=suffix))
        return found

    def _take(self, referrer: Referrer) -> tuple[Manifest, ...]:
        """Fetch a referrer's manifests and small blobs into the spool; return its manifests."""
        manifests = tuple(self._manifests(Root(descriptor=referrer.descriptor)))
        top = manifests[0]
        if referrer.found not in COSIGN_TAGS and (
            top.subject is None or top.subject.digest != referrer.subject
        ):
            raise FormatError(
                f"{top.digest} is listed as referrer of {referrer.subject}, "
                "but names another subject",
                reason="referrer-subject-mismatch",
                hint="Mend the list in the registry, or leave referrers out (referrers: false).",
            )
        if referrer.found == "sig" or (top.effective_artifact_type or "").startswith(
            _SIGNATURE_TYPES
        ):
            self.signatures = "present"
        for manifest in manifests:
            for blob in manifest.blobs:
                if blob.size <= REFERRER_BLOB_LIMIT and blob.digest not in self.spool:
                    self._fetch(blob)
        return manifests

    def _fetch(self, blob: Descriptor) -> None:
        with self.source.open_blob(blob) as stream:
            self.spool.add(stream.read())

    def _manifests(self, root: Root) -> Iterator[Manifest]:
        walk = Walk(read_manifest=self._read_manifest)
        for visit in walk.visit(root):
            if visit.manifest is not None:
                yield visit.manifest

    def _read_manifest(self, descriptor: Descriptor) -> Manifest:
        if descriptor.digest in self.spool:
            return self.spool.read_manifest(descriptor)
        try:
            manifest = self.source.read_manifest(descriptor)
        except NotFoundError as error:
            raise NotFoundError(
                f"{self.source.name} names {descriptor.digest} "
                f"({descriptor.platform or descriptor.media_type}) but does not have it",
                reason=error.reason,
                hint="Complete the image there, or leave out what is missing: choose platforms "
                "(--platform), or do without signatures and SBOMs (--no-referrers).",
            ) from error
        self.spool.add(manifest.data)
        return manifest
