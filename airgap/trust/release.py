"""Release: what a site believes of an authority, and what an authentic bundle turns out to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airgap.oci.digest import Digest

__all__ = ["Anchor", "Claim", "Marked", "Release", "RoleMark", "RoleState"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """What a site believes of one authority: made from its pin and its ledger, never from a bundle.

    `roots` are the roots known so far, root 1 first; at least that one.
    """

    name: str
    authority: str
    fingerprint: str
    roots: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a bundle's inventory says it is, before anything is believed."""

    authority: str
    stream: str
    sequence: int


@dataclass(frozen=True, slots=True)
class RoleMark:
    """The version of a role's metadata, and the digest of its `signed`."""

    version: int
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleState:
    """The version of a role's metadata, the digest of its `signed`, and when it ends."""

    version: int
    digest: Digest
    expires: datetime


Marked = RoleMark | RoleState
"""What has a version and a digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """An authentic bundle: whose it is, which number it has, and the state of its roles.

    `roots` is the longest chain that is known, `root_version` the number of its last root, under
    which everything was judged; `roles` has root, timestamp, snapshot and targets; `signatures`
    says how many signed the targets, as ``2 of 2``.
    """

    authority: str
    authority_name: str
    stream: str
    sequence: int
    root_version: int
    roles: Mapping[str, RoleState] = field(hash=False)
    roots: tuple[bytes, ...]
    signatures: str

    @property
    def ends(self) -> dict[str, datetime]:
        """When each role ends, under the name that expiry rules have for it."""
        return {f"tuf.{role}": state.expires for role, state in self.roles.items()}
