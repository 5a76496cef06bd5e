from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airgap.bundle.head import INDEX_NAME, LAYOUT_NAME
from airgap.bundle.layout import body_placements
from airgap.bundle.reader import open_bundle
from airgap.errors import NotFoundError
from airgap.oci import strict_json
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_MANIFEST
from tests.bundle import samples
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import SOURCE, Shelf, noise, referrer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["smallest", "bodiless", "varied"])
def test_what_was_packed_is_read_again(tmp_path: Path, name: str) -> None:
    recipe: Recipe = getattr(samples, name)()
    path = recipe.pack(tmp_path / "bundle.tar")
    with open_bundle(path) as bundle:
        layout = recipe.layout()
        data, trust = recipe.draft(layout.body_at, longest=False)
        assert (bundle.inventory_bytes, bundle.trust) == (data, trust)
        assert bundle.inventory_digest == Digest.of(data)
        assert (bundle.path, bundle.size, bundle.name) == (path, path.stat().st_size, str(path))
        assert (bundle.head, bundle.body) == ((), ())
        bundle.survey()
        seen: list[int] = []
        bundle.verify_blobs(seen.append)
        assert sum(seen) == sum(position.size for position in bundle.positions.values())
        assert bundle.body == layout.arrangement.body
        assert bundle.head == layout.arrangement.head
        for descriptor in (*bundle.head, *bundle.body):
            with bundle.open_blob(descriptor) as stream:
                assert stream.read() == recipe.shelf.blobs[descriptor.digest]
    assert samples.unpack(path).pack(tmp_path / "again.tar").read_bytes() == path.read_bytes()


def test_everything_stands_in_the_order_of_the_format(tmp_path: Path) -> None:
    recipe = samples.varied()
    path = recipe.pack(tmp_path / "bundle.tar")
    with open_bundle(path) as bundle:
        bundle.survey()
        by_offset = sorted(bundle.positions, key=lambda digest: bundle.position(digest).offset)
        documents = [
            bundle.inventory_bytes,
            *bundle.trust.roots,
            bundle.trust.timestamp,
            bundle.trust.snapshot,
            bundle.trust.targets,
            *(bundle.trust.files[name] for name in sorted(bundle.trust.files)),
        ]
        expected = [by_offset[0], *dict.fromkeys(Digest.of(data) for data in documents)]
        assert by_offset[: len(expected)] == expected
        head, body = bundle.head, bundle.body
        assert by_offset[len(expected) :] == [one.digest for one in (*head, *body)]
        # head: every manifest, and blobs of referrers of at most 1 MiB
        layers = [
            one for one in head if one.media_type != OCI_MANIFEST and not samples.is_index(one)
        ]
        assert max(one.size for one in layers) == 1 << 20
        assert max(one.size for one in body) == (1 << 20) + 1
        # a blob that is layer and referrer's is the head's
        assert Digest.of(noise(70_000, 1)) in {one.digest for one in head}
        assert bundle.inventory.content == recipe.layout().arrangement.content(
            bundle.inventory.content.body_at
        )


def test_large_blobs_are_aligned_and_the_first_is_at_body_at(tmp_path: Path) -> None:
    path = samples.varied().pack(tmp_path / "bundle.tar")
    with open_bundle(path) as bundle:
        bundle.survey()
        offsets = [(bundle.position(one.digest).offset, one.size) for one in bundle.body]
        assert offsets[0][0] == bundle.inventory.content.body_at
        assert offsets[0][0] % 4096 == 0
        large = [offset for offset, size in offsets if size >= 64 << 10]
        assert len(large) == 3
        assert all(offset % 4096 == 0 for offset in large)
        assert any(offset % 4096 for offset, size in offsets if size < 64 << 10)


def test_every_gap_that_alignment_leaves_is_one_that_a_pad_can_fill() -> None:
    for blocks in range(1, 17):
        small = Descriptor(media_type="a/b", digest=Digest.of(b"s"), size=512 * blocks)
        large = Descriptor(media_type="a/b", digest=Digest.of(b"l"), size=64 << 10)
        first, second = body_placements((small, large), 8192)
        gap = second.header_at - first.end
        assert gap == second.pad
        assert gap == 0 or 1024 <= gap <= 4608
        assert second.offset % 4096 == 0


def test_small_bundles_are_small(tmp_path: Path) -> None:
    assert samples.smallest().pack(tmp_path / "smallest.tar").stat().st_size <= 84_480
    assert samples.bodiless().pack(tmp_path / "bodiless.tar").stat().st_size <= 16 << 10
    trust_only = Recipe(Shelf(), inventory(), files={"trust/keys/a.pub": b"key"})
    path = trust_only.pack(tmp_path / "trust.tar")
    assert path.stat().st_size <= 16 << 10
    with open_bundle(path) as bundle:
        bundle.survey()
        bundle.verify_blobs()
        assert bundle.inventory.content.body_at is None
        assert bundle.inventory.frozen[0].path == "trust/keys/a.pub"


