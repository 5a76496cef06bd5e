"""T26: what other people's tools wrote is read; what is refused has a reason that is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap.errors import AirgapError, IntegrityError, UnsupportedVersionError
from airgap.oci.digest import Digest
from airgap.oci.manifest import MANIFEST_LIMIT, MANIFEST_TYPES, OCI_INDEX, Manifest
from airgap.oci.strict_json import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor


def _layouts(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.rglob("index.json"))


def _manifests(layout: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield every manifest of a layout, each judged against the descriptor that names it."""
    top = Manifest.parse((layout / "index.json").read_bytes(), OCI_INDEX, "index.json")
    todo = [*top.manifests]
    seen: set[Digest] = set()
    while todo:
        descriptor = todo.pop()
        file = layout / descriptor.digest.blob_path
        if descriptor.digest in seen or not file.exists():
            continue
        seen.add(descriptor.digest)
        manifest = Manifest.verified(file.read_bytes(), descriptor, str(file))
        yield file, manifest
        todo.extend(manifest.manifests)


def _small_json(layout: Path, manifest: Manifest) -> Iterator[tuple[Descriptor, bytes]]:
    for descriptor in manifest.blobs:
        file = layout / descriptor.digest.blob_path
        if descriptor.media_type.endswith("json") and file.exists():
            data = file.read_bytes()
            if len(data) <= MANIFEST_LIMIT and Digest.of(data) == descriptor.digest:
                yield descriptor, data


def test_layouts_of_cosign_notation_oras_and_others_are_read(shared: Callable[[str], Path]) -> None:
    layouts = [
        *_layouts(shared("fixtures/layouts")),
        *_layouts(shared("vectors/notation")),
        *_layouts(shared("vectors/notation-go")),
    ]
    manifests, documents = 0, 0
    for layout in layouts:
        if layout.name == "broken":
            continue
        for _, manifest in _manifests(layout):
            manifests += 1
            for descriptor, data in _small_json(layout, manifest):
                # The configs and signatures in them: strict, and the same as any reader reads.
                assert decode(data, str(descriptor.digest), floats=True) == json.loads(data)
                documents += 1
    assert len(layouts) >= 15
    assert manifests >= 200
    assert documents >= 100


def test_what_is_broken_is_refused_with_a_reason(shared: Callable[[str], Path]) -> None:
    layout = shared("fixtures/layouts") / "broken"
    top = Manifest.parse((layout / "index.json").read_bytes(), OCI_INDEX, "index.json")
    refused = []
    for descriptor in top.manifests:
        file = layout / descriptor.digest.blob_path
        try:
            Manifest.verified(file.read_bytes(), descriptor)
        except IntegrityError as error:
            refused.append(error.reason)
    assert set(refused) <= {"blob-digest-mismatch", "descriptor-size-mismatch"}


# Files of skopeo's own tests, in its `dir:` form: manifests of docker and OCI.
_DIRECTORY_MANIFESTS = "vectors/container-libs"


def test_manifests_of_docker_and_skopeo_are_read(shared: Callable[[str], Path]) -> None:
    read = 0
    for file in sorted(shared(_DIRECTORY_MANIFESTS).rglob("*manifest.json")):
        data = file.read_bytes()
        if json.loads(data)["schemaVersion"] == 1:
            with pytest.raises(UnsupportedVersionError):  # A059
                Manifest.parse(data)
            continue
        assert Manifest.parse(data, None, str(file)).media_type in MANIFEST_TYPES
        read += 1
    assert read >= 10


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # docs/bundle-format.md, section 8, and threat model A044 to A064: each is deliberate.
        ({"urls": ["https://example.com/layer"]}, "descriptor-urls"),
        ({"digest": "sha512:" + "0" * 128}, "digest-invalid"),
        ({"mediaType": "text/plain; charset=utf-8"}, "media-type-invalid"),
    ],
    ids=["foreign layers", "other algorithms", "media types with parameters"],
)
def test_what_is_refused_on_purpose(name: dict[str, object], reason: str) -> None:
    layer = {"mediaType": "text/plain", "digest": str(Digest.of(b"")), "size": 0, **name}
    config = {"mediaType": "text/plain", "digest": str(Digest.of(b"")), "size": 0}
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    }
    with pytest.raises(AirgapError) as caught:
        Manifest.parse(json.dumps(document).encode())
    assert caught.value.reason == reason
