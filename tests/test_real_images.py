"""Real images, real registries, real clients: everything arrives, with TLS, users and signatures.

Images are made here and pushed by skopeo, a referrer is attached by oras; what arrived is judged by
skopeo, oras and our own client. Neither registry has the referrers API: the fallback tag it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.graph import Root
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from airgap.stores import StoreOptions, open_store
from airgap.stores.copy import CopyJob, copy
from tests.conftest import find_shared
from tests.freight import Freight, ask, read_all, skopeo_digest, skopeo_options, write_layout
from tests.journey import Journey, open_registry_store, run, running_registry
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3
from tests.stores.samples import CONFIG_TYPE, describe, opener

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.stores import Source
    from tests.journey import Answer
    from tests.simulators.registry_process import RegistryProcess

BIG = 104 << 20
"""Bytes of the big layer: incompressible, and more than 100 MB."""


def write_big_layout(folder: Path) -> Digest:
    """Write a layout with one image of a layer of `BIG` random bytes, made a piece at a time."""
    layer_file = folder.with_suffix(".layer")
    info = tarfile.TarInfo("data")
    info.size = BIG
    hashing = hashlib.sha256()
    with layer_file.open("wb") as file:
        for piece in (
            info.tobuf(tarfile.USTAR_FORMAT), *(None for _ in range(BIG >> 20)), bytes(1024),
        ):  # fmt: skip
            data = os.urandom(1 << 20) if piece is None else piece
            hashing.update(data)
            file.write(data)
    layer = Descriptor(
        media_type="application/vnd.oci.image.layer.v1.tar",
        digest=Digest(hashing.hexdigest()),
        size=layer_file.stat().st_size,
    )
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]}}
    ).encode()  # fmt: skip
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": describe(config, CONFIG_TYPE).to_json(), "layers": [layer.to_json()],
    }  # fmt: skip
    manifest = Manifest.parse(json.dumps(document).encode(), OCI_MANIFEST)
    repository = open_store("oci", str(folder), StoreOptions(side="destination")).repository("big")
    repository.write_blob(layer, lambda: layer_file.open("rb"))
    repository.write_blob(describe(config, CONFIG_TYPE), opener(config))
    repository.write_manifest(manifest, "1")
    return manifest.digest


def access(registry: RegistryProcess, folder: Path) -> list[object]:
    """Return the options by which `airgap` reaches a registry with TLS and a user."""
    name = f"auth-{registry.host.partition(':')[2]}.json"
    return [
        "--ca-file",
        str(registry.ca_file),
        "--authfile",
        registry.write_authfile(folder / name),
    ]


def accepted(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, f"{answer.out}\n{answer.err}"
    return answer.document


def place_of(source: RegistryProcess, repository: str) -> str:
    return f"mirror/{source.host.replace(':', '__')}/{repository}"


def test_real_images_arrive_everywhere(tmp_path: Path) -> None:
    """Several platforms, one over 100 MB and Docker's own format; TLS and users on both sides."""
    with running_registry(DEBIAN, tmp_path / "source", tls=True, auth=True) as source:
        freight = Freight.make("real")
        digests = push_images(source, freight, tmp_path)
        journey = Journey.begin(tmp_path)
        bundle = journey.export(
            *(f"{source.host}/{name}" for name in digests), *access(source, tmp_path)
        )
    code = ("--bootstrap", journey.codes[1])
    assert accepted(journey.verify(bundle, *code))["bundle"]["size"] > BIG
    for kind in (DEBIAN, DISTRIBUTION_3):
        with running_registry(kind, tmp_path / f"target-{kind}", tls=True, auth=True) as target:
            loaded = accepted(
                journey.load(
                    bundle, "--to", f"docker://{target.host}/mirror", *code,
                    *access(target, tmp_path),
                )
            )  # fmt: skip
            assert loaded["loaded"]["bytesWritten"] > BIG
            for name, digest in digests.items():
                assert skopeo_digest(target, tmp_path, place_of(source, name)) == digest
            check_freight(target, freight, place_of(source, "prod/app"), tmp_path)
            store = open_registry_store(target, tmp_path)
            freight.check(store.repository(place_of(source, "prod/app")), "1.4")
            store.close()
    # The embedded store of the same site: the bundle is current, this place has not got it.
    stored = accepted(journey.load(bundle, *code))
    assert (stored["alreadyCurrent"], stored["loaded"]["manifests"] > 0) == (True, True)
    store = open_store("oci", str(journey.state / "store"), StoreOptions())
    host = source.host.replace(":", "__")
    freight.check(store.repository(f"{host}/prod/app"), "1.4")
    for name, digest in digests.items():
        repository, _, tag = f"{host}/{name}".rpartition(":")
        assert store.repository(repository).resolve(tag).digest == digest
    assert accepted(run("store", "verify", "--state", journey.state, "--format", "json"))[
        "problems"
    ] == []  # fmt: skip


