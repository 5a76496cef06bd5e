"""Chosen platforms: the signed index stays as it is, and what becomes of it at each destination."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airgap.bundle.reader import open_bundle
from airgap.errors import NotFoundError
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from airgap.release_record import RELEASE_TYPE
from airgap.stores import StoreOptions, open_store
from tests.conftest import find_tool
from tests.freight import ask, skopeo_options
from tests.journey import Journey, open_registry_store, run, running_registry
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3, start_registry
from tests.stores.samples import Sample, describe, make_artifact, make_image, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.stores import Source, Store
    from tests.journey import Answer
    from tests.simulators.registry_process import RegistryProcess

NAME = "registry.example/built/app"
PLACE = f"m/{NAME}"
ARCHITECTURES = ("amd64", "arm64", "arm")


def attest(image: Sample) -> Sample:
    """Return an attestation manifest as BuildKit makes it: an image of no platform."""
    statement = json.dumps({"subject": [{"digest": {"sha256": image.digest.hex}}]}).encode()
    layer = describe(statement, "application/vnd.in-toto+json")
    rootfs = {"type": "layers", "diff_ids": [str(layer.digest)]}
    config = json.dumps({"architecture": "unknown", "os": "unknown", "rootfs": rootfs}).encode()
    config_descriptor = describe(config, "application/vnd.oci.image.config.v1+json")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config_descriptor.to_json(),
        "layers": [
            layer.to_json()
            | {"annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}}
        ],
    }
    data = json.dumps(document, indent=2).encode()
    return Sample(
        manifest=Manifest.parse(data, OCI_MANIFEST),
        blobs={layer: statement, config_descriptor: config},
    )


def build(seed: str) -> Sample:
    """Return an index as BuildKit makes it: three platforms, then an attestation about each."""
    images = [make_image(f"{seed} {name}", architecture=name) for name in ARCHITECTURES]
    attestations = [attest(image) for image in images]
    entries: list[dict[str, Any]] = [
        {**image.descriptor.to_json(), "platform": {"architecture": name, "os": "linux"}}
        for image, name in zip(images, ARCHITECTURES, strict=True)
    ]
    entries[2]["platform"]["variant"] = "v7"
    entries += [
        {
            **attestation.descriptor.to_json(),
            "annotations": {
                "vnd.docker.reference.digest": str(image.digest),
                "vnd.docker.reference.type": "attestation-manifest",
            },
            "platform": {"architecture": "unknown", "os": "unknown"},
        }
        for image, attestation in zip(images, attestations, strict=True)
    ]
    # Indented, as BuildKit writes it: nothing may spell it anew.
    data = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, indent=2
    ).encode()
    return Sample(manifest=Manifest.parse(data, OCI_INDEX), children=(*images, *attestations))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A built image in a layout, with what was signed over the whole index."""

    image: Sample
    sbom: Sample
    layout: str
    journey: Journey

    @property
    def arm64(self) -> Sample:
        return self.image.children[1]

    def export(self, *platforms: str, name: str) -> Path:
        chosen = [text for platform in platforms for text in ("--platform", platform)]
        return self.journey.export(self.layout, *chosen, name=name)

    def load(self, bundle: Path, *arguments: object) -> Answer:
        code = self.journey.codes[min(self.journey.codes)]
        return self.journey.load(bundle, "--bootstrap", code, *arguments)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    image = build("platforms")
    sbom = make_artifact(b"sbom of all of it", subject=image.manifest)
    store = open_store("oci", str(tmp_path / "layout"), StoreOptions(side="destination"))
    put(store.repository(NAME), image, "1.4")
    put(store.repository(NAME), sbom)
    store.close()
    layout = f"oci:{tmp_path}/layout:{NAME}:1.4"
    return Scene(image=image, sbom=sbom, layout=layout, journey=Journey.begin(tmp_path))


@pytest.fixture(params=[DEBIAN, DISTRIBUTION_3])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryProcess]:
    with running_registry(request.param, tmp_path / "registry") as process:
        yield process


@pytest.fixture
def store(registry: RegistryProcess, tmp_path: Path) -> Iterator[Store]:
    opened = open_registry_store(registry, tmp_path)
    yield opened
    opened.close()


def into(registry: RegistryProcess) -> tuple[str, ...]:
    return ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)


def is_there(repository: Source, sample: Sample) -> bool:
    try:
        return repository.read_manifest(sample.descriptor).data == sample.manifest.data
    except NotFoundError:
        return False


def layers_of(repository: Source, record: Manifest) -> dict[str, Any]:
    """Return the layers of a release record as JSON, by media type."""
    found = {}
    for layer in record.layers:
        with repository.open_blob(layer) as stream:
            found[layer.media_type] = json.loads(stream.read())
    return found


