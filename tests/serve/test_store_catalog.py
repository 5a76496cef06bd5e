"""The embedded store, served: imports are noticed, damage is told, links are not followed."""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from airgap.errors import IntegrityError
from airgap.oci.digest import Digest
from airgap.oci.manifest import Manifest
from airgap.serve.store_catalog import StoreCatalog
from airgap.stores.layout import LayoutStore
from tests.serve.content import SIGNATURE, Content

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airgap.oci.descriptor import ByteStream, Descriptor


def load(source: Content, root: Path, image: Descriptor, repository: str, tag: str) -> None:
    """Load an image into the store at `root` as an import does, in a store object of its own."""
    destination = LayoutStore(root, side="destination").repository(repository)
    manifest = Manifest.verified(source.data(image), image)

    def opener(blob: Descriptor) -> AbstractContextManager[ByteStream]:
        return BytesIO(source.data(blob))

    for blob in manifest.blobs:
        destination.write_blob(blob, lambda blob=blob: opener(blob))  # type: ignore[misc]
    destination.write_manifest(manifest, tag)


def test_a_new_import_is_served_without_restart(content: Content, tmp_path: Path) -> None:
    source = Content(root=tmp_path / "source")
    first, second = source.image(b"first"), source.image(b"second")
    load(source, content.root, first, "registry.example/app", "1")
    with content.serve() as client:
        assert client.get("/v2/_catalog").json["repositories"] == ["registry.example/app"]
        assert client.get("/v2/registry.example/app/manifests/1").body == source.data(first)
        load(source, content.root, second, "registry.example/app", "1")
        load(source, content.root, second, "registry.example/other", "2")
        assert client.get("/v2/registry.example/app/manifests/1").body == source.data(second)
        old = client.get(f"/v2/registry.example/app/manifests/{first.digest}")
        assert old.body == source.data(first), "a tag moved; what it stood for is still a member"
        assert client.get("/v2/registry.example/other/tags/list").json["tags"] == ["2"]
        assert len(client.get("/v2/_catalog").json["repositories"]) == 2


def test_a_repository_that_is_gone_is_unknown(content: Content) -> None:
    content.record("app", content.image(b"layer"), "1")
    with content.serve() as client:
        assert client.get("/v2/app/tags/list").status == 200
        content.entries.clear()
        content.write_index()
        assert client.get("/v2/app/tags/list").code == "NAME_UNKNOWN"


def test_a_shelf_is_made_again_only_for_its_own_repository(content: Content) -> None:
    content.record("one", content.image(b"one"), "1")
    catalog = content.catalog()
    before = catalog.shelf("one")
    content.record("two", content.image(b"two"), "1")
    assert catalog.shelf("one") is before
    assert catalog.shelf("two") is not None
    content.record("one", content.image(b"other"), "2")
    assert catalog.shelf("one") is not before


def test_a_platform_that_arrives_later_is_served(content: Content, tmp_path: Path) -> None:
    amd64, arm64 = content.image(b"amd64"), content.image(b"arm64", architecture="arm64")
    content.record("app", content.index(amd64, arm64), "1")
    away = tmp_path / "away"
    content.path(arm64).rename(away)
    with content.serve() as client:
        assert client.get(f"/v2/app/manifests/{amd64.digest}").status == 200
        assert client.get(f"/v2/app/manifests/{arm64.digest}").code == "MANIFEST_UNKNOWN"
        assert client.get(f"/v2/app/manifests/{arm64.digest}").code == "MANIFEST_UNKNOWN"
        away.rename(content.path(arm64))
        assert client.get(f"/v2/app/manifests/{arm64.digest}").status == 200


