"""A refresh is taken for its own bundle only, and changes nothing but an end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap.errors import AirgapError, FormatError, TrustRootError, WaitingError
from airgap.trust.profile import authenticate
from tests.simulators.authority import (
    DAY,
    NOW,
    OTHER,
    Key,
    Release,
    anchor,
    envelope,
    key,
    rfc8785,
    root,
    spell,
)

if TYPE_CHECKING:
    from airgap.trust.release import Release as Authentic

BUNDLE = Release(sequence=7, timestamp_version=9)


def refresh(*signers: Key, **changed: object) -> bytes:
    """Return a refresh of BUNDLE: version 10, 60 days longer; `changed` replaces fields."""
    document = {**BUNDLE.timestamp, "version": 10, "expires": spell(NOW + 90 * DAY), **changed}
    return envelope(document, *(signers or (key(2),)))


def judged(data: bytes | None, *known: bytes, bundle: Release = BUNDLE) -> Authentic:
    return authenticate(
        bundle.envelopes(),
        bundle.files,
        anchor=anchor(*(known or bundle.roots[:1])),
        claim=bundle.claim,
        refresh=data,
    )


def refused(kind: type[AirgapError], reason: str) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def test_only_the_end_of_the_timestamp_changes() -> None:
    plain, longer = judged(None), judged(refresh())
    assert longer.ends["tuf.timestamp"] == NOW + 90 * DAY
    timestamp = replace(longer.roles["timestamp"], expires=NOW + 30 * DAY)
    assert replace(longer, roles={**longer.roles, "timestamp": timestamp}) == plain


def test_it_may_shorten_a_life_as_well() -> None:
    soon = refresh(expires=spell(NOW + timedelta(hours=1)))
    assert judged(soon).ends["tuf.timestamp"] == NOW + timedelta(hours=1)


@pytest.mark.parametrize("version", [1, 8, 9])
def test_it_is_newer_than_the_bundles_own(version: int) -> None:
    with refused(TrustRootError, "refresh-not-newer"):
        judged(refresh(version=version))


@pytest.mark.parametrize(
    "changed",
    [
        {"meta": {"snapshot.json": {"version": 6}}},
        {"meta": {"snapshot.json": {"version": 8}}},
        {"x-airgap": {"authority": BUNDLE.authority, "stream": "test"}},
        {"x-airgap": {"authority": OTHER, "stream": "prod"}},
    ],
)
def test_it_is_of_this_bundle(changed: dict[str, object]) -> None:
    with refused(TrustRootError, "refresh-of-other-bundle"):
        judged(refresh(**changed))


def test_it_has_the_one_form() -> None:
    document = json.loads(refresh())
    with refused(FormatError, "metadata-not-canonical"):
        judged(json.dumps(document).encode())
    with refused(FormatError, "metadata-type-wrong"):
        judged(envelope(BUNDLE.snapshot, key(2)))
    with refused(FormatError, "field-unknown"):
        judged(refresh(more=1))


def test_it_is_signed_as_the_bundles_own_is() -> None:
    with refused(FormatError, "signature-foreign"):
        judged(refresh(key(5)))
    with refused(FormatError, "signature-foreign"):
        judged(refresh(key(2), key(5)))
    with refused(TrustRootError, "threshold-not-met"):
        judged(rfc8785({**json.loads(refresh()), "signatures": []}))
    wrong = json.loads(refresh())
    wrong["signatures"][0]["sig"] = key(2).sign(b"something else").hex()
    with refused(TrustRootError, "signature-invalid"):
        judged(rfc8785(wrong))


def test_it_does_not_make_up_for_a_timestamp_that_is_not_signed() -> None:
    envelopes = BUNDLE.envelopes(timestamp=envelope(BUNDLE.timestamp, key(5)))
    with refused(FormatError, "signature-foreign"):
        authenticate(
            envelopes, BUNDLE.files, anchor=anchor(), claim=BUNDLE.claim, refresh=refresh()
        )


def test_below_its_threshold_it_waits() -> None:
    two = envelope(root(bundle_keys=(key(2), key(3)), bundle_threshold=2), key(1))
    bundle = Release(sequence=7, timestamp_version=9, keys=(key(2), key(3)), roots=(two,))
    with refused(WaitingError, "threshold-not-met"):
        judged(refresh(key(2)), bundle=bundle)
    assert judged(refresh(key(2), key(3)), bundle=bundle).ends["tuf.timestamp"] == NOW + 90 * DAY


def test_a_key_that_a_newer_root_dropped_refreshes_nothing() -> None:
    """The bundle has two timestamp keys; the site knows that one of them is gone."""
    first = envelope(root(bundle_keys=(key(2), key(3))), key(1))
    second = envelope(root(2, bundle_keys=(key(2),)), key(1))
    bundle = Release(sequence=7, timestamp_version=9, roots=(first,))
    judged(refresh(key(2)), first, second, bundle=bundle)
    with refused(TrustRootError, "signed-by-dropped-key"):
        judged(refresh(key(3)), first, second, bundle=bundle)
