"""Authority refresh: a new timestamp for the newest bundle of a stream, and for no other.

It lengthens the life of a bundle that sites have already, in a few hundred bytes. Like a number it
is written down before it is signed. Source: docs/bundle-format.md, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap.authority_draft import LOG_WAIT, keys_here, sign_with
from airgap.authority_keys import open_signers
from airgap.authority_retired import Fate, judge_fate
from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.envelope import canonical, write_envelope
from airgap.trust.release import RoleMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airgap.authority_edition import Edition
    from airgap.authority_numbers import Recorded

__all__ = ["Refresh", "sign_refresh"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refresh:
    """A new timestamp: for which number, which version, until when."""

    sequence: int
    version: int
    expires: datetime
    data: bytes


def sign_refresh(
    edition: Edition, *, now: datetime, passphrase: Callable[[], bytes] | None = None
) -> Refresh:
    """Return a timestamp for the newest number that was finished, which lives from `now`.

    Raises UsageError ``nothing-to-refresh``, ``refresh-key-changed``, ``root-expired``,
    ``key-missing``.
    """
    edition.refuse_expired_root(now)
    newest = _newest(edition)
    version = edition.numbers.latest_timestamp + 1
    meta = {"snapshot.json": {"version": newest.sequence}}
    signed = edition.compose("timestamp", version, now, meta=meta)
    expires = edition.lifetimes.moment("timestamp", now)
    keys = keys_here(edition, "timestamp")
    signers = open_signers(keys, passphrase)
    again = replace(
        newest,
        timestamp=RoleMark(version, Digest.of(canonical(signed))),
        ends={**newest.ends, "timestamp": expires},
    )
    with edition.log.writing(wait=LOG_WAIT) as log:
        edition.numbers.record(log, again, now)
    signatures = [sign_with(signers[key.keyid], signed) for key in keys.values()]
    return Refresh(
        sequence=newest.sequence,
        version=version,
        expires=expires,
        data=write_envelope(signed, signatures),
    )


def _newest(edition: Edition) -> Recorded:
    newest = edition.numbers.newest
    if newest is None:
        raise UsageError(
            f"no bundle of stream {edition.stream} was finished",
            reason="nothing-to-refresh",
            hint="Export one first.",
        )
    own, last = edition.roots[newest.root - 1], edition.roots[-1]
    keys = [{key.keyid for key in root.roles["timestamp"].keys} for root in (own, last)]
    if keys[0] != keys[1] or judge_fate(own, last) is Fate.RETIRED:
        raise UsageError(
            f"number {newest.sequence} of stream {edition.stream} was made under root "
            f"{own.version}, and root {last.version} has other keys",
            reason="refresh-key-changed",
            hint="Export again: the next number is signed by the keys of today.",
        )
    return newest
