from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.oci.reference import Reference, is_repository, is_tag

DIGEST = Digest.of(b"")

_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
_PORT = st.integers(1, 65535).map(lambda port: f":{port}") | st.just("")
_HOST = (
    st.lists(_LABEL, min_size=2, max_size=4).map(".".join)
    | st.sampled_from(["localhost", "[::1]", "127.0.0.1", "[2001:db8::1]"])
).flatmap(lambda host: _PORT.map(lambda port: host + port))
_PART = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
_REPOSITORY = st.lists(_PART, min_size=1, max_size=4).map("/".join)
_TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
_REFERENCES = st.builds(
    Reference,
    host=_HOST,
    repository=_REPOSITORY,
    tag=st.none() | _TAG,
    digest=st.none() | st.binary(max_size=3).map(Digest.of),
)


@given(_REFERENCES)
def test_a_reference_parses_back_from_what_it_spells(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=40) | st.text("aA0.:/@[]_-\u212a", max_size=20))
def test_any_text_is_a_reference_in_one_normal_form_or_a_usage_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except UsageError as error:
        assert error.reason == "reference-invalid"  # noqa: PT017 - most inputs end here
        assert "is not a reference: " in error.message  # noqa: PT017
        assert error.hint.startswith("Write HOST/REPOSITORY:TAG")  # noqa: PT017
    else:
        assert text.isascii()
        assert is_repository(reference.repository)
        assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("registry-1.docker.io/team/app", "docker.io/team/app"),
        ("Docker.IO/nginx", "docker.io/library/nginx"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("Registry/app", "registry/app"),
        ("registry.EXAMPLE:5000/a/b:T", "registry.example:5000/a/b:T"),
        ("[::1]:5000/app", "[::1]:5000/app"),
        ("[2001:DB8::1]/app:1", "[2001:db8::1]/app:1"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"a.b/c:1@{DIGEST}", f"a.b/c:1@{DIGEST}"),
        ("a.b:65535/c__d/e-f/g--h", "a.b:65535/c__d/e-f/g--h"),
    ],
)
def test_short_names_are_spelled_out_as_docker_does(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the repository is not one"),
        ("/", "the repository is not one"),
        ("/app", "the repository is not one"),
        ("Nginx", "the repository is not one"),
        ("docker.io/", "the repository is not one"),
        ("a.b/../c", "the repository is not one"),  # A071
        ("a.b/c/", "the repository is not one"),
        ("a.b//c", "the repository is not one"),
        ("a.b/c%2e", "the repository is not one"),
        ("a.b/c_.d", "the repository is not one"),
        ("a.b/c___d", "the repository is not one"),
        ("a.b/c\n", "the repository is not one"),
        ("a.b/" + "c" * 256, "the repository is not one"),
        ("a.b/c:", "the tag is not one"),
        ("a.b/c:-1", "the tag is not one"),
        ("a.b/c:1\n", "the tag is not one"),
        ("a.b/c:" + "1" * 129, "the tag is not one"),
        ("a.b/c:1:2", "the repository is not one"),
        ("a.b/c@", "the part after @ is not a sha256 digest"),
        (f"a.b/c@{DIGEST}@{DIGEST}", "the part after @ is not a sha256 digest"),
        ("a.b/c@sha512:1", "the part after @ is not a sha256 digest"),
        ("user:password@a.b/c", "the part after @ is not a sha256 digest"),
        ("-a.b/c", "the host is not one"),
        ("a..b/c", "the host is not one"),
        ("a.b-/c", "the host is not one"),
        ("a_b.c/d", "the host is not one"),
        ("a.b:/c", "the host is not one"),
        ("a.b:0/c", "the host is not one"),
        ("a.b:080/c", "the host is not one"),
        ("a.b:65536/c", "the host is not one"),
        ("a.b:123456/c", "the host is not one"),
        ("[::1/c", "the host is not one"),
        ("[::g]/c", "the host is not one"),
        ("a." + "b" * 255 + "/c", "the host is not one"),
        ("\u212aegistry.example/app", "the host is not one"),  # lower() makes it an ASCII k
        ("http://a.b/c", "the host is not one"),
    ],
)
def test_what_is_no_reference_is_the_persons_mistake(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(text)
    assert caught.value.reason == "reference-invalid"
    assert f"is not a reference: {why}" in caught.value.message


def test_a_reference_knows_what_to_ask_for() -> None:
    plain = Reference.parse("a.b/c")
    assert (plain.source, plain.name, plain.target) == ("a.b/c", None, None)
    tagged = plain.with_default_tag()
    assert (tagged.source, tagged.name, tagged.target) == ("a.b/c", "a.b/c:latest", "latest")
    assert tagged.with_default_tag() is tagged
    both = Reference.parse(f"a.b/c:1@{DIGEST}")
    assert (both.source, both.name, both.target) == ("a.b/c", "a.b/c:1", str(DIGEST))
    assert both.with_default_tag() is both
    pinned = Reference.parse(f"a.b/c@{DIGEST}")
    assert pinned.with_default_tag() is pinned
    assert (pinned.name, pinned.target) == (None, str(DIGEST))


@pytest.mark.parametrize("name", ["a", "a/b", "0.a", "a__b", "a---b", "a" * 255])
def test_repositories(name: str) -> None:
    assert is_repository(name)
    assert not is_repository(name + "/")
    assert not is_repository(name + "\n")
    assert not is_repository("." + name)


@pytest.mark.parametrize("tag", ["latest", "_1", "A.b-C", "1" * 128])
def test_tags(tag: str) -> None:
    assert is_tag(tag)
    assert not is_tag("." + tag)
    assert not is_tag(tag + "/")


@pytest.mark.parametrize("text", ["a" * 200_000 + "!", "a." * 100_000 + "!", "[" + ":" * 200_000])
def test_long_text_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError):  # A022
        Reference.parse(f"{text}/{text}:{text}")
