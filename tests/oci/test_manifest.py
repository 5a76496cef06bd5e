from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import ContentError, FormatError, IntegrityError, UnsupportedVersionError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY_CONFIG,
    MANIFEST_LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    Kind,
    Manifest,
)
from tests.oci.examples import CONFIG, blob, data, image, image_document, index, index_document


def _refusal(document: dict[str, Any], hint: str | None = None) -> ContentError:
    with pytest.raises(ContentError) as caught:
        Manifest.parse(data(document), hint, "the root of app:1")
    return caught.value


def test_an_image_is_read_and_its_bytes_are_kept() -> None:
    document = image_document(
        layer_count=2,
        annotations={"a": "b"},
        subject=blob(b"x", OCI_INDEX),
        unknown=[1.5, {"x": None}],
    )
    raw = data(document).replace(b": ", b" :\n  ")
    manifest = Manifest.parse(raw)
    assert manifest.data == raw
    assert manifest.digest == Digest.of(raw)
    assert manifest.size == len(raw)
    assert manifest.media_type == OCI_MANIFEST
    assert manifest.kind is Kind.IMAGE
    assert manifest.descriptor == Descriptor(
        media_type=OCI_MANIFEST, digest=Digest.of(raw), size=len(raw)
    )
    assert manifest.config is not None
    assert [b.to_json() for b in manifest.blobs] == [document["config"], *document["layers"]]
    assert manifest.annotations == {"a": "b"}
    assert manifest.subject is not None
    assert manifest.subject.digest == Digest.of(b"x")
    assert manifest.manifests == ()
    assert raw not in repr(manifest).encode()


def test_an_index_is_read() -> None:
    one, two = image("one"), image("two")
    manifest = index(one, two, artifactType="application/x", annotations={"a": "b"})
    assert manifest.kind is Kind.INDEX
    assert [child.digest for child in manifest.manifests] == [one.digest, two.digest]
    assert (manifest.config, manifest.layers, manifest.blobs) == (None, (), ())
    assert manifest.effective_artifact_type == "application/x"
    assert index(one).effective_artifact_type is None


def test_the_type_comes_from_the_document_or_else_from_who_names_it() -> None:
    image_without = image_document()
    del image_without["mediaType"]
    assert Manifest.parse(data(image_without), DOCKER_MANIFEST).media_type == DOCKER_MANIFEST
    index_without = index_document(image())
    index_without["mediaType"] = ""
    assert Manifest.parse(data(index_without), DOCKER_LIST).kind is Kind.INDEX
    error = _refusal(image_without)
    assert (error.reason, error.message) == ("field-missing", "missing the root of app:1.mediaType")


def test_an_artifact_is_what_says_so_or_has_no_image_config() -> None:
    assert image(artifactType="application/x").kind is Kind.ARTIFACT
    assert image(artifactType="application/x").effective_artifact_type == "application/x"
    other = image(config=EMPTY_CONFIG.to_json(), artifactType="")
    assert other.kind is Kind.ARTIFACT
    assert other.effective_artifact_type == EMPTY_CONFIG.media_type
    assert image().effective_artifact_type == CONFIG
    docker = image(config=blob(b"{}", "application/vnd.docker.container.image.v1+json"))
    assert docker.kind is Kind.IMAGE


@pytest.mark.parametrize("fields", [{"layers": []}, {"layers": None}, {}])
def test_an_image_may_have_no_layers(fields: dict[str, Any]) -> None:
    document = image_document(subject=None, annotations=None, manifests=None, **fields)
    if not fields:
        del document["layers"]
    manifest = Manifest.parse(data(document))
    assert manifest.layers == ()
    assert manifest.blobs == (manifest.config,)


