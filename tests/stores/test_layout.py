"""oci:DIR: what is there, under which names, ours and those of other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap.errors import (
    FormatError,
    NotFoundError,
    StoreError,
    UnsupportedVersionError,
)
from airgap.oci.digest import Digest
from airgap.stores import StoreOptions
from airgap.stores.layout import LayoutStore, open_layout
from tests.stores.layouts import (
    AMD,
    ARM,
    FULL,
    MULTI,
    SBOM,
    damage,
    document,
    entries,
    rewrite,
)
from tests.stores.samples import make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "layout", side="destination")


def test_source_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no OCI layout") as caught:
        open_layout(str(tmp_path), StoreOptions())
    assert caught.value.reason == "layout-missing"


def test_destination_is_made_on_the_first_write(store: LayoutStore) -> None:
    repository = store.repository("app")
    assert not repository.has_blob(AMD.descriptor)
    assert list(repository.tags()) == []
    assert list(store.verify()) == []
    with pytest.raises(NotFoundError):
        repository.resolve("v1")
    assert not store.root.exists()
    put(repository, AMD, "v1")
    assert json.loads((store.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    store = LayoutStore(tmp_path, side="destination")
    with pytest.raises(StoreError, match=r"holds other things \('holiday.jpg'\)") as caught:
        put(store.repository("app"), AMD)
    assert caught.value.reason == "layout-not-empty"
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_layout_that_was_half_made_is_finished(store: LayoutStore) -> None:
    (store.root / "ingest").mkdir(parents=True)
    put(store.repository("app"), AMD, "v1")
    assert store.repository("app").resolve("v1").digest == AMD.digest


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(UnsupportedVersionError, match=r"version '2.0.0', not 1.0.0"):
        LayoutStore(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "expected object"),
        ('{"schemaVersion": 1, "manifests": []}', "schemaVersion is not 2"),
        ('{"schemaVersion": 2, "mediaType": "text/plain", "manifests": []}', "mediaType is not"),
        ('{"schemaVersion": 2}', "missing"),
        ('{"schemaVersion": 2, "manifests": [{"digest": "sha256:../x"}]}', "mediaType"),
    ],
)
def test_index_in_another_form_is_refused(store: LayoutStore, text: str, message: str) -> None:
    put(store.repository("app"), AMD, "v1")
    (store.root / "index.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        store.repository("app").resolve("v1")
    (problem,) = store.verify()
    assert problem.what == "index.json"


def test_index_that_is_too_large_is_not_read(
    store: LayoutStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store.repository("app"), AMD, "v1")
    monkeypatch.setattr("airgap.stores.layout.INDEX_LIMIT", 10)
    with pytest.raises(FormatError, match="larger than 10 bytes"):
        LayoutStore(store.root).index()


def test_an_image_is_one_entry(store: LayoutStore) -> None:
    put(store.repository("team/app"), MULTI, "v1")
    assert entries(store) == [(str(MULTI.digest), "team/app:v1", "team/app")]
    put(store.repository("team/app"), MULTI, "v1")
    assert entries(store) == [(str(MULTI.digest), "team/app:v1", "team/app")]


def test_tag_that_moves_leaves_a_member(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, AMD, "v1", "latest")
    put(app, ARM, "latest")
    assert sorted(app.tags()) == ["latest", "v1"]
    put(app, ARM, "v1")
    assert entries(store) == [
        (str(ARM.digest), "app:latest", "app"),
        (str(ARM.digest), "app:v1", "app"),
        (str(AMD.digest), None, "app"),
    ]


def test_members_are_what_the_entries_lead_to(store: LayoutStore) -> None:
    put(store.repository("team/app"), MULTI, "v1")
    put(store.repository("team/app"), SBOM)
    put(store.repository("other"), AMD, "v1")
    everything = {MULTI.digest, SBOM.digest}
    for sample in (AMD, ARM, SBOM):
        everything |= {sample.digest, *(blob.digest for blob in sample.blobs)}
    assert store.repositories() == ("other", "team/app")
    assert store.members("team/app") == everything
    assert store.members("other") == {AMD.digest, *(blob.digest for blob in AMD.blobs)}
    assert store.members("none") == frozenset()
    assert store.repository("other").referrers(MULTI.digest) == ()


def test_whole_layout_answers_for_all(store: LayoutStore) -> None:
    put(store.repository("host.example/app"), MULTI, "v1")
    put(store.repository("host.example/app"), SBOM)
    sig = make_artifact(b"a signature", kind="application/vnd.example.sig")
    put(store.repository("host.example/app"), sig, f"{MULTI.digest.tag_stem}.sig")
    whole = LayoutStore(store.root).repository("")
    assert whole.resolve("host.example/app:v1").digest == MULTI.digest
    assert whole.resolve(str(ARM.digest)).size == ARM.manifest.size
    assert [r.descriptor.digest for r in whole.referrers(MULTI.digest)] == [SBOM.digest]
    # A tag that is made from a digest is found without its repository, too.
    assert whole.resolve(f"{MULTI.digest.tag_stem}.sig").digest == sig.digest
    assert whole.name == f"oci:{store.root}"


def test_nothing_named_is_the_only_thing_there(store: LayoutStore) -> None:
    whole = store.repository("")
    with pytest.raises(NotFoundError, match="has no content"):
        whole.resolve("")
    whole.write_manifest(AMD.manifest)
    assert whole.resolve("").digest == AMD.digest
    whole.write_manifest(ARM.manifest, "v1")
    assert whole.resolve("").digest == ARM.digest
    whole.write_manifest(AMD.manifest, "v2")
    with pytest.raises(StoreError, match="stands for 2 manifests") as caught:
        whole.resolve("")
    assert caught.value.reason == "reference-ambiguous"


def test_names_of_other_tools(store: LayoutStore) -> None:
    put(store.repository(""), AMD)
    put(store.repository(""), ARM)
    put(store.repository(""), MULTI, "other")

    def change(index: dict[str, Any]) -> None:
        index["annotations"] = {"kept": "yes"}
        for entry, name in zip(index["manifests"], ("app", "tool"), strict=False):
            entry["x-unknown"] = 1.5
            entry["annotations"] = {
                FULL: "latest",
                "io.containerd.image.name": f"docker.io/library/{name}:latest",
            }
        index["manifests"] = [
            {"mediaType": "text/plain", "digest": str(Digest.of(b"")), "size": 0},
            AMD.descriptor.to_json() | {"annotations": {
                FULL: "latest", "io.containerd.image.name": "docker.io/library/app:latest"},
                "x-unknown": 1.5},
            ARM.descriptor.to_json() | {"annotations": {
                FULL: "latest", "io.containerd.image.name": "docker.io/library/tool:latest"}},
            MULTI.descriptor.to_json() | {"annotations": {FULL: "localhost/multi:1@bad"}},
        ]  # fmt: skip

    rewrite(store, change)
    whole = store.repository("")
    with pytest.raises(StoreError, match="'latest' stands for 2 manifests"):
        whole.resolve("latest")
    assert list(whole.tags()) == [
        "docker.io/library/app:latest", "docker.io/library/tool:latest", "localhost/multi:1@bad",
    ]  # fmt: skip
    assert whole.resolve("docker.io/library/tool:latest").digest == ARM.digest
    assert store.repositories() == ("docker.io/library/app", "docker.io/library/tool")
    assert store.repository("docker.io/library/app").resolve("latest").digest == AMD.digest
    # What we do not know is still there after we have written.
    put(store.repository("app"), ARM, "v1")
    assert document(store)["annotations"] == {"kept": "yes"}
    assert document(store)["manifests"][1]["x-unknown"] == 1.5
    assert len(document(store)["manifests"]) == 5


def test_nameless_referrers_of_other_tools(store: LayoutStore) -> None:
    note = make_artifact(b"a note", subject=SBOM.manifest)
    stray = make_artifact(b"a stray", subject=AMD.manifest)
    for sample in (note, SBOM, stray):
        put(store.repository(""), sample)
    put(store.repository(""), MULTI, "host.example/app:v1")
    put(store.repository(""), make_image("other"), "host.example/other:v1")
    app = store.repository("host.example/app")
    assert [r.descriptor.digest for r in app.referrers(MULTI.digest)] == [SBOM.digest]
    assert {note.digest, SBOM.digest, stray.digest} <= store.members("host.example/app")
    assert not {note.digest, SBOM.digest} & store.members("host.example/other")


def test_fallback_list_of_referrers(store: LayoutStore) -> None:
    app = store.repository("app")
    put(app, MULTI, "v1")
    listed = make_index(SBOM, make_artifact(b"another", subject=MULTI.manifest))
    put(app, listed, MULTI.digest.tag_stem)
    put(app, SBOM)
    found = {r.descriptor.digest: r.found for r in app.referrers(MULTI.digest)}
    # Their manifests are there, so they are found by reading them, not by the list alone.
    assert found == dict.fromkeys((child.digest for child in listed.children), "api")
    damage(store, listed.children[1].digest, None)
    again = LayoutStore(store.root).repository("app")
    found = {r.descriptor.digest: r.found for r in again.referrers(MULTI.digest)}
    assert found == {SBOM.digest: "api", listed.children[1].digest: "fallback"}


def test_fallback_tag_that_is_no_list(store: LayoutStore) -> None:
    put(store.repository("app"), AMD, MULTI.digest.tag_stem)
    assert store.repository("app").referrers(MULTI.digest) == ()


def test_referrer_that_is_not_there(store: LayoutStore) -> None:
    with pytest.raises(NotFoundError):
        store.repository("app").add_referrer(SBOM.manifest)


def test_digest_asked_for_must_be_one(store: LayoutStore) -> None:
    with pytest.raises(FormatError, match="64 lower-case hex digits"):
        store.repository("app").resolve("sha256:../../etc/passwd")
