from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.fingerprint import (
    bootstrap_code,
    fingerprint,
    parse_code,
    parse_fingerprint,
    short_form,
)
from tests.simulators.authority import crockford, envelope, fingerprint_of, key, olpc, root

GOOD = fingerprint(b"signed")


def test_it_is_the_first_130_bits_in_crockford_and_two_check_characters() -> None:
    body = crockford(hashlib.sha256(b"signed").digest(), 26)
    check = crockford(hashlib.sha256(body.encode()).digest(), 2)
    assert GOOD.replace("-", "") == body + check
    assert [len(group) for group in GOOD.split("-")] == [4] * 7


def test_an_independent_computation_over_root_1_agrees() -> None:
    assert fingerprint(olpc(root())) == fingerprint_of(envelope(root(), key(1)))


@given(st.binary(max_size=64), st.randoms(use_true_random=False))
def test_what_a_person_types_is_understood(data: bytes, random: object) -> None:
    text = fingerprint(data)
    choose = random.choice  # type: ignore[attr-defined]
    typed = "".join(
        choose({"0": "0oO", "1": "1iIlL", "-": ["-", " ", "", " - "]}.get(c, [c, c.lower()]))
        for c in text
    )
    assert parse_fingerprint(f"  {typed} ") == text


@given(st.integers(0, 27), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_is_nearly_always_noticed(place: int, other: str) -> None:
    plain = GOOD.replace("-", "")
    wrong = plain[:place] + other + plain[place + 1 :]
    body, check = wrong[:26], wrong[26:]
    if crockford(hashlib.sha256(body.encode()).digest(), 2) == check:
        return
    with pytest.raises(UsageError, match="not a fingerprint") as caught:
        parse_fingerprint(wrong)
    assert caught.value.reason == "fingerprint-mistyped"


@pytest.mark.parametrize("text", ["", "4T8K", GOOD + "0", GOOD[:-1], "U" * 28, "é" * 28, "ß" * 28])
def test_what_is_no_fingerprint_is_mistyped(text: str) -> None:
    with pytest.raises(UsageError, match="not a fingerprint") as caught:
        parse_fingerprint(text)
    assert caught.value.reason == "fingerprint-mistyped"


def test_a_code_is_the_number_and_40_bits_of_the_digest() -> None:
    digest = Digest.of(b"inventory")
    digits = crockford(bytes.fromhex(digest.hex), 8)
    assert bootstrap_code(17, digest) == f"17:{digits[:4]}-{digits[4:]}"


@given(st.integers(1, 10**15), st.binary(max_size=8))
def test_codes_are_understood_as_people_type_them(number: int, data: bytes) -> None:
    code = bootstrap_code(number, Digest.of(data))
    assert parse_code(code) == code
    typed = code.lower().replace("0", "o").replace("1", "l").replace("-", " ").replace(":", " : ")
    assert parse_code(f" {typed} ") == code


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "8FQ2-T6MD", "0:8FQ2-T6MD", "1:8FQ2-T6M", "1:8FQ2-T6MDX", "1:8FQU-T6MD"]
)
def test_what_is_no_code_is_mistyped(text: str) -> None:
    with pytest.raises(UsageError, match="not a bootstrap code") as caught:
        parse_code(text)
    assert caught.value.reason == "bootstrap-code-mistyped"


def test_the_short_form_of_a_receipt_has_26_characters() -> None:
    assert short_form(b"receipt").replace("-", "") == crockford(
        hashlib.sha256(b"receipt").digest(), 26
    )
