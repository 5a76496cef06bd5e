"""What has expired is not believed, and does not stand in the way of what follows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap.errors import TrustRootError
from tests.conformance.simulator import CONTENT, TOP

if TYPE_CHECKING:
    from tests.conformance.client_scene import Scene


def soon(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@pytest.mark.parametrize("role", TOP)
def test_an_expired_role(scene: Scene, role: str) -> None:
    """A root is kept all the same (5.3.10 comes after 5.3.8); nothing else is."""
    assert scene.refresh() == 0
    scene.repository.roles[role].expires = soon(-1)
    scene.repository.publish("root", *CONTENT)
    scene.refused(f"expired-{role}")
    order = TOP.index(role)
    kept = {name: 2 if name == "root" or n < order else 1 for n, name in enumerate(TOP)}
    assert scene.trusted == kept


@pytest.mark.parametrize("role", TOP)
def test_what_has_expired_here_is_replaced(scene: Scene, role: str) -> None:
    scene.repository.roles[role].expires = soon(7)
    scene.repository.publish("root", *CONTENT)
    assert scene.refresh() == 0
    scene.refused(f"expired-{role}", days=8)
    scene.repository.roles[role].expires = soon(21)
    scene.repository.publish("root", *CONTENT)
    scene.client(days=18).refresh()
    assert scene.trusted == dict.fromkeys(TOP, 3)


def test_an_expired_root_between_two_good_ones(scene: Scene) -> None:
    scene.repository.root.expires = soon(-1)
    scene.repository.publish("root")
    scene.repository.root.expires = soon(7)
    scene.repository.publish("root")
    assert scene.refresh() == 0
    assert scene.trusted["root"] == 3


def test_a_delegated_role_that_expires(scene: Scene) -> None:
    repository = scene.repository
    repository.delegate("targets", "Other")
    repository.roles["Other"].expires = soon(7)
    for name in ("first", "second"):
        repository.add_artifact(name, name.encode(), role="Other")
    repository.publish_all()
    place = scene.artifacts / "artifact"

    def download(name: str, days: float) -> None:
        client = scene.client(days=days)
        client.refresh()
        client.download(name, place)

    download("first", 0)
    with pytest.raises(TrustRootError, match="Other metadata expired") as caught:
        download("second", 18)
    assert caught.value.reason == "expired-targets"
    assert scene.downloaded == [b"first"]
    repository.roles["Other"].expires = soon(21)
    repository.publish("Other", "snapshot", "timestamp")
    download("second", 18)
    assert scene.downloaded == [b"second"]


def test_a_delegated_role_that_has_expired_is_not_kept(scene: Scene) -> None:
    scene.repository.delegate("targets", "Other")
    scene.repository.roles["Other"].expires = soon(-1)
    scene.repository.add_artifact("first", b"first", role="Other")
    scene.repository.publish_all()
    assert scene.download("first") == 1
    assert scene.downloaded == []
    assert set(scene.trusted) == set(TOP)
