"""The main job, end to end, with real registries and a real client. This test stays for ever."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from airgap.oci.manifest import Manifest
from airgap.stores import StoreOptions, open_store
from tests.conftest import find_tool
from tests.journey import Journey, flip, open_registry_store, running_registry
from tests.simulators.registry_process import DEBIAN
from tests.stores.samples import Sample, make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.registry_process import RegistryProcess


@pytest.fixture
def source(tmp_path: Path) -> Iterator[RegistryProcess]:
    with running_registry(DEBIAN, tmp_path / "source") as registry:
        yield registry


@pytest.fixture
def target(tmp_path: Path) -> Iterator[RegistryProcess]:
    with running_registry(DEBIAN, tmp_path / "target") as registry:
        yield registry


def signature_of(image: Sample) -> Sample:
    """Return an image as cosign stores a signature, whatever it says."""
    return make_image(f"signature of {image.digest}", layers=1, size=200)


def push(registry: RegistryProcess, tmp_path: Path, seed: str) -> tuple[Sample, Sample, Sample]:
    """Push a two-platform image with a referrer and a `.sig` tag; return all three."""
    image = make_index(
        make_image(f"{seed} amd64"), make_image(f"{seed} arm64", architecture="arm64")
    )
    sbom = make_artifact(f"sbom of {seed}".encode(), subject=image.manifest)
    signature = signature_of(image)
    store = open_registry_store(registry, tmp_path)
    repository = store.repository("prod/app")
    put(repository, image, "1.4")
    put(repository, sbom)
    put(repository, signature, f"{image.digest.tag_stem}.sig")
    store.close()
    return image, sbom, signature


def inspect(registry: RegistryProcess, reference: str) -> str:
    """Return the digest that skopeo computes from what the registry serves."""
    raw = subprocess.run(
        [find_tool("skopeo"), "inspect", "--raw", "--tls-verify=false",
         f"docker://{registry.host}/{reference}"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    return str(Manifest.parse(raw).digest)


def test_an_image_crosses_the_gap(
    tmp_path: Path, source: RegistryProcess, target: RegistryProcess
) -> None:
    image, sbom, signature = push(source, tmp_path, "first")
    journey = Journey.begin(tmp_path)
    name = f"{source.host}/prod/app:1.4"
    insecure = ("--insecure-http", source.host)
    one = journey.export(name, *insecure)
    changed, _, _ = push(source, tmp_path, "second")
    two = journey.export(name, *insecure)
    to = ("--to", f"docker://{target.host}/mirror", "--insecure-http", target.host)
    place = f"mirror/{source.host.replace(':', '__')}/prod/app"

    # Verified, then imported, into a registry that had nothing.
    code = ("--bootstrap", journey.codes[1])
    assert journey.verify(one, *code).code == 0
    loaded = journey.load(one, *to, *code)
    assert loaded.code == 0, loaded.out
    assert inspect(target, f"{place}:1.4") == str(image.digest)
    assert inspect(target, f"{place}:{image.digest.tag_stem}.sig") == str(signature.digest)
    store = open_registry_store(target, tmp_path)
    (referrer,) = store.repository(place).referrers(image.digest)
    assert referrer.descriptor.digest == sbom.digest
    for child in image.manifest.manifests:
        assert store.repository(place).read_manifest(child).digest == child.digest
    store.close()
    receipt = json.loads((tmp_path / "state" / "receipts" / "prod-1.json").read_text())
    assert receipt["result"] == "accepted"

    # The same bundle again is nothing to do; the next one follows; the older one is a replay.
    again = journey.load(one, *to)
    assert (again.code, again.document["alreadyCurrent"]) == (0, True)
    assert journey.load(two, *to).code == 0
    assert inspect(target, f"{place}:1.4") == str(changed.digest)
    older = journey.load(one, *to)
    assert (older.code, older.reasons) == (7, {"replay"})
    assert inspect(target, f"{place}:1.4") == str(changed.digest)


def test_one_flipped_bit_is_refused_and_writes_nothing(
    tmp_path: Path, source: RegistryProcess, target: RegistryProcess
) -> None:
    push(source, tmp_path, "flipped")
    journey = Journey.begin(tmp_path)
    bundle = journey.export(f"{source.host}/prod/app:1.4", "--insecure-http", source.host)
    damaged = tmp_path / "damaged.tar"
    shutil.copy(bundle, damaged)
    flip(damaged, damaged.stat().st_size - 1600)
    refused = journey.load(
        damaged, "--to", f"docker://{target.host}/mirror", "--insecure-http", target.host,
        "--bootstrap", journey.codes[1],
    )  # fmt: skip
    assert (refused.code, refused.reasons) == (4, {"blob-digest-mismatch"})
    assert not (target.storage / "docker" / "registry" / "v2" / "repositories").exists()
    assert not (tmp_path / "state" / "receipts").exists()
    assert journey.verify(bundle, "--bootstrap", journey.codes[1]).code == 0


def test_a_fork_and_a_gap_stop(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path)
    layout = tmp_path / "layout"
    _write_layout(layout, "one")
    twin = tmp_path / "twin"
    one = journey.export(f"oci:{layout}:registry.example/app:1")
    shutil.copytree(journey.authority, twin)
    two = journey.export(f"oci:{layout}:registry.example/app:1")
    for number in (3, 4):
        journey.export(f"oci:{layout}:registry.example/app:1", name=f"prod-{number}.tar")
    # The same keys on another machine give number 2 to something else.
    _write_layout(layout, "other")
    journey.folder.joinpath("acme").rename(tmp_path / "kept")
    twin.rename(journey.authority)
    forged = journey.export(f"oci:{layout}:registry.example/app:1", name="forged.tar")

    assert journey.load(one, "--bootstrap", journey.codes[1]).code == 0
    assert journey.load(two).code == 0
    fork = journey.load(forged)
    assert (fork.code, fork.reasons) == (7, {"fork"})
    healed = journey.load(tmp_path / "prod-4.tar")
    assert healed.code == 0
    said = {f["reason"]: f["outcome"] for f in healed.document["findings"]}
    assert said["gap-healed"] == "warn"


def test_a_gap_that_nothing_heals_stops(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path)
    layout = tmp_path / "layout"
    _write_layout(layout, "one")
    one = journey.export(f"oci:{layout}:registry.example/app:1")
    journey.export(f"oci:{layout}:registry.example/app:1", "--as", "registry.example/other:1")
    three = journey.export(f"oci:{layout}:registry.example/app:1")
    assert journey.load(one, "--bootstrap", journey.codes[1]).code == 0
    gap = journey.load(three)
    assert (gap.code, gap.reasons) == (7, {"gap"})


def _write_layout(folder: Path, seed: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    store = open_store("oci", str(folder), StoreOptions(side="destination"))
    put(store.repository("registry.example/app"), make_index(make_image(seed)), "1")
    store.close()
