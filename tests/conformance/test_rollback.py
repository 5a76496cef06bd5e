"""Rollback is refused for every role; a repository recovers from a fast-forward by new keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.simulator import CONTENT

if TYPE_CHECKING:
    from tests.conformance.client_scene import Scene

with_hashes = pytest.mark.parametrize("hashes", [False, True])


def test_an_older_timestamp(scene: Scene) -> None:
    scene.repository.publish("timestamp")
    assert scene.refresh() == 0
    scene.repository.start_again("timestamp")
    scene.repository.publish("timestamp")
    scene.asked()
    scene.refused("rollback-timestamp")
    assert scene.asked()[-1] == "timestamp.json"
    assert scene.trusted["timestamp"] == 2


@with_hashes
def test_an_older_snapshot(scene: Scene, hashes: bool) -> None:
    """The timestamp that names it is refused, and not kept."""
    scene.repository.hashes = hashes
    scene.repository.publish(*CONTENT)
    assert scene.refresh() == 0
    scene.repository.start_again("snapshot")
    scene.repository.publish("snapshot", "timestamp")
    scene.refused("rollback-snapshot")
    assert (scene.trusted["timestamp"], scene.trusted["snapshot"]) == (2, 2)


@with_hashes
def test_older_targets(scene: Scene, hashes: bool) -> None:
    """The cached snapshot counts, though it is not the one that the new timestamp's hash names."""
    scene.repository.hashes = hashes
    scene.repository.publish(*CONTENT)
    assert scene.refresh() == 0
    scene.repository.start_again("targets")
    scene.repository.publish(*CONTENT)
    scene.refused("rollback-targets")
    assert (scene.trusted["timestamp"], scene.trusted["snapshot"]) == (3, 2)


@pytest.mark.parametrize("gone", [False, True])
def test_an_older_delegated_role(scene: Scene, gone: bool) -> None:
    """Its name is the repository's choice, and is no part of a reason code."""
    scene.repository.delegate("targets", "Some Role!")
    scene.repository.publish_all()
    scene.repository.publish_all()
    assert scene.refresh() == 0
    if gone:
        del scene.repository.roles["snapshot"].meta["Some Role!.json"]
        scene.repository.publish("snapshot", "timestamp")
    else:
        scene.repository.start_again("Some Role!")
        scene.repository.publish_all()
    scene.refused("rollback-targets")


def test_a_snapshot_that_the_timestamp_does_not_name(scene: Scene) -> None:
    scene.repository.publish("snapshot")
    scene.repository.roles["timestamp"].snapshot_meta.version = 1
    scene.repository.publish("timestamp")
    assert scene.refresh() == 0
    assert scene.trusted == {"root": 1, "timestamp": 2, "snapshot": 1, "targets": 1}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("rotated", [("timestamp", "snapshot"), ("timestamp",), ("snapshot",), ()])
def test_fast_forward_recovery(scene: Scene, role: str, rotated: tuple[str, ...]) -> None:
    """5.3.11: with the timestamp's or the snapshot's keys rotated, both old files are forgotten."""
    scene.repository.roles[role].version = 99
    scene.repository.publish(role)
    scene.repository.publish("snapshot", "timestamp")
    assert scene.refresh() == 0
    assert scene.trusted[role] >= 100
    for one in rotated:
        scene.repository.replace_keys(one)
    scene.repository.start_again(role)
    scene.repository.publish("root")
    scene.repository.publish(*CONTENT)
    if rotated:
        assert scene.refresh() == 0
        assert scene.trusted[role] == 1
    else:
        scene.refused(f"rollback-{role}")
        assert scene.trusted[role] >= 100


def test_a_key_more_is_no_rotation(scene: Scene) -> None:
    scene.repository.publish("timestamp")
    assert scene.refresh() == 0
    scene.repository.add_key("timestamp")
    scene.repository.start_again("timestamp")
    scene.repository.publish("root", "timestamp")
    scene.refused("rollback-timestamp")


def test_what_is_forgotten_is_forgotten_before_the_root_is_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is cut off in between would never see that the keys were rotated."""
    assert scene.refresh() == 0
    scene.repository.replace_keys("snapshot")
    scene.repository.publish("root")

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airgap.conformance.cache.MetadataCache.write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        scene.refresh()
    assert scene.trusted == {"root": 1, "targets": 1}
