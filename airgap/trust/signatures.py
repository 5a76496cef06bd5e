"""Signatures: whether those on an envelope are right, and whether there are enough of them.

* Every signature that is there must be by a key of the role, in its one spelling, and verify: one
  that is foreign or wrong is an error, even beside enough good ones.
* A threshold counts signers: distinct public keys, and of the keys of one person only one. Two
  persons are two persons, however many keys or names they have.

Source: docs/bundle-format.md, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap.errors import FormatError, TrustRootError, WaitingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap.trust.envelope import Envelope
    from airgap.trust.keys import PublicKey
    from airgap.trust.roles import Root

__all__ = ["check_chained", "check_signatures", "check_threshold", "count_signers"]


def check_signatures(envelope: Envelope, keys: Sequence[PublicKey]) -> None:
    """Raise FormatError or TrustRootError unless every signature is by one of `keys` and right."""
    known = {key.keyid: key for key in keys}
    what = f"{envelope.role} metadata {envelope.version}"
    for entry in envelope.signatures:
        key = known.get(entry.keyid)
        if key is None:
            raise FormatError(
                f"{what} has a signature by {entry.keyid}, which is no key of that role",
                reason="signature-foreign",
            )
        if not key.spells(entry.signature):
            raise FormatError(
                f"the signature on {what} by {entry.keyid} is not spelled as it must be",
                reason="signature-not-canonical",
            )
        if not key.verifies(entry.signature, envelope.payload):
            raise TrustRootError(
                f"the signature on {what} by {entry.keyid} does not verify",
                reason="signature-invalid",
            )


def check_chained(root: Root, before: Root | None) -> None:
    """Raise TrustRootError unless enough persons signed `root`, by its own rules and the last ones.

    The general workflow has counted the keys; persons are this profile's.
    """
    if before is not None and count_signers(root.envelope, before) < before.roles["root"].threshold:
        raise TrustRootError(
            f"root {root.version} is not signed by as many persons as root {before.version} asks "
            "for",
            reason="root-chain-broken",
        )
    if count_signers(root.envelope, root) < root.roles["root"].threshold:
        raise TrustRootError(
            f"root {root.version} is not signed by as many persons as it asks for itself",
            reason="threshold-not-met",
        )


def check_threshold(envelope: Envelope, own: Root, highest: Root) -> None:
    """Raise unless enough signers of the role signed, under `own` and under the `highest` root.

    WaitingError ``threshold-not-met`` where some did and others are still to come, TrustRootError
    where nobody did, or where the highest root has dropped who did (``signed-by-dropped-key``).
    """
    role = envelope.role
    signers, asked = count_signers(envelope, own), own.roles[role].threshold
    if signers < asked:
        kind = WaitingError if signers else TrustRootError
        raise kind(f"{role} has {signers} of {asked} signatures", reason="threshold-not-met")
    signers, asked = count_signers(envelope, highest), highest.roles[role].threshold
    if signers < asked:
        raise TrustRootError(
            f"root {highest.version}, which is known here, has dropped who signed the {role} of "
            f"this bundle: {signers} of {asked} signatures are left",
            reason="signed-by-dropped-key",
            hint="Ask the exporter for a bundle that is signed under the present root.",
        )


def count_signers(envelope: Envelope, root: Root) -> int:
    """Count who signed, of those that `root` names for the role; the signatures were verified."""
    return root.roles[envelope.role].count(entry.keyid for entry in envelope.signatures)