def test_the_signed_index_travels_byte_for_byte(scene: Scene) -> None:
    with open_bundle(scene.export("linux/arm64", "linux/arm/v7", name="a.tar")) as bundle:
        bundle.survey()
        (item,) = bundle.inventory.items
        chosen = [scene.image.children[number] for number in (1, 2, 4, 5)]
        assert set(item.children or ()) == {child.digest for child in chosen}
        index = bundle.read_manifest(bundle.resolve(f"{NAME}:1.4"))
        assert index.data == scene.image.manifest.data
        for number, child in enumerate(scene.image.children):
            travels = number in {1, 2, 4, 5}
            assert (child.digest in bundle.positions) is travels
            assert all((blob.digest in bundle.positions) is travels for blob in child.blobs)
        assert scene.sbom.digest in bundle.positions


@pytest.mark.parametrize(
    ("platforms", "said"),
    [
        (("linux/arm64",), "its name will stand for the one image"),
        (("linux/arm64", "linux/amd64"), "cannot take it"),
        ((), None),
    ],
)
def test_export_says_what_a_choice_means(
    scene: Scene, tmp_path: Path, platforms: tuple[str, ...], said: str | None
) -> None:
    chosen = [text for platform in platforms for text in ("--platform", platform)]
    answer = run(
        "export", scene.layout, *chosen, "--authority", scene.journey.authority,
        "--stream", "prod", "-o", tmp_path / "a.tar", "--format", "json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    warnings = answer.document["warnings"]
    assert len(warnings) == (said is not None)
    if said is not None:
        assert said in warnings[0]


def test_an_attestation_is_no_platform(tmp_path: Path) -> None:
    """Whatever platform it claims, it travels with the image that it is about, not by itself."""
    image = make_image("claimed")
    attestation = attest(image)
    entries = [
        {**image.descriptor.to_json(), "platform": {"architecture": "s390x", "os": "linux"}},
        {
            **attestation.descriptor.to_json(),
            "annotations": {
                "vnd.docker.reference.digest": str(image.digest),
                "vnd.docker.reference.type": "attestation-manifest",
            },
            "platform": {"architecture": "amd64", "os": "linux"},
        },
        # One that says not what it is about travels only with the whole index.
        {
            **attest(attestation).descriptor.to_json(),
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
            "platform": {"architecture": "s390x", "os": "linux"},
        },
    ]
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    index = Sample(
        manifest=Manifest.parse(data, OCI_INDEX),
        children=(image, attestation, attest(attestation)),
    )
    store = open_store("oci", str(tmp_path / "layout"), StoreOptions(side="destination"))
    put(store.repository(NAME), index, "1.4")
    store.close()
    journey = Journey.begin(tmp_path)
    layout = f"oci:{tmp_path}/layout:{NAME}:1.4"
    refused = run(
        "export", layout, "--platform", "linux/amd64", "--authority", journey.authority,
        "--stream", "prod", "-o", tmp_path / "no.tar", "--format", "json",
    )  # fmt: skip
    assert (refused.code, refused.error["reason"]) == (2, "platform-missing")
    assert refused.error["hint"] == "It has linux/s390x."
    with open_bundle(journey.export(layout, "--platform", "linux/s390x")) as bundle:
        (item,) = bundle.inventory.items
        assert set(item.children or ()) == {image.digest, attestation.digest}


def test_one_platform_where_the_index_is_refused(
    scene: Scene, registry: RegistryProcess, store: Store, tmp_path: Path
) -> None:
    bundle = scene.export("linux/arm64", name="one.tar")
    answer = scene.load(bundle, *into(registry))
    assert answer.code == 0, answer.err
    through = {
        "index": str(scene.image.digest),
        "platform": "linux/arm64",
        "reason": "sparse-index-refused",
    }
    name = f"{registry.host}/{PLACE}:1.4"
    told = {"digest": str(scene.arm64.digest), "change": "new", "through": through}
    assert answer.document["namesAtDestination"] == {name: told}

    repository = store.repository(PLACE)
    assert repository.resolve("1.4").digest == scene.arm64.digest
    there = [child for child in scene.image.children if is_there(repository, child)]
    assert there == [scene.arm64, scene.image.children[4]]
    assert not is_there(repository, scene.image)
    # What was said about the whole index is there too, and found by the index's digest.
    (found,) = repository.referrers(scene.image.digest)
    assert found.descriptor.digest == scene.sbom.digest

    receipt = json.loads((scene.journey.state / "receipts" / "prod-1.json").read_bytes())
    assert receipt["loadedNames"] == {name: str(scene.arm64.digest)}
    assert receipt["loadedThrough"] == {name: through}
    releases = store.repository("m/airgap/releases")
    record = releases.read_manifest(releases.resolve("prod"))
    assert record.artifact_type == RELEASE_TYPE
    assert layers_of(releases, record) == {
        "application/vnd.airgap.release.names.v1+json": {name: str(scene.arm64.digest)},
        "application/vnd.airgap.release.reasons.v1+json": {name: through},
    }
    # A client of another architecture gets what was chosen: there is nothing else.
    options = ["--src-tls-verify=false", "--override-arch", "arm64"]
    ask("skopeo", "copy", *options, f"docker://{name}", f"dir:{tmp_path}/pulled")
    pulled = (tmp_path / "pulled" / "manifest.json").read_bytes()
    assert Digest.of(pulled) == scene.arm64.digest


def test_people_are_told_what_the_name_stands_for(scene: Scene, tmp_path: Path) -> None:
    bundle = scene.export("linux/arm64", name="one.tar")
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        answer = run(
            "import", bundle, "--state", scene.journey.state, "--bootstrap",
            scene.journey.codes[1], *into(registry),
        )  # fmt: skip
    assert answer.code == 0, answer.err
    said = f"the linux/arm64 image of the signed index {scene.image.digest}"
    (line,) = [line for line in answer.out.splitlines() if said in line]
    assert line.endswith("which the registry does not take without all platforms")


def test_a_name_follows_the_bundles(scene: Scene, registry: RegistryProcess, store: Store) -> None:
    """Loaded again, then with every platform, then with one: each time what can be had."""
    repository = store.repository(PLACE)
    one = scene.export("linux/arm64", name="one.tar")
    assert scene.load(one, *into(registry)).code == 0
    assert scene.load(one, *into(registry), "--repair").code == 0
    assert repository.resolve("1.4").digest == scene.arm64.digest
    whole = scene.export(name="whole.tar")
    answer = scene.load(whole, *into(registry))
    assert answer.code == 0, answer.err
    (change,) = answer.document["namesAtDestination"].values()
    assert change == {
        "digest": str(scene.image.digest), "change": f"replaces {scene.arm64.digest}",
    }  # fmt: skip
    assert repository.resolve("1.4").digest == scene.image.digest
    ask("skopeo", "inspect", *skopeo_options(registry, scene.journey.folder),
        f"docker://{registry.host}/{PLACE}:1.4")  # fmt: skip
    # All children are there now, so that the registry takes the index of any choice.
    again = scene.load(scene.export("linux/amd64", name="again.tar"), *into(registry))
    assert again.code == 0, again.err
    assert repository.resolve("1.4").digest == scene.image.digest


def test_several_platforms_where_the_index_is_refused(
    scene: Scene, registry: RegistryProcess, store: Store
) -> None:
    bundle = scene.export("linux/arm64", "linux/amd64", name="two.tar")
    answer = scene.load(bundle, *into(registry))
    assert (answer.code, answer.error["reason"]) == (5, "sparse-index-refused")
    for way in ("all platforms", "validation.manifests.indexes", "embedded store"):
        assert way in answer.error["hint"]
    with pytest.raises(NotFoundError):
        store.repository(PLACE).resolve("1.4")


@pytest.mark.parametrize("platforms", [("linux/arm64",), ("linux/arm64", "linux/amd64")])
def test_where_the_index_is_taken(scene: Scene, tmp_path: Path, platforms: tuple[str, ...]) -> None:
    """The embedded store, a layout, and a registry that is told to take it: as it was signed."""
    bundle = scene.export(*platforms, name="chosen.tar")
    program = find_tool(DISTRIBUTION_3)
    with start_registry(
        program, tmp_path / "registry", kind=DISTRIBUTION_3, sparse=True
    ) as registry:
        for arguments in ((), ("--to", f"oci:{tmp_path}/out"), into(registry)):
            answer = scene.load(bundle, *arguments, "--repair")
            assert answer.code == 0, answer.err
            (change,) = answer.document["namesAtDestination"].values()
            assert change == {"digest": str(scene.image.digest), "change": "new"}
        opened = open_registry_store(registry, tmp_path)
        places = [
            open_store("oci", str(scene.journey.state / "store"), StoreOptions()).repository(NAME),
            open_store("oci", f"{tmp_path}/out", StoreOptions()).repository(NAME),
            opened.repository(PLACE),
        ]
        for place in places:
            index = place.read_manifest(place.resolve("1.4"))
            assert index.data == scene.image.manifest.data
            assert not is_there(place, scene.image.children[2])
        opened.close()
