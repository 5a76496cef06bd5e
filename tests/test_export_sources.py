"""What an export takes from where: every transport, names, platforms, referrers, dry runs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap.oci.digest import Digest
from airgap.oci.manifest import Manifest
from airgap.stores import StoreOptions, open_store
from tests.freight import NAME, Freight, ask, write_layout
from tests.journey import Journey, flip, open_registry_store, run, running_registry
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3
from tests.stores.samples import make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.samples import Sample

FULL = f"{NAME}:1.4"


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


@pytest.fixture
def freight() -> Freight:
    return Freight.make("sources", size=70_000)


@pytest.fixture
def layout(tmp_path: Path, freight: Freight) -> str:
    return write_layout(tmp_path / "layout", freight)


def inventory(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = run("inspect", bundle, "--format", "json").document["inventory"]
    return found


def arrives(journey: Journey, bundle: Path, freight: Freight) -> None:
    """Check that a bundle brings everything of the freight into the embedded store."""
    assert journey.load(bundle, "--bootstrap", journey.codes[len(journey.codes)]).code == 0
    store = open_store("oci", str(journey.state / "store"), StoreOptions())
    freight.check(store.repository(NAME), "1.4")


# --- transports -----------------------------------------------------------------------------


def test_from_a_layout(journey: Journey, layout: str, freight: Freight) -> None:
    arrives(journey, journey.export(layout), freight)


def test_from_an_archive(journey: Journey, layout: str, freight: Freight, tmp_path: Path) -> None:
    ask("tar", "-cf", tmp_path / "layout.tar", "-C", tmp_path / "layout", ".")
    arrives(journey, journey.export(f"oci-archive:{tmp_path}/layout.tar:{FULL}"), freight)


def test_from_a_bundle(journey: Journey, layout: str, freight: Freight, tmp_path: Path) -> None:
    """A bundle of one authority is a source for another; signature tags are signature tags."""
    first = journey.export(layout)
    (tmp_path / "far").mkdir()
    far = Journey.begin(tmp_path / "far")
    second = far.export(f"bundle:{first}:{FULL}")
    (one,), (two,) = inventory(first)["items"], inventory(second)["items"]
    for item in (one, two):
        item["referrers"].sort(key=lambda referrer: referrer["digest"])
    assert one == two
    arrives(far, second, freight)


def test_from_a_bundle_that_lies(journey: Journey, layout: str, tmp_path: Path) -> None:
    """Nothing is believed of a source: what is fetched is hashed, whoever signed it."""
    bundle = journey.export(layout)
    flip(bundle, bundle.stat().st_size - 2000)
    answer = run(
        "export", f"bundle:{bundle}:{FULL}", "--authority", journey.authority, "--stream", "again",
        "-o", tmp_path / "again.tar", "--format", "json",
    )  # fmt: skip
    assert (answer.code, answer.error["code"]) == (4, 4)
    assert not (tmp_path / "again.tar").exists()


def test_from_docker_save(journey: Journey, layout: str, tmp_path: Path) -> None:
    """docker-archive holds one platform; its layers are as they were."""
    ask("skopeo", "copy", "--override-arch=amd64", layout,
        f"docker-archive:{tmp_path}/saved.tar:registry.example/prod/app:1.4")  # fmt: skip
    bundle = journey.export(f"docker-archive:{tmp_path}/saved.tar:{FULL}")
    (item,) = inventory(bundle)["items"]
    assert (item["source"], item["kind"]) == (NAME, "image")
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0


def test_from_two_registries_at_once_with_a_user_in_one(journey: Journey, tmp_path: Path) -> None:
    ours, theirs = Freight.make("ours"), Freight.make("theirs")
    with (
        running_registry(DEBIAN, tmp_path / "a", tls=True, auth=True) as one,
        running_registry(DISTRIBUTION_3, tmp_path / "b") as two,
    ):
        for registry, goods in ((one, ours), (two, theirs)):
            store = open_registry_store(registry, tmp_path)
            goods.put(store.repository("team/app"), "1")
            store.close()
        bundle = journey.export(
            f"docker://{one.host}/team/app:1", f"{two.host}/team/app:1", layout_of(tmp_path),
            "--ca-file", one.ca_file, "--authfile", one.write_authfile(tmp_path / "auth.json"),
            "--insecure-http", two.host,
        )  # fmt: skip
        found = inventory(bundle)
    assert {name: digest for name, digest in found["names"].items() if "team" in name} == {
        f"{one.host}/team/app:1": str(ours.image.digest),
        f"{two.host}/team/app:1": str(theirs.image.digest),
    }
    assert len(found["items"]) == 3


def layout_of(folder: Path) -> str:
    return write_layout(folder / "third", Freight.make("third"))


# --- names ----------------------------------------------------------------------------------


def test_by_digest_there_is_no_name(journey: Journey, layout: str, freight: Freight) -> None:
    folder = layout.removeprefix("oci:").partition(":")[0]
    bundle = journey.export(f"oci:{folder}@{freight.image.digest}", "--as", NAME)
    found = inventory(bundle)
    assert found["names"] == {}
    assert found["items"][0]["descriptor"]["digest"] == str(freight.image.digest)
    answer = journey.load(bundle, "--bootstrap", journey.codes[1])
    assert (answer.code, answer.document["namesAtDestination"]) == (0, {})
    text = run("inspect", bundle).out
    assert f"\n{NAME}\n" in text


def test_several_names_of_one_image_are_one_item(
    journey: Journey, layout: str, tmp_path: Path, freight: Freight
) -> None:
    store = open_store("oci", str(tmp_path / "layout"), StoreOptions(side="destination"))
    store.repository(NAME).write_manifest(freight.image.manifest, "latest")
    bundle = journey.export(layout, layout.replace(":1.4", ":latest"))
    found = inventory(bundle)
    assert len(found["items"]) == 1
    assert set(found["names"]) == {FULL, f"{NAME}:latest"}
    assert f"{FULL}, {NAME}:latest" in run("inspect", bundle).out


def test_under_another_name(journey: Journey, layout: str) -> None:
    found = inventory(journey.export(layout, "--as", "other.example/team/app:2"))
    assert list(found["names"]) == ["other.example/team/app:2"]
    found = inventory(journey.export(layout, "--as", "other.example/team/app"))
    assert list(found["names"]) == ["other.example/team/app:1.4"]


def test_short_names_are_spelled_out(journey: Journey, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "hub", Freight.make("hub"), name="app", tag="1")
    found = inventory(journey.export(layout, "--as", "nginx:1.27"))
    assert list(found["names"]) == ["docker.io/library/nginx:1.27"]


def test_from_a_request_file(journey: Journey, layout: str, tmp_path: Path) -> None:
    request = tmp_path / "export.yaml"
    request.write_text(
        f"version: 1\nstream: prod\nimages:\n"
        f"  - '{layout}'\n"
        f"  - {{image: '{layout}', as: 'b.example/app:1', platforms: [linux/arm64]}}\n"
        f"  - {{image: '{layout}', as: 'c.example/app:1', referrers: false}}\n"
    )
    answer = run("export", request, "--authority", journey.authority, "-o", tmp_path / "a.tar",
                 "--format", "json")  # fmt: skip
    assert answer.code == 0, answer.err
    found = {item["source"]: item for item in inventory(tmp_path / "a.tar")["items"]}
    assert [found[name]["signatures"] for name in sorted(found)] == [
        "present", "excluded", "present",
    ]  # fmt: skip
    assert len(found["b.example/app"]["children"]) == 1
    (warning,) = answer.document["warnings"]
    assert warning.startswith("b.example/app:1: only chosen platforms travel")


# --- platforms and referrers ----------------------------------------------------------------


def test_chosen_platforms_travel_with_their_attestations(journey: Journey, tmp_path: Path) -> None:
    """BuildKit lists attestations in the index, beside the platforms."""
    amd, arm = make_image("buildkit amd"), make_image("buildkit arm", architecture="arm64")
    attestations = [make_artifact(f"attestation {n}".encode()) for n in range(2)]
    unknown = ("unknown", "unknown")
    index = make_index(amd, arm, *attestations, architectures=("amd64", "arm64", *unknown))
    index = _with_attestations(index, {0: 2, 1: 3})
    store = open_store("oci", str(tmp_path / "buildkit"), StoreOptions(side="destination"))
    put(store.repository(NAME), index, "1.4")
    bundle = journey.export(f"oci:{tmp_path}/buildkit:{FULL}", "--platform", "linux/arm64")
    (item,) = inventory(bundle)["items"]
    assert set(item["children"]) == {str(arm.digest), str(attestations[1].digest)}
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0
    stored = open_store("oci", str(journey.state / "store"), StoreOptions()).repository(NAME)
    assert stored.read_manifest(arm.descriptor).data == arm.manifest.data
    assert stored.resolve("1.4").digest == index.digest


def _with_attestations(index: Sample, of: dict[int, int]) -> Sample:
    document = json.loads(index.manifest.data)
    for image, attestation in of.items():
        document["manifests"][attestation]["platform"] = {
            "os": "unknown", "architecture": "unknown",
        }  # fmt: skip
        document["manifests"][attestation]["annotations"] = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": document["manifests"][image]["digest"],
        }
    data = json.dumps(document).encode()
    return dataclasses.replace(index, manifest=Manifest.parse(data))


def test_a_platform_of_an_image_that_has_but_one(journey: Journey, tmp_path: Path) -> None:
    store = open_store("oci", str(tmp_path / "one"), StoreOptions(side="destination"))
    put(store.repository(NAME), make_image("one"), "1")
    name = f"oci:{tmp_path}/one:{NAME}:1"
    (item,) = inventory(journey.export(name, "--platform", "linux/amd64"))["items"]
    assert "children" not in item
    answer = run("export", name, "--platform", "linux/arm64", "--authority", journey.authority,
                 "--stream", "prod", "-o", tmp_path / "x.tar", "--format", "json")  # fmt: skip
    assert (answer.code, answer.error["reason"]) == (2, "platform-missing")


def test_one_image_asked_for_twice_has_the_platforms_of_both(
    journey: Journey, layout: str, tmp_path: Path, freight: Freight
) -> None:
    request = tmp_path / "export.yaml"
    entries = [f"{{image: '{layout}', platforms: [{p}]}}" for p in ("linux/amd64", "linux/arm64")]
    for more, expected in (([], 2), ([f"{{image: '{layout}', referrers: false}}"], None)):
        lines = "".join(f"  - {entry}\n" for entry in [*entries, *more])
        request.write_text(f"version: 1\nstream: prod\nimages:\n{lines}")
        output = tmp_path / f"{expected}.tar"
        assert run("export", request, "--authority", journey.authority, "-o", output).code == 0
        (item,) = inventory(output)["items"]
        assert len(item.get("children", ())) == (expected or 0)
        assert item["signatures"] == "present"
        assert len({one["digest"] for one in item["referrers"]}) == len(item["referrers"]) == 3


def test_signatures_are_found_missing_or_not_looked_for(journey: Journey, tmp_path: Path) -> None:
    store = open_store("oci", str(tmp_path / "plain"), StoreOptions(side="destination"))
    put(store.repository(NAME), make_image("unsigned"), "1")
    name = f"oci:{tmp_path}/plain:{NAME}:1"
    assert inventory(journey.export(name))["items"][0]["signatures"] == "confirmed-absent"
    found = inventory(journey.export(name, "--no-referrers"))["items"][0]
    assert (found["signatures"], found["referrers"]) == ("excluded", [])


@pytest.mark.parametrize(
    "kind",
    ["application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.cncf.notary.signature"],
)
def test_what_is_a_signature(journey: Journey, tmp_path: Path, kind: str) -> None:
    image = make_image("signed")
    store = open_store("oci", str(tmp_path / "signed"), StoreOptions(side="destination"))
    put(store.repository(NAME), image, "1")
    put(store.repository(NAME), make_artifact(b"{}", subject=image.manifest, kind=kind))
    (item,) = inventory(journey.export(f"oci:{tmp_path}/signed:{NAME}:1"))["items"]
    assert item["signatures"] == "present"


# --- dry runs, places, the same bytes -------------------------------------------------------


def test_a_dry_run_counts_and_fetches_no_layer(
    journey: Journey, layout: str, tmp_path: Path, freight: Freight
) -> None:
    for more in ((), ("-o", tmp_path / "x.tar"), ("-o", tmp_path / "x.tar", "--concurrency", "1")):
        answer = run("export", layout, "--authority", journey.authority, "--stream", "prod",
                     "--dry-run", "--format", "json", *more)  # fmt: skip
        assert answer.code == 0
        assert (answer.document["output"], answer.document["fetched"]) == (None, 0)
        assert answer.document["size"] > 4 * 70_000
    assert not list(tmp_path.glob("x*"))
    assert journey.export(layout).stat().st_size == answer.document["size"]


def test_two_machines_write_the_same_bytes(layout: str, tmp_path: Path) -> None:
    """With Ed25519, whose signatures are not random, and the same keys and time."""
    (tmp_path / "a").mkdir()
    journey = Journey.begin(tmp_path / "a", scheme="ed25519")
    ask("cp", "-a", tmp_path / "a", tmp_path / "b")
    options = ("--created", "2026-11-22T00:00:00Z")
    one = journey.export(layout, *options)
    two = Journey(folder=tmp_path / "b").export(layout, *options, "--concurrency", "1")
    assert Digest.of(one.read_bytes()) == Digest.of(two.read_bytes())


def test_the_output_stands_where_a_link_stood(
    journey: Journey, layout: str, tmp_path: Path
) -> None:
    """--force replaces the link, not what it points to."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link.tar").symlink_to(tmp_path / "precious")
    assert journey.export(layout, "--force", name="link.tar").is_symlink() is False
    assert (tmp_path / "precious").read_text() == "precious"
