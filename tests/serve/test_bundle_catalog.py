"""A verified bundle, served in place: what the admission names, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.inventory import Link
from airgap.bundle.reader import Bundle, open_bundle
from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.oci.naming import NameMap, Naming
from airgap.serve.bundle_catalog import BundleCatalog
from airgap.serve.server import serve
from airgap.trust.verdict import REQUIRED, Admission, Finding, Outcome, Verdict
from tests.bundle.samples import Recipe, inventory, omitted, varied
from tests.bundle.shelf import SOURCE, Shelf, noise
from tests.serve.content import Client, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = f"/v2/{SOURCE}"


def admit(bundle: Bundle) -> Admission:
    """Return the admission of everything in `bundle`: verification is another test's business."""
    findings = tuple(
        Finding(check=check, outcome=Outcome.PASS, reason="shown", sentence="shown")
        for check in REQUIRED
    )
    return Verdict(
        findings=findings,
        required=REQUIRED,
        judged_at=datetime(2026, 11, 22, tzinfo=UTC),
        inventory=bundle.inventory_digest,
        names=bundle.inventory.names,
        roots=frozenset(item.descriptor.digest for item in bundle.inventory.items),
    ).admit()


@pytest.fixture
def recipe() -> Recipe:
    return varied()


@pytest.fixture
def bundle(recipe: Recipe, tmp_path: Path) -> Iterator[Bundle]:
    with open_bundle(recipe.pack(tmp_path / "bundle.tar")) as bundle:
        bundle.survey()
        yield bundle


@pytest.fixture
def client(bundle: Bundle) -> Iterator[Client]:
    with running(serve(BundleCatalog(bundle, admit(bundle)), port=0)) as client:
        yield client


def test_repositories_are_named_as_by_an_import(client: Client) -> None:
    assert client.get("/v2/_catalog").json["repositories"] == [
        "docker.io/library/base",
        "registry.example/mirror/app",
        SOURCE,
    ]


def test_every_name_and_digest_of_every_item_is_served(
    client: Client, bundle: Bundle, recipe: Recipe
) -> None:
    for name, digest in bundle.inventory.names.items():
        source, _, tag = name.rpartition(":")
        for target in (tag, digest):
            reply = client.get(f"/v2/{source}/manifests/{target}")
            assert (reply.status, reply.body) == (200, recipe.shelf.blobs[digest])


def test_every_blob_of_an_image_is_served_large_and_small(
    client: Client, bundle: Bundle, recipe: Recipe
) -> None:
    [item] = [item for item in bundle.inventory.items if item.source.endswith("mirror/app")]
    manifest = recipe.shelf.read_manifest(item.descriptor)
    for blob in manifest.blobs:
        reply = client.get(f"/v2/{item.source}/blobs/{blob.digest}")
        assert (reply.status, reply.body) == (200, recipe.shelf.blobs[blob.digest])
        part = client.get(f"/v2/{item.source}/blobs/{blob.digest}", Range="bytes=1-9")
        assert part.body == recipe.shelf.blobs[blob.digest][1:10]


def test_referrers_and_the_tags_of_cosign_are_served(client: Client, bundle: Bundle) -> None:
    [item] = [item for item in bundle.inventory.items if item.source == SOURCE]
    for referrer in item.referrers:
        digest = referrer.descriptor.digest
        if referrer.found == "sig":
            tag = f"{referrer.subject.tag_stem}.sig"
            reply = client.get(f"{APP}/manifests/{tag}")
            assert reply.headers["Docker-Content-Digest"] == str(digest)
        else:
            listed = client.get(f"{APP}/referrers/{referrer.subject}").json["manifests"]
            assert str(digest) in {entry["digest"] for entry in listed}
    assert len(client.get(f"{APP}/tags/list").json["tags"]) == 2


def test_only_the_chosen_platforms_are_served(
    client: Client, bundle: Bundle, recipe: Recipe
) -> None:
    [item] = [item for item in bundle.inventory.items if item.children is not None]
    for child in recipe.shelf.read_manifest(item.descriptor).manifests:
        reply = client.get(f"/v2/{item.source}/manifests/{child.digest}")
        assert reply.status == (200 if child.digest in (item.children or ()) else 404)


def test_a_blob_of_another_repository_is_not_served(client: Client, recipe: Recipe) -> None:
    secret = next(d for d, data in recipe.shelf.blobs.items() if data == noise(2001, 8))
    assert client.get(f"/v2/docker.io/library/base/blobs/{secret}").status == 200
    assert client.get(f"{APP}/blobs/{secret}").code == "BLOB_UNKNOWN"


def test_the_bundles_own_documents_are_not_served(client: Client, bundle: Bundle) -> None:
    for data in (bundle.inventory_bytes, bundle.trust.timestamp):
        assert client.get(f"{APP}/blobs/{Digest.of(data)}").status == 404
        assert client.get(f"{APP}/manifests/{Digest.of(data)}").status == 404