def push_images(source: RegistryProcess, freight: Freight, folder: Path) -> dict[str, Digest]:
    """Push three images by skopeo, and one referrer more by oras; return names and digests."""
    options = [option.replace("--", "--dest-", 1) for option in skopeo_options(source, folder)]
    layout = write_layout(folder / "freight", freight, name="app", tag="1")
    big = write_big_layout(folder / "big")
    for reference, name in (
        (layout, "prod/app:1.4"),
        (f"{layout.rpartition(':app:')[0]}:app:{freight.signature_tag}",
         f"prod/app:{freight.signature_tag}"),
        (f"oci:{folder}/big:big:1", "prod/big:1"),
    ):  # fmt: skip
        ask("skopeo", "copy", "--all", "--preserve-digests", *options, reference,
            f"docker://{source.host}/{name}")  # fmt: skip
    ask("skopeo", "copy", "--format=v2s2", "--override-arch=amd64", *options, layout,
        f"docker://{source.host}/prod/docker:1")  # fmt: skip
    store = open_registry_store(source, folder)
    for sample in (freight.sbom, freight.note):
        repository = store.repository("prod/app")
        for descriptor, data in sample.blobs.items():
            repository.write_blob(descriptor, opener(data))
        repository.write_manifest(sample.manifest)
        repository.add_referrer(sample.manifest)
    docker = store.repository("prod/docker").resolve("1")
    assert docker.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    store.close()
    return {"prod/app:1.4": freight.image.digest, "prod/big:1": big, "prod/docker:1": docker.digest}


def check_freight(target: RegistryProcess, freight: Freight, repository: str, folder: Path) -> None:
    """Let skopeo and oras say what is there: the signature by its tag, the tree of referrers."""
    signature = skopeo_digest(target, folder, f"{repository}:{freight.signature_tag}")
    assert signature == freight.signature.digest
    tree = json.loads(
        ask("oras", "discover", "--format=json", "--ca-file", target.ca_file,
            "--username", target.username, "--password", target.password,
            f"{target.host}/{repository}:1.4")
    )  # fmt: skip
    (sbom,) = tree["referrers"]
    (note,) = sbom["referrers"]
    assert (sbom["digest"], note["digest"]) == (str(freight.sbom.digest), str(freight.note.digest))


# --- images that were really signed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "tag", "signatures", "referrers"),
    [("mixed", "mx-all", 2, 10), ("mixed-fallback", "mf-all", 1, 5)],
)
def test_every_signature_makes_the_trip(
    tmp_path: Path, layout: str, tag: str, signatures: int, referrers: int
) -> None:
    """Through two registries without referrers API, and straight from the folder."""
    folder = find_shared("fixtures/layouts") / layout
    whole = open_store("oci", str(folder), StoreOptions()).repository("")
    image = whole.resolve(tag).digest
    signed = {
        name: whole.resolve(name).digest
        for name in whole.tags()
        if name.startswith(image.tag_stem + ".")
    }
    everything = read_all(whole, image, *signed.values())
    journey = Journey.begin(tmp_path)
    with running_registry(DEBIAN, tmp_path / "source") as source:
        push_layout(source, folder, tmp_path)
        pushed = journey.export(
            f"{source.host}/lab/app:{tag}", "--insecure-http", source.host, name="pushed.tar"
        )
    straight = journey.export(f"oci:{folder}:{tag}", "--as", "registry.example/lab/app")
    contents = [run("inspect", path, "--format", "json").document for path in (pushed, straight)]
    listed = [
        {(one["digest"], one["subject"]) for one in found["inventory"]["items"][0]["referrers"]}
        for found in contents
    ]
    assert listed[0] == listed[1]
    assert (len(signed), len(listed[0])) == (signatures, referrers + signatures)

    with running_registry(DISTRIBUTION_3, tmp_path / "target") as target:
        to = ("--to", f"docker://{target.host}/mirror", "--insecure-http", target.host)
        accepted(journey.load(pushed, *to, "--bootstrap", journey.codes[1]))
        accepted(journey.load(straight, *to))
        store = open_registry_store(target, tmp_path)
        for host in (source.host.replace(":", "__"), "registry.example"):
            repository = store.repository(f"mirror/{host}/lab/app")
            check_signed(repository, tag, signed, everything)
        store.close()
    store = open_store("oci", str(tmp_path / "folder"), StoreOptions(side="destination"))
    accepted(journey.load(straight, "--to", f"oci:{tmp_path}/folder"))
    check_signed(store.repository("registry.example/lab/app"), tag, signed, everything)


def push_layout(registry: RegistryProcess, folder: Path, scratch: Path) -> None:
    """Push all that a layout holds, as who refers to what is found by the fallback tag."""
    source = open_store("oci", str(folder), StoreOptions()).repository("")
    store = open_registry_store(registry, scratch)
    repository = store.repository("lab/app")
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    tops = [source.resolve(entry["digest"]) for entry in entries]
    job = CopyJob(
        destination=repository,
        repository="lab/app",
        roots=tuple(Root(descriptor=top) for top in tops),
    )
    copy(source, [job])
    for name in source.tags():
        manifest = source.read_manifest(source.resolve(name))
        if not (name.startswith("sha256-") and manifest.media_type == OCI_INDEX):
            repository.write_manifest(manifest, name)
    store.close()


def check_signed(
    repository: Source, tag: str, signed: dict[str, Digest], everything: dict[Digest, bytes]
) -> None:
    image = repository.resolve(tag).digest
    for name, digest in signed.items():
        assert repository.resolve(name).digest == digest
    assert read_all(repository, image, *signed.values()) == everything
