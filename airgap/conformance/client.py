"""TUF client: the detailed client workflow (specification, section 5), with a cache and HTTP.

What is to be believed is `airgap.trust.tuf`'s to say; here is what it leaves to its caller: which
file is fetched when, how long it may be, and when it is kept. Whatever comes from the cache is
verified again, delegated roles under the delegator that led to them this time.

Source: https://theupdateframework.github.io/specification/v1.0.31/#detailed-client-workflow
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from airgap.conformance.cache import replacing
from airgap.errors import AirgapError, IntegrityError, NotFoundError, TrustRootError
from airgap.trust.tuf import TrustedSet, strict_expiry

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from tuf.api.metadata import MetaFile, TargetFile

    from airgap.conformance.cache import MetadataCache
    from airgap.conformance.repository import Repository

__all__ = ["Client"]

_MAX_ROOTS: Final = 256
_MAX_DELEGATIONS: Final = 32
_LIMITS: Final = {Root.type: 512_000, Timestamp.type: 16_384, Snapshot.type: 2_000_000}
_TARGETS_LIMIT: Final = 5_000_000
"""Bytes that are read of metadata whose length nobody signed."""


class Client:
    """A client of one repository; `now` is the fixed start of the update (5.1).

    Raises NotFoundError where the cache has no root, TrustRootError or FormatError for a bad one.
    """

    def __init__(self, cache: MetadataCache, repository: Repository, *, now: datetime) -> None:
        root = cache.read(Root.type)
        if root is None:
            raise NotFoundError("there is no trusted root: run init", reason="root-missing")
        self._cache = cache
        self._repository = repository
        # 5.2. Load the trusted root metadata file.
        self._trusted = TrustedSet(root, judge_expiry=strict_expiry(now))

    def refresh(self) -> None:
        """Update root, timestamp, snapshot and targets, in this order; keep each as it is trusted.

        Raises AirgapError at the first that cannot be trusted.
        """
        self._update_root()
        self._update_timestamp()
        self._update_snapshot()
        self._update_targets(Targets.type, Root.type)

    def find(self, path: str) -> TargetFile:
        """Return what the targets roles say about the artifact at `path` (5.6.7).

        Depth first, in order of appearance, each role once. Raises NotFoundError; whatever makes a
        role untrusted that must be asked.
        """
        visited: set[str] = set()
        waiting = [(Targets.type, Root.type)]
        while waiting and len(visited) <= _MAX_DELEGATIONS:
            role, delegator = waiting.pop()
            if role in visited:
                continue
            visited.add(role)
            targets = self._update_targets(role, delegator)
            if path in targets.targets:
                return targets.targets[path]
            children = []
            if targets.delegations is not None:
                for child, terminating in targets.delegations.get_roles_for_target(path):
                    children.append((child, role))
                    if terminating:
                        waiting.clear()
                        break
            waiting.extend(reversed(children))
        raise NotFoundError(f"no role that is asked knows {path}", reason="file-unknown")

    def download(self, path: str, place: Path) -> None:
        """Have the artifact at `path` in the file `place`, unless it is there already.

        Raises IntegrityError for other bytes than were signed, and what `find` raises.
        """
        target = self.find(path)
        if _holds(place, target):
            return
        source = target.path
        if self._trusted.root.consistent_snapshot:
            folder, slash, name = source.rpartition("/")
            source = f"{folder}{slash}{next(iter(target.hashes.values()))}.{name}"
        with replacing(place) as stream:
            for piece in self._repository.read_artifact(source, limit=target.length):
                stream.write(piece)
            stream.seek(0)
            try:
                target.verify_length_and_hashes(stream)
            except LengthOrHashMismatchError as error:
                raise IntegrityError(
                    f"{path} has not the length and hashes that were signed",
                    reason="target-mismatch",
                ) from error

    def _update_root(self) -> None:
        for _ in range(_MAX_ROOTS):
            before = self._trusted.root
            # 5.3.3. Try downloading version N+1; where there is none, N is the last.
            try:
                data = self._repository.read_metadata(
                    Root.type, before.version + 1, limit=_LIMITS[Root.type]
                )
            except NotFoundError:
                break
            after = self._trusted.update_root(data)
            # 5.3.11. Fast-forward recovery. Here and not after the last root: a run that is
            # interrupted in between would not see that the keys were rotated.
            if any(_rotated(before, after, role) for role in (Timestamp.type, Snapshot.type)):
                self._cache.forget(Timestamp.type, Snapshot.type)
            # 5.3.8. Persist.
            self._cache.write(Root.type, data)
        self._trusted.close_root()

    def _update_timestamp(self) -> None:
        cached = self._cache.read(Timestamp.type)
        if cached is not None:
            self._trusted.recall_timestamp(cached)
        known = self._trusted.timestamp
        data = self._repository.read_metadata(Timestamp.type, None, limit=_LIMITS[Timestamp.type])
        if self._trusted.update_timestamp(data) is not known:
            self._cache.write(Timestamp.type, data)

    def _update_snapshot(self) -> None:
        trusted = self._trusted
        assert trusted.timestamp is not None  # noqa: S101 - for the type checker: it was updated
        cached = self._cache.read(Snapshot.type)
        # Whatever is cached counts against rollback; it is fetched no second time if it is current.
        if (
            cached is not None
            and trusted.recall_snapshot(cached)
            and _accepted(lambda: trusted.update_snapshot(cached))
        ):
            return
        data = self._fetch(Snapshot.type, trusted.timestamp.snapshot_meta)
        trusted.update_snapshot(data)
        self._cache.write(Snapshot.type, data)

    def _update_targets(self, role: str, delegator: str) -> Targets:
        trusted = self._trusted
        assert trusted.snapshot is not None  # noqa: S101 - for the type checker: it was updated
        cached = self._cache.read(role)
        if cached is not None and _accepted(
            lambda: trusted.update_targets(cached, role, delegator)
        ):
            return trusted.targets[role]
        meta = trusted.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise TrustRootError(f"the snapshot does not list {role}", reason="role-not-listed")
        data = self._fetch(role, meta)
        trusted.update_targets(data, role, delegator)
        self._cache.write(role, data)
        return trusted.targets[role]

    def _fetch(self, role: str, meta: MetaFile) -> bytes:
        version = meta.version if self._trusted.root.consistent_snapshot else None
        limit = _LIMITS.get(role, _TARGETS_LIMIT) if meta.length is None else meta.length
        return self._repository.read_metadata(role, version, limit=limit)


def _accepted(take: Callable[[], object]) -> bool:
    """Tell whether cached metadata is still current; where it is not, it is fetched."""
    try:
        take()
    except AirgapError:
        return False
    return True


def _rotated(before: Root, after: Root, role: str) -> bool:
    """Tell whether a key of `role` was taken away."""
    return not set(before.roles[role].keyids) <= set(after.roles[role].keyids)


def _holds(place: Path, target: TargetFile) -> bool:
    """Tell whether the file `place` is the artifact already."""
    try:
        with place.open("rb") as stream:
            target.verify_length_and_hashes(stream)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True
