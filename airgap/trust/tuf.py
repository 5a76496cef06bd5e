"""TUF: the client workflow of the specification, 5.3 to 5.6, on python-tuf's metadata classes.

* Bytes in, judgement out: no file, no network, no clock. Time enters by `judge_expiry` alone, which
  is called with a role and its end after signatures and versions were found good and *before* the
  metadata is taken; it raises where the answer is no.
* Every signature is counted under the delegator that is trusted now, also one of a cached file.
* A threshold counts public keys, not key ids.
* Whatever the bytes are, only errors of ours get out.

This is the general workflow. What a bundle must keep beyond it is in `profile`.

    trusted = TrustedSet(root_1, judge_expiry=strict_expiry(now))
    for data in newer_roots:
        trusted.update_root(data)
    trusted.close_root()
    trusted.update_timestamp(timestamp)
    trusted.update_snapshot(snapshot)
    trusted.update_targets(targets)

Source: https://theupdateframework.github.io/specification/v1.0.31/#detailed-client-workflow
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic

from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    T,
    Targets,
    Timestamp,
)

from airgap.errors import AirgapError, FormatError, IntegrityError, TrustRootError
from airgap.trust.keys import identity
from airgap.trust.verdict import format_time

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signature

__all__ = ["ExpiryJudge", "TrustedSet", "no_expiry", "strict_expiry"]

ExpiryJudge = Callable[[str, datetime], None]
"""Called with a role and its end; raises where that is not to be accepted."""


def strict_expiry(now: datetime) -> ExpiryJudge:
    """Return the judge of the specification: what has expired at `now` is refused, no tolerance."""

    def judge(name: str, expires: datetime) -> None:
        if now >= expires:
            role = _kind(name)
            raise TrustRootError(
                f"{name} metadata expired {format_time(expires)}", reason=f"expired-{role}"
            )

    return judge


def no_expiry(role: str, expires: datetime) -> None:
    """Accept any end: for a caller who judges expiry on its own, role by role."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded(Generic[T]):
    signed: T
    payload: bytes
    signatures: dict[str, Signature]


class TrustedSet:
    """The metadata that is trusted so far; each update is verified against it.

    `root` is trusted by the caller's word (5.2); it must be signed by itself. `judge_expiry` has no
    default: who asks for a workflow says what is done about expiry.
    """

    def __init__(self, root: bytes, *, judge_expiry: ExpiryJudge) -> None:
        loaded = _read(Root, root)
        _refuse_unsigned(loaded.signed, Root.type, loaded)
        self.root: Root = loaded.signed
        self.timestamp: Timestamp | None = None
        self.snapshot: Snapshot | None = None
        self.targets: dict[str, Targets] = {}
        self._judge_expiry = judge_expiry
        self._root_closed = False
        self._timestamp_is_final = False
        self._snapshot_is_final = False

    def update_root(self, data: bytes) -> Root:
        """Take the next root. Raises TrustRootError where the one before does not vouch for it."""
        _require(not self._root_closed, "a root after the last one")
        loaded = _read(Root, data)
        # 5.3.4. Check for an arbitrary software attack: thresholds of the old and of the new keys.
        _refuse_unsigned(self.root, Root.type, loaded, reason="root-chain-broken")
        _refuse_unsigned(loaded.signed, Root.type, loaded)
        # 5.3.5. Check for a rollback attack: exactly the next version.
        if loaded.signed.version != self.root.version + 1:
            raise TrustRootError(
                f"root {loaded.signed.version} cannot follow root {self.root.version}",
                reason="root-version-gap",
            )
        # 5.3.7. Set the trusted root metadata. (Expiry of all but the last does not matter: 5.3.6.)
        self.root = loaded.signed
        return self.root

    def close_root(self) -> None:
        """End the chain of roots: judge the expiry of the last one."""
        # 5.3.10. Check for a freeze attack.
        self._judge_expiry(Root.type, self.root.expires)
        self._root_closed = True

    def recall_timestamp(self, data: bytes) -> bool:
        """Remember the timestamp of an earlier run, against rollback; tell whether it still counts.

        5.3.11: one that the trusted root no longer vouches for is forgotten, which is how a
        repository recovers from a fast-forward attack.
        """
        _require(self._root_closed and not self._timestamp_is_final, "an old timestamp now")
        try:
            loaded = _read(Timestamp, data)
            _refuse_unsigned(self.root, Timestamp.type, loaded)
        except AirgapError:
            return False
        self.timestamp = loaded.signed
        return True

    def update_timestamp(self, data: bytes) -> Timestamp:
        """Take the timestamp. The one that is trusted stays if the versions are equal."""
        _require(self._root_closed and not self._snapshot_is_final, "a timestamp now")
        # 5.4.2. Check for an arbitrary software attack.
        loaded = _read(Timestamp, data)
        _refuse_unsigned(self.root, Timestamp.type, loaded)
        new = loaded.signed
        if self.timestamp is not None:
            # 5.4.3.1. Check for a rollback attack, of the timestamp …
            _refuse_older(Timestamp.type, new.version, self.timestamp.version)
            if new.version == self.timestamp.version:
                new = self.timestamp
            # 5.4.3.2. … and of the snapshot.
            _refuse_older(
                Snapshot.type, new.snapshot_meta.version, self.timestamp.snapshot_meta.version
            )
        # 5.4.4. Check for a freeze attack.
        self._judge_expiry(Timestamp.type, new.expires)
        # 5.4.5. Persist: the caller's.
        self.timestamp = new
        self._timestamp_is_final = True
        return new

    def recall_snapshot(self, data: bytes) -> bool:
        """Remember the snapshot of an earlier run; tell whether it still counts."""
        _require(self._timestamp_is_final and not self._snapshot_is_final, "an old snapshot now")
        try:
            loaded = _read(Snapshot, data)
            _refuse_unsigned(self.root, Snapshot.type, loaded)
        except AirgapError:
            return False
        self.snapshot = loaded.signed
        return True

    def update_snapshot(self, data: bytes) -> Snapshot:
        """Take the snapshot that the timestamp names."""
        _require(self._timestamp_is_final and not self.targets, "a snapshot now")
        assert self.timestamp is not None  # noqa: S101 - for the type checker: it is final
        meta = self.timestamp.snapshot_meta
        # 5.5.2. Check against the timestamp's snapshot hash.
        _refuse_other_bytes(Snapshot.type, meta, data)
        # 5.5.3. Check for an arbitrary software attack.
        loaded = _read(Snapshot, data)
        _refuse_unsigned(self.root, Snapshot.type, loaded)
        new = loaded.signed
        # 5.5.4. Check against the timestamp's snapshot version.
        _refuse_other_version(Snapshot.type, new.version, meta.version)
        # 5.5.5. Check for a rollback attack: nothing is gone or older.
        for name, entry in (self.snapshot.meta if self.snapshot is not None else {}).items():
            role = name.removesuffix(".json")
            _refuse_older(role, new.meta[name].version if name in new.meta else 0, entry.version)
        # 5.5.6. Check for a freeze attack.
        self._judge_expiry(Snapshot.type, new.expires)
        # 5.5.7. Persist: the caller's.
        self.snapshot = new
        self._snapshot_is_final = True
        return new

    def update_targets(
        self, data: bytes, role: str = Targets.type, delegator: str = Root.type
    ) -> Targets:
        """Take targets metadata, as `delegator` delegates it to `role`, fresh or from a cache."""
        known: dict[str, Root | Targets] = {Root.type: self.root, **self.targets}
        _require(self._snapshot_is_final and delegator in known, "these targets now")
        assert self.snapshot is not None  # noqa: S101 - for the type checker: it is final
        meta = self.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise TrustRootError(f"the snapshot does not list {role}", reason="role-not-listed")
        # 5.6.2. Check against the snapshot's targets hash.
        _refuse_other_bytes(role, meta, data)
        # 5.6.3. Check for an arbitrary software attack.
        loaded = _read(Targets, data)
        _refuse_unsigned(known[delegator], role, loaded)
        # 5.6.4. Check against the snapshot's targets version.
        _refuse_other_version(role, loaded.signed.version, meta.version)
        # 5.6.5. Check for a freeze attack.
        self._judge_expiry(role, loaded.signed.expires)
        # 5.6.6. Persist: the caller's.
        self.targets[role] = loaded.signed
        return loaded.signed


