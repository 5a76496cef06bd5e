"""The general TUF workflow: snapshot, targets and delegations."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import AirgapError, IntegrityError
from airgap.trust.tuf import TrustedSet, strict_expiry
from tests.simulators.authority import (
    NOW,
    Key,
    Release,
    envelope,
    key,
    root,
)

if TYPE_CHECKING:
    from datetime import datetime

ROOT_1 = envelope(root(), key(1))


def walk(
    release: Release, *, now: datetime = NOW, roots: tuple[bytes, ...] | None = None
) -> TrustedSet:
    """Walk the whole workflow, strictly."""
    made = release.envelopes()
    first, *more = roots or made.roots
    trusted = TrustedSet(first, judge_expiry=strict_expiry(now))
    for data in more:
        trusted.update_root(data)
    trusted.close_root()
    trusted.update_timestamp(made.timestamp)
    trusted.update_snapshot(made.snapshot)
    trusted.update_targets(made.targets)
    return trusted


def at_timestamp(*, roots: tuple[bytes, ...] = (ROOT_1,)) -> TrustedSet:
    trusted = TrustedSet(roots[0], judge_expiry=strict_expiry(NOW))
    for data in roots[1:]:
        trusted.update_root(data)
    trusted.close_root()
    return trusted


def at_snapshot(release: Release) -> TrustedSet:
    trusted = at_timestamp()
    trusted.update_timestamp(release.envelopes().timestamp)
    return trusted


def at_targets(release: Release) -> TrustedSet:
    trusted = at_snapshot(release)
    trusted.update_snapshot(release.envelopes().snapshot)
    return trusted


def refused(reason: str) -> Any:  # noqa: ANN401 - pytest's own type is private
    return pytest.raises(AirgapError, check=lambda error: error.reason == reason)


class TestSnapshot:
    def test_expired(self) -> None:
        release = Release()
        release.snapshot["expires"] = "2026-01-01T00:00:00Z"
        with refused("expired-snapshot"):
            walk(release)

    def test_another_version_than_the_timestamp_names(self) -> None:
        with refused("version-mismatch"):
            at_snapshot(Release(sequence=1)).update_snapshot(
                Release(sequence=2).envelopes().snapshot
            )

    @pytest.mark.parametrize("fault", ["length", "hashes"])
    def test_other_bytes_than_the_timestamp_names(self, fault: str) -> None:
        release = Release()
        data = release.envelopes().snapshot
        release.timestamp["meta"]["snapshot.json"].update(
            length=len(data), hashes={"sha256": hashlib.sha256(data).hexdigest()}
        )
        at_snapshot(release).update_snapshot(data)
        wrong: object = 5 if fault == "length" else {"sha256": "0" * 64}
        release.timestamp["meta"]["snapshot.json"][fault] = wrong
        with refused("metadata-digest-mismatch") as caught:
            at_snapshot(release).update_snapshot(data)
        assert isinstance(caught.value, IntegrityError)

    def test_rollback_of_what_it_lists(self) -> None:
        trusted = at_snapshot(Release(sequence=5))
        assert trusted.recall_snapshot(Release(sequence=4).envelopes().snapshot)
        release = Release(sequence=5)
        release.snapshot["meta"]["targets.json"]["version"] = 3
        with refused("rollback-targets"):
            trusted.update_snapshot(release.envelopes().snapshot)

    def test_what_was_listed_may_not_be_gone(self) -> None:
        trusted = at_snapshot(Release(sequence=5))
        before = Release(sequence=4)
        before.snapshot["meta"]["more.json"] = {"version": 1}
        assert trusted.recall_snapshot(before.envelopes().snapshot)
        with refused("rollback-targets"):
            trusted.update_snapshot(Release(sequence=5).envelopes().snapshot)

    def test_a_cached_one_that_nobody_vouches_for_is_forgotten(self) -> None:
        trusted = at_snapshot(Release())
        assert not trusted.recall_snapshot(envelope(Release().snapshot, key(9)))


class TestTargets:
    def test_expired(self) -> None:
        release = Release()
        release.targets["expires"] = "2026-01-01T00:00:00Z"
        with refused("expired-targets"):
            walk(release)

    def test_another_version_than_the_snapshot_names(self) -> None:
        with refused("version-mismatch"):
            at_targets(Release()).update_targets(Release(sequence=2).envelopes().targets)

    def test_a_role_that_the_snapshot_does_not_list(self) -> None:
        with refused("role-not-listed"):
            at_targets(Release()).update_targets(Release().envelopes().targets, "more")


class TestDelegation:
    def delegating(self, *delegates: Key) -> Release:
        """Return a release whose targets delegate to the role `more`, signed by `delegates`."""
        release = Release()
        release.snapshot["meta"]["more.json"] = {"version": 1}
        release.targets["delegations"] = {
            "keys": {one.keyid: one.document for one in delegates},
            "roles": [
                {
                    "name": "more",
                    "keyids": [one.keyid for one in delegates],
                    "threshold": 1,
                    "terminating": True,
                    "paths": ["*"],
                }
            ],
        }
        return release

    def test_the_delegator_says_who_signs(self) -> None:
        trusted = at_targets(self.delegating(key(5)))
        trusted.update_targets(self.delegating(key(5)).envelopes().targets)
        more = Release().targets
        trusted.update_targets(envelope(more, key(5)), "more", "targets")
        assert set(trusted.targets) == {"targets", "more"}

    def test_a_cached_role_is_verified_against_the_current_delegator(self) -> None:
        cached = envelope(Release().targets, key(5))
        trusted = at_targets(self.delegating(key(6)))
        trusted.update_targets(self.delegating(key(6)).envelopes().targets)
        with refused("threshold-not-met"):
            trusted.update_targets(cached, "more", "targets")

    def test_a_role_that_nobody_delegates_to(self) -> None:
        release = Release()
        release.snapshot["meta"]["more.json"] = {"version": 1}
        trusted = at_targets(release)
        trusted.update_targets(release.envelopes().targets)
        with refused("role-not-delegated"):
            trusted.update_targets(envelope(Release().targets, key(5)), "more", "targets")

    def test_a_key_that_would_run_gpg_is_not_loaded(self) -> None:
        release = self.delegating(key(5))
        release.targets["delegations"]["keys"]["b" * 64] = {
            "keytype": "rsa",
            "scheme": "pgp+rsa-pkcsv1.5",
            "keyval": {"public": "x"},
        }
        with refused("key-unsupported"):
            at_targets(release).update_targets(release.envelopes().targets)
