from __future__ import annotations

import io
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import IntegrityError
from airgap.oci.descriptor import Descriptor, VerifyingReader
from airgap.oci.digest import Digest

_SIZES = st.lists(st.integers(-1, 40) | st.just(1 << 20), min_size=1, max_size=60)


def _descriptor(content: bytes) -> Descriptor:
    return Descriptor(
        media_type="application/octet-stream", digest=Digest.of(content), size=len(content)
    )


def _drain(reader: VerifyingReader, sizes: list[int], *, filling: bool = False) -> bytes:
    """Read with these sizes, again and again, until the end; a size of 0 is no end."""
    parts = []
    buffer = memoryview(bytearray(64))
    while filling:
        for size in [*(abs(size) % 65 for size in sizes), 7]:
            count = reader.readinto(buffer[:size])
            parts.append(bytes(buffer[:count]))
            if not count and size != 0:
                return b"".join(parts)
    while True:
        for size in [*sizes, 7]:
            part = reader.read(size)
            parts.append(part)
            if not part and size != 0:
                return b"".join(parts)


class _Trickle(io.BytesIO):
    """A stream that gives less than it is asked for, as sockets do."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size) if size and size > 0 else size)


class _Plain:
    """A stream that fills no buffer."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)


_STREAMS = st.sampled_from([io.BytesIO, _Trickle, _Plain])


@given(st.binary(max_size=100), _SIZES, _STREAMS, st.booleans())
def test_the_right_bytes_come_through_whatever_is_asked_for(
    content: bytes, sizes: list[int], stream: type[_Plain], filling: bool
) -> None:
    reader = VerifyingReader(stream(content), _descriptor(content))
    assert _drain(reader, sizes, filling=filling) == content
    assert reader.read() == reader.read(5) == b""
    assert reader.readinto(memoryview(bytearray(5))) == 0


@given(st.binary(max_size=100), _SIZES, st.data(), _STREAMS, st.booleans())
def test_other_bytes_never_come_through(
    content: bytes, sizes: list[int], draw: st.DataObject, stream: type[_Plain], filling: bool
) -> None:
    other = draw.draw(
        st.binary(max_size=120)
        | st.integers(0, len(content)).map(lambda cut: content[:cut])
        | st.binary(min_size=1, max_size=9).map(lambda more: content + more)
        | st.integers(0, max(8 * len(content) - 1, 0)).map(lambda bit: _flip(content, bit))
    )
    reader = VerifyingReader(stream(other), _descriptor(content))
    if other == content:
        assert _drain(reader, sizes, filling=filling) == content
        return
    with pytest.raises(IntegrityError) as caught:
        _drain(reader, sizes, filling=filling)
    assert caught.value.reason in {"descriptor-size-mismatch", "blob-digest-mismatch"}
    with pytest.raises(IntegrityError):  # and it stays so
        reader.read()


def _flip(content: bytes, bit: int) -> bytes:
    if not content:
        return b"\0"
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_size_is_judged_before_digest() -> None:
    # image-spec, descriptor.md: "Before calculating the digest, the size SHOULD be verified"
    content = b"right"
    name = str(Digest.of(content))
    for other, message in [
        (b"wrong bytes", f"{name} is longer than its 5 bytes"),
        (b"shor", f"{name} ended after 4 of 5 bytes"),
        (b"", f"{name} ended after 0 of 5 bytes"),
    ]:
        with pytest.raises(IntegrityError) as caught:  # A055
            VerifyingReader(io.BytesIO(other), _descriptor(content)).read()
        assert caught.value.reason == "descriptor-size-mismatch"
        assert caught.value.message == message


def test_errors_name_the_content_as_the_caller_does() -> None:
    reader = VerifyingReader(io.BytesIO(b"wrong"), _descriptor(b"right"), "layer 3 of app:1.4")
    with pytest.raises(IntegrityError) as caught:
        reader.read()
    assert caught.value.reason == "blob-digest-mismatch"
    assert caught.value.message == (
        "layer 3 of app:1.4 does not have the bytes that its digest names"
    )


def test_whoever_reads_exactly_the_size_has_been_told() -> None:
    reader = VerifyingReader(io.BytesIO(b"wrong"), _descriptor(b"right"))
    assert reader.read(4) == b"wron"
    with pytest.raises(IntegrityError):  # the last byte is not given out
        reader.read(1)


def test_no_more_than_one_byte_too_many_is_ever_asked_for() -> None:
    asked: list[int] = []

    class Endless:
        def read(self, size: int = -1, /) -> bytes:
            asked.append(size)
            return b"x" * size

    reader = VerifyingReader(Endless(), _descriptor(b"x" * 10))
    assert reader.read(4) == b"xxxx"
    for _ in range(3):
        with pytest.raises(IntegrityError, match="is longer than its 10 bytes"):  # A102
            reader.read()
    assert asked == [4, 7, 1, 1]


def test_a_stream_that_gives_more_than_it_was_asked_for_is_found_out() -> None:
    class Generous:
        def read(self, size: int = -1, /) -> bytes:
            return b"right and more"

    with pytest.raises(IntegrityError, match="is longer than its 5 bytes"):
        VerifyingReader(Generous(), _descriptor(b"right")).read(5)


def test_it_copies_as_files_do() -> None:
    content = bytes(range(256)) * 5000
    out = io.BytesIO()
    shutil.copyfileobj(VerifyingReader(io.BytesIO(content), _descriptor(content)), out)
    assert out.getvalue() == content