def _read(kind: type[T], data: bytes) -> _Loaded[T]:
    try:
        metadata = Metadata[T].from_bytes(data)
        payload = metadata.signed_bytes
    except Exception as error:
        raise FormatError(f"not TUF metadata of {kind.type}", reason="metadata-invalid") from error
    if metadata.signed.type != kind.type:
        raise FormatError(
            f"expected {kind.type} metadata, got {metadata.signed.type}",
            reason="metadata-type-wrong",
        )
    if not all(isinstance(key, SSlibKey) for key in _keys(metadata.signed)):
        # Other classes of keys run programs or open connections to verify.
        raise FormatError(f"{kind.type} lists a key of an unknown type", reason="key-unsupported")
    return _Loaded(signed=metadata.signed, payload=payload, signatures=metadata.signatures)


def _keys(signed: object) -> list[Key]:
    if isinstance(signed, Root):
        return list(signed.keys.values())
    if isinstance(signed, Targets) and signed.delegations is not None:
        return list(signed.delegations.keys.values())
    return []


def _refuse_unsigned(
    delegator: Root | Targets, role: str, loaded: _Loaded[T], *, reason: str = "threshold-not-met"
) -> None:
    try:
        result = delegator.get_verification_result(role, loaded.payload, loaded.signatures)
    except ValueError as error:
        raise TrustRootError(f"nothing delegates to {role}", reason="role-not-delegated") from error
    keys = {identity(key) for key in result.signed.values() if isinstance(key, SSlibKey)}
    if len(keys) < result.threshold:
        raise TrustRootError(
            f"{role} metadata has {len(keys)} of {result.threshold} signatures that "
            f"{delegator.type} {delegator.version} asks for",
            reason=reason,
        )


def _kind(name: str) -> str:
    """Return the role that a reason code may name: a delegated role can have any name at all."""
    return name if name in TOP_LEVEL_ROLE_NAMES else Targets.type


def _refuse_older(name: str, version: int, trusted: int) -> None:
    if version < trusted:
        role = _kind(name)
        raise TrustRootError(
            f"{name} metadata is of version {version}, {trusted} was seen before",
            reason=f"rollback-{role}",
        )


def _refuse_other_version(role: str, version: int, expected: int) -> None:
    if version != expected:
        raise TrustRootError(
            f"{role} metadata is of version {version}, not {expected}", reason="version-mismatch"
        )


def _refuse_other_bytes(role: str, meta: MetaFile, data: bytes) -> None:
    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise IntegrityError(
            f"{role} metadata has not the length and hashes that were signed",
            reason="metadata-digest-mismatch",
        ) from error


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise RuntimeError(f"the workflow does not take {what}")
