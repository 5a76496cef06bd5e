"""Every bit of a bundle is pinned by the reader alone, once inventory and TUF files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap.bundle.reader import open_bundle
from tests.bundle import samples
from tests.bundle.mutations import sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARDS = 8


def judge_of(path: Path) -> Callable[[Path], bool]:
    """Return a judge that knows the inventory and the TUF files, as signatures would."""
    with open_bundle(path) as bundle:
        pinned = bundle.inventory_bytes, bundle.trust

    def judge(mutant: Path) -> bool:
        with open_bundle(mutant) as bundle:
            bundle.survey()
            bundle.verify_blobs()
            return (bundle.inventory_bytes, bundle.trust) == pinned

    return judge


@pytest.mark.parametrize("shard", range(SHARDS))
# The smallest bundle with a body is swept under the whole verifier: tests/test_every_bit.py.
@pytest.mark.parametrize("name", ["bodiless"])
def test_no_flip_cut_or_deletion_is_accepted(tmp_path: Path, name: str, shard: int) -> None:
    recipe: samples.Recipe = getattr(samples, name)()
    good = recipe.pack(tmp_path / "good.tar")
    judge = judge_of(good)
    mutant = tmp_path / "mutant.tar"
    assert sweep(good.read_bytes(), judge, path=mutant, shard=shard, shards=SHARDS) == []


def test_the_sweep_finds_what_a_lenient_judge_lets_through(tmp_path: Path) -> None:
    data = b"ab" * 3 + b" comment=" + b" " * 2000 + b"\n"
    found = sweep(
        data,
        lambda path: path.read_bytes()[6:] == data[6:],
        path=tmp_path / "file",
    )
    assert found == [f"bit {bit} of byte {n} flipped" for n in range(6) for bit in range(8)]


def test_the_sweep_says_which_mutant_broke_the_judge(tmp_path: Path) -> None:
    def judge(path: Path) -> bool:
        return b"abc".index(path.read_bytes()) == 0

    with pytest.raises(ValueError, match="not found") as caught:
        sweep(b"abc", judge, path=tmp_path / "file")
    assert caught.value.__notes__ == ["mutant: bit 0 of byte 0 flipped"]
