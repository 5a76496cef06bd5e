"""What a registry demands with 401, and where a token may be asked for.

Sources: RFC 9110 section 11.6.1 (WWW-Authenticate); docker's token authentication specification.

Realms (threat model A123): always the registry's own scheme, host and port. Else https, and

- a source takes it where it is named by a registry that TLS has verified;
- a destination takes it only where ``--auth-realm`` names its host.

Plain HTTP only for a registry that is itself reached so, at a host that ``--insecure-http`` names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airgap.errors import AuthenticationError

if TYPE_CHECKING:
    from airgap.stores.registry_http import Connection

__all__ = ["Challenge", "judge_realm", "parse_challenges"]

_LIMIT: Final = 8 << 10
# A scheme, or name="value" (quoted or bare).
_PART: Final = re.compile(
    r'\s*,*\s*(?:([A-Za-z0-9!#$%&\'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))'
    r"|([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?=\s|,|$))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """One way in: `scheme` is lower-case; the rest is empty where it was not said."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges in a WWW-Authenticate header; what cannot be read ends the list."""
    found: list[tuple[str, dict[str, str]]] = []
    position, header = 0, header[:_LIMIT]
    while match := _PART.match(header, position):
        position = match.end()
        name, quoted, bare, scheme = match.groups()
        if scheme is not None:
            found.append((scheme.lower(), {}))
        elif found:
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
    return tuple(
        Challenge(
            scheme=scheme,
            realm=values.get("realm", ""),
            service=values.get("service", ""),
            scope=values.get("scope", ""),
        )
        for scheme, values in found
    )


def judge_realm(realm: str, connection: Connection) -> bool:
    """Return whether `realm` is on another host than the registry's; refuse a forbidden one."""
    connection.url(realm, base=realm)
    if connection.is_own(realm):
        return False
    parts = urlsplit(realm)
    options = connection.options
    named = _is_named(realm, options.auth_realms)
    if parts.scheme == "https":
        if named or (options.side == "source" and connection.scheme == "https"):
            return True
        why = "which is not the registry and was not named"
    elif connection.scheme == "http" and _is_named(realm, options.insecure_http):
        if named or options.side == "source":
            return True
        why = "which is not the registry and was not named"
    else:
        why = "which is not https"
    raise AuthenticationError(
        f"{connection.label}: it sends its visitors to {realm:.300} for a token, {why}",
        reason="auth-realm-refused",
        hint=f"If that host may see these credentials: --auth-realm {parts.netloc:.200}",
    )


def _is_named(url: str, hosts: frozenset[str]) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(name in hosts for name in (parts.netloc.lower(), f"{parts.hostname}:{port}"))
