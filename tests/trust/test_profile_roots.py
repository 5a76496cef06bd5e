"""The chain of roots, from the pinned one; keys that are good enough to be in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from airgap.errors import (
    AirgapError,
    FormatError,
    TrustRootError,
)
from airgap.trust.envelope import Envelopes
from airgap.trust.profile import authenticate, verify_roots
from airgap.trust.release import Anchor, Claim
from tests.simulators.authority import (
    DAY,
    NOW,
    OTHER,
    Key,
    Release,
    anchor,
    changed,
    envelope,
    key,
    root,
)

if TYPE_CHECKING:
    from airgap.trust.release import Release as Authentic


ROOT_1 = envelope(root(), key(1))


ROTATED = (key(3),)


ROOT_2 = envelope(root(2, bundle_keys=ROTATED), key(1))


ED25519_IN_PEM = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n"
)


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


class TestRoots:
    def test_an_authority_that_is_not_the_anchors_is_not_pinned(self) -> None:
        claim = Claim(authority=OTHER, stream="prod", sequence=1)
        refused(TrustRootError, "authority-not-pinned", Release(), claim=claim)

    def test_another_root_1_is_not_the_one_that_was_pinned(self) -> None:
        other = envelope(root(root_keys=(key(9),)), key(9))
        error = refused(
            TrustRootError, "fingerprint-mismatch", Release(roots=(other,)), known=anchor(ROOT_1)
        )
        assert "acme" in error.message

    def test_a_bundle_without_roots_is_none(self) -> None:
        envelopes = Release().envelopes()
        without = Envelopes(
            roots=(),
            timestamp=envelopes.timestamp,
            snapshot=envelopes.snapshot,
            targets=envelopes.targets,
        )
        refused(FormatError, "root-missing", Release(), without)

    def test_a_chain_of_roots_is_walked(self) -> None:
        third = envelope(root(3, root_keys=(key(4),), bundle_keys=ROTATED), key(1), key(4))
        fourth = envelope(root(4, root_keys=(key(4),), bundle_keys=(key(5),)), key(4))
        release = Release(roots=(ROOT_1, ROOT_2, third, fourth), keys=(key(5),))
        assert judge(release, known=anchor(ROOT_1)).root_version == 4

    def test_intermediate_roots_may_have_expired(self) -> None:
        second = envelope(root(2, bundle_keys=ROTATED, expires=NOW - 900 * DAY), key(1))
        third = envelope(root(3), key(1))
        judge(Release(roots=(ROOT_1, second, third)))

    def test_a_root_that_is_left_out_is_a_gap(self) -> None:
        third = envelope(root(3), key(1))
        refused(TrustRootError, "root-version-gap", Release(roots=(ROOT_1, third)))

    def test_a_root_that_the_one_before_did_not_sign_breaks_the_chain(self) -> None:
        second = envelope(root(2, root_keys=(key(9),)), key(9))
        refused(TrustRootError, "root-chain-broken", Release(roots=(ROOT_1, second)))

    def test_a_root_that_does_not_sign_itself_is_below_its_threshold(self) -> None:
        second = envelope(root(2, root_keys=(key(9),)), key(1))
        refused(TrustRootError, "threshold-not-met", Release(roots=(ROOT_1, second)))

    def test_root_1_without_signatures_is_nothing(self) -> None:
        bare = envelope(root())
        refused(TrustRootError, "threshold-not-met", Release(roots=(bare,)))

    def test_a_root_of_another_authority_ends_the_chain(self) -> None:
        second = envelope(root(2, authority=OTHER), key(1))
        refused(TrustRootError, "authority-mismatch", Release(roots=(ROOT_1, second)))

    def test_a_root_that_calls_itself_another_authority_is_not_the_pinned_one(self) -> None:
        other = envelope(root(authority=OTHER), key(1))
        release = Release(roots=(other,))
        refused(TrustRootError, "authority-mismatch", release, known=anchor(other))

    def test_two_roots_of_one_number_are_a_fork(self) -> None:
        other = envelope(root(2, bundle_keys=(key(8),)), key(1))
        release = Release(roots=(ROOT_1, other), keys=(key(8),))
        error = refused(TrustRootError, "root-fork", release, known=anchor(ROOT_1, ROOT_2))
        assert "two different roots 2" in error.message

    def test_one_more_signature_on_a_root_is_no_fork(self) -> None:
        keys = (key(1), key(4))
        once, twice = (envelope(root(root_keys=keys), *some) for some in ((key(1),), keys))
        chain = verify_roots((twice,), anchor=anchor(once))
        assert chain.own.version == 1
        assert chain.envelopes == (twice,)

    def test_a_root_is_signed_by_nobody_but_its_keys_and_those_before(self) -> None:
        second = envelope(root(2), key(1), key(9))
        refused(FormatError, "signature-foreign", Release(roots=(ROOT_1, second)))


class TestKeys:
    def refused_root(self, kind: type[AirgapError], reason: str, document: object) -> None:
        first = envelope(document, key(1))  # type: ignore[arg-type]
        refused(kind, reason, Release(roots=(first,)))

    def test_a_weak_rsa_key_is_refused_when_it_is_loaded(self) -> None:
        weak = Key(rsa.generate_private_key(65537, 2048), "rsassa-pss-sha256")
        self.refused_root(TrustRootError, "key-weak", root(bundle_keys=(weak,)))

    def test_an_rsa_exponent_of_three_is_refused(self) -> None:
        weak = Key(rsa.generate_private_key(3, 3072), "rsassa-pss-sha256")
        self.refused_root(TrustRootError, "key-weak", root(bundle_keys=(weak,)))

    def test_an_id_is_computed_from_its_key(self) -> None:
        def rename(document: dict[str, dict[str, object]]) -> None:
            document["keys"]["0" * 64] = document["keys"][key(2).keyid]

        self.refused_root(FormatError, "keyid-wrong", changed(root(), rename))

    @pytest.mark.parametrize(
        ("kind", "public", "reason"),
        [
            ("ecdsa-sha2-nistp521", "x", "key-unsupported"),
            ("ed25519", "x", "key-unsupported"),
            ("ecdsa-sha2-nistp256", "x", "key-invalid"),
            (
                "ecdsa-sha2-nistp384",
                key(5, "p256").document["keyval"]["public"],
                "key-not-canonical",
            ),
            (
                "ecdsa-sha2-nistp256",
                key(5, "rsa").document["keyval"]["public"],
                "key-not-canonical",
            ),
            (
                "ecdsa-sha2-nistp256",
                key(5, "p256").document["keyval"]["public"] + "\n",
                "key-not-canonical",
            ),
            (
                "ecdsa-sha2-nistp256",
                ED25519_IN_PEM,
                "key-invalid",
            ),
        ],
    )
    def test_a_key_has_one_spelling(self, kind: str, public: str, reason: str) -> None:
        document = root()
        document["keys"]["0" * 64] = {
            "keytype": "ecdsa",
            "scheme": kind,
            "keyval": {"public": public},
        }
        self.refused_root(FormatError, reason, document)

    def test_an_ed25519_key_is_lower_case_hex(self) -> None:
        document = root()
        document["keys"][key(2).keyid]["keyval"]["public"] = "AB" * 32
        self.refused_root(FormatError, "key-not-canonical", document)
        document["keys"][key(2).keyid]["keyval"]["public"] = "zz" * 32
        self.refused_root(FormatError, "key-invalid", document)
