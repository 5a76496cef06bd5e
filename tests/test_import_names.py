"""Where everything goes: the contract of names, --map, --flatten, collisions, dry runs, places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap.ledger.ledger import Ledger
from airgap.stores import StoreOptions, open_store
from tests.freight import NAME, Freight, write_layout
from tests.journey import Answer, Journey, open_registry_store, run, running_registry
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.registry_process import DEBIAN

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


@pytest.fixture
def layout(tmp_path: Path) -> str:
    return write_layout(tmp_path / "layout", Freight.make("names"))


def pack(journey: Journey, layout: str, *sources: str) -> Path:
    """Export the same image as each of `sources`."""
    entries = "".join(f"  - {{image: '{layout}', as: '{source}'}}\n" for source in sources)
    request = journey.folder / "export.yaml"
    request.write_text(f"version: 1\nstream: prod\nimages:\n{entries}")
    output = journey.folder / "names.tar"
    answer = run("export", request, "--authority", journey.authority, "-o", output,
                 "--format", "json")  # fmt: skip
    assert answer.code == 0, answer.err
    journey.codes[1] = answer.document["code"]
    return output


def load(journey: Journey, bundle: Path, *arguments: object) -> Answer:
    return journey.load(bundle, "--bootstrap", journey.codes[1], *arguments)


def names(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return sorted(answer.document["namesAtDestination"])


def test_the_contract_of_names(journey: Journey, layout: str) -> None:
    bundle = pack(journey, layout, "nginx:1", "127.0.0.1:5000/app:1", "registry.example/a/b/c:2")
    with run_registry(FakeRegistry()) as registry:
        insecure = ("--insecure-http", registry.host)
        to = ("--to", f"docker://{registry.host}/mirror")
        assert names(load(journey, bundle, *to, *insecure)) == [
            f"{registry.host}/mirror/127.0.0.1__5000/app:1",
            f"{registry.host}/mirror/docker.io/library/nginx:1",
            f"{registry.host}/mirror/registry.example/a/b/c:2",
        ]
        assert {name for name, found in registry.manifests.items() if found} == {
            "mirror/127.0.0.1__5000/app", "mirror/docker.io/library/nginx",
            "mirror/registry.example/a/b/c", "mirror/airgap/releases",
        }  # fmt: skip
        # The same content in several repositories is sent once and mounted.
        assert len(registry.asked("POST", "/blobs/uploads/")) > 0
        mounts = [one for one in registry.seen if one.query.get("mount")]
        assert mounts


def test_mapped_and_flattened(journey: Journey, layout: str) -> None:
    bundle = pack(journey, layout, "registry.example/prod/app:1", "[::1]:5000/lab/tool:2")
    refused = load(journey, bundle)
    assert (refused.code, refused.error["reason"]) == (2, "name-needs-map")
    assert "--map '[::1]:5000/lab/tool=" in refused.error["hint"]
    assert not (journey.state / "store").exists()
    maps = ("--map", "registry.example/**=apps/**", "--map", "[::1]:5000/lab/tool=six/tool")
    dry = load(journey, bundle, *maps, "--dry-run")
    assert names(dry) == ["apps/prod/app:1", "six/tool:2"]
    assert not (journey.state / "store").exists()
    assert names(load(journey, bundle, *maps)) == ["apps/prod/app:1", "six/tool:2"]
    flat = load(journey, bundle, "--flatten", "--to", f"oci:{journey.folder}/flat")
    assert names(flat) == [
        f"oci:{journey.folder}/flat/app:1", f"oci:{journey.folder}/flat/tool:2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ("--flatten",),
        ("--map", "a.example/app=same", "--map", "b.example/app=same"),
        ("--map", "a.example/app=airgap/releases"),
    ],
)
def test_two_on_one_name_stop_before_anything_is_written(
    journey: Journey, layout: str, options: tuple[str, ...]
) -> None:
    bundle = pack(journey, layout, "a.example/app:1", "b.example/app:2")
    for more in ((), ("--dry-run",)):
        answer = load(journey, bundle, *options, *more)
        assert (answer.code, answer.error["reason"]) == (2, "destination-collision")
    assert not (journey.state / "store").exists()
    assert not Ledger(journey.state).history().intents


@pytest.mark.parametrize("text", ["nonsense", "=x", "a=UPPER", "a/**=b", "a/b:tag=c", "a=b=c"])
def test_mappings_that_are_none(journey: Journey, layout: str, text: str) -> None:
    answer = run("import", journey.folder / "x.tar", "--map", text, "--format", "json",
                 "--state", journey.state)  # fmt: skip
    assert (answer.code, answer.error["reason"]) == (2, "map-invalid")


def test_a_dry_run_says_what_a_run_then_does(journey: Journey, layout: str, tmp_path: Path) -> None:
    bundle = pack(journey, layout, "registry.example/prod/app:1", "registry.example/prod/db:1")
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        dry = load(journey, bundle, *to, "--dry-run")
        assert dry.document["dryRun"] is True
        plan = dry.document["plan"]
        assert plan["blobsPresent"] == 0
        assert not (registry.storage / "docker").exists()
        loaded = load(journey, bundle, *to).document["loaded"]
        assert loaded["manifests"] == plan["manifests"]
        assert loaded["bytesWritten"] == plan["bytesNew"]
        text = run("import", bundle, *to, "--repair", "--dry-run", "--state", journey.state)
        assert "Would write 2 names" in text.out
        assert "unchanged" in text.out
        assert text.out.endswith("Nothing was written.\n")
        assert "nothing to do" not in text.out


def test_what_becomes_of_each_name(journey: Journey, layout: str, tmp_path: Path) -> None:
    one = journey.export(layout)
    assert load(journey, one).code == 0
    changed = Freight.make("changed")
    two = journey.export(write_layout(tmp_path / "changed", changed))
    answer = journey.load(two)
    (change,) = answer.document["namesAtDestination"].values()
    assert change["digest"] == str(changed.image.digest)
    assert change["change"].startswith("replaces sha256:")
    text = run("log", "show", "--state", journey.state, "--stream", "prod").out
    assert str(changed.image.digest) in text


def test_the_same_bundle_again_is_nothing_to_do_where_it_is(
    journey: Journey, layout: str, tmp_path: Path
) -> None:
    """… and is loaded where it is not: the ledger is the site's, not the destination's."""
    bundle = journey.export(layout)
    assert load(journey, bundle).code == 0
    again = run("import", bundle, "--state", journey.state)
    assert again.code == 0
    assert again.out.endswith("There is nothing to do (--repair loads it again).\n")
    elsewhere = journey.load(bundle, "--to", f"oci:{tmp_path}/elsewhere")
    assert (elsewhere.code, elsewhere.document["alreadyCurrent"]) == (0, True)
    assert elsewhere.document["loaded"]["manifests"] > 0
    assert sorted(p.name for p in (journey.state / "receipts").iterdir()) == [
        "prod-1.2.json", "prod-1.json",
    ]  # fmt: skip


def test_only_what_was_admitted_is_touched(journey: Journey, layout: str, tmp_path: Path) -> None:
    other = Freight.make("somebody's")
    with running_registry(DEBIAN, tmp_path / "registry") as registry:
        store = open_registry_store(registry, tmp_path)
        place = store.repository(f"m/{NAME}")
        other.put(place, "other")
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        assert load(journey, journey.export(layout), *to).code == 0
        other.check(place, "other")
        Freight.make("names").check(place, "1.4")
        store.close()


def test_short_names_in_other_layouts(journey: Journey, layout: str, tmp_path: Path) -> None:
    bundle = journey.export(layout)
    assert load(journey, bundle, "--to", f"oci:{tmp_path}/there").code == 0
    store = open_store("oci", str(tmp_path / "there"), StoreOptions())
    Freight.make("names").check(store.repository(NAME), "1.4")
