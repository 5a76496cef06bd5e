"""Profile: what a bundle's TUF metadata must keep beyond TUF itself.

1.  Envelopes have the one form of `envelope`, roles that of `roles`.
2.  Root 1 has the fingerprint that the site pinned; there is no trust on first use.
3.  Each root follows the one before, signed by the thresholds of both; all are one authority's.
4.  Roots of the bundle and of the ledger are the same where their versions are the same.
5.  Every signature is by a key of its role in the bundle's own last root (for a root, also of the
    root before), and verifies.
6.  Targets lists exactly the files that are there, with their lengths and digests.
7.  All metadata is of the authority, the stream and the number that the inventory claims;
    targets.version = snapshot.version = number.
8.  Thresholds are reached under the highest root that is known, the bundle's or the ledger's.
9.  The general workflow of `tuf` agrees.

Expiry and sequence are judged elsewhere: what they need is in the `Release`.
Source: docs/bundle-format.md, section 4; docs/trust.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, IntegrityError, TrustRootError
from airgap.trust.envelope import read_envelope
from airgap.trust.fingerprint import fingerprint
from airgap.trust.refresh import refreshed
from airgap.trust.release import Anchor, Claim, Release, RoleMark, RoleState
from airgap.trust.roles import meta_version, origin, read_root, targets
from airgap.trust.signatures import (
    check_chained,
    check_signatures,
    check_threshold,
    count_signers,
)
from airgap.trust.tuf import TrustedSet, no_expiry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap.trust.envelope import Envelope, Envelopes
    from airgap.trust.roles import Root

__all__ = [
    "Anchor",
    "Claim",
    "Examined",
    "Release",
    "RoleMark",
    "RoleState",
    "RootChain",
    "authenticate",
    "examine",
    "verify_roots",
]

_SIGNED_ROLES: Final = ("timestamp", "snapshot", "targets")


@dataclass(frozen=True, kw_only=True, slots=True)
class RootChain:
    """The verified roots of an authority, root 1 first.

    `roots` are the bundle's or the site's, whichever are more; `own` is the last root of the
    bundle, under which its form is judged.
    """

    own: Root
    roots: tuple[Root, ...]

    @property
    def highest(self) -> Root:
        """The highest root that is known, under which thresholds must be reached."""
        return self.roots[-1]

    @property
    def envelopes(self) -> tuple[bytes, ...]:
        """The bytes of the roots, for the ledger."""
        return tuple(root.envelope.data for root in self.roots)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """The metadata of a bundle in which everything is right but for, maybe, missing signatures.

    `found` has timestamp, snapshot and targets.
    """

    chain: RootChain
    found: Mapping[str, Envelope] = field(hash=False)


def verify_roots(roots: Sequence[bytes], *, anchor: Anchor) -> RootChain:
    """Return the verified chain of a bundle's roots.

    It may be kept at once, whatever else is found about the bundle. Raises FormatError, or
    TrustRootError ``fingerprint-mismatch``, ``root-version-gap``, ``root-chain-broken``,
    ``threshold-not-met``, ``authority-mismatch``, ``signature-invalid``, ``root-fork``.
    """
    chain = _verified_chain(roots, anchor)
    known = _verified_chain(anchor.roots, anchor)
    for ours, theirs in zip(known, chain, strict=False):
        if ours.envelope.digest != theirs.envelope.digest:
            raise TrustRootError(
                f"there are two different roots {ours.version} of {anchor.name}",
                reason="root-fork",
                hint="Stop importing from this authority and ask its holders: its root keys may be "
                "in other hands.",
            )
    return RootChain(own=chain[-1], roots=max(chain, known, key=len))


def examine(
    envelopes: Envelopes, files: Mapping[str, bytes], *, anchor: Anchor, claim: Claim
) -> Examined:
    """Return the metadata of a bundle in which everything is right, signed by enough or not.

    It is for those who add signatures; who wants to believe a bundle calls `authenticate`. The
    arguments are the same. Raises ContentError (4) or TrustRootError (6).
    """
    # 1. Form.
    found = {
        role: read_envelope(getattr(envelopes, role), role) for role in reversed(_SIGNED_ROLES)
    }
    # 2. to 4. The chain of roots.
    if claim.authority != anchor.authority:
        raise TrustRootError(
            f"the authority {claim.authority} is not pinned", reason="authority-not-pinned"
        )
    chain = verify_roots(envelopes.roots, anchor=anchor)
    # 5. Signatures.
    for role, envelope in found.items():
        check_signatures(envelope, chain.own.roles[role].keys)
    # 6. Files.
    _check_files(found["targets"], files)
    # 7. Authority, stream and number.
    _check_claim(found, claim)
    return Examined(chain=chain, found=found)


def authenticate(
    envelopes: Envelopes,
    files: Mapping[str, bytes],
    *,
    anchor: Anchor,
    claim: Claim,
    refresh: bytes | None = None,
) -> Release:
    """Return the release that `envelopes` make of a bundle, or raise what speaks against it.

    `files` are all target files by path, ``inventory.json`` among them. `anchor` has no default: a
    bundle never vouches for itself. `refresh` is a newer timestamp that came beside the bundle.
    Raises ContentError (4), TrustRootError (6), or WaitingError ``threshold-not-met`` (8) where all
    is well but signatures are still to come.
    """
    # 1. to 7.
    examined = examine(envelopes, files, anchor=anchor, claim=claim)
    chain, found = examined.chain, examined.found
    # 8. Thresholds.
    for envelope in found.values():
        check_threshold(envelope, chain.own, chain.highest)
    # 9. The general workflow. Expiry is judged by the caller, role by role.
    trusted = TrustedSet(chain.envelopes[-1], judge_expiry=no_expiry)
    trusted.close_root()
    trusted.update_timestamp(envelopes.timestamp)
    trusted.update_snapshot(envelopes.snapshot)
    trusted.update_targets(envelopes.targets)
    signers = count_signers(found["targets"], chain.highest)
    states = {
        envelope.role: RoleState(
            version=envelope.version, digest=envelope.digest, expires=envelope.expires
        )
        for envelope in (chain.highest.envelope, *found.values())
    }
    if refresh is not None:
        states["timestamp"] = refreshed(
            refresh, states["timestamp"], own=chain.own, highest=chain.highest, claim=claim
        )
    return Release(
        authority=anchor.authority,
        authority_name=anchor.name,
        stream=claim.stream,
        sequence=claim.sequence,
        root_version=chain.highest.version,
        roles=states,
        roots=chain.envelopes,
        signatures=f"{signers} of {chain.highest.roles['targets'].threshold}",
    )


def _verified_chain(data: Sequence[bytes], anchor: Anchor) -> tuple[Root, ...]:
    roots = [
        read_root(read_envelope(root, "root", f"{number}.root.json"))
        for number, root in enumerate(data, 1)
    ]
    if not roots:
        raise FormatError("there is no root metadata", reason="root-missing")
    if fingerprint(roots[0].envelope.payload) != anchor.fingerprint:
        raise TrustRootError(
            f"root 1 is not the one that was pinned as {anchor.name}",
            reason="fingerprint-mismatch",
            hint="This bundle is of another authority that uses the same id. Do not load it.",
        )
    trusted: TrustedSet | None = None
    for before, root in zip([None, *roots[:-1]], roots, strict=True):
        keys = root.roles["root"].keys + (before.roles["root"].keys if before else ())
        check_signatures(root.envelope, keys)
        if trusted is None:
            trusted = TrustedSet(root.envelope.data, judge_expiry=no_expiry)
        else:
            trusted.update_root(root.envelope.data)
        check_chained(root, before)
        if root.authority != anchor.authority:
            raise TrustRootError(
                f"root {root.version} is of the authority {root.authority}, "
                f"not of {anchor.authority}",
                reason="authority-mismatch",
            )
    return tuple(roots)


def _check_files(envelope: Envelope, files: Mapping[str, bytes]) -> None:
    listed = targets(envelope)
    if listed.keys() != files.keys():
        odd = min(listed.keys() ^ files.keys())
        there = "is not signed" if odd in files else "is signed and not there"
        raise FormatError(f"the target {odd!r:.200} {there}", reason="targets-differ")
    for path, target in listed.items():
        data = files[path]
        if (len(data), hashlib.sha256(data).hexdigest()) != (target.length, target.digest.hex):
            raise IntegrityError(
                f"the target {path!r:.200} has not the bytes that were signed",
                reason="target-mismatch",
            )


def _check_claim(found: Mapping[str, Envelope], claim: Claim) -> None:
    for role, envelope in found.items():
        about = origin(envelope)
        if about.authority != claim.authority:
            raise TrustRootError(
                f"{role} metadata is of the authority {about.authority}, not of {claim.authority}",
                reason="authority-mismatch",
            )
        if about.stream != claim.stream:
            raise TrustRootError(
                f"{role} metadata is of the stream {about.stream}, not of {claim.stream}",
                reason="stream-mismatch",
            )
    versions = {
        "targets": found["targets"].version,
        "snapshot": found["snapshot"].version,
        "targets.json in the snapshot": meta_version(found["snapshot"], "targets.json"),
        "snapshot.json in the timestamp": meta_version(found["timestamp"], "snapshot.json"),
    }
    for what, version in versions.items():
        if version != claim.sequence:
            raise TrustRootError(
                f"{what} is of version {version} in bundle number {claim.sequence}",
                reason="version-mismatch",
            )
