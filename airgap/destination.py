"""Destination: from ``--to`` to an open store and the names in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.errors import UsageError
from airgap.oci.naming import NameMap, Naming
from airgap.oci.reference import is_repository
from airgap.stores import open_store, split_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.site import Site
    from airgap.stores import Store, StoreOptions

__all__ = ["Place", "open_place"]

_WRITABLE: Final = frozenset({"docker", "oci"})
_EMBEDDED: Final = "store"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An open destination; `title` is what its names start with, for people."""

    store: Store
    title: str
    naming: Naming


@contextmanager
def open_place(
    to: str,
    site: Site,
    options: StoreOptions,
    maps: tuple[NameMap, ...] = (),
    *,
    flatten: bool = False,
) -> Iterator[Place]:
    """Open what ``--to`` names: ``store``, ``docker://HOST[/PREFIX]`` or ``oci:DIR``."""
    transport, location, prefix, title = _parse(to, site)
    store = open_store(transport, location, options)
    try:
        naming = Naming(prefix=prefix, maps=maps, flatten=flatten)
        yield Place(store=store, title=title, naming=naming)
    finally:
        store.close()


def _parse(to: str, site: Site) -> tuple[str, str, str, str]:
    """Return transport, location, prefix and title of ``--to``."""
    if to == _EMBEDDED:
        return "oci", str(site.store), "", ""
    transport, location = split_location(to)
    if transport not in _WRITABLE:
        raise UsageError(
            f"{to}: {transport} cannot be written",
            reason="destination-read-only",
            hint="Write --to docker://HOST[/PREFIX], --to oci:DIR or --to store.",
        )
    if transport == "oci":
        if not location:
            raise UsageError(f"{to}: which folder?", reason="destination-invalid")
        return "oci", location, "", f"oci:{location}"
    host, _, prefix = location.rstrip("/").partition("/")
    if prefix and not is_repository(prefix):
        raise UsageError(
            f"{to}: {prefix!r:.200} is no prefix of repositories",
            reason="destination-invalid",
            hint="Write --to docker://HOST/PREFIX in lower case, without tag or digest.",
        )
    if not host or "@" in host:
        raise UsageError(f"{to}: which host?", reason="destination-invalid")
    return "docker", host.lower(), prefix, host.lower()
