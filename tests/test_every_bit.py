"""Every bit of a bundle counts: flips, truncations and deletions, judged by the whole verifier.

The bundles are real ones, made by the exporter and signed by an authority: the smallest with a
body, and one without.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.reader import open_bundle
from airgap.ledger.pins import Pins
from airgap.oci.manifest import OCI_INDEX, Manifest
from airgap.stores import StoreOptions, open_store
from airgap.verification import Background, verify
from tests.bundle.mutations import sweep
from tests.journey import Journey, must
from tests.stores.samples import Sample, make_image, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARDS = 8
SMALLEST_WITH_BODY = 84_480
LARGEST_WITHOUT_BODY = 16_384
CREATED = "2026-11-22T00:00:00Z"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def pack(folder: Path, sample: Sample) -> tuple[Path, Journey]:
    """Export `sample` from a layout and return the bundle and what it stands on."""
    layout = folder / "layout"
    store = open_store("oci", str(layout), StoreOptions(side="destination"))
    put(store.repository("r.example/a"), sample, "1")
    store.close()
    journey = Journey.begin(folder, scheme="ed25519")
    return journey.export(f"oci:{layout}:r.example/a:1", "--created", CREATED), journey


def with_body() -> Sample:
    return make_image("smallest", layers=1, size=1)


def without_body() -> Sample:
    data = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % OCI_INDEX.encode()
    return Sample(manifest=Manifest.parse(data, OCI_INDEX))


def judge_of(journey: Journey) -> Callable[[Path], bool]:
    """Return the judge of a site that has pinned the authority and been told the code."""
    (pin,) = Pins(journey.state).all()
    background = Background(anchor=pin.anchor(), code=journey.codes[1])

    def judge(path: Path) -> bool:
        with open_bundle(path) as bundle:
            return verify(bundle, background, now=NOW).verdict.accepted

    return judge


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("make", [with_body, without_body])
def test_no_changed_bundle_is_accepted(
    tmp_path: Path, make: Callable[[], Sample], shard: int
) -> None:
    bundle, journey = pack(tmp_path, make())
    accepted = sweep(
        bundle.read_bytes(),
        judge_of(journey),
        path=tmp_path / "mutant.tar",
        shard=shard,
        shards=SHARDS,
    )
    assert accepted == []


def test_the_reference_bundles_are_as_small_as_they_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert pack(tmp_path / "one", with_body())[0].stat().st_size <= SMALLEST_WITH_BODY
    assert pack(tmp_path / "two", without_body())[0].stat().st_size <= LARGEST_WITHOUT_BODY


def test_a_changed_byte_of_every_kind_ends_in_a_verdict_of_the_command(tmp_path: Path) -> None:
    bundle, journey = pack(tmp_path, with_body())
    good = bundle.read_bytes()
    must("verify", bundle, "--state", journey.state, "--bootstrap", journey.codes[1])
    for offset in range(0, len(good), 4001):
        changed = bytearray(good)
        changed[offset] ^= 4
        bundle.write_bytes(changed)
        answer = journey.verify(bundle, "--bootstrap", journey.codes[1])
        assert answer.code in {3, 4, 6, 7}, offset
        assert answer.document["result"] == "rejected"