@pytest.mark.parametrize(
    ("document", "reason", "message"),
    [
        (image_document(manifests=[]), "manifest-ambiguous", "a manifest with"),  # A054
        (image_document(blobs=[]), "manifest-ambiguous", "a manifest with the root of app:1.blobs"),
        (image_document(fsLayers=[]), "manifest-ambiguous", "app:1.fsLayers"),
        (index_document(layers=[]), "manifest-ambiguous", "an index with the root of app:1.layers"),
        (index_document(config=blob(b"")), "manifest-ambiguous", "an index with"),
        (index_document(blobs=[]), "manifest-ambiguous", "an index with"),
        (index_document(fsLayers=[]), "manifest-ambiguous", "an index with"),
        (image_document(Manifests=[]), "json-duplicate-key", "ambiguous field"),  # A044
        (image_document(Layers=[]), "json-duplicate-key", "ambiguous field the root of app:1.Lay"),
        (image_document(MEDIATYPE=""), "json-duplicate-key", "ambiguous field"),
        (image_document(mediaType="text/html"), "media-type-unknown", "text/html is not a mani"),
        (image_document(mediaType="text"), "media-type-invalid", "the root of app:1.mediaType"),
        (image_document(mediaType=1), "field-invalid", "expected string in"),
        (image_document(mediaType=OCI_INDEX), "manifest-ambiguous", "an index with"),
        (index_document(mediaType=OCI_MANIFEST), "manifest-ambiguous", "a manifest with"),
        (image_document(config=None), "field-missing", "missing the root of app:1.config"),
        (image_document(layers={}), "field-invalid", "expected array in the root of app:1.layers"),
        (image_document(layers=[1]), "field-invalid", "expected object in the root of app:1.lay"),
        (index_document(manifests=None), "field-missing", "missing the root of app:1.manifests"),
        (index_document(manifests=[blob(b"")]), "index-child-not-manifest", "manifests[0] is of"),
        (image_document(subject=[]), "field-invalid", "object in the root of app:1.subject"),
        (image_document(artifactType=1), "field-invalid", "expected string"),
        (image_document(annotations={"a": None}), "field-invalid", "annotations.a, got null"),
        (image_document(layers=[blob(b"")] * 10_001), "graph-too-large", "more than 10000 in"),
        (index_document(*[image()] * 1001), "graph-too-large", "more than 1000 in"),  # A060
    ],
)  # fmt: skip
def test_what_two_readers_could_take_for_two_things_is_refused(
    document: dict[str, Any], reason: str, message: str
) -> None:
    error = _refusal(document)
    assert isinstance(error, FormatError)
    assert error.reason == reason
    assert message in error.message


@pytest.mark.parametrize("version", [1, 3, None])
def test_docker_schema_1_is_refused(version: int | None) -> None:
    error = _refusal(image_document(schemaVersion=version))  # A059
    assert isinstance(error, UnsupportedVersionError)
    assert error.reason == "manifest-version-unsupported"
    assert "the root of app:1.schemaVersion is not 2" in error.message
    assert error.hint == "Push the image again with a current tool."


@pytest.mark.parametrize("version", [2.0, "2", True, -2])
def test_a_version_is_a_number(version: object) -> None:
    assert _refusal(image_document(schemaVersion=version)).reason == "field-invalid"


def test_a_lying_descriptor_is_refused() -> None:
    error = _refusal(image_document(), DOCKER_MANIFEST)  # A054, CVE-2021-41190
    assert error.reason == "media-type-mismatch"
    assert error.message == (
        f"the root of app:1.mediaType is {OCI_MANIFEST}, its descriptor says {DOCKER_MANIFEST}"
    )
    without = image_document()
    del without["mediaType"]
    assert _refusal(without, "text/html").reason == "media-type-unknown"
    assert _refusal(without, OCI_INDEX).reason == "manifest-ambiguous"


def test_a_manifest_is_bounded() -> None:
    room = MANIFEST_LIMIT - len(data(image_document(unknown="")))
    assert Manifest.parse(data(image_document(unknown="x" * room))).size == MANIFEST_LIMIT
    error = _refusal(image_document(unknown="x" * (room + 1)))  # A049
    assert error.reason == "manifest-too-large"
    assert error.message == f"the root of app:1 is larger than {MANIFEST_LIMIT} bytes"


def test_verified_judges_size_then_digest_then_form() -> None:
    manifest = image()
    wanted = manifest.descriptor
    assert Manifest.verified(manifest.data, wanted) == manifest
    changed = manifest.data.replace(b"layer", b"Layer", 1)
    for other, reason, message in [
        (manifest.data + b" ", "descriptor-size-mismatch", f"bytes, not {wanted.size}"),
        (b"", "descriptor-size-mismatch", "has 0 bytes"),
        (changed, "blob-digest-mismatch", "does not have the bytes that its digest names"),
    ]:
        with pytest.raises(IntegrityError) as caught:  # A055
            Manifest.verified(other, wanted, "child")
        assert caught.value.reason == reason
        assert caught.value.message.startswith(f"child {wanted.digest} ")
        assert message in caught.value.message
    lying = Descriptor(media_type=OCI_INDEX, digest=wanted.digest, size=wanted.size)
    with pytest.raises(FormatError) as refused:
        Manifest.verified(manifest.data, lying, "child")
    assert refused.value.reason == "media-type-mismatch"
    assert refused.value.message.startswith(f"child {wanted.digest}.mediaType is ")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_KEYS = st.sampled_from([*image_document(), *index_document(), "subject", "annotations", "Config"])


@given(st.dictionaries(_KEYS, _JSON | st.just([blob(b"")]) | st.just(blob(b""))), st.booleans())
def test_no_document_ends_in_anything_but_our_own_errors(
    changes: dict[str, Any], is_index: bool
) -> None:
    document = (index_document(image()) if is_index else image_document()) | changes
    try:
        manifest = Manifest.parse(data(document))
    except ContentError as error:
        assert error.message  # noqa: PT017 - most inputs end here
    else:
        assert manifest.data == data(document)