def test_index_lists_names_then_referrers(tmp_path: Path) -> None:
    shelf = Shelf()
    root = shelf.image(b"layer")
    bare = shelf.image(b"other")
    chart = shelf.manifest(shelf.add(b"{}", "a/b"), artifactType="application/chart")
    signed = shelf.signature(root, b"signature")
    items = (
        shelf.item(root, referrer(signed, root), referrer(signed, root, "sig")),
        shelf.item(bare),
        shelf.item(chart, source="[::1]:5000/a__b"),
        shelf.item(signed, source="registry.example/signatures"),
        shelf.item(root, source="registry.example/copy"),
    )
    names = {
        f"{SOURCE}:v2": root.digest,
        f"{SOURCE}:v1": root.digest,
        "[::1]:5000/a__b:1": chart.digest,
    }
    recipe = Recipe(shelf, inventory(*items, names=names))
    path = recipe.pack(tmp_path / "bundle.tar")
    data = path.read_bytes()
    index = strict_json.decode(data[data.index(b'{"manifests"') :].split(b"\0")[0])
    short, full = "org.opencontainers.image.ref.name", "io.containerd.image.name"
    expected: list[dict[str, object]] = []
    for item in recipe.inventory.items:
        entry = item.descriptor.to_json()
        if item.descriptor == chart:
            entry |= {"artifactType": "application/chart"}
            entry |= {"annotations": {full: "[::1]:5000/a__b:1"}}
        if item.descriptor == signed:
            entry |= {"artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
        if item.descriptor == root and item.source == SOURCE:
            expected += [
                {**entry, "annotations": {short: name, full: name}}
                for name in (f"{SOURCE}:v1", f"{SOURCE}:v2")
            ]
        else:
            expected.append(entry)
    assert len(recipe.inventory.items) == 5
    assert index["schemaVersion"] == 2
    assert index["manifests"][0]["artifactType"] == "application/vnd.airgap.bundle.v1+json"
    # the referrer is a root as well and is listed once
    assert index["manifests"][1:] == expected
    assert data.startswith(LAYOUT_NAME.encode())
    assert data[1024:].startswith(INDEX_NAME.encode())


def test_a_bundle_is_a_source(tmp_path: Path) -> None:
    recipe = samples.varied()
    path = recipe.pack(tmp_path / "bundle.tar")
    with open_bundle(path) as bundle:
        with pytest.raises(NotFoundError, match="is not in"):
            bundle.resolve(f"{SOURCE}:2")
        bundle.survey()
        assert list(bundle.tags()) == sorted(recipe.inventory.names)
        for name, digest in recipe.inventory.names.items():
            found = bundle.resolve(name)
            assert found.digest == digest
            assert bundle.resolve(str(digest)) == found
            assert bundle.read_manifest(found).data == recipe.shelf.blobs[digest]
        root = bundle.resolve(next(bundle.tags()))
        assert bundle.read_manifest(root).digest == root.digest
        item = next(item for item in bundle.inventory.items if item.referrers)
        listed = bundle.referrers(item.descriptor.digest)
        assert [one.found for one in listed] == ["api", "api", "sig"]
        nested = bundle.read_manifest(item.descriptor).manifests[1]
        assert bundle.resolve(str(nested.digest)).size == nested.size
        assert [one.found for one in bundle.referrers(nested.digest)] == ["fallback"]
        assert bundle.referrers(Digest.of(b"?")) == ()
        with pytest.raises(NotFoundError):
            bundle.resolve("registry.example/other:1")
        with pytest.raises(NotFoundError):
            bundle.resolve(str(bundle.body[0].digest))
        with pytest.raises(NotFoundError) as caught:
            bundle.position(Digest.of(b"?"))
        assert caught.value.reason == "blob-not-found"
        before = dict(bundle.positions)
        bundle.survey()
        assert bundle.positions == before
        assert bundle.referrers(item.descriptor.digest) == listed
        with path.open("rb") as file:
            file.seek(bundle.position(bundle.body[0].digest).offset)
            data = file.read(bundle.body[0].size)
        assert hashlib.sha256(data).hexdigest() == bundle.body[0].digest.hex
        assert bundle.fileno() >= 0


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Draw a bundle: images, indexes, sparse ones, referrers, shared blobs, repositories."""
    shelf = Shelf()
    sizes = st.sampled_from([0, 1, 511, 512, 513, 5000, 65_535, 65_536, 70_000])
    layer = st.builds(noise, sizes, st.integers(0, 3))
    made = [shelf.image(*draw(st.lists(layer, max_size=3)))]
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            made.append(shelf.image(*draw(st.lists(layer, max_size=3)), annotations={"n": "m"}))
        else:
            flat = [one for one in made if not samples.is_index(one)]
            made.append(shelf.index(*draw(st.lists(st.sampled_from(flat), max_size=3))))
    items = {}
    for root in draw(st.lists(st.sampled_from(made), min_size=1, max_size=4)):
        signed = shelf.signature(root, *draw(st.lists(layer, max_size=2)))
        chain = [referrer(signed, root), referrer(shelf.signature(signed, b"x"), signed, "api")]
        children = shelf.read_manifest(root).manifests
        some = draw(st.booleans()) and bool(children)
        item = shelf.item(
            root,
            *chain[: draw(st.integers(0, 2))],
            source=draw(st.sampled_from([SOURCE, "docker.io/library/base"])),
            children=tuple(set(children[:1])) if some else None,
        )
        items[item.key] = item
    files = draw(
        st.dictionaries(
            st.sampled_from(["evidence.jsonl", "trust/keys/a.pub", "trust/b", "policy/p"]), layer
        )
    )
    return Recipe(shelf, inventory(*items.values()), files=files, roots=draw(st.integers(1, 3)))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipes())
def test_packing_what_was_unpacked_gives_the_same_bytes(tmp_path: Path, recipe: Recipe) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    for old in (first, second):
        old.unlink(missing_ok=True)
    recipe.pack(first)
    again = samples.unpack(first)
    assert again.pack(second).read_bytes() == first.read_bytes()
