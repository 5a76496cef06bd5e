"""Authenticity: from the pinned root to the files, and everything that breaks the chain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    AirgapError,
    ContentError,
    FormatError,
    IntegrityError,
    TrustRootError,
    WaitingError,
)
from airgap.oci.digest import Digest
from airgap.trust.profile import authenticate
from airgap.trust.release import Anchor, Claim
from tests.simulators.authority import (
    ACME,
    DAY,
    NOW,
    OTHER,
    Release,
    anchor,
    envelope,
    key,
    olpc,
    rfc8785,
    root,
)

if TYPE_CHECKING:
    from airgap.trust.envelope import Envelopes
    from airgap.trust.release import Release as Authentic


ROOT_1 = envelope(root(), key(1))


ROTATED = (key(3),)


ROOT_2 = envelope(root(2, bundle_keys=ROTATED), key(1))


TWO_OF_TWO = envelope(root(bundle_keys=(key(2), key(3)), bundle_threshold=2), key(1))


def judge(
    release: Release,
    envelopes: Envelopes | None = None,
    *,
    known: Anchor | None = None,
    claim: Claim | None = None,
    files: dict[str, bytes] | None = None,
) -> Authentic:
    return authenticate(
        envelopes or release.envelopes(),
        release.files if files is None else files,
        anchor=known or anchor(release.roots[0]),
        claim=claim or release.claim,
    )


def refused(
    kind: type[AirgapError],
    reason: str,
    release: Release,
    envelopes: Envelopes | None = None,
    **how: object,
) -> AirgapError:
    with pytest.raises(AirgapError) as caught:
        judge(release, envelopes, **how)  # type: ignore[arg-type]
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    return caught.value


def test_an_authentic_bundle_becomes_a_release() -> None:
    files = {"inventory.json": b"{}", "evidence.jsonl": b"", "trust/keys/a.pub": b"{}"}
    made = Release(sequence=7, timestamp_version=9, files=files)
    release = judge(made)
    assert (release.authority, release.stream, release.sequence) == (ACME, "prod", 7)
    assert release.authority_name == "acme"
    assert release.root_version == 1
    assert release.roots == (ROOT_1,)
    assert release.signatures == "1 of 1"
    assert {role: state.version for role, state in release.roles.items()} == {
        "root": 1,
        "timestamp": 9,
        "snapshot": 7,
        "targets": 7,
    }
    assert release.roles["targets"].digest == Digest.of(olpc(made.targets))
    assert release.ends == {
        "tuf.root": NOW + 365 * DAY,
        "tuf.targets": NOW + 365 * DAY,
        "tuf.snapshot": NOW + 365 * DAY,
        "tuf.timestamp": NOW + 30 * DAY,
    }


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "rsa"])
def test_every_kind_of_key_signs(kind: str) -> None:
    root_key, bundle_key = key(1, kind), key(2, kind)
    first = envelope(root(root_keys=(root_key,), bundle_keys=(bundle_key,)), root_key)
    assert judge(Release(roots=(first,), keys=(bundle_key,))).signatures == "1 of 1"


class TestThresholds:
    def test_two_of_two(self) -> None:
        release = Release(roots=(TWO_OF_TWO,), keys=(key(2), key(3)))
        assert judge(release).signatures == "2 of 2"

    def test_a_signature_to_come_is_waited_for(self) -> None:
        error = refused(WaitingError, "threshold-not-met", Release(roots=(TWO_OF_TWO,)))
        assert "1 of 2" in error.message

    def test_without_any_signature_there_is_nothing_to_wait_for(self) -> None:
        refused(TrustRootError, "threshold-not-met", Release(roots=(TWO_OF_TWO,), keys=()))

    def test_a_wrong_signature_is_not_waited_for(self) -> None:
        release = Release(roots=(TWO_OF_TWO,))
        wrong = json.loads(envelope(release.targets, key(2)))
        wrong["signatures"][0]["sig"] = key(2).sign(b"something else").hex()
        refused(
            TrustRootError, "signature-invalid", release, release.envelopes(targets=rfc8785(wrong))
        )

    def test_what_waits_is_judged_before_it_is_waited_for(self) -> None:
        release = Release(roots=(TWO_OF_TWO,))
        refused(IntegrityError, "target-mismatch", release, files={"inventory.json": b"[]"})

    def test_a_key_that_a_newer_root_dropped_no_longer_counts(self) -> None:
        error = refused(
            TrustRootError, "signed-by-dropped-key", Release(), known=anchor(ROOT_1, ROOT_2)
        )
        assert "root 2" in error.message
        assert "0 of 1" in error.message

    def test_a_key_that_a_newer_root_kept_still_counts(self) -> None:
        second = envelope(root(2, root_keys=(key(1), key(4))), key(1))
        release = judge(Release(), known=anchor(ROOT_1, second))
        assert release.root_version == 2
        assert release.roots == (ROOT_1, second)
        assert release.roles["root"].version == 2

    def test_the_form_is_judged_under_the_bundles_own_last_root(self) -> None:
        # key 3 is known to the newer root alone: in this bundle it is foreign.
        release = Release(keys=(key(2), key(3)))
        refused(FormatError, "signature-foreign", release, known=anchor(ROOT_1, ROOT_2))


class TestFiles:
    def test_a_file_that_is_not_signed(self) -> None:
        files = {"inventory.json": b"{}", "evil": b""}
        error = refused(FormatError, "targets-differ", Release(), files=files)
        assert "'evil' is not signed" in error.message

    def test_a_signed_file_that_is_not_there(self) -> None:
        error = refused(FormatError, "targets-differ", Release(), files={})
        assert "not there" in error.message

    @pytest.mark.parametrize("data", [b"[]", b"{} ", b""])
    def test_other_bytes_than_those_signed(self, data: bytes) -> None:
        refused(IntegrityError, "target-mismatch", Release(), files={"inventory.json": data})


class TestClaim:
    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_metadata_of_another_authority(self, role: str) -> None:
        release = Release()
        getattr(release, role)["x-airgap"]["authority"] = OTHER
        refused(TrustRootError, "authority-mismatch", release)

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_metadata_of_another_stream(self, role: str) -> None:
        release = Release()
        getattr(release, role)["x-airgap"]["stream"] = "test"
        error = refused(TrustRootError, "stream-mismatch", release)
        assert role in error.message

    def test_another_number(self) -> None:
        claim = Claim(authority=ACME, stream="prod", sequence=2)
        refused(TrustRootError, "version-mismatch", Release(), claim=claim)

    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_metadata_of_another_version(self, role: str) -> None:
        release = Release()
        getattr(release, role)["version"] = 2
        refused(TrustRootError, "version-mismatch", release)

    @pytest.mark.parametrize(
        ("role", "entry"), [("snapshot", "targets.json"), ("timestamp", "snapshot.json")]
    )
    def test_metadata_that_names_another_version(self, role: str, entry: str) -> None:
        release = Release()
        getattr(release, role)["meta"][entry]["version"] = 2
        refused(TrustRootError, "version-mismatch", release)


def test_every_error_about_content_is_4_and_about_trust_6() -> None:
    assert (ContentError.exit_code, TrustRootError.exit_code, WaitingError.exit_code) == (4, 6, 8)
