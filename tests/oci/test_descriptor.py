from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest

from airgap.errors import FormatError, UsageError
from airgap.oci.descriptor import Descriptor, Platform
from airgap.oci.digest import Digest
from airgap.oci.strict_json import Reader
from tests.oci.examples import blob

CONTENT = b"some content"


def _parse(**fields: object) -> Descriptor:
    return Descriptor.from_json(Reader({**blob(CONTENT), **fields}, "layers[0]"))


def _refusal(**fields: object) -> FormatError:
    with pytest.raises(FormatError) as caught:
        _parse(**fields)
    return caught.value


def test_a_descriptor_says_what_a_manifest_says_of_it() -> None:
    descriptor = _parse(
        artifactType="application/spdx+json",
        platform={"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"},
        annotations={"a": "b"},
        data=base64.b64encode(CONTENT).decode(),
        unknown={"of": ["third", "parties"]},
    )
    assert descriptor.digest == Digest.of(CONTENT)
    assert descriptor.size == len(CONTENT)
    assert descriptor.artifact_type == "application/spdx+json"
    assert str(descriptor.platform) == "linux/arm/v7"
    assert descriptor.annotations == {"a": "b"}
    assert descriptor.to_json() == blob(CONTENT)


def test_what_is_not_said_is_none_and_so_is_null() -> None:
    plain = _parse()
    assert (plain.artifact_type, plain.platform, plain.annotations) == (None, None, {})
    assert _parse(artifactType="") == plain
    assert _parse(urls=None, data=None, platform=None, annotations=None) == plain
    assert hash(_parse(annotations={"a": "b"})) == hash(plain)


def test_descriptors_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _parse().size = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"urls": []}, "descriptor-urls", "layers[0].urls is not allowed"),  # A064
        ({"urls": ["https://example.com"]}, "descriptor-urls", "layers[0].urls is not allowed"),
        ({"URLS": []}, "json-duplicate-key", "ambiguous field layers[0].URLS"),  # A044
        ({"Digest": ""}, "json-duplicate-key", "ambiguous field layers[0].Digest"),
        ({"size": -1}, "field-invalid", "expected at least 0 in layers[0].size"),  # A055
        ({"size": None}, "field-missing", "missing layers[0].size"),
        ({"size": True}, "field-invalid", "expected int in layers[0].size, got bool"),  # A046
        ({"size": 12.0}, "field-invalid", "expected int in layers[0].size, got number"),
        ({"digest": "md5:1"}, "digest-invalid", "in layers[0].digest, got 'md5:1'"),  # A056
        ({"mediaType": None}, "field-missing", "missing layers[0].mediaType"),
        ({"mediaType": ""}, "media-type-invalid", "a media type in layers[0].mediaType, got ''"),
        ({"mediaType": "tar"}, "media-type-invalid", "got 'tar'"),
        ({"mediaType": "a/b/c"}, "media-type-invalid", "got 'a/b/c'"),
        ({"mediaType": "a/b\n"}, "media-type-invalid", "a media type in layers[0].mediaType"),
        ({"mediaType": "a/" + "b" * 128}, "media-type-invalid", "a media type in"),
        ({"annotations": {"a": 1}}, "field-invalid", "string in layers[0].annotations.a"),
        ({"platform": []}, "field-invalid", "expected object in layers[0].platform"),
        ({"platform": {"os": "linux"}}, "field-missing", "missing layers[0].platform.architecture"),
        ({"data": "%"}, "descriptor-data-mismatch", "layers[0].data is not base64"),  # A065
        ({"data": "é"}, "descriptor-data-mismatch", "layers[0].data is not base64"),
        ({"data": ""}, "descriptor-data-mismatch", "layers[0].data is not the content of sha256:"),
    ],
)
def test_what_is_not_a_descriptor_is_refused_with_its_path(
    fields: dict[str, Any], reason: str, message: str
) -> None:
    error = _refusal(**fields)
    assert error.reason == reason
    assert message in error.message


@pytest.mark.parametrize(
    "data",
    [
        base64.b64encode(b"some other content").decode(),
        base64.b64encode(b"some kontent").decode(),
        base64.b64encode(CONTENT).decode() + "\n",
        base64.b64encode(CONTENT).decode().rstrip("=") + "====",
    ],
)
def test_data_that_is_not_the_content_is_refused(data: str) -> None:
    assert _refusal(data=data).reason == "descriptor-data-mismatch"  # A065


def test_data_has_one_spelling() -> None:
    assert _parse(**blob(b"a"), data="YQ==").size == 1
    assert base64.b64decode("YR==", validate=True) == b"a"  # the decoder does not look at all bits
    assert _refusal(**blob(b"a"), data="YR==").reason == "descriptor-data-mismatch"  # A065


@pytest.mark.parametrize("key", ["OS", "Architecture", "VARIANT", "os.Version", "OS.features"])
def test_a_platform_has_one_reading(key: str) -> None:
    platform = {"os": "linux", "architecture": "amd64", key: "arm64"}
    error = _refusal(platform=platform)  # A044, A073: Go's readers would take the second
    assert error.reason == "json-duplicate-key"
    assert error.message == f"ambiguous field layers[0].platform.{key}"


def test_platforms_are_spelled_and_read_as_docker_does() -> None:
    assert Platform.parse("linux/amd64") == Platform(os="linux", architecture="amd64")
    assert str(Platform.parse("linux/arm/v7")) == "linux/arm/v7"
    assert str(Platform.parse("linux/amd64")) == "linux/amd64"


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux//v7", "a/b/c/d"])
def test_what_is_no_platform_is_the_persons_mistake(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Platform.parse(text)
    assert caught.value.reason == "platform-invalid"
    assert caught.value.message == f"{text!r} is not a platform"
    assert "linux/arm64" in caught.value.hint


@pytest.mark.parametrize(
    ("platform", "wanted", "matches"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/arm64", "linux/arm", False),
        ("windows/amd64", "linux/amd64", False),
    ],
)
def test_a_platform_matches_what_is_wanted(platform: str, wanted: str, matches: bool) -> None:
    assert Platform.parse(platform).matches(Platform.parse(wanted)) is matches