def test_a_damaged_manifest_is_an_error_until_it_is_repaired(
    content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    image = content.image(b"layer")
    whole = content.data(image)
    content.record("app", image, "1")
    content.path(image).write_bytes(whole[:-1] + b"]")
    with content.serve() as client:
        assert client.get("/v2/app/manifests/1").status == 500
        assert client.get(f"/v2/app/manifests/{image.digest}").status == 500
        assert client.get("/v2/app/tags/list").json["tags"] == ["1"]
        content.path(image).unlink()
        content.path(image).write_bytes(whole)
        assert client.get("/v2/app/manifests/1").status == 200
        assert client.get(f"/v2/app/blobs/{content.blob(image).digest}").status == 200
    assert str(image.digest) in caplog.text


def test_a_damaged_referrer_is_not_counted_as_none(content: Content) -> None:
    image = content.image(b"layer")
    signature = content.artifact(image, artifactType=SIGNATURE)
    content.record("app", image, "1")
    content.record("app", signature)
    content.path(signature).write_bytes(b"x" * signature.size)
    with content.serve() as client:
        reply = client.get(f"/v2/app/referrers/{image.digest}")
        assert (reply.status, reply.code) == (500, "UNKNOWN")
        assert client.get("/v2/app/manifests/1").status == 200


def test_an_index_that_cannot_be_read_is_an_error(content: Content) -> None:
    with content.serve() as client:
        assert client.get("/v2/_catalog").status == 200
        (content.root / "index.json").write_text("broken")
        reply = client.get("/v2/_catalog")
        assert (reply.status, reply.code) == (500, "UNKNOWN")
        content.write_index()
        assert client.get("/v2/_catalog").status == 200


def link(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def folder(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.mkdir()


@pytest.mark.parametrize("trick", [link, folder])
def test_only_regular_files_are_served(
    content: Content, tmp_path: Path, trick: Callable[[Path, Path], None]
) -> None:
    image = content.image(b"layer")
    content.record("app", image, "1")
    blob = content.blob(image)
    with content.serve() as client:
        assert client.get(f"/v2/app/blobs/{blob.digest}").status == 200
        trick(content.path(blob), tmp_path / "elsewhere")
        assert client.get(f"/v2/app/blobs/{blob.digest}").status == 500


def test_names_that_no_client_can_ask_for_are_not_listed(content: Content) -> None:
    content.record("app", content.image(b"layer"), "1")
    content.record("127.0.0.1:5000/app", content.image(b"layer"), "1")
    with content.serve() as client:
        assert client.get("/v2/_catalog").json["repositories"] == ["app"]


def test_what_lies_in_the_folder_and_in_no_repository_is_not_served(content: Content) -> None:
    content.record("app", content.image(b"layer"), "1")
    stray = content.put(b"stray", "application/octet-stream")
    other = content.image(b"nobody's")
    with content.serve() as client:
        assert client.get(f"/v2/app/blobs/{stray.digest}").status == 404
        assert client.get(f"/v2/app/manifests/{other.digest}").status == 404


def test_opening_content_of_another_size_is_an_integrity_error(content: Content) -> None:
    blob = content.put(b"bytes", "application/octet-stream")
    content.path(blob).write_bytes(b"other bytes")
    with pytest.raises(IntegrityError, match="has 11 bytes in the store, not 5"):
        content.catalog().open(blob).__enter__()


@pytest.fixture
def mixed(tmp_path: Path, shared: Callable[[str], Path]) -> Path:
    folder = tmp_path / "mixed"
    shutil.copytree(shared("fixtures/layouts") / "mixed", folder)
    return folder


def test_the_signed_fixtures_are_served_with_every_referrer(mixed: Path, tmp_path: Path) -> None:
    """One index with signatures of every kind, moved into a store as an import would."""
    source = LayoutStore(mixed).repository("")
    store = LayoutStore(tmp_path / "store", side="destination")
    destination = store.repository("registry.example/mixed")
    everything = LayoutStore(mixed).graph("")
    for descriptor in everything.manifests.values():
        manifest = source.read_manifest(descriptor)
        for blob in manifest.blobs:
            destination.write_blob(blob, lambda blob=blob: source.open_blob(blob))  # type: ignore[misc]
        destination.write_manifest(manifest)
    for tag in source.tags():
        destination.write_manifest(
            source.read_manifest(source.resolve(tag)), tag.rpartition(":")[2]
        )
    shelf = StoreCatalog(store).shelf("registry.example/mixed")
    assert shelf is not None
    assert set(shelf.manifests) == set(everything.manifests)
    assert shelf.damage is None
    counted = 0
    for digest in everything.manifests:
        expected = {one.descriptor.digest for one in source.referrers(digest)}
        assert {one.digest for one in shelf.referrers(digest)} == expected
        counted += len(expected)
    assert counted >= 5
    assert all(isinstance(digest, Digest) for digest in shelf.blobs)
