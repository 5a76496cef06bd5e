"""Every flipped bit of every envelope, and any value in any place."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Targets

from airgap.errors import AirgapError, ContentError, FormatError, TrustRootError, WaitingError
from airgap.trust.envelope import ROLES, canonical, read_envelope, write_envelope
from airgap.trust.profile import authenticate
from tests.simulators.authority import Release, anchor, envelope, key, rfc8785, root

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.trust.envelope import Envelopes


ROOT_1 = envelope(root(), key(1))


def judge(release: Release, envelopes: Envelopes) -> None:
    authenticate(envelopes, release.files, anchor=anchor(ROOT_1), claim=release.claim)


def refused(reason: str, release: Release, envelopes: Envelopes) -> AirgapError:
    with pytest.raises(AirgapError) as caught:
        judge(release, envelopes)
    assert caught.value.reason == reason
    return caught.value


class TestSpellingOfSignatures:
    def ecdsa(self) -> tuple[Release, dict[str, Any], bytes]:
        signer = key(2, "p256")
        first = envelope(root(bundle_keys=(signer,)), key(1))
        release = Release(roots=(first,), keys=(signer,))
        document = json.loads(envelope(release.targets, signer))
        return release, document, bytes.fromhex(document["signatures"][0]["sig"])

    def refused(self, reason: str, spell: Callable[[bytes], bytes]) -> None:
        release, document, signature = self.ecdsa()
        document["signatures"][0]["sig"] = spell(signature).hex()
        with pytest.raises(FormatError) as caught:
            authenticate(
                release.envelopes(targets=rfc8785(document)),
                release.files,
                anchor=anchor(release.roots[0]),
                claim=release.claim,
            )
        assert caught.value.reason == reason

    def test_ecdsa_with_a_needless_zero(self) -> None:
        def pad(signature: bytes) -> bytes:
            r, s = decode_dss_signature(signature)
            first = b"\0\0" + r.to_bytes(32, "big")
            second = b"\0" + s.to_bytes(32, "big")
            body = b"\x02" + bytes([len(first)]) + first + b"\x02" + bytes([len(second)]) + second
            return b"\x30" + bytes([len(body)]) + body

        self.refused("signature-not-canonical", pad)

    def test_ecdsa_with_bytes_behind_it(self) -> None:
        self.refused("signature-not-canonical", lambda signature: signature + b"\0")

    def test_ecdsa_that_is_no_der(self) -> None:
        self.refused("signature-not-canonical", lambda _: b"\x30\x80")

    def test_ed25519_of_another_length(self) -> None:
        release = Release()
        document = json.loads(envelope(release.targets, key(2)))
        document["signatures"][0]["sig"] += "00"
        refused("signature-not-canonical", release, release.envelopes(targets=rfc8785(document)))


class TestEveryBit:
    """Every flipped bit of every envelope ends in one of our errors: 4 for form, 6 for trust."""

    @pytest.mark.parametrize(
        ("role", "kind"),
        [
            ("targets", "p256"),
            ("snapshot", "ed25519"),
            ("timestamp", "ed25519"),
            ("root", "p256"),
            ("root", "ed25519"),
        ],
    )
    def test_flips(self, role: str, kind: str) -> None:
        root_key, bundle_key = key(1, kind), key(2, kind)
        first = envelope(root(root_keys=(root_key,), bundle_keys=(bundle_key,)), root_key)
        release = Release(roots=(first,), keys=(bundle_key,))
        good = release.envelopes()
        known = anchor(first)
        data = first if role == "root" else getattr(good, role)
        outcomes = set()
        for place in range(len(data)):
            for bit in range(8):
                wrong = bytearray(data)
                wrong[place] ^= 1 << bit
                flipped = bytes(wrong)
                if role == "root":
                    broken = Release(roots=(flipped,), keys=()).envelopes(
                        timestamp=good.timestamp, snapshot=good.snapshot, targets=good.targets
                    )
                else:
                    broken = release.envelopes(
                        **{
                            "timestamp": good.timestamp,
                            "snapshot": good.snapshot,
                            "targets": good.targets,
                            role: flipped,
                        }
                    )
                with pytest.raises(AirgapError) as caught:
                    authenticate(broken, release.files, anchor=known, claim=release.claim)
                outcomes.add(caught.value.exit_code)
        assert outcomes == {4, 6}

    def test_truncations_and_additions(self) -> None:
        release = Release()
        data = release.envelopes().targets
        for end in range(len(data)):
            with pytest.raises(FormatError):
                judge(release, release.envelopes(targets=data[:end]))
        with pytest.raises(FormatError):
            judge(release, release.envelopes(targets=data + b"\0"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, bytes]:
    """Put any JSON value in any place of any document."""
    role = draw(st.sampled_from(ROLES))
    signed = root() if role == "root" else getattr(Release(), role)
    holders = [signed]
    for holder in holders:
        holders += [value for value in holder.values() if isinstance(value, dict)]
    holder = draw(st.sampled_from(holders))
    holder[draw(st.sampled_from(sorted(holder)))] = draw(JSON)
    return role, envelope(signed, key(1) if role == "root" else key(2))


@given(mangled())
@settings(max_examples=300, deadline=None)
def test_nothing_but_our_errors_gets_out(case: tuple[str, bytes]) -> None:
    role, data = case
    release = Release(roots=(data,)) if role == "root" else Release()
    envelopes = release.envelopes() if role == "root" else release.envelopes(**{role: data})
    with contextlib.suppress(ContentError, TrustRootError, WaitingError):
        judge(release, envelopes)


@pytest.mark.parametrize("role", ROLES)
def test_what_we_hold_signed_is_what_python_tuf_holds_signed(role: str) -> None:
    data = ROOT_1 if role == "root" else getattr(Release().envelopes(), role)
    read = read_envelope(data, role)
    theirs: Metadata[Targets] = Metadata.from_bytes(data)
    assert read.payload == theirs.signed_bytes == canonical(json.loads(data)["signed"])
    assert read.expires == theirs.signed.expires
    assert write_envelope(read.signed.value, reversed(read.signatures)) == data
