from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from airgap.errors import UsageError
from airgap.oci.descriptor import Platform
from airgap.oci.digest import Digest
from airgap.oci.reference import Reference
from airgap.request import ExportRequest, ImageRequest, parse_image, read_request
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGEST = Digest.of(b"")
SCHEMA = Draft202012Validator(
    json.loads((REPOSITORY / "schemas" / "request.schema.json").read_bytes())
)


def _refusal(call: Callable[..., object], *arguments: object, **options: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call(*arguments, **options)
    return caught.value


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "layout").mkdir()
    (tmp_path / "with:colon").mkdir()
    (tmp_path / "app.tar").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- one image ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "location", "repository", "target"),
    [
        ("nginx", "docker.io", "library/nginx", "latest"),
        ("docker://nginx:1", "docker.io", "library/nginx", "1"),
        ("docker:27", "docker.io", "library/docker", "27"),
        ("registry.example:5000/prod/app:1.4", "registry.example:5000", "prod/app", "1.4"),
        (f"docker://a.b/c@{DIGEST}", "a.b", "c", str(DIGEST)),
        (f"a.b/c:1@{DIGEST}", "a.b", "c", str(DIGEST)),
    ],
)
def test_a_reference_is_of_a_registry(
    text: str, location: str, repository: str, target: str
) -> None:
    image = parse_image(text)
    assert image.transport == "docker"
    assert (image.location, image.repository, image.target) == (location, repository, target)
    assert image.name == Reference.parse(text.removeprefix("docker://")).with_default_tag()
    assert str(image) == str(image.name)
    assert (image.platforms, image.referrers) == ((), True)


@pytest.mark.parametrize(
    ("text", "as_name", "location", "target", "name"),
    [
        ("oci:layout:a.b/c:1", None, "layout", "a.b/c:1", "a.b/c:1"),
        ("oci:layout:localhost/c:1", None, "layout", "localhost/c:1", "localhost/c:1"),
        ("oci:layout:host:5000/c", None, "layout", "host:5000/c", "host:5000/c"),
        ("oci:./layout:1.4", "a.b/c", "./layout", "1.4", "a.b/c:1.4"),
        ("oci:layout:x/y:1.4", "a.b/c", "layout", "x/y:1.4", "a.b/c:1.4"),
        ("oci:layout:1.4", "a.b/c:2", "layout", "1.4", "a.b/c:2"),
        ("oci:layout", "a.b/c", "layout", "", "a.b/c"),
        ("oci:with:colon", "a.b/c:1", "with:colon", "", "a.b/c:1"),
        ("oci:with:colon:1.4", "a.b/c", "with:colon", "1.4", "a.b/c:1.4"),
        ("oci-archive:app.tar:a.b/c:1", None, "app.tar", "a.b/c:1", "a.b/c:1"),
        ("docker-archive:app.tar:c:1", "a.b/c", "app.tar", "c:1", "a.b/c:1"),
        ("bundle:app.tar:a.b/c:1", None, "app.tar", "a.b/c:1", "a.b/c:1"),
        (f"oci:layout@{DIGEST}", "a.b/c", "layout", str(DIGEST), "a.b/c"),
        (f"oci:layout@{DIGEST}", "a.b/c:1", "layout", str(DIGEST), "a.b/c:1"),
        (f"oci:layout@{DIGEST}", f"a.b/c@{DIGEST}", "layout", str(DIGEST), f"a.b/c@{DIGEST}"),
    ],
)
def test_layouts_and_archives_are_paths_with_a_name(
    here: Path, text: str, as_name: str | None, location: str, target: str, name: str
) -> None:
    image = parse_image(text, as_name=as_name, platforms=["linux/arm64"], referrers=False)
    assert image == ImageRequest(
        transport=text.partition(":")[0],
        location=location,
        repository="",
        target=target,
        name=Reference.parse(name),
        platforms=(Platform(os="linux", architecture="arm64"),),
        referrers=False,
    )


@pytest.mark.parametrize(
    ("text", "as_name", "reason", "message"),
    [
        ("a.b/C", None, "reference-invalid", "'a.b/C' is not a reference: the repository"),
        ("http://a.b/c", None, "transport-unknown", "unknown transport 'http'"),
        ("a.b/c", "d.e/f", "as-not-applicable", "--as renames layouts and archives, not a.b/c"),
        ("oci:layout", None, "source-name-missing", "oci:layout: nothing there says which"),
        ("oci:layout:latest", None, "source-name-missing", "nothing there says"),
        ("oci:layout:team/app:1", None, "source-name-missing", "nothing there says"),
        (f"oci:layout@{DIGEST}", None, "source-name-missing", "nothing there says"),
        ("oci:layout:a.b/C", None, "reference-invalid", "'a.b/C' is not a reference"),
        ("oci:layout:1.4", "a.b/C", "reference-invalid", "'a.b/C"),
        ("oci:layout:-", "a.b/c", "reference-invalid", "'a.b/c:-' is not a reference"),
        ("oci:elsewhere:1", "a.b/c", "path-not-found", "elsewhere:1 is neither a folder nor a"),
        (f"oci:elsewhere@{DIGEST}", "a.b/c", "path-not-found", "elsewhere@sha256:"),
        ("oci:layout@sha256:1", "a.b/c", "reference-invalid", "64 lower-case hex digits"),
        ("oci:layout@md5:1", "a.b/c", "path-not-found", "layout@md5:1 is neither"),
        ("oci:", "a.b/c", "path-not-found", " is neither a folder nor a file here"),
        ("oci::1.4", "a.b/c", "path-not-found", ":1.4 is neither a folder nor a file here"),
        ("oci:" + "x" * 5000, "a.b/c", "path-not-found", "xxx"),
        ("oci:lay\0out", "a.b/c", "path-not-found", "lay\\u{0}out is neither"),
    ],
)
def test_what_names_no_image_is_the_persons_mistake(
    here: Path, text: str, as_name: str | None, reason: str, message: str
) -> None:
    error = _refusal(parse_image, text, as_name=as_name)
    assert error.reason == reason
    assert message in error.message
    assert error.exit_code == 2


