"""The embedded store: an OCI layout under the state folder, listed, verified and served."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.errors import NotFoundError, UsageError
from airgap.judgement import admit_bundle
from airgap.oci.naming import Naming
from airgap.serve.bundle_catalog import BundleCatalog
from airgap.serve.store_catalog import StoreCatalog
from airgap.stores.layout import LayoutStore
from airgap.stores.layout_verify import stored_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.progress import Progress
    from airgap.serve.catalog import Catalog
    from airgap.site import Site
    from airgap.trust.policy import Policy

__all__ = [
    "StoreReport",
    "StoredName",
    "list_names",
    "open_catalog",
    "parse_address",
    "verify_store",
]

_MAX_PORT: Final = 65535
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredName:
    """A name in the embedded store and the digest that it stands for."""

    name: str
    digest: str

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreReport:
    """What a new look at every blob of the store found. `size` is in bytes."""

    blobs: int
    size: int
    problems: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        if not self.problems:
            return "every one has the bytes that its digest names"
        return f"{len(self.problems)} problems; import the bundle again with --repair"

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schemaVersion": 1,
            "blobs": self.blobs,
            "bytes": self.size,
            "problems": list(self.problems),
        }


def list_names(site: Site) -> tuple[StoredName, ...]:
    """Return the names in the embedded store, sorted; none before the first import."""
    if not site.store.exists():
        return ()
    store = _open_store(site)
    return tuple(
        StoredName(
            name=f"{repository}:{tag}",
            digest=str(store.repository(repository).resolve(tag).digest),
        )
        for repository in store.repositories()
        for tag in store.repository(repository).tags()
    )


def verify_store(site: Site, *, progress: Progress) -> StoreReport:
    """Hash every blob of the embedded store and follow its index."""
    store = _open_store(site)
    size = stored_bytes(site.store)
    with progress.phase("verify", size) as advance:
        problems = tuple(
            f"{problem.what} ({problem.reason}): {problem.sentence}"
            for problem in store.verify(advance)
        )
    folder = site.store / "blobs" / "sha256"
    blobs = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
    return StoreReport(blobs=blobs, size=size, problems=problems)


@contextmanager
def open_catalog(
    site: Site, path: Path | None, *, policy: Policy, code: str | None, progress: Progress
) -> Iterator[Catalog]:
    """Yield what may be served: the embedded store, or the bundle at `path` once it is admitted.

    Raises RejectedError where the verdict on the bundle is no.
    """
    if path is None:
        yield StoreCatalog(_open_store(site))
        return
    with admit_bundle(path, site=site, policy=policy, code=code, progress=progress) as (
        bundle,
        admission,
    ):
        yield BundleCatalog(bundle, admission, Naming().place)


def _open_store(site: Site) -> LayoutStore:
    if not site.store.exists():
        raise NotFoundError(
            f"there is no embedded store at {site.store} yet",
            reason="store-missing",
            hint="Import a bundle first (airgap import BUNDLE), or name the right --state.",
        )
    return LayoutStore(site.store)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; raise UsageError ``address-invalid``."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise UsageError(
            f"{text!r:.100} is not an address",
            reason="address-invalid",
            hint="Write --address 127.0.0.1:5000.",
        )
    return host.strip("[]"), int(port)