def test_the_admission_of_another_bundle_is_refused(bundle: Bundle) -> None:
    other = replace(admit(bundle), inventory=Digest.of(b"another"))
    with pytest.raises(UsageError, match="this bundle's is sha256:") as caught:
        BundleCatalog(bundle, other)
    assert caught.value.reason == "admission-of-another-bundle"


def test_what_was_not_admitted_is_not_served(bundle: Bundle) -> None:
    """Quarantine: only some of the roots, and only some of the names, were let through."""
    everything = admit(bundle)
    [item] = [item for item in bundle.inventory.items if item.source.endswith("mirror/app")]
    partly = replace(everything, roots=frozenset({item.descriptor.digest}), names={})
    catalog = BundleCatalog(bundle, partly)
    assert catalog.repositories() == (item.source,)
    assert catalog.shelf(SOURCE) is None
    shelf = catalog.shelf(item.source)
    assert shelf is not None
    assert shelf.tags == {}
    assert set(shelf.manifests) == {item.descriptor.digest}
    assert catalog.shelf(item.source) is shelf


def test_names_can_be_chosen(bundle: Bundle) -> None:
    naming = Naming(prefix="mirror", maps=(NameMap.parse("registry.example/**=apps/**"),))
    catalog = BundleCatalog(bundle, admit(bundle), naming.place)
    assert catalog.repositories() == (
        "mirror/apps/mirror/app",
        "mirror/apps/prod/app",
        "mirror/docker.io/library/base",
    )


def test_two_sources_under_one_name_are_refused(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="would both be served as app") as caught:
        BundleCatalog(bundle, admit(bundle), Naming(flatten=True).place)
    assert caught.value.reason == "destination-collision"


def test_two_items_of_one_source_share_a_repository(tmp_path: Path) -> None:
    shelf = Shelf()
    first, second = shelf.image(b"first"), shelf.image(b"second")
    names = {f"{SOURCE}:a": first.digest, f"{SOURCE}:b": second.digest, f"{SOURCE}:c": first.digest}
    recipe = Recipe(shelf, inventory(shelf.item(first), shelf.item(second), names=names))
    with open_bundle(recipe.pack(tmp_path / "bundle.tar")) as bundle:
        bundle.survey()
        with running(serve(BundleCatalog(bundle, admit(bundle)), port=0)) as client:
            assert client.get(f"{APP}/tags/list").json["tags"] == ["a", "b", "c"]
            assert client.get(f"{APP}/manifests/b").body == shelf.blobs[second.digest]


def test_an_omitted_blob_is_404(tmp_path: Path) -> None:
    shelf = Shelf()
    image = shelf.image(noise(2000))
    layer = shelf.read_manifest(image).layers[0]
    first = Link(sequence=1, inventory=Digest.of(b"the first bundle"))
    second = replace(
        inventory(shelf.item(image)),
        sequence=2,
        previous=first,
        base=first,
        omitted=omitted(layer),
    )
    recipe = Recipe(shelf, second)
    with open_bundle(recipe.pack(tmp_path / "bundle.tar")) as bundle:
        bundle.survey()
        with running(serve(BundleCatalog(bundle, admit(bundle)), port=0)) as client:
            assert client.get(f"{APP}/manifests/1").status == 200
            assert client.get(f"{APP}/blobs/{layer.digest}").code == "BLOB_UNKNOWN"
            assert client.head(f"{APP}/blobs/{layer.digest}").status == 404


def test_a_medium_that_changed_after_verification_is_noticed(
    client: Client, bundle: Bundle, recipe: Recipe
) -> None:
    [item] = [item for item in bundle.inventory.items if item.source.endswith("mirror/app")]
    manifest = recipe.shelf.read_manifest(item.descriptor)
    paths = [
        f"/v2/{item.source}/manifests/{manifest.digest}",
        *(f"/v2/{item.source}/blobs/{blob.digest}" for blob in manifest.blobs),
    ]
    assert {client.get(path).status for path in paths} == {200}
    with bundle.path.open("r+b") as file:
        for digest in (manifest.digest, *(blob.digest for blob in manifest.blobs)):
            file.seek(bundle.position(digest).offset)
            file.write(b"!")
    assert {client.get(path).status for path in paths} == {500}


@pytest.mark.parametrize("verify", [False, True])
def test_a_large_blob_of_a_changed_medium_needs_verify_blobs(tmp_path: Path, verify: bool) -> None:
    shelf = Shelf()
    image = shelf.image(noise(3 << 20))
    layer = shelf.read_manifest(image).layers[0]
    recipe = Recipe(shelf, inventory(shelf.item(image)))
    with open_bundle(recipe.pack(tmp_path / "bundle.tar")) as bundle:
        bundle.survey()
        with bundle.path.open("r+b") as file:
            file.seek(bundle.position(layer.digest).offset + layer.size - 1)
            file.write(b"!")
        catalog = BundleCatalog(bundle, admit(bundle))
        with running(serve(catalog, port=0, verify_blobs=verify)) as client:
            client.connection.request("GET", f"{APP}/blobs/{layer.digest}")
            response = client.connection.getresponse()
            received = b"".join(iter(lambda: response.read1(1 << 20), b""))
    assert (len(received) == layer.size) is not verify
