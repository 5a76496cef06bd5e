"""Recovery from a fast-forward attack: whether new keys have made a clean start.

Source: docs/trust.md; TUF 1.0, 5.3.11, asks it of snapshot and timestamp alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap.trust.roles import Root

__all__ = ["shared_keys"]

_ROLES: Final = ("targets", "snapshot", "timestamp")


def shared_keys(before: Sequence[Root], now: Root) -> tuple[str, ...]:
    """Return the ids of the keys that sign bundles under `now` and did under any root `before`.

    All roots before count, not the last alone: a key that comes back would bring its old bundles
    back.
    """
    old = {key.identity for root in before for role in _ROLES for key in root.roles[role].keys}
    keys = {key.keyid: key for role in _ROLES for key in now.roles[role].keys}
    return tuple(sorted(keyid for keyid, key in keys.items() if key.identity in old))
