"""What a bundle says it holds, as a tree and as JSON; nothing of it is believed or obeyed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from airgap.contents import describe_bundle
from airgap.errors import ContentError
from airgap.oci.manifest import OCI_INDEX, Manifest
from airgap.stores import StoreOptions, open_store
from tests.freight import NAME, Freight, write_layout
from tests.journey import Journey, flip, run
from tests.stores.samples import Sample, make_artifact, make_image, put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path, pin=False)


def index_of(*children: Sample, times: int = 1, os: str = "linux") -> Sample:
    entries = [
        {**child.descriptor.to_json(), "platform": {"os": os, "architecture": "amd64"}}
        for child in children
        for _ in range(times)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    manifest = Manifest.parse(json.dumps(document).encode(), OCI_INDEX)
    return Sample(manifest=manifest, children=children)


def bundle_of(journey: Journey, sample: Sample, *more: Sample) -> Path:
    store = open_store("oci", str(journey.folder / "made"), StoreOptions(side="destination"))
    put(store.repository(NAME), sample, "1")
    for one in more:
        put(store.repository(NAME), one)
    return journey.export(f"oci:{journey.folder}/made:{NAME}:1")


def test_the_tree_has_everything(journey: Journey, tmp_path: Path) -> None:
    freight = Freight.make("contents")
    contents = describe_bundle(journey.export(write_layout(tmp_path / "layout", freight)))
    (image,) = contents.images
    assert (image.source, image.names, image.title) == (NAME, (f"{NAME}:1.4",), f"{NAME}:1.4")
    assert contents.manifests == 3 + 3
    labels = [child.label for child in image.node.children]
    assert labels[:2] == ["linux/amd64", "linux/arm64"]
    assert any(label.startswith("application/vnd.example.sbom (api) of ") for label in labels)
    assert any("(sig) of" in label for label in labels)
    text = json.dumps(contents.to_json())
    for sample in freight.all:
        for part in sample.everything():
            assert str(part.digest) in text
            assert all(str(blob.digest) in text for blob in part.blobs)


def test_only_the_platforms_that_travel_are_shown(journey: Journey, tmp_path: Path) -> None:
    freight = Freight.make("contents")
    layout = write_layout(tmp_path / "layout", freight)
    bundle = journey.export(layout, "--platform", "linux/arm64", "--no-referrers")
    (image,) = describe_bundle(bundle).images
    assert [child.label for child in image.node.children] == ["linux/arm64"]


def test_a_few_indexes_that_unfold_without_end_are_shown_once(journey: Journey) -> None:
    """Three indexes that each list the next 1000 times: 1,000,000,000 lines, if one let them."""
    top = make_image("bomb", layers=1, size=10)
    for _ in range(3):
        top = index_of(top, times=1000)
    bundle = bundle_of(journey, top)
    began = time.monotonic()
    contents = describe_bundle(bundle)
    assert len(contents.images[0].lines) < 10_000
    assert "linux/amd64 (shown above)" in {
        child.label for child in contents.images[0].node.children
    }
    assert time.monotonic() - began < 10


def test_what_strangers_wrote_moves_no_cursor_and_makes_no_line(journey: Journey) -> None:
    nasty = "li\nACCEPTED  everything\x1b[2J\u202e\x9b1m\u3164"
    image = make_image("nasty", layers=1, size=10)
    artifact = make_artifact(b"x", subject=image.manifest, kind="application/vnd.example")
    document = json.loads(artifact.manifest.data)
    document["annotations"] = {nasty: nasty}
    artifact = Sample(manifest=Manifest.parse(json.dumps(document).encode()), blobs=artifact.blobs)
    top = index_of(image, os=nasty)
    bundle = bundle_of(journey, top, artifact)
    for form in ("text", "json"):
        answer = run("inspect", bundle, "--format", form)
        assert answer.code == 0
        assert not set(answer.out) & {"\x1b", "\u202e", "\x9b", "\u3164"}
        assert "\nACCEPTED" not in answer.out
        assert "ACCEPTED  everything" in answer.out
    labels = [
        child["label"]
        for child in run("inspect", bundle, "--format", "json").document["images"][0]["tree"][
            "children"
        ]
    ]
    assert f"{nasty}/amd64" in labels, "in JSON the value is what it was, only spelled otherwise"


def test_a_damaged_bundle_is_refused_here_too(journey: Journey, tmp_path: Path) -> None:
    bundle = journey.export(write_layout(tmp_path / "layout", Freight.make("contents")))
    flip(bundle, 600)
    with pytest.raises(ContentError):
        describe_bundle(bundle)
    answer = run("inspect", bundle, "--format", "json")
    assert (answer.code, answer.out) == (4, "")
    assert answer.error["hint"]
