"""Every single-bit flip, every truncation, every single-byte deletion of a file.

`sweep` makes them one after the other in one file, in place, and asks a judge about each. Within
the spaces of the first pad every 64th byte is enough. Work is cut into shards, so that a test can
be parametrised over them:

    @pytest.mark.parametrize("shard", range(SHARDS))
    def test_every_bit(tmp_path, shard):
        assert sweep(data, judge, path=tmp_path / "b.tar", shard=shard, shards=SHARDS) == []
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from airgap.errors import AirgapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PAD_STEP = 64
_SPACES = re.compile(rb" comment=( {1024,})\n")


def sweep(
    data: bytes,
    judge: Callable[[Path], bool],
    *,
    path: Path,
    shard: int = 0,
    shards: int = 1,
) -> list[str]:
    """Return what was done to those mutants of `data` that `judge` accepted: none, if all is well.

    `judge` opens `path`, anew each time, and returns whether it accepts what is there, or raises
    AirgapError; any other exception says which mutant caused it and goes through.
    """
    offsets = [*_offsets(data)][shard::shards]
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDWR)
    try:
        accepted = [
            mutant
            for mutants in (_flips, _deletions, _truncations)
            for mutant in mutants(data, offsets, descriptor)
            if _accepts(judge, path, mutant)
        ]
        # The judge knows the original: it is not one that refuses everything.
        _restore(data, descriptor)
        assert judge(path)
    finally:
        os.close(descriptor)
    return accepted


def _accepts(judge: Callable[[Path], bool], path: Path, mutant: str) -> bool:
    try:
        return judge(path)
    except AirgapError:
        return False
    except BaseException as error:
        error.add_note(f"mutant: {mutant}")
        raise


def _offsets(data: bytes) -> Iterator[int]:
    match = _SPACES.search(data)
    start, end = match.span(1) if match else (0, 0)
    for offset in range(len(data)):
        if not start < offset < end - 1 or offset % _PAD_STEP == 0:
            yield offset


def _flips(data: bytes, offsets: list[int], descriptor: int) -> Iterator[str]:
    for offset in offsets:
        for bit in range(8):
            os.pwrite(descriptor, bytes([data[offset] ^ 1 << bit]), offset)
            yield f"bit {bit} of byte {offset} flipped"
        os.pwrite(descriptor, data[offset : offset + 1], offset)


def _deletions(data: bytes, offsets: list[int], descriptor: int) -> Iterator[str]:
    # Without byte n, and then without byte n+1: the two files differ in byte n alone.
    chosen = frozenset(offsets)
    _restore(data[1:], descriptor)
    for offset in range(len(data)):
        # Of a run of equal bytes it does not matter which one goes.
        if offset in chosen and (offset == 0 or data[offset] != data[offset - 1]):
            yield f"byte {offset} deleted"
        os.pwrite(descriptor, data[offset : offset + 1][: len(data) - 1 - offset], offset)


def _truncations(data: bytes, offsets: list[int], descriptor: int) -> Iterator[str]:
    _restore(data, descriptor)
    for size in reversed(offsets):
        os.ftruncate(descriptor, size)
        yield f"cut to {size} bytes"


def _restore(data: bytes, descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
