"""Keys and thresholds: what counts as a signature, and how keys give way to other keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner

from tests.conformance.client_scene import TRUSTED, Scene
from tests.conformance.simulator import CONTENT, TOP, RepositorySimulator, serving, signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Step = tuple[tuple[int, ...], int, tuple[int, ...]]
"""Keys of a role, its threshold, the keys that have signed; keys by number."""


def set_keys(repository: RepositorySimulator, role: str, step: Step) -> None:
    keys, threshold, signing = step
    repository.root.roles[role].keyids.clear()
    repository.root.roles[role].threshold = threshold
    for number in keys:
        repository.root.add_key(signer(100 + number).public_key, role)
    repository.signers[role] = [signer(100 + number) for number in signing]


FIVE = (0, 1, 2, 3, 4)
ROOTS: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "new key": (True, (((1,), 1, (1,)), ((2,), 1, (2, 1)), ((2,), 1, (2,)))),
    "strangers sign too": (True, (((1,), 1, (3, 1, 4)), ((2,), 1, (3, 2, 1, 4)))),
    "any three of five": (True, ((FIVE, 3, (0, 2, 4)), (FIVE, 3, (0, 4, 1)), (FIVE, 3, (1, 2, 3)))),
    "one of five": (True, ((FIVE, 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 4, 1)))),
    "one of five, in between": (
        True, ((FIVE, 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 2, 4, 5)),
               ((0, 1, 3, 4, 5), 3, (0, 4, 5))),
    ),
    "all of five": (
        True, ((FIVE, 3, (0, 2, 4)), ((5, 6, 7, 8, 9), 3, (0, 2, 4, 5, 6, 7)),
               ((5, 6, 7, 8, 9), 3, (5, 6, 7))),
    ),
    "threshold up": (True, (((1, 2, 3), 1, (1,)), ((1, 2, 3), 2, (1, 2)))),
    "threshold down": (
        True, (((1, 2, 3), 2, (1, 2)), ((1, 2, 3), 1, (1, 2)), ((1, 2, 3), 1, (1,))),
    ),
    "not the old key": (False, (((1,), 1, (1,)), ((2,), 1, (2, 3, 4)))),
    "not the new key": (False, (((1,), 1, (1,)), ((2,), 1, (1, 3, 4)))),
    "too few new keys": (False, ((FIVE, 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 2, 4)))),
    "too few old keys": (False, ((FIVE, 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 4, 5)))),
    "not the new threshold": (False, (((1, 2, 3), 1, (1,)), ((1, 2, 3), 2, (2,)))),
    "not the old threshold": (False, (((1, 2, 3), 2, (1, 2)), ((1, 2, 3), 1, (1,)))),
}  # fmt: skip


@pytest.mark.parametrize(("good", "steps"), ROOTS.values(), ids=ROOTS)
def test_rotation_of_root(
    repository: RepositorySimulator, tmp_path: Path, good: bool, steps: tuple[Step, ...]
) -> None:
    repository.start_again("root")
    for step in steps:
        set_keys(repository, "root", step)
        repository.publish("root")
    with serving(repository) as url:
        scene = Scene(folder=tmp_path, url=url, repository=repository)
        scene.init()
        assert scene.refresh() == (0 if good else 1)
    assert scene.trusted["root"] == (len(steps) if good else len(steps) - 1)
    assert set(scene.trusted) == (set(TOP) if good else {"root"})


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize(
    ("good", "step"),
    [
        (True, ((2,), 1, (2,))),
        (True, ((1,), 1, (3, 1, 4))),
        (True, (FIVE, 3, (2, 3, 4))),
        (False, ((2,), 1, (1, 3, 4))),
        (False, ((0, 1, 3, 4, 5), 3, (0, 2, 4))),
        (False, (FIVE, 3, (0, 4))),
        (False, ((0, 1), 3, (0, 1))),
    ],
)
def test_rotation_of_other_roles(scene: Scene, role: str, good: bool, step: Step) -> None:
    assert scene.refresh() == 0
    set_keys(scene.repository, role, step)
    scene.repository.publish("root", *CONTENT)
    assert scene.refresh() == (0 if good else 1)
    assert scene.trusted["root"] == 2
    assert (scene.trusted.get(role) == 2) is good


def test_cached_metadata_of_keys_that_were_dropped(scene: Scene) -> None:
    """Targets have not changed, and their cached file is good no more."""
    assert scene.refresh() == 0
    scene.repository.replace_keys("targets")
    scene.repository.publish("root", "timestamp")
    scene.asked()
    assert scene.refresh() == 1
    assert scene.asked()[-1] == "1.targets.json"
    assert scene.trusted == TRUSTED | {"root": 2, "timestamp": 2}


def change(repository: RepositorySimulator, role: str, how: Callable[[Any], None]) -> None:
    """Change the newest published file of `role` behind its signatures' back."""
    versions = repository.published[role]
    document = json.loads(versions[max(versions)])
    how(document)
    versions[max(versions)] = json.dumps(document).encode()


def test_one_signature_many_times(scene: Scene) -> None:
    scene.repository.root.roles["snapshot"].threshold = 3
    scene.repository.publish("root", *CONTENT)

    def repeat(document: Any) -> None:  # noqa: ANN401
        document["signatures"] *= 3

    change(scene.repository, "snapshot", repeat)
    scene.refused("metadata-invalid")
    assert "snapshot" not in scene.trusted


def test_one_key_under_two_ids_counts_once(scene: Scene) -> None:
    """A threshold counts keys. (Who knows one key by two names needs no second person.)"""
    (key,) = scene.repository.signers["snapshot"]
    again = CryptoSigner(
        key._private_key, type(key.public_key).from_dict("f" * 64, key.public_key.to_dict())
    )
    scene.repository.add_key("snapshot", key=again)
    scene.repository.root.roles["snapshot"].threshold = 2
    scene.repository.publish("root", *CONTENT)
    scene.refused("threshold-not-met")


@pytest.mark.parametrize("signature", ["", "00", "zz"])
def test_a_signature_that_is_none_beside_one_that_is(scene: Scene, signature: str) -> None:
    extra = scene.repository.add_key("timestamp")
    scene.repository.publish("root", "timestamp")

    def spoil(document: Any) -> None:  # noqa: ANN401
        for one in document["signatures"]:
            if one["keyid"] == extra.public_key.keyid:
                one["sig"] = signature

    change(scene.repository, "timestamp", spoil)
    assert scene.refresh() == 0


@pytest.mark.parametrize(
    "make",
    [
        CryptoSigner.generate_ecdsa,
        CryptoSigner.generate_ed25519,
        CryptoSigner.generate_rsa,
        lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
    ],
    ids=["ecdsa", "ed25519", "rsa-pss", "rsa-pkcs1v15"],
)
def test_kinds_of_keys(scene: Scene, make: Callable[[], CryptoSigner]) -> None:
    key = scene.repository.add_key("root", key=make())
    scene.repository.root.roles["root"].threshold = 2
    scene.repository.publish("root")
    assert scene.refresh() == 0
    scene.repository.publish("root")

    def spoil(document: Any) -> None:  # noqa: ANN401
        for one in document["signatures"]:
            if one["keyid"] == key.public_key.keyid:
                one["sig"] = one["sig"][:-2] + ("00" if one["sig"][-2:] != "00" else "01")

    change(scene.repository, "root", spoil)
    scene.refused("root-chain-broken")
    assert scene.trusted["root"] == 2
