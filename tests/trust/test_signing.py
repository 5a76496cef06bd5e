"""Requests for signatures and the signatures that come back: small files, strictly read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airgap.errors import AirgapError, FormatError, TrustRootError, UsageError
from airgap.oci.digest import Digest
from airgap.trust.signing import DetachedSignature, SigningRequest, self_anchored
from tests.simulators.authority import (
    OTHER,
    Key,
    Release,
    changed,
    envelope,
    fingerprint_of,
    key,
    olpc,
    rfc8785,
    root,
)

SCHEMAS = Path(__file__).parents[2] / "schemas"
ROOT_1 = envelope(root(bundle_keys=(key(2), key(3)), bundle_threshold=2), key(1))
BUNDLE = Release(files={"inventory.json": b'{"a":1}'}, roots=(ROOT_1,))
TARGETS = SigningRequest(
    role="targets",
    roots=(ROOT_1,),
    envelope=envelope(BUNDLE.targets, key(2)),
    inventory=b'{"a":1}',
)
ROOT_2 = root(2, root_keys=(key(1), key(4)), root_threshold=2, bundle_keys=(key(2), key(3)))
ROOTS = SigningRequest(role="root", roots=(ROOT_1,), envelope=envelope(ROOT_2, key(1)))


def refused(kind: type[AirgapError], reason: str) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def signature(signer: Key, signed: dict[str, Any], role: str = "targets") -> DetachedSignature:
    payload = olpc(signed)
    return DetachedSignature(
        role=role,
        signed=Digest.of(payload),
        keyid=signer.keyid,
        signature=signer.sign(payload),
    )


class TestFiles:
    @pytest.mark.parametrize("request_", [TARGETS, ROOTS, replace(TARGETS, previous=b"{}")])
    def test_a_request_comes_back_as_it_went(self, request_: SigningRequest) -> None:
        assert SigningRequest.decode(request_.encode()) == request_

    def test_a_signature_comes_back_as_it_went(self) -> None:
        made = signature(key(3), BUNDLE.targets)
        assert DetachedSignature.decode(made.encode()) == made

    def test_they_are_as_the_schemas_say(self) -> None:
        for name, data in (
            ("signing-request", TARGETS.encode()),
            ("signing-request", replace(TARGETS, previous=b"{}").encode()),
            ("signing-request", ROOTS.encode()),
            ("signature", signature(key(3), BUNDLE.targets).encode()),
        ):
            schema = json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
            validator = jsonschema.Draft202012Validator(schema)
            validator.validate(json.loads(data))
            assert not validator.is_valid({**json.loads(data), "more": 1})

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"schemaVersion": 2}, "field-invalid"),
            ({"more": 1}, "field-unknown"),
            ({"role": "snapshot"}, "request-role-invalid"),
            ({"role": "root"}, "request-role-invalid"),
            ({"roots": "x"}, "field-invalid"),
        ],
    )
    def test_a_request_that_is_none(self, change: dict[str, object], reason: str) -> None:
        with refused(FormatError, reason):
            SigningRequest.decode(rfc8785({**json.loads(TARGETS.encode()), **change}))

    @pytest.mark.parametrize("field", ["inventory", "previous"])
    def test_a_request_for_a_root_with_inventories(self, field: str) -> None:
        with refused(FormatError, "request-role-invalid"):
            SigningRequest.decode(rfc8785({**json.loads(ROOTS.encode()), field: "{}"}))

    def test_a_request_for_targets_without_the_inventory(self) -> None:
        document = json.loads(TARGETS.encode())
        del document["inventory"]
        with refused(FormatError, "request-role-invalid"):
            SigningRequest.decode(rfc8785(document))

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"schemaVersion": 2}, "field-invalid"),
            ({"more": 1}, "field-unknown"),
            ({"sig": "xy"}, "field-invalid"),
            ({"signed": "x"}, "digest-invalid"),
        ],
    )
    def test_a_signature_that_is_none(self, change: dict[str, object], reason: str) -> None:
        document = json.loads(signature(key(3), BUNDLE.targets).encode())
        with refused(FormatError, reason):
            DetachedSignature.decode(rfc8785({**document, **change}))


class TestOpening:
    def test_who_signed_and_who_may(self) -> None:
        opened = TARGETS.opened()
        assert opened.tallies == ((1, 2),)
        assert [one.keyid for one in opened.waiting] == [key(3).keyid]
        assert not opened.complete
        assert opened.fingerprint == fingerprint_of(ROOT_1)
        assert opened.holder(key(3).keyid) == key(3).keyid[:8]

    def test_a_root_is_asked_for_by_two_roots(self) -> None:
        opened = ROOTS.opened()
        assert opened.tallies == ((1, 1), (1, 2))
        assert [one.keyid for one in opened.waiting] == [key(4).keyid]
        done = opened.signed_by([signature(key(4), ROOT_2, "root")])
        assert done.complete
        assert done.tallies == ((1, 1), (2, 2))

    def test_persons_are_named(self) -> None:
        def name(document: dict[str, Any]) -> None:
            document["x-airgap"]["persons"] = {key(4).keyid: "Carol"}

        named = replace(ROOTS, envelope=envelope(changed(ROOT_2, name), key(1)))
        assert named.opened().holder(key(4).keyid) == "Carol"

    @pytest.mark.parametrize("inventory", [b"{}", b""])
    def test_another_inventory(self, inventory: bytes) -> None:
        with refused(FormatError, "targets-differ"):
            replace(TARGETS, inventory=inventory).opened()

    def test_targets_without_an_inventory(self) -> None:
        bare = Release(files={"other": b""}, roots=(ROOT_1,))
        with refused(FormatError, "targets-differ"):
            replace(TARGETS, envelope=envelope(bare.targets, key(2))).opened()

    def test_a_root_that_does_not_follow(self) -> None:
        for document in (root(3), root(2, authority=OTHER)):
            with refused(FormatError, "root-version-gap"):
                replace(ROOTS, envelope=envelope(document, key(1))).opened()

    def test_signatures_that_are_there_are_right(self) -> None:
        foreign = replace(TARGETS, envelope=envelope(BUNDLE.targets, key(2), key(9)))
        with refused(FormatError, "signature-foreign"):
            foreign.opened()

    def test_without_roots_nobody_may_sign(self) -> None:
        with refused(FormatError, "root-missing"):
            replace(TARGETS, roots=()).opened()
        broken = envelope(root(2, root_keys=(key(9),)), key(9))
        with refused(TrustRootError, "root-chain-broken"):
            self_anchored((ROOT_1, broken))


class TestAdding:
    def test_one_more(self) -> None:
        done = TARGETS.opened().signed_by([signature(key(3), BUNDLE.targets)])
        assert done.complete
        assert done.waiting == ()
        assert done.envelope.data == envelope(BUNDLE.targets, key(2), key(3))

    def test_one_that_is_there_stays(self) -> None:
        again = signature(key(2), BUNDLE.targets)
        assert TARGETS.opened().signed_by([again]).envelope.data == TARGETS.envelope

    def test_one_for_something_else(self) -> None:
        other = Release(sequence=2, roots=(ROOT_1,))
        for made in (
            signature(key(3), other.targets),
            replace(signature(key(3), BUNDLE.targets), role="snapshot"),
        ):
            with refused(UsageError, "signature-of-other"):
                TARGETS.opened().signed_by([made])

    def test_one_by_somebody_else(self) -> None:
        with refused(UsageError, "key-not-of-role"):
            TARGETS.opened().signed_by([signature(key(9), BUNDLE.targets)])

    def test_one_that_is_wrong(self) -> None:
        made = replace(signature(key(3), BUNDLE.targets), signature=key(3).sign(b"other"))
        with refused(TrustRootError, "signature-invalid"):
            TARGETS.opened().signed_by([made])
