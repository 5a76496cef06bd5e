"""WHERE it lives: one file per transport, all behind two small protocols.

A `Store` is a place with many repositories; a repository is read through `Source` and written
through `Destination`. `open_store("docker://host")` is the only way from a string to a store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, cast, runtime_checkable

from airgap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airgap.oci.descriptor import ByteStream, Descriptor, VerifyingReader
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest

__all__ = [
    "STORES",
    "Destination",
    "Found",
    "Referrer",
    "Source",
    "Store",
    "StoreOptions",
    "open_store",
    "split_location",
]

Found = str
"""How a referrer was found: ``api``, ``fallback``, ``sig``, ``att`` or ``sbom``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Referrer:
    """A manifest that refers to `subject`, and how it was found."""

    descriptor: Descriptor
    subject: Digest
    found: Found


class Source(Protocol):
    """A repository to read from. Every answer about content is verified before it is given."""

    @property
    def name(self) -> str:
        """The repository's name for people and errors, such as ``registry.example/prod/app``."""
        ...

    def resolve(self, target: str) -> Descriptor:
        """Return what a tag or ``sha256:…`` digest names, or raise NotFoundError."""
        ...

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return the manifest with this digest and size, verified, or raise NotFoundError."""
        ...

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[VerifyingReader]:
        """Open a blob for reading; its end is reached only when size and digest have matched."""
        ...

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """Return the manifests that name `digest` as subject: by the API, else by the fallback tag.

        An answer that could not be had raises; an empty one means that there are none.
        """
        ...

    def tags(self) -> Iterator[str]:
        """Yield the tags of the repository, sorted as the store sorts them."""
        ...


class Destination(Source, Protocol):
    """A repository to write to as well. It never holds content that did not match its digest."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Tell whether the store says that it has the blob with this size: a hint, no proof."""
        ...

    def mount_blob(self, descriptor: Descriptor, repository: str) -> bool:
        """Take the blob over from `repository` of the same store; False where that cannot be."""
        ...

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        """Store a blob. `opener` yields its bytes, again from the start for each try.

        The bytes are hashed while they are sent; nothing stays under the digest if they differ.
        """
        ...

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store a manifest's bytes as they are, under its digest or, if given, under `tag`."""
        ...

    def add_referrer(self, manifest: Manifest) -> None:
        """Make a stored manifest with a subject findable: by the API, else in the fallback tag."""
        ...


@runtime_checkable
class Store(Protocol):
    """A place with repositories: a registry, a layout on disk, an archive."""

    def repository(self, name: str) -> Destination:
        """Return the repository `name`; one that cannot be written raises StoreError on writing."""
        ...

    def close(self) -> None:
        """Give back connections and files."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreOptions:
    """How to reach a store. Hosts are spelled as in references, with port.

    `side` is ``source`` or ``destination``: it stands in errors and decides what is followed
    (proxies, redirects, foreign realms: a destination follows none but those named here).
    `timeout` is (connect, read) in seconds; `retries` how often a transient failure is tried again.
    """

    side: str = "source"
    authfile: Path | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    insecure_http: frozenset[str] = frozenset()
    auth_realms: frozenset[str] = frozenset()
    redirect_hosts: frozenset[str] = frozenset()
    proxy: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timeout: tuple[float, float] = (10.0, 60.0)
    retries: int = 4


STORES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "docker": "airgap.stores.registry:open_registry",
        "oci": "airgap.stores.layout:open_layout",
        "oci-archive": "airgap.stores.archive:open_oci_archive",
        "docker-archive": "airgap.stores.archive:open_docker_archive",
    }
)
"""Transport → opener(location, options). A new transport is one file and one line here.

An opener is named, not imported: a command loads the libraries of the transport that it uses.
"""


_REGISTRY: Final = "docker://"


def split_location(text: str) -> tuple[str, str]:
    """Return transport and location of ``docker://host/…``, ``oci:DIR`` and the like.

    A name without transport is ``docker://``, and so is ``docker:27``: a tag of the image that is
    called docker. Raises UsageError for a transport that is unknown.
    """
    if text.startswith(_REGISTRY):
        return "docker", text.removeprefix(_REGISTRY)
    transport, colon, location = text.partition(":")
    if colon and transport in STORES and transport != "docker":
        return transport, location
    if "://" in text:
        raise UsageError(
            f"unknown transport {transport!r:.40} in {text!r:.200}",
            reason="transport-unknown",
            hint=f"Known: {', '.join(f'{name}:' for name in STORES)}",
        )
    return "docker", text


def open_store(transport: str, location: str, options: StoreOptions) -> Store:
    """Open the store at `location`: HOST for ``docker``, a path for the others."""
    module, _, function = STORES[transport].partition(":")
    opener = cast("Callable[[str, StoreOptions], Store]", getattr(import_module(module), function))
    return opener(location, options)
