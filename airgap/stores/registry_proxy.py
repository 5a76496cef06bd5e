"""Which proxy a URL is fetched through: the exporter's business only (threat model A126).

The environment comes in as a mapping; nothing here reads the process's own, and ``requests`` is
kept from doing so. A destination never uses a proxy.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airgap.stores import StoreOptions

__all__ = ["Proxies"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxies:
    """The proxies of one store: `named` is ``--proxy``, `https` the environment's.

    A named proxy serves every URL, the environment's only https ones; `bypassed` (``NO_PROXY``)
    counts for both.
    """

    named: str | None = None
    https: str | None = None
    bypassed: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: StoreOptions) -> Proxies:
        """Return the proxies that `options` and the environment in it ask for."""
        if options.side != "source":
            return cls()
        environment = options.environment
        bypassed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        return cls(
            named=options.proxy,
            https=environment.get("https_proxy") or environment.get("HTTPS_PROXY") or None,
            bypassed=tuple(part.lower() for part in bypassed.replace(",", " ").split()),
        )

    def choose(self, url: str) -> str | None:
        """Return the proxy for `url`, or None for a direct connection."""
        parts = urlsplit(url)
        proxy = self.named or (self.https if parts.scheme == "https" else None)
        host = parts.hostname or ""
        if proxy is None or any(_covers(entry, host, parts.port) for entry in self.bypassed):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, host: str, port: int | None) -> bool:
    # The common reading of NO_PROXY: "*", a name and all names below it, an address, a network,
    # each of the first two also with a port.
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and not name.endswith(":"):
        if port != int(wanted):
            return False
        entry = name
    name = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")