def test_a_platform_that_is_none_is_the_persons_mistake() -> None:
    error = _refusal(parse_image, "nginx", platforms=["linux/amd64", "linux"])
    assert error.reason == "platform-invalid"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("oci:dker/@layut.-_\0\n", max_size=30), st.none() | st.just("a.b/c"))
def test_any_text_is_an_image_or_a_usage_error(here: Path, text: str, as_name: str | None) -> None:
    try:
        assert parse_image(text, as_name=as_name).name.source
    except UsageError as error:
        assert error.reason  # noqa: PT017 - most inputs end here


# --- a request file -------------------------------------------------------------------------

_DOCUMENT = {
    "version": 1,
    "stream": "prod",
    "images": [
        "registry.example/prod/app:1.4",
        {"image": "registry.example/prod/db:16", "platforms": ["linux/amd64"], "referrers": False},
        {"image": "oci:layout:1.4", "as": "registry.example/x", "referrers": True},
    ],
}
_REQUEST = ExportRequest(
    stream="prod",
    images=(
        parse_image("registry.example/prod/app:1.4"),
        parse_image("registry.example/prod/db:16", platforms=["linux/amd64"], referrers=False),
        ImageRequest(
            transport="oci",
            location="layout",
            repository="",
            target="1.4",
            name=Reference.parse("registry.example/x:1.4"),
        ),
    ),
)


def _write(here: Path, document: object, name: str = "export.json") -> Path:
    path = here / name
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def _matches_schema(document: object) -> bool:
    return SCHEMA.is_valid(document)


@pytest.mark.parametrize("name", ["export.json", "export.yaml", "export.yml", "export"])
def test_a_request_is_json_or_yaml(here: Path, name: str) -> None:
    assert read_request(_write(here, _DOCUMENT, name)) == _REQUEST
    assert _matches_schema(_DOCUMENT)


def test_a_request_is_written_as_people_write_yaml(here: Path) -> None:
    text = b"""\xef\xbb\xbf# export.yaml
version: 1
stream: prod
images:
  - registry.example/prod/app:1.4
  - {image: registry.example/prod/db:16, platforms: [linux/amd64], referrers: false}
  - image: oci:layout:1.4
    as: registry.example/x
"""
    assert read_request(_write(here, text, "export.yaml")) == _REQUEST


def _with(**fields: object) -> dict[str, object]:
    return {**_DOCUMENT, **fields}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected object in export.json, got array"),
        (None, "expected object in export.json, got null"),
        ({}, "missing export.json.version"),
        (_with(version=2), "expected 1 in export.json.version"),
        (_with(version="1"), "expected int in export.json.version, got string"),
        (_with(version=True), "expected int in export.json.version, got bool"),
        (_with(stream=""), "export.json.stream is not a name of lower-case letters"),
        (_with(stream="Prod"), "export.json.stream is not a name"),
        (_with(stream="a" * 64), "export.json.stream is not a name"),
        (_with(stream="../x"), "export.json.stream is not a name"),
        (_with(stream=None), "expected string in export.json.stream, got null"),
        (_with(images=[]), "export.json.images is empty"),
        (_with(images={}), "expected array in export.json.images"),
        (_with(images=[1]), "expected object in export.json.images[0], got int"),
        (_with(images=[{}]), "missing export.json.images[0].image"),
        (_with(images=[{"image": "a", "platforms": []}]), "images[0].platforms is empty"),
        (_with(images=[{"image": "a", "platforms": "x"}]), "expected array in export.json.images"),
        (_with(images=[{"image": "a", "platforms": [1]}]), "string in export.json.images[0].pla"),
        (_with(images=[{"image": "a", "referrers": 1}]), "expected bool in export.json.images[0]"),
        (_with(images=[{"image": "a", "as": 1}]), "expected string in export.json.images[0].as"),
        (_with(images=[{"image": "a", "tag": 1}]), "unknown field export.json.images[0].tag"),
        (_with(images=["a", {"Image": "a"}]), "unknown field export.json.images[1].Image"),
        (_with(imges=[]), "unknown field export.json.imges"),
    ],
)
def test_what_the_schema_refuses_is_refused_with_its_path(
    here: Path, document: object, message: str
) -> None:
    assert not _matches_schema(document)
    error = _refusal(read_request, _write(here, document))
    assert error.reason == "request-invalid"
    assert message in error.message
    assert error.hint == "See schemas/request.schema.json and docs/export.md."


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("", "reference-invalid"),
        ({"image": ""}, "reference-invalid"),
        ({"image": "oci:layout", "as": ""}, "reference-invalid"),
        ({"image": "a", "platforms": ["linux"]}, "platform-invalid"),
        ({"image": "a", "platforms": ["a/b/c/d"]}, "platform-invalid"),
    ],
)
def test_what_the_grammar_of_images_refuses_the_schema_refuses(
    here: Path, image: object, reason: str
) -> None:
    assert not _matches_schema(_with(images=[image]))
    assert _refusal(read_request, _write(here, _with(images=[image]))).reason == reason


