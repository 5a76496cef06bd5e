"""Refresh: a newer timestamp for a bundle that a site has already, which lengthens its life.

One file of a few hundred bytes. It is taken only if

1. it is timestamp metadata in the one form, signed as the bundle's own is;
2. it is of the bundle's authority and stream, and names the bundle's number;
3. its version is higher than that of the bundle's timestamp, which has been verified as well.

Only the end of the timestamp's life is replaced: the bundle stays what it is in every other way.
Source: docs/bundle-format.md, section 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airgap.errors import TrustRootError
from airgap.trust.envelope import read_envelope
from airgap.trust.roles import meta_version, origin
from airgap.trust.signatures import check_signatures, check_threshold

if TYPE_CHECKING:
    from airgap.trust.release import Claim, RoleState
    from airgap.trust.roles import Root

__all__ = ["refreshed"]


def refreshed(
    data: bytes, state: RoleState, *, own: Root, highest: Root, claim: Claim
) -> RoleState:
    """Return the `state` of the bundle's timestamp, with the end that the refresh `data` gives it.

    `own` is the bundle's last root, `highest` the highest known. Raises FormatError, WaitingError,
    TrustRootError ``refresh-of-other-bundle``, ``refresh-not-newer`` or what signatures raise.
    """
    envelope = read_envelope(data, "timestamp", "the refresh")
    check_signatures(envelope, own.roles["timestamp"].keys)
    about = origin(envelope)
    number = meta_version(envelope, "snapshot.json")
    if (about.authority, about.stream, number) != (claim.authority, claim.stream, claim.sequence):
        raise TrustRootError(
            f"the refresh is for number {number} of stream {about.stream} of the authority "
            f"{about.authority}, this is number {claim.sequence} of stream {claim.stream}",
            reason="refresh-of-other-bundle",
            hint="Give the refresh that was made for this bundle, or none.",
        )
    if envelope.version <= state.version:
        raise TrustRootError(
            f"the refresh is timestamp {envelope.version}, the bundle has {state.version} itself",
            reason="refresh-not-newer",
            hint="Import the bundle without it, or ask for a newer one: airgap trust refresh",
        )
    check_threshold(envelope, own, highest)
    return replace(state, expires=envelope.expires)
