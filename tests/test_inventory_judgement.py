"""What an inventory may say beyond content: judged where this release can, refused where not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap.bundle.inventory import Inventory, Omitted
from airgap.composition import compose_inventory
from airgap.oci.digest import Digest
from airgap.stores import StoreOptions, open_store
from tests.journey import Journey
from tests.stores.samples import make_image, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    store = open_store("oci", str(tmp_path / "layout"), StoreOptions(side="destination"))
    put(store.repository("r.example/app"), make_image("app"), "1")
    store.close()
    return Journey.begin(tmp_path)


def export_saying(
    journey: Journey, monkeypatch: pytest.MonkeyPatch, change: Callable[[Inventory], Inventory]
) -> Path:
    """Export a bundle, really signed, whose inventory was changed."""

    def composed(images: Any, place: Any, *, created: Any) -> Inventory:  # noqa: ANN401 - passed on
        return change(compose_inventory(images, place, created=created))

    monkeypatch.setattr("airgap.export_plan.compose_inventory", composed)
    return journey.export(f"oci:{journey.folder}/layout:r.example/app:1")


def test_a_bundle_for_other_sites_is_refused(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = export_saying(
        journey, monkeypatch, lambda it: replace(it, audience=("site-17", "site-4"))
    )
    refused = journey.load(bundle, "--bootstrap", journey.codes[1])
    assert (refused.code, refused.reasons) == (3, {"audience-mismatch"})
    (journey.state / "policy.yaml").write_text("version: 1\nsite: site-9\n")
    refused = journey.load(bundle, "--bootstrap", journey.codes[1])
    assert (refused.code, refused.reasons) == (3, {"audience-mismatch"})
    (journey.state / "policy.yaml").write_text("version: 1\nsite: site-17\n")
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0


def test_withdrawals_cannot_be_carried_out_yet_and_are_not_ignored(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = export_saying(
        journey, monkeypatch, lambda it: replace(it, withdrawn=(Digest.of(b"bad release"),))
    )
    refused = journey.load(bundle, "--bootstrap", journey.codes[1])
    assert (refused.code, refused.reasons) == (4, {"inventory-not-supported-yet"})


def test_an_incremental_bundle_cannot_be_loaded_yet(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = journey.export(f"oci:{journey.folder}/layout:r.example/app:1")
    assert journey.load(first, "--bootstrap", journey.codes[1]).code == 0
    layer = make_image("app").manifest.layers[0]
    gone = (Omitted(digest=layer.digest, size=layer.size),)
    second = export_saying(
        journey, monkeypatch, lambda it: replace(it, base=it.previous, omitted=gone)
    )
    refused = journey.load(second)
    assert (refused.code, refused.reasons) == (4, {"inventory-not-supported-yet"})