@pytest.mark.parametrize("field", ["policy", "trust", "base", "audience", "withdrawn"])
@pytest.mark.parametrize("value", [None, "policy.yaml", []])
def test_what_cannot_be_carried_out_yet_is_refused(here: Path, field: str, value: object) -> None:
    error = _refusal(read_request, _write(here, _with(**{field: value})))
    assert error.reason == "not-supported-yet"
    assert error.message.startswith(f"export.json.{field}: ")
    assert error.message.endswith("cannot be carried out by this release yet")
    assert "nothing of a request is ever ignored" in error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"version: [1", "export.yaml is not YAML 1.2: "),
        (b"version: 1\nimages: }", "in line 2"),
        (b"version: 1\nversion: 1", 'found duplicate key "version"'),
        (b"a: 1\n---\nb: 2", "but found another document in line 2"),
        (b"\xff", "export.yaml is not YAML 1.2: 'utf-8' codec can't decode byte 0xff"),
        (b"version: !!python/object:os.system 1", "could not determine a constructor"),
        (b"version: !!bool maybe", "export.yaml is not YAML 1.2: 'maybe'"),
        (b"version: !!int ''", "export.yaml is not YAML 1.2: "),
        (b"version: 2026-99-99", "export.yaml is not YAML 1.2: month must be in 1..12"),
        (b"[" * 500, "export.yaml is not YAML 1.2: "),
        (b"version: &a [*a]", "expected int in export.yaml.version, got array"),
        (b"version: 2026-01-01", "expected int in export.yaml.version, got date"),
        (b"version: .nan", "expected int in export.yaml.version, got number"),
        (b"1: a\nb: c\n~: d", "unknown field export.yaml.1"),
        (b"? [a, b]\n: c", "unknown field export.yaml."),
        (b"", "expected object in export.yaml, got null"),
        (b"- a", "expected object in export.yaml, got array"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(here: Path, text: bytes, message: str) -> None:
    error = _refusal(read_request, _write(here, text, "export.yaml"))
    assert error.reason == "request-invalid"
    assert message in error.message
    assert "\\u{a}" not in error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"version":1,"version":1}', "duplicate key 'version' in export.json"),
        (b"version: 1", "export.json is not JSON"),
        (b"{" * 100, "nests deeper"),
    ],
)
def test_what_is_no_json_is_refused(here: Path, text: bytes, message: str) -> None:
    error = _refusal(read_request, _write(here, text))
    assert error.reason == "request-invalid"
    assert message in error.message


def test_a_request_that_cannot_be_read_is_named(here: Path) -> None:
    for path, why in [(here / "none.yaml", "No such file"), (here / "layout", "Is a directory")]:
        error = _refusal(read_request, path)
        assert error.reason == "request-unreadable"
        assert error.message.startswith(f"cannot read {path}: {why}")


def test_a_request_is_bounded(here: Path) -> None:
    data = json.dumps(_DOCUMENT).encode()
    room = (8 << 20) - len(data)
    assert read_request(_write(here, data + b" " * room)) == _REQUEST
    error = _refusal(read_request, _write(here, data + b" " * (room + 1)))
    assert (error.reason, error.exit_code) == ("request-invalid", 2)
    assert "is larger than 8388608 bytes" in error.message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.text("{}[]:,-&*!?|>%@`'\"# \n\tab1~<=.", max_size=30)
    | st.lists(
        st.sampled_from(
            ["!!int ", "!!bool ", "!!float ", "!!set ", "!!omap ", "!!timestamp ", "!!binary ",
             "!!pairs ", "!!str ", "<<: ", "&a ", "*a ", "x", "1", "[", "]", "{", "}", ": ", "\n"]
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_no_yaml_ends_in_anything_but_a_usage_error(here: Path, text: str) -> None:
    _refusal(read_request, _write(here, text.encode(), "export.yaml"))


def test_the_schema_and_the_yaml_reader_agree_on_the_sample_of_the_documentation() -> None:
    sample = YAML(typ="safe", pure=True).load(
        "version: 1\nstream: prod\nimages: [a.b/c:1, {image: a.b/d}]"
    )
    assert _matches_schema(sample)
