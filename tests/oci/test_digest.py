from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import FormatError
from airgap.oci.digest import BLOB_FOLDER, Digest

HEX = "0123456789abcdef" * 4


def test_a_digest_spells_itself_and_its_places() -> None:
    digest = Digest.parse(f"sha256:{HEX}")
    assert digest.hex == HEX
    assert str(digest) == f"sha256:{HEX}"
    assert digest.blob_path == f"blobs/sha256/{HEX}" == BLOB_FOLDER + HEX
    assert digest.tag_stem == f"sha256-{HEX}"
    assert digest.short == "sha256:0123456789ab…"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        HEX,
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:{HEX[:-1]}/",
        f"sha256:../../{HEX[6:]}",
        f"sha256:{HEX[:-1]}\uff10",  # a full-width 0
        f"sha512:{HEX}{HEX}",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        f"sha256+b64:{HEX}",
        f"sha256:sha256:{HEX}",
        None,
        7,
        True,
        [f"sha256:{HEX}"],
        {"sha256": HEX},
    ],
)
def test_anything_else_is_refused_with_its_path(text: object) -> None:
    with pytest.raises(FormatError) as caught:  # A056, A057
        Digest.parse(text, "layers[3].digest")
    assert caught.value.reason == "digest-invalid"
    assert caught.value.message.startswith(
        "expected sha256: and 64 lower-case hex digits in layers[3].digest, got "
    )


@pytest.mark.parametrize(
    "text", ["", "../../../etc/passwd", HEX.upper(), f"{HEX}\n", f"sha256:{HEX}"]
)
def test_a_digest_in_hand_is_always_safe_as_a_file_name(text: str) -> None:
    with pytest.raises(FormatError) as caught:  # A057: not even the constructor makes another
        Digest(text)
    assert caught.value.reason == "digest-invalid"
    assert caught.value.message.startswith("expected 64 lower-case hex digits, got ")


@given(st.binary(max_size=100))
def test_the_digest_of_bytes_is_sha256_and_parses_back(content: bytes) -> None:
    digest = Digest.of(content)
    assert digest.hex == hashlib.sha256(content).hexdigest()
    assert Digest.parse(str(digest)) == digest


def test_digests_sort_as_their_text_does() -> None:
    digests = [Digest.of(bytes([number])) for number in range(20)]
    assert [str(digest) for digest in sorted(digests)] == sorted(map(str, digests))
