from __future__ import annotations

import pytest

from airgap.errors import UsageError
from airgap.oci.naming import RELEASES, NameMap, Naming


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("docker.io/library/nginx", "mirror/docker.io/library/nginx"),
        ("127.0.0.1:5000/app", "mirror/127.0.0.1__5000/app"),
        ("localhost:5000/a/b", "mirror/localhost__5000/a/b"),
        ("Registry.Example/app", "mirror/registry.example/app"),
    ],
)
def test_names_are_prefix_host_repository(source: str, target: str) -> None:
    assert Naming(prefix="mirror").place(source) == target
    assert Naming().place(source) == target.removeprefix("mirror/")


@pytest.mark.parametrize("source", ["[::1]:5000/app", "[::1]/app", "a.b/" + "c" * 250])
def test_what_gives_no_valid_name_needs_a_map(source: str) -> None:
    with pytest.raises(UsageError) as caught:
        Naming(prefix="mirror").place(source)
    assert caught.value.reason == "name-needs-map"
    assert f"{source} has no valid name at the destination (mirror/" in caught.value.message
    assert caught.value.hint == f"Say where it goes: --map '{source}=some/name'."
    mapped = Naming(prefix="mirror", maps=(NameMap.parse(f"{source}=app"),))
    assert mapped.place(source) == "mirror/app"


def test_a_map_names_one_repository_or_all_below() -> None:
    naming = Naming(
        maps=(
            NameMap.parse("registry.example/prod/app=first/app"),
            NameMap.parse("registry.example/prod/**=apps/**"),
            NameMap.parse("127.0.0.1:5000/**=**"),
        )
    )
    assert naming.place("registry.example/prod/app") == "first/app"
    assert naming.place("registry.example/prod/db/main") == "apps/db/main"
    assert naming.place("registry.example/production/x") == "registry.example/production/x"
    assert naming.place("127.0.0.1:5000/a/b") == "a/b"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("nginx=web", "docker.io/library/nginx"),
        ("Registry.Example/app=a", "registry.example/app"),
        ("docker.io/**=hub/**", "docker.io/**"),
        ("index.docker.io/**=hub/**", "docker.io/**"),
        ("docker.io/library/**=hub/**", "docker.io/library/**"),
        ("team/**=hub/**", "docker.io/team/**"),
        ("a.b:5000/**=**", "a.b:5000/**"),
    ],
)
def test_the_source_of_a_map_is_spelled_as_sources_are(text: str, source: str) -> None:
    assert NameMap.parse(text).source == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b/c",
        "=c",
        "a.b/c=",
        "a.b/c=D",
        "a.b/c=../d",
        "a.b/c=d/**",
        "a.b/c=**",
        "a.b/c:1=d",
        "a.b/c@sha256:1=d",
        "a.b/**=d",
        "a.b/**=D/**",
        "a.b/**=d**",
        "a.b/*=d",
        "a.b/*/c=d",
        "a.b/*/**=d/**",
        "**=d",
        "/**=d/**",
        "**=**",
        "*/**=**",
    ],
)
def test_what_is_no_map_is_the_persons_mistake(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        NameMap.parse(text)
    assert caught.value.reason == "map-invalid"
    assert caught.value.message == f"{text!r} is not a mapping"
    assert "--map 'host/app=team/app'" in caught.value.hint


def test_flattening_keeps_the_last_part() -> None:
    naming = Naming(prefix="apps", flatten=True, maps=(NameMap.parse("a.b/x=y/z"),))
    assert naming.place("registry.example/prod/team/app") == "apps/app"
    assert naming.place("a.b/x") == "apps/y/z"


def test_each_source_gets_a_place_of_its_own() -> None:
    sources = ["b.example/app", "a.example/app", "b.example/app"]
    assert Naming(prefix="m").place_all(sources) == {
        "a.example/app": "m/a.example/app",
        "b.example/app": "m/b.example/app",
    }
    with pytest.raises(UsageError) as caught:
        Naming(flatten=True).place_all(sources)
    assert caught.value.reason == "destination-collision"
    assert caught.value.message == (
        "b.example/app and a.example/app would both be app at the destination"
    )
    assert "--map" in caught.value.hint


@pytest.mark.parametrize("prefix", ["", "mirror"])
def test_nobody_takes_the_place_of_the_release_records(prefix: str) -> None:
    naming = Naming(prefix=prefix, maps=(NameMap.parse(f"a.b/c={RELEASES}"),))
    assert naming.releases == (f"{prefix}/{RELEASES}" if prefix else RELEASES)
    with pytest.raises(UsageError) as caught:
        naming.place_all(["a.b/c"])
    assert caught.value.reason == "destination-collision"
    assert "a.b/c and the release records would both be" in caught.value.message
