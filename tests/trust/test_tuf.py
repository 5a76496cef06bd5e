"""The general TUF workflow, without the bundle's profile."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import AirgapError, FormatError, TrustRootError
from airgap.trust.tuf import TrustedSet, no_expiry, strict_expiry
from tests.simulators.authority import (
    DAY,
    NOW,
    Document,
    Key,
    Release,
    envelope,
    key,
    rfc8785,
    root,
)

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


def test_the_whole_workflow() -> None:
    trusted = walk(Release(sequence=3))
    assert trusted.targets["targets"].version == 3
    assert "inventory.json" in trusted.targets["targets"].targets


class TestRoot:
    def test_the_first_root_signs_itself(self) -> None:
        with refused("threshold-not-met"):
            TrustedSet(envelope(root(), key(9)), judge_expiry=no_expiry)

    def test_versions_follow_without_a_gap(self) -> None:
        for version in (1, 3):
            trusted = TrustedSet(ROOT_1, judge_expiry=no_expiry)
            with refused("root-version-gap"):
                trusted.update_root(envelope(root(version), key(1)))
            assert trusted.root.version == 1

    def test_old_and_new_keys_sign(self) -> None:
        second = root(2, root_keys=(key(3),))
        trusted = TrustedSet(ROOT_1, judge_expiry=no_expiry)
        with refused("root-chain-broken"):
            trusted.update_root(envelope(second, key(3)))
        with refused("threshold-not-met"):
            trusted.update_root(envelope(second, key(1)))
        assert trusted.update_root(envelope(second, key(1), key(3))).version == 2

    def test_only_the_last_root_must_not_have_expired(self) -> None:
        old, new = (root(n, expires=NOW + days * DAY) for n, days in ((2, -1), (3, 1)))
        roots = (ROOT_1, envelope(old, key(1)), envelope(new, key(1)))
        walk(Release(), roots=roots)
        with refused("expired-root"):
            walk(Release(), roots=roots[:2])

    def test_other_metadata_is_no_root(self) -> None:
        with refused("metadata-type-wrong"):
            TrustedSet(Release().envelopes().targets, judge_expiry=no_expiry)


class TestThreshold:
    def one_key_under_two_ids(self) -> Document:
        """Return a root whose two bundle keys are one: once in hex, once in other hex."""
        document = root(bundle_threshold=2)
        again = json.loads(json.dumps(document["keys"][key(2).keyid]))
        again["keyval"]["public"] = again["keyval"]["public"].upper()
        document["keys"]["a" * 64] = again
        for role in ("timestamp", "snapshot", "targets"):
            document["roles"][role]["keyids"] = [key(2).keyid, "a" * 64]
        return document

    def test_one_key_under_two_ids_counts_once(self) -> None:
        first = envelope(self.one_key_under_two_ids(), key(1))
        signed = json.loads(Release().envelopes().timestamp)
        signed["signatures"].append({**signed["signatures"][0], "keyid": "a" * 64})
        with refused("threshold-not-met") as caught:
            at_timestamp(roots=(first,)).update_timestamp(rfc8785(signed))
        assert "1 of 2" in str(caught.value)

    def test_two_keys_count_twice(self) -> None:
        keys = (key(2), key(3))
        first = envelope(root(bundle_keys=keys, bundle_threshold=2), key(1))
        made = Release(keys=keys)
        at_timestamp(roots=(first,)).update_timestamp(made.envelopes().timestamp)

    @pytest.mark.parametrize("signers", [(), (key(9),)])
    def test_foreign_signatures_do_not_count(self, signers: tuple[Key, ...]) -> None:
        with refused("threshold-not-met"):
            at_timestamp().update_timestamp(envelope(Release().timestamp, *signers))

    def test_wrong_signatures_do_not_count(self) -> None:
        signed = json.loads(Release().envelopes().timestamp)
        for wrong in ("00" * 64, "", "x", None):
            signed["signatures"][0]["sig"] = wrong
            with refused("threshold-not-met"):
                at_timestamp().update_timestamp(rfc8785(signed))


class TestTimestamp:
    def test_expired(self) -> None:
        with refused("expired-timestamp"):
            walk(Release(), now=NOW + 30 * DAY)
        walk(Release(), now=NOW + 30 * DAY - timedelta(seconds=1))

    def test_what_expired_is_not_taken(self) -> None:
        trusted = TrustedSet(ROOT_1, judge_expiry=strict_expiry(NOW + 40 * DAY))
        trusted.close_root()
        with refused("expired-timestamp"):
            trusted.update_timestamp(Release().envelopes().timestamp)
        assert trusted.timestamp is None

    def test_rollback_of_the_timestamp(self) -> None:
        trusted = at_timestamp()
        assert trusted.recall_timestamp(Release(timestamp_version=5).envelopes().timestamp)
        with refused("rollback-timestamp"):
            trusted.update_timestamp(Release(timestamp_version=4).envelopes().timestamp)

    def test_rollback_of_the_snapshot_that_it_names(self) -> None:
        trusted = at_timestamp()
        assert trusted.recall_timestamp(Release(sequence=5).envelopes().timestamp)
        older = Release(sequence=4, timestamp_version=2)
        with refused("rollback-snapshot"):
            trusted.update_timestamp(older.envelopes().timestamp)

    def test_of_equal_versions_the_one_that_is_trusted_stays(self) -> None:
        trusted = at_timestamp()
        assert trusted.recall_timestamp(Release(sequence=1).envelopes().timestamp)
        again = Release(sequence=2).envelopes().timestamp
        assert trusted.update_timestamp(again).snapshot_meta.version == 1

    def test_a_cached_one_that_expired_still_guards_against_rollback(self) -> None:
        trusted = TrustedSet(ROOT_1, judge_expiry=strict_expiry(NOW + 40 * DAY))
        trusted.close_root()
        assert trusted.recall_timestamp(Release(timestamp_version=5).envelopes().timestamp)
        with refused("rollback-timestamp"):
            trusted.update_timestamp(Release(timestamp_version=4).envelopes().timestamp)

    def test_a_cached_one_is_forgotten_when_its_key_is_dropped(self) -> None:
        """Recover from a fast-forward attack (5.3.11)."""
        second = envelope(root(2, bundle_keys=(key(3),)), key(1))
        trusted = at_timestamp(roots=(ROOT_1, second))
        far = Release(timestamp_version=2**40)
        assert not trusted.recall_timestamp(far.envelopes().timestamp)
        assert trusted.update_timestamp(Release(keys=(key(3),)).envelopes().timestamp).version == 1

    def test_a_cached_one_that_is_damaged_is_forgotten(self) -> None:
        assert not at_timestamp().recall_timestamp(b"{")


class TestOrder:
    """The steps are taken in their order; anything else is a bug of the caller."""

    def test_no_step_before_its_time(self) -> None:
        made = Release().envelopes()
        trusted = TrustedSet(ROOT_1, judge_expiry=no_expiry)
        for early in (
            lambda: trusted.recall_timestamp(made.timestamp),
            lambda: trusted.update_timestamp(made.timestamp),
            lambda: trusted.recall_snapshot(made.snapshot),
            lambda: trusted.update_snapshot(made.snapshot),
            lambda: trusted.update_targets(made.targets),
            lambda: at_targets(Release()).update_targets(made.targets, "more", "targets"),
        ):
            with pytest.raises(RuntimeError, match="does not take"):
                early()

    def test_no_step_after_its_time(self) -> None:
        made = Release().envelopes()
        trusted = walk(Release())
        for late in (
            lambda: trusted.update_root(ROOT_1),
            lambda: trusted.recall_timestamp(made.timestamp),
            lambda: trusted.update_timestamp(made.timestamp),
            lambda: trusted.recall_snapshot(made.snapshot),
            lambda: trusted.update_snapshot(made.snapshot),
        ):
            with pytest.raises(RuntimeError, match="does not take"):
                late()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        rfc8785({"signatures": [], "signed": {}}),
        rfc8785({"signatures": [], "signed": {**root(), "version": 1.5}}),
        rfc8785({"signatures": [], "signed": {**root(), "keys": {"x": {}}}}),
        rfc8785({"signatures": [], "signed": {**root(), "expires": "2026"}}),
    ],
)
def test_hostile_bytes_end_in_an_error_of_ours(data: bytes) -> None:
    with pytest.raises((FormatError, TrustRootError)):
        TrustedSet(data, judge_expiry=no_expiry)


@given(st.data())
def test_any_value_in_any_place_ends_in_an_error_of_ours(data: st.DataObject) -> None:
    document = root()
    places: list[dict[str, Any]] = [document]
    for place in places:
        places += [value for value in place.values() if isinstance(value, dict)]
    place = data.draw(st.sampled_from(places))
    values: st.SearchStrategy[object] = st.none() | st.booleans() | st.floats()
    values |= st.text(max_size=3) | st.just([])
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(values)
    try:
        signed = envelope(document, key(1))
    except ValueError:
        return
    try:
        TrustedSet(signed, judge_expiry=no_expiry).close_root()
    except (FormatError, TrustRootError):
        return
