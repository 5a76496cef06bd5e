"""No bundle gets past without the profile: what python-tuf alone accepts, and every flipped bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import Metadata, Root

from airgap.errors import AirgapError, ContentError
from airgap.trust.envelope import ROLES
from airgap.trust.profile import authenticate
from airgap.trust.tuf import TrustedSet, no_expiry
from tests.simulators.authority import ACME, Release, anchor, envelope, key, rfc8785, root

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.trust.envelope import Envelopes


ROOT_1 = envelope(root(), key(1))


def judge(release: Release, envelopes: Envelopes) -> None:
    authenticate(envelopes, release.files, anchor=anchor(ROOT_1), claim=release.claim)


def python_tuf_accepts(envelopes: Envelopes) -> bool:
    first: Metadata[Root] = Metadata.from_bytes(envelopes.roots[0])
    first.signed.verify_delegate("root", first.signed_bytes, first.signatures)
    trusted = TrustedSet(envelopes.roots[0], judge_expiry=no_expiry)
    trusted.close_root()
    trusted.update_timestamp(envelopes.timestamp)
    trusted.update_snapshot(envelopes.snapshot)
    trusted.update_targets(envelopes.targets)
    return True


def refused(reason: str, release: Release, envelopes: Envelopes) -> AirgapError:
    with pytest.raises(AirgapError) as caught:
        judge(release, envelopes)
    assert caught.value.reason == reason
    return caught.value


class TestWhatPythonTufAccepts:
    """Each fault passes the general workflow and is stopped by the profile."""

    def check(self, reason: str, release: Release, targets: bytes | None = None) -> None:
        changed = {} if targets is None else {"targets": targets}
        envelopes = release.envelopes(**changed)
        assert python_tuf_accepts(envelopes)
        refused(reason, release, envelopes)

    def test_junk_fields_in_the_envelope(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        self.check("field-unknown", release, rfc8785({**document, "junk": "x"}))

    def test_junk_fields_in_a_signature(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        document["signatures"][0]["junk"] = "x"
        self.check("field-unknown", release, rfc8785(document))

    def test_junk_fields_that_are_signed(self) -> None:
        release = Release()
        release.targets["junk"] = "x"
        self.check("field-unknown", release)

    def test_a_foreign_signature(self) -> None:
        release = Release()
        self.check("signature-foreign", release, envelope(release.targets, key(2), key(9)))

    def test_a_foreign_signature_that_is_none(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        document["signatures"].append({"keyid": "f" * 64, "sig": "00"})
        self.check("signature-foreign", release, rfc8785(document))

    def test_other_whitespace(self) -> None:
        release = Release()
        data = envelope(release.targets, key(2))
        self.check("metadata-not-canonical", release, data + b"\n")

    def test_another_order_of_keys(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        other = json.dumps(
            {"signed": document["signed"], "signatures": document["signatures"]},
            separators=(",", ":"),
        )
        self.check("metadata-not-canonical", release, other.encode())

    def test_duplicate_keys(self) -> None:
        release = Release()
        data = envelope(release.targets, key(2)).replace(
            b'"_type":"targets"', b'"_type":"root","_type":"targets"'
        )
        self.check("json-duplicate-key", release, data)

    def test_metadata_of_another_stream(self) -> None:
        release, other = Release(), Release(stream="test")
        self.check("stream-mismatch", release, envelope(other.targets, key(2)))

    def test_upper_case_hex(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        document["signatures"][0]["sig"] = document["signatures"][0]["sig"].upper()
        self.check("signature-not-canonical", release, rfc8785(document))

    def test_delegations(self) -> None:
        release = Release()
        release.targets["delegations"] = {"keys": {}, "roles": []}
        self.check("field-unknown", release)

    def test_custom_data_of_a_target(self) -> None:
        release = Release()
        release.targets["targets"]["inventory.json"]["custom"] = "x"
        self.check("field-unknown", release)

    def test_hashes_in_the_snapshot(self) -> None:
        release = Release()
        data = envelope(release.targets, key(2))
        release.snapshot["meta"]["targets.json"]["length"] = len(data)
        self.check("field-unknown", release)

    def test_other_entries_in_the_snapshot(self) -> None:
        release = Release()
        release.snapshot["meta"]["more.json"] = {"version": 1}
        self.check("field-unknown", release)


def forge(role: str, change: Callable[[dict[str, Any]], object]) -> tuple[Release, Envelopes]:
    """Return a release of which one document was changed before it was signed."""
    if role == "root":
        document = root()
        change(document)
        return Release(), Release(roots=(envelope(document, key(1)),)).envelopes()
    release = Release()
    change(getattr(release, role))
    return release, release.envelopes()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("_type", "mirrors", "metadata-type-wrong"),
        ("version", 0, "field-invalid"),
        ("version", True, "field-invalid"),
        ("version", 1.5, "json-number-invalid"),
        ("version", "1", "field-invalid"),
        ("version", 2**53, "json-number-invalid"),
        ("expires", "2026-11-22", "field-invalid"),
        ("expires", "2026-11-22T12:00:00+00:00", "field-invalid"),
        ("expires", "2026-02-30T12:00:00Z", "field-invalid"),
        ("expires", "0000-01-01T00:00:00Z", "field-invalid"),
        ("spec_version", "1.1.0", "spec-version-unsupported"),
        ("spec_version", "1.0", "spec-version-unsupported"),
        ("spec_version", 1, "field-invalid"),
        ("x-airgap", {}, "field-missing"),
        ("x-airgap", "x", "field-invalid"),
        ("extra", 1, "field-unknown"),
    ],
)
def test_a_common_field_is_wrong(role: str, field: str, value: object, reason: str) -> None:
    release, envelopes = forge(role, lambda document: document.update({field: value}))
    error = refused(reason, release, envelopes)
    assert isinstance(error, ContentError)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("field", ["_type", "version", "expires", "spec_version", "x-airgap"])
def test_a_common_field_is_missing(role: str, field: str) -> None:
    release, envelopes = forge(role, lambda document: document.pop(field))
    refused("field-missing", release, envelopes)


def in_role(role: str, **values: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["roles"][role].update(values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.pop("consistent_snapshot"), "field-missing"),
        (lambda d: d.update(consistent_snapshot=None), "field-invalid"),
        (lambda d: d["x-airgap"].update(more=1), "field-unknown"),
        (lambda d: d["x-airgap"].update(authority=ACME.upper().replace("1", "A")), "field-invalid"),
        (lambda d: d["x-airgap"].update(name=""), "field-invalid"),
        (lambda d: d["x-airgap"].update(name="a" * 64), "field-invalid"),
        (lambda d: d["x-airgap"].update(name="a\u202eb"), "field-invalid"),
        (lambda d: d["roles"].pop("targets"), "field-missing"),
        (lambda d: d["roles"].update(mirrors=d["roles"]["root"]), "field-unknown"),
        (in_role("targets", more=1), "field-unknown"),
        (in_role("targets", threshold=0), "field-invalid"),
        (in_role("targets", threshold=2), "threshold-impossible"),
        (in_role("targets", keyids=[]), "threshold-impossible"),
        (in_role("targets", keyids=[key(2).keyid] * 2), "role-keys-invalid"),
        (in_role("targets", keyids=["0" * 64]), "role-keys-invalid"),
        (lambda d: d["keys"][key(2).keyid].update(more=1), "field-unknown"),
        (lambda d: d["keys"][key(2).keyid]["keyval"].update(private="x"), "field-unknown"),
        (lambda d: d["keys"].update({str(n): {} for n in range(64)}), "keys-too-many"),
    ],
)
def test_a_root_is_wrong(change: Callable[[dict[str, Any]], object], reason: str) -> None:
    release, envelopes = forge("root", change)
    refused(reason, release, envelopes)


@pytest.mark.parametrize(
    ("role", "change", "reason"),
    [
        ("targets", lambda d: d["x-airgap"].update(more=1), "field-unknown"),
        ("targets", lambda d: d["x-airgap"].update(stream="../etc"), "field-invalid"),
        ("targets", lambda d: d["targets"].update(x=1), "field-invalid"),
        ("targets", lambda d: d["targets"]["inventory.json"].update(hashes={}), "field-missing"),
        (
            "targets",
            lambda d: d["targets"]["inventory.json"]["hashes"].update(sha512="x"),
            "field-unknown",
        ),
        (
            "targets",
            lambda d: d["targets"]["inventory.json"]["hashes"].update(sha256="X"),
            "digest-invalid",
        ),
        ("snapshot", lambda d: d.update(meta={}), "field-missing"),
        ("timestamp", lambda d: d["meta"]["snapshot.json"].update(version=0), "field-invalid"),
    ],
)
def test_a_role_is_wrong(
    role: str, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    release, envelopes = forge(role, change)
    refused(reason, release, envelopes)


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        ([{"keyid": "0" * 64, "sig": "0"}], "signature-not-canonical"),
        ([{"keyid": "0" * 64, "sig": ""}], "signature-not-canonical"),
        ([{"keyid": "0" * 63, "sig": "00"}], "signature-not-canonical"),
        ([{"keyid": "0" * 64, "sig": "00\n"}], "signature-not-canonical"),
        ([{"keyid": "0" * 64}], "field-missing"),
        ([{"keyid": "0" * 64, "sig": "00"}] * 2, "signatures-not-sorted"),
        ([{"keyid": f"{n:064x}", "sig": "00"} for n in (2, 1)], "signatures-not-sorted"),
        ([{"keyid": f"{n:064x}", "sig": "00"} for n in range(17)], "signatures-too-many"),
        ({}, "field-invalid"),
        ([1], "field-invalid"),
    ],
)
def test_signatures_are_wrong(signatures: object, reason: str) -> None:
    release = Release()
    data = rfc8785({"signatures": signatures, "signed": release.targets})
    refused(reason, release, release.envelopes(targets=data))
