"""Thresholds count persons: two keys of one person, or two names of one, are one signer."""

from __future__ import annotations

from typing import Any

import pytest

from airgap.errors import AirgapError, FormatError, TrustRootError, WaitingError
from airgap.trust.profile import authenticate, verify_roots
from airgap.trust.recovery import shared_keys
from airgap.trust.roles import is_person, same_person
from tests.simulators.authority import Key, Release, anchor, envelope, key, root

ALICE, BOB, CAROL = key(2), key(3), key(4)


def persons(document: dict[str, Any], **names: Key) -> dict[str, Any]:
    """Say whose keys are: ``Alice=key``, ``Alice_2=key`` for a second one of hers."""
    document["x-airgap"]["persons"] = {
        one.keyid: name.partition("_")[0] for name, one in names.items()
    }
    return document


def first(*keys: Key, threshold: int = 2, **names: Key) -> bytes:
    return envelope(persons(root(bundle_keys=keys, bundle_threshold=threshold), **names), key(1))


def judged(first_root: bytes, *signers: Key) -> str:
    release = Release(roots=(first_root,), keys=signers)
    return authenticate(
        release.envelopes(), release.files, anchor=anchor(first_root), claim=release.claim
    ).signatures


def refused(kind: type[AirgapError], reason: str) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def test_two_persons_are_two() -> None:
    assert judged(first(ALICE, BOB, Alice=ALICE, Bob=BOB), ALICE, BOB) == "2 of 2"


def test_two_keys_of_one_person_are_one() -> None:
    of_alice = first(ALICE, BOB, CAROL, Alice=ALICE, Alice_2=BOB, Carol=CAROL)
    with refused(WaitingError, "threshold-not-met") as caught:
        judged(of_alice, ALICE, BOB)
    assert "1 of 2" in caught.value.message
    assert judged(of_alice, ALICE, BOB, CAROL) == "2 of 2"


@pytest.mark.parametrize("other", ["alice", "ALICE", "\uff21lice"])
def test_two_spellings_of_one_name_are_one_person(other: str) -> None:
    document = root(bundle_keys=(ALICE, BOB, CAROL), bundle_threshold=2)
    document["x-airgap"]["persons"] = {ALICE.keyid: "Alice", BOB.keyid: other}
    with refused(WaitingError, "threshold-not-met"):
        judged(envelope(document, key(1)), ALICE, BOB)


def test_a_key_that_is_nobodys_stands_for_itself() -> None:
    assert judged(first(ALICE, BOB, Alice=ALICE), ALICE, BOB) == "2 of 2"


def test_one_key_that_is_listed_twice_is_refused() -> None:
    document = root(bundle_keys=(ALICE, ALICE), bundle_threshold=1)
    with refused(FormatError, "role-keys-invalid"):
        judged(envelope(document, key(1)), ALICE)


def test_one_key_under_two_ids_is_refused() -> None:
    document = root(bundle_keys=(ALICE,))
    document["keys"]["0" * 64] = document["keys"][ALICE.keyid]
    document["roles"]["targets"] = {"keyids": [ALICE.keyid, "0" * 64], "threshold": 2}
    with refused(FormatError, "keyid-wrong"):
        judged(envelope(document, key(1)), ALICE)


def test_a_threshold_that_the_persons_cannot_reach_is_refused() -> None:
    with refused(FormatError, "threshold-impossible"):
        judged(first(ALICE, BOB, Alice=ALICE, Alice_2=BOB), ALICE, BOB)


@pytest.mark.parametrize(
    "said",
    [
        {ALICE.keyid: ""},
        {ALICE.keyid: " Alice"},
        {ALICE.keyid: "A  lice"},
        {ALICE.keyid: "A\nlice"},
        {ALICE.keyid: "a" * 64},
        {ALICE.keyid: "A\u0301lice"},
        {"0" * 64: "Alice"},
    ],
)
def test_persons_have_one_spelling_and_a_key(said: dict[str, str]) -> None:
    document = root(bundle_keys=(ALICE,))
    document["x-airgap"]["persons"] = said
    with refused(FormatError, "person-invalid"):
        judged(envelope(document, key(1)), ALICE)


def test_names_of_persons() -> None:
    assert is_person("Åsa Öberg")
    assert not is_person("Åsa Öberg ")
    assert same_person("Ada LOVELACE") == same_person("ada lovelace")


class TestRoots:
    """A root is signed by as many persons as it asks for, and as the one before asks for."""

    OLD = envelope(
        persons(root(root_keys=(ALICE, BOB, CAROL), root_threshold=2, bundle_keys=(key(9),)),
                Alice=ALICE, Alice_2=BOB, Carol=CAROL),
        ALICE, CAROL,
    )  # fmt: skip

    def chain(self, *roots: bytes) -> int:
        return len(verify_roots(roots, anchor=anchor(self.OLD)).roots)

    def test_two_persons_make_the_next_one(self) -> None:
        second = root(2, root_keys=(ALICE, CAROL), root_threshold=2, bundle_keys=(key(9),))
        assert self.chain(self.OLD, envelope(second, ALICE, CAROL)) == 2

    def test_one_person_with_two_keys_does_not_follow(self) -> None:
        second = root(2, root_keys=(ALICE, BOB), root_threshold=2, bundle_keys=(key(9),))
        with refused(TrustRootError, "root-chain-broken"):
            self.chain(self.OLD, envelope(second, ALICE, BOB))

    def test_one_person_with_two_keys_does_not_begin(self) -> None:
        once = envelope(
            persons(root(root_keys=(ALICE, BOB, CAROL), root_threshold=2),
                    Alice=ALICE, Alice_2=BOB),
            ALICE, BOB,
        )  # fmt: skip
        with refused(TrustRootError, "threshold-not-met"):
            verify_roots((once,), anchor=anchor(once))


def test_keys_that_come_back_are_shared() -> None:
    documents = [
        root(1, bundle_keys=(key(2),)),
        root(2, bundle_keys=(key(3),)),
        root(3, bundle_keys=(key(4),)),
        root(4, bundle_keys=(key(2),)),
    ]
    chain = [envelope(document, key(1)) for document in documents]
    roots = verify_roots(chain, anchor=anchor(chain[0])).roots
    assert shared_keys(roots[:2], roots[2]) == ()
    assert shared_keys(roots[1:2], roots[3]) == ()
    assert shared_keys(roots[:2], roots[3]) == (key(2).keyid,)
