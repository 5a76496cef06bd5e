"""Signing: one more signature on a bundle that is there already, with or without carrying it.

* `sign_bundle` signs the targets of a bundle with private keys that are at hand;
* `request_signature` writes what somebody elsewhere is to sign, a few kB;
* `add_to_bundle` puts in the signatures that came back.

Before anything is added the bundle is examined as a site would: everything in it must be right but
for missing signatures. Its blobs are not hashed: what is signed names them by digest. Content does
not move (`bundle.rewriting`), and a signing that was interrupted is completed first.

Source: docs/bundle-format.md, "Adding signatures".
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap.bundle.medium import Medium
from airgap.bundle.reader import open_bundle
from airgap.bundle.rewriting import complete_rewrite, rewrite_head
from airgap.errors import StoreError, UsageError
from airgap.ledger.durable import try_lock
from airgap.trust.envelope import Envelopes
from airgap.trust.fingerprint import fingerprint
from airgap.trust.profile import examine
from airgap.trust.release import Anchor, Claim
from airgap.trust.signing import SigningRequest, self_anchored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airgap.authority_keyring import Keyring
    from airgap.bundle.reader import Bundle
    from airgap.trust.signing import DetachedSignature, OpenRequest

__all__ = ["SigningReport", "add_to_bundle", "request_signature", "sign_bundle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningReport:
    """How a bundle stands after signing: `request` has all signatures, `added` who came new.

    `resumed` says that a signing that was interrupted has been completed.
    """

    path: Path
    request: OpenRequest
    added: tuple[str, ...]
    resumed: bool

    @property
    def tally(self) -> str:
        """How many signed of how many who must."""
        ((signed, asked),) = self.request.tallies
        return f"{signed} of {asked}"

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schemaVersion": 1,
            "bundle": str(self.path),
            "signed": str(self.request.envelope.digest),
            "signatures": self.tally,
            "complete": self.request.complete,
            "added": list(self.added),
            "waiting": [
                {"keyid": key.keyid, "holder": self.request.holder(key.keyid)}
                for key in self.request.waiting
            ],
            "resumed": self.resumed,
        }


def sign_bundle(path: Path, keyring: Keyring) -> SigningReport:
    """Sign the bundle at `path` with the keys of `keyring`, of which there may be none.

    Raises UsageError ``key-not-of-role``, ``no-room-for-signature``; StoreError ``bundle-busy``;
    ContentError or TrustRootError where the bundle is not right.
    """
    with _held(path) as (bundle, resumed):
        request = _request(bundle)
        signatures = keyring.sign(request.envelope, request.keys)
        return _add(bundle, request, signatures, resumed=resumed)


def add_to_bundle(path: Path, signatures: Sequence[DetachedSignature]) -> SigningReport:
    """Put `signatures` into the bundle at `path`. Raises what `sign_bundle` does.

    UsageError ``signature-of-other`` where one was made for something else.
    """
    with _held(path) as (bundle, resumed):
        return _add(bundle, _request(bundle), signatures, resumed=resumed)


def request_signature(path: Path, *, previous: Path | None) -> OpenRequest:
    """Return what somebody is to sign who does not have the bundle at `path`.

    `previous` is the bundle before, so that they see what changes. Raises UsageError
    ``previous-mismatch`` where it is another one.
    """
    with open_bundle(path) as bundle:
        bundle.survey()
        request = _request(bundle)
        if previous is None:
            return request
        link = bundle.inventory.previous
        with open_bundle(previous) as before:
            if link is None or before.inventory_digest != link.inventory:
                raise UsageError(
                    f"{previous} is not the bundle before {path}",
                    reason="previous-mismatch",
                    hint="Name the last bundle that was finished before this one."
                    if link
                    else "This is the first bundle of its stream: nothing came before.",
                )
            return replace(request.request, previous=before.inventory_bytes).opened()


@contextmanager
def _held(path: Path) -> Iterator[tuple[Bundle, bool]]:
    """Open the bundle for its signatures, alone; tell whether a signing was completed first."""
    with Medium.update(path) as medium:
        same = try_lock(medium.fileno()) and path.stat().st_ino == _inode(medium)
        if not same:
            raise StoreError(
                f"another command is signing {path}",
                reason="bundle-busy",
                hint="Wait until it has ended.",
            )
        resumed = complete_rewrite(path)
        with open_bundle(path) as bundle:
            bundle.survey()
            yield bundle, resumed


def _inode(medium: Medium) -> int:
    return os.fstat(medium.fileno()).st_ino


def _request(bundle: Bundle) -> OpenRequest:
    """Return the bundle's own request for signatures, once everything in it was found right."""
    trust, inventory = bundle.trust, bundle.inventory
    first = self_anchored(trust.roots)[0]
    examine(
        Envelopes(
            roots=trust.roots,
            timestamp=trust.timestamp,
            snapshot=trust.snapshot,
            targets=trust.targets,
        ),
        {**trust.files, "inventory.json": bundle.inventory_bytes},
        anchor=Anchor(
            name=first.name,
            authority=first.authority,
            fingerprint=fingerprint(first.envelope.payload),
            roots=trust.roots[:1],
        ),
        claim=Claim(
            authority=inventory.authority, stream=inventory.stream, sequence=inventory.sequence
        ),
    )
    return SigningRequest(
        role="targets",
        roots=trust.roots,
        envelope=trust.targets,
        inventory=bundle.inventory_bytes,
    ).opened()


def _add(
    bundle: Bundle,
    request: OpenRequest,
    signatures: Sequence[DetachedSignature],
    *,
    resumed: bool,
) -> SigningReport:
    signed = request.signed_by(signatures)
    before = {entry.keyid for entry in request.envelope.signatures}
    added = [entry.keyid for entry in signed.envelope.signatures if entry.keyid not in before]
    if added:
        rewrite_head(bundle, replace(bundle.trust, targets=signed.envelope.data))
    return SigningReport(path=bundle.path, request=signed, added=tuple(added), resumed=resumed)
