"""docker://HOST: a registry, as OCI distribution-spec 1.1 describes it.

The parts, each in a file of its own:

- `registry_session`, `registry_proxy`, `registry_http`: connections, TLS, timeouts, trying again;
- `registry_credentials`, `registry_helper`, `registry_challenge`, `registry_token`: who we are;
- `registry_client`: requests to one repository, through oras-py's session and dispatch;
- `registry_manifests`, `registry_blobs`, `registry_upload`, `registry_paging`,
  `registry_referrers`: what a repository holds;
- `registry_probe`: what a registry can do.

Content is hashed here, whatever the registry says about it. A credential is sent to the host that
it was found for, and to the token service that this host names, within the rules of A123.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final

from airgap.errors import StoreError, UsageError
from airgap.oci.reference import DOCKER_HUB, is_repository
from airgap.stores import registry_blobs, registry_paging, registry_probe, registry_upload
from airgap.stores.registry_client import Client
from airgap.stores.registry_http import Connection, Patience
from airgap.stores.registry_manifests import Manifests
from airgap.stores.registry_referrers import Referrers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airgap.oci.descriptor import ByteStream, Descriptor, VerifyingReader
    from airgap.oci.digest import Digest
    from airgap.oci.manifest import Manifest
    from airgap.stores import Referrer, StoreOptions
    from airgap.stores.registry_probe import RegistryFacts

__all__ = ["RegistryRepository", "RegistryStore", "open_registry"]

_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_HUB_NAMES: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_API: Final = "registry-1.docker.io"


def open_registry(
    host: str, options: StoreOptions, patience: Patience | None = None
) -> RegistryStore:
    """Return the registry at `host` (with port, as in references); nothing is sent yet.

    Raises UsageError where `host` is none, or where a certificate of `options` cannot be loaded.
    """
    name = host.lower()
    if _HOST.fullmatch(name) is None:
        raise UsageError(
            f"{host!r:.300} is not the host of a registry",
            reason="registry-host-invalid",
            hint="Write docker://HOST or docker://HOST:PORT.",
        )
    hub = name in _HUB_NAMES
    connection = Connection(
        DOCKER_HUB if hub else name,
        _HUB_API if hub else name,
        options,
        patience or Patience(retries=options.retries),
    )
    return RegistryStore(connection)


class RegistryStore:
    """A registry. Safe to share between threads; `close` gives its connections back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._foreign: set[str] = set()
        self._repositories: dict[str, RegistryRepository] = {}
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._refused: bool | None = None

    @property
    def foreign_realms(self) -> frozenset[str]:
        """The token services on other hosts that were visited: to be shown to the operator."""
        return frozenset(self._foreign)

    def repository(self, name: str) -> RegistryRepository:
        """Return the repository `name`, the same object each time."""
        if not is_repository(name):
            raise UsageError(
                f"{name!r:.300} is not the name of a repository", reason="repository-invalid"
            )
        with self._lock:
            if name not in self._repositories:
                client = Client(self._connection, name, self._foreign)
                self._repositories[name] = RegistryRepository(client, self._refuses_wrong)
            return self._repositories[name]

    def _refuses_wrong(self, client: Client) -> bool:
        """Tell whether the registry was seen to refuse a wrong digest since this was opened.

        The first repository that asks is where it is tried.
        """
        with self._probing:
            if self._refused is None:
                try:
                    self._refused = registry_probe.refuses_wrong_digest(client)
                except StoreError:  # no answer is no proof: what is sent is hashed
                    self._refused = False
            return self._refused

    def probe(self, repository: str, *, write: bool = False) -> RegistryFacts:
        """Return what the registry can do, seen from `repository`; `write` tries an upload too."""
        return self.repository(repository).probe(self._foreign, write=write)

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()


class RegistryRepository:
    """One repository of a registry; see the protocols `Source` and `Destination`."""

    def __init__(self, client: Client, refuses_wrong: Callable[[Client], bool]) -> None:
        self._client = client
        self._manifests = Manifests(client)
        self._referrers = Referrers(client, self._manifests)
        self._refuses_wrong = refuses_wrong

    @property
    def name(self) -> str:
        return self._client.name

    @property
    def reads_back(self) -> bool:
        """Whether `write_manifest` returns only after it has read back what it wrote: it does."""
        return True

    def resolve(self, target: str) -> Descriptor:
        return self._manifests.resolve(target)

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._manifests.read(descriptor)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[VerifyingReader]:
        return registry_blobs.open_blob(self._client, descriptor)

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        return self._referrers.list(digest)

    def tags(self) -> Iterator[str]:
        return registry_paging.tags(self._client)

    def has_blob(self, descriptor: Descriptor) -> bool:
        return registry_blobs.has_blob(self._client, descriptor)

    def mount_blob(self, descriptor: Descriptor, repository: str) -> bool:
        return registry_upload.mount_blob(self._client, descriptor, repository)

    def write_blob(
        self, descriptor: Descriptor, opener: Callable[[], AbstractContextManager[ByteStream]]
    ) -> None:
        registry_upload.write_blob(
            self._client, descriptor, opener, lambda: self._refuses_wrong(self._client)
        )

    def write_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        self._manifests.write(manifest, tag)

    def add_referrer(self, manifest: Manifest) -> None:
        self._referrers.add(manifest)

    def refuses_wrong_digest(self) -> bool:
        """Tell, by one small upload, whether the registry checks digests itself (A117)."""
        return registry_probe.refuses_wrong_digest(self._client)

    def probe(self, realms: set[str], *, write: bool = False) -> RegistryFacts:
        """Return what the registry can do; `realms` are those on other hosts that were visited."""
        return registry_probe.probe(self._client, self._referrers, realms, write=write)
