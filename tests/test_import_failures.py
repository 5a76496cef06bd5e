"""What an import refuses: a verdict with reason and exit code, and nothing at the destination."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap import loading
from airgap.bundle.reader import open_bundle
from airgap.errors import NotFoundError
from airgap.ledger.ledger import Ledger
from airgap.oci.manifest import OCI_MANIFEST, Manifest
from airgap.stores import StoreOptions, open_store
from airgap.stores.registry_http import Patience
from tests.freight import NAME, Freight, write_layout
from tests.journey import Answer, Journey, flip, open_registry_store, run, running_registry, spread
from tests.simulators.fake_registry import FakeRegistry, Reply, Request, run_registry
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3
from tests.simulators.registry_scenes import make_tls
from tests.stores.samples import make_image, make_index, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.bundle.reader import Bundle
    from airgap.loading import Delivery
    from airgap.oci.naming import Naming
    from airgap.stores import Destination, Store


class Scene:
    """Two bundles of a stream, made once; each test has a site of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.freight = Freight.make("import failures", size=70_000)
        journey = Journey.begin(folder)
        layout = write_layout(folder / "layout", self.freight)
        self.layout = layout
        self.one = journey.export(layout)
        self.two = journey.export(layout)
        self.codes = journey.codes
        self.fingerprint = journey.fingerprint


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("import"))


@pytest.fixture
def journey(scene: Scene, tmp_path: Path) -> Journey:
    """A site that has pinned the authority, and nothing else."""
    shutil.copytree(scene.folder / "acme", tmp_path / "acme")
    made = Journey(folder=tmp_path, fingerprint=scene.fingerprint, codes=dict(scene.codes))
    made.pin()
    return made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = functools.partial(Patience, sleep=lambda _: None)
    monkeypatch.setattr("airgap.stores.registry.Patience", hurried)


def load(journey: Journey, bundle: Path, *arguments: object) -> Answer:
    return journey.load(bundle, "--bootstrap", journey.codes[1], *arguments)


def rejected(answer: Answer, code: int, *reasons: str) -> dict[str, Any]:
    """Check a verdict that said no; return its document."""
    assert answer.code == code, answer.out + answer.err
    assert answer.reasons == set(reasons)
    document = answer.document
    assert (document["result"], document["exitCode"]) == ("rejected", code)
    for finding in document["findings"]:
        assert finding["outcome"] != "fail" or finding["hint"]
    assert "Traceback" not in answer.err
    return document


def refused(answer: Answer, code: int, reason: str) -> str:
    """Check what could not be done; return its sentence."""
    assert (answer.code, answer.error["reason"]) == (code, reason), answer.err
    assert answer.out == ""
    assert answer.error["hint"]
    assert "Traceback" not in answer.err
    return str(answer.error["message"])


def untouched(journey: Journey) -> bool:
    """Tell whether the site has loaded nothing and remembers nothing."""
    return (
        not (journey.state / "store").exists()
        and not (journey.state / "receipts").exists()
        and not Ledger(journey.state).history().commits
        and not Ledger(journey.state).history().intents
    )


# --- who vouches for it ---------------------------------------------------------------------


def test_an_authority_that_nobody_pinned(scene: Scene, tmp_path: Path) -> None:
    stranger = Journey(folder=tmp_path, codes=scene.codes)
    for answer in (stranger.verify(scene.one), load(stranger, scene.one)):
        document = rejected(answer, 6, "authority-not-pinned")
        skipped = {f["check"] for f in document["findings"] if f["outcome"] == "skipped"}
        assert skipped == {"sequence", "integrity", "completeness", "expiry"}
    assert untouched(stranger)


def test_the_root_of_another_authority(scene: Scene, tmp_path: Path) -> None:
    other = Journey.begin(tmp_path)
    other.codes.update(scene.codes)
    rejected(load(other, scene.one), 6, "authority-not-pinned")
    assert untouched(other)


def test_another_root_under_the_same_id(
    scene: Scene, journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle says that it is of the pinned authority, and is signed by other keys."""
    genuine = json.loads((journey.authority / "authority.json").read_text())["authority"]
    monkeypatch.setattr("airgap.authority_creation.uuid.uuid4", lambda: genuine)
    (tmp_path / "forger").mkdir()
    forger = Journey.begin(tmp_path / "forger", pin=False)
    bundle = forger.export(scene.layout)
    code = ("--bootstrap", forger.codes[1])
    for answer in (journey.verify(bundle, *code), journey.load(bundle, *code)):
        assert answer.code == 6, answer.out
        assert all(finding["check"] == "authenticity" for finding in failures(answer))
    assert untouched(journey)
    # Nor does the code of the genuine one help, nor a site that knows nothing but this root.
    assert load(journey, bundle).code == 6
    stranger = Journey(folder=tmp_path / "forger", fingerprint=forger.fingerprint)
    stranger.pin()
    assert stranger.load(scene.one, "--bootstrap", scene.codes[1]).code == 6


def failures(answer: Answer) -> list[dict[str, Any]]:
    return [f for f in answer.document["findings"] if f["outcome"] == "fail"]


def test_names_outside_the_scope_of_the_pin(scene: Scene, tmp_path: Path) -> None:
    journey = Journey(folder=tmp_path, fingerprint=scene.fingerprint, codes=scene.codes)
    pinned = run(
        "trust", "pin", scene.folder / "acme" / "root.json", "--fingerprint", scene.fingerprint,
        "--names", "registry.example/other/**", "--state", journey.state,
    )  # fmt: skip
    assert pinned.code == 0
    document = rejected(load(journey, scene.one), 3, "name-outside-authority")
    (failed,) = [f for f in document["findings"] if f["outcome"] == "fail"]
    assert failed["subject"] == NAME
    assert untouched(journey)


# --- which number it is ---------------------------------------------------------------------


def test_a_first_bundle_needs_its_code(scene: Scene, journey: Journey) -> None:
    rejected(journey.load(scene.one), 7, "bootstrap-needed")
    rejected(journey.load(scene.one, "--bootstrap", scene.codes[2]), 7, "bootstrap-code-wrong")
    assert untouched(journey)
    answer = journey.load(scene.one, "--bootstrap", "2:!")
    assert answer.code == 2
    assert untouched(journey)


def test_a_code_that_came_with_the_pin(scene: Scene, tmp_path: Path) -> None:
    journey = Journey(folder=tmp_path, fingerprint=scene.fingerprint)
    run("trust", "pin", scene.folder / "acme" / "root.json", "--fingerprint", scene.fingerprint,
        "--expect", f"prod={scene.codes[1]}", "--state", journey.state)  # fmt: skip
    answer = journey.load(scene.one)
    assert answer.code == 0
    said = {f["reason"]: f["sentence"] for f in answer.document["findings"]}
    assert "the pin" in said["first-bundle"]


def test_an_older_bundle_is_a_replay_whatever_the_code(scene: Scene, journey: Journey) -> None:
    assert journey.load(scene.two, "--bootstrap", scene.codes[2]).code == 0
    rejected(load(journey, scene.one), 7, "replay")


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Set the clock of this machine."""
    for module in ("importer", "judgement"):
        monkeypatch.setattr(f"airgap.{module}.moment_of", lambda _: moment.replace(microsecond=0))


def test_a_clock_behind_what_is_known(
    scene: Scene, journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2020, 1, 1, tzinfo=UTC))
    for answer in (load(journey, scene.one), journey.verify(scene.one)):
        assert answer.code == 7
        assert "clock-behind-floor" in answer.reasons
    assert untouched(journey)


def test_long_after_it_was_made(
    scene: Scene, journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime.now(UTC) + timedelta(days=700))
    answer = load(journey, scene.one)
    rejected(answer, 3, "expired-beyond-grace", "expired-beyond-cap")
    assert untouched(journey)


# --- the bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:-512],
        lambda data: data[: len(data) // 2],
        lambda data: data[:511],
        lambda data: data + b"\0",
        lambda data: data + bytes(1024),
        lambda data: b"garbage" * 1000,
        lambda data: bytes(len(data)),
        lambda data: data[512:],
        lambda data: b"\x1f\x8b" + data,
        lambda data: data[:-2000] + bytes([data[-2000] ^ 1]) + data[-1999:],
    ],
)  # fmt: skip
def test_a_damaged_file(
    scene: Scene, journey: Journey, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "damaged.tar"
    path.write_bytes(damage(scene.one.read_bytes()))
    answers = [
        journey.verify(path, "--bootstrap", scene.codes[1]),
        load(journey, path),
        load(journey, path, "--dry-run"),
        load(journey, path, "--to", f"oci:{tmp_path}/there"),
    ]
    for answer in answers:
        assert answer.code == 4, answer.out
        assert answer.document["result"] == "rejected"
        assert "Traceback" not in answer.err
    assert answers[0].document["findings"] == answers[1].document["findings"]
    assert untouched(journey)
    assert not (tmp_path / "there").exists()
    text = run("import", path, "--state", journey.state, "--bootstrap", scene.codes[1])
    assert text.out.startswith("REJECTED   nothing was written to store\n")


def test_flipped_bits_all_over(scene: Scene, journey: Journey, tmp_path: Path) -> None:
    path = tmp_path / "flipped.tar"
    size = scene.one.stat().st_size
    for number, offset in enumerate(spread(size, 40)):
        shutil.copy(scene.one, path)
        flip(path, offset + 7, number % 8)
        answer = journey.verify(path, "--bootstrap", scene.codes[1])
        assert answer.code in {3, 4, 6, 7}, offset
        assert answer.document["result"] == "rejected"


def test_what_is_no_file(scene: Scene, journey: Journey, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "link.tar").symlink_to(scene.one)
    for name in ("pipe.tar", "folder.tar", "link.tar"):
        for command in ("verify", "import"):
            answer = run(command, tmp_path / name, "--state", journey.state, "--format", "json")
            refused(answer, 2, "bundle-not-a-file")
    refused(journey.load(tmp_path / "none.tar"), 5, "bundle-not-found")
    refused(journey.load(scene.one / "below"), 5, "bundle-unreadable")
    assert untouched(journey)


def test_a_file_that_changes_between_the_verdict_and_the_load(
    scene: Scene, journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium that lies the second time is noticed: whatever is loaded is hashed again."""
    path = tmp_path / "changing.tar"
    shutil.copy(scene.one, path)

    def prepare(bundle: Bundle, store: Store, *, title: str, naming: Naming) -> Delivery:
        delivery = loading.prepare(bundle, store, title=title, naming=naming)
        flip(path, bundle.position(bundle.body[0].digest).offset)
        return delivery

    monkeypatch.setattr("airgap.importer.prepare", prepare)
    answer = load(journey, path)
    assert (answer.code, answer.error["code"]) == (4, 4)
    names = run("store", "list", "--state", journey.state, "--format", "json").document["names"]
    assert names == []
    assert not Ledger(journey.state).history().commits


# --- policies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: 1\nrules: []\n", "not-supported-yet"),
        ("version: 1\nsurprise: 1\n", "policy-invalid"),
        ("{", "policy-invalid"),
        ("\xff\xfe", "policy-invalid"),
    ],
)
def test_a_policy_that_cannot_be_judged_is_never_ignored(
    scene: Scene, journey: Journey, tmp_path: Path, text: str, reason: str
) -> None:
    """The site's own, and a further one; `verify`, `import` and `serve` alike."""
    (tmp_path / "further.yaml").write_bytes(text.encode("latin-1"))
    common = ("--state", journey.state, "--format", "json")
    for command in ("verify", "import"):
        answer = run(command, scene.one, *common, "--policy", tmp_path / "further.yaml")
        refused(answer, 2, reason)
        refused(run(command, scene.one, *common, "--policy", tmp_path / "none.yaml"), 2,
                "policy-unreadable")  # fmt: skip
    (tmp_path / "further.yaml").rename(journey.state / "policy.yaml")
    for command in ("verify", "import", "serve"):
        assert "policy.yaml" in refused(run(command, scene.one, *common), 2, reason)
    (journey.state / "policy.yaml").unlink()
    assert untouched(journey)


# --- the destination ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("docker-archive:x.tar", "destination-read-only"),
        ("oci-archive:x.tar", "destination-read-only"),
        ("docker://", "destination-invalid"),
        ("docker://host/Upper", "destination-invalid"),
        ("docker://host/a:tag", "destination-invalid"),
        ("docker://user@host/a", "destination-invalid"),
        ("docker://ho st/a", "registry-host-invalid"),
        ("oci:", "destination-invalid"),
        ("", "destination-invalid"),
        ("ftp://host/a", "transport-unknown"),
    ],
)
def test_places_that_are_none(scene: Scene, journey: Journey, to: str, reason: str) -> None:
    refused(load(journey, scene.one, "--to", to), 2, reason)
    assert untouched(journey)


def test_a_dead_registry(scene: Scene, journey: Journey) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unheard.getsockname()[1]}"
        answer = load(journey, scene.one, "--to", f"docker://{host}/m", "--insecure-http", host)
    assert f"destination {host}" in refused(answer, 5, "registry-unreachable")
    assert untouched(journey)


def test_a_registry_that_is_not_what_it_should_be(
    scene: Scene, journey: Journey, tmp_path: Path
) -> None:
    context, _ = make_tls(tmp_path)
    with run_registry(FakeRegistry(), context) as registry:
        answer = load(journey, scene.one, "--to", f"docker://{registry.host}/m")
        refused(answer, 5, "tls-not-verified")
    with run_registry(FakeRegistry(auth="basic", users={"operator": "right"})) as registry:
        to = ("--to", f"docker://{registry.host}/m")
        refused(load(journey, scene.one, *to), 5, "registry-not-https")
        insecure = ("--insecure-http", registry.host)
        assert load(journey, scene.one, *to, *insecure).code == 5
        (tmp_path / "auth.json").write_text(
            json.dumps({"auths": {registry.host: {"username": "operator", "password": "wrong"}}})
        )
        registry.seen.clear()
        answer = load(journey, scene.one, *to, *insecure, "--authfile", tmp_path / "auth.json")
        refused(answer, 5, "credentials-refused")
        assert len([one for one in registry.seen if one.authorization]) == 1
        assert not registry.blobs
    assert untouched(journey)


def test_a_registry_that_takes_reads_but_no_writes(scene: Scene, journey: Journey) -> None:
    with run_registry(FakeRegistry()) as registry:
        registry.faults.append(
            lambda one: Reply(status=403, body=b"no") if one.method in {"POST", "PUT"} else None
        )
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
        assert load(journey, scene.one, *to).code == 5
        assert not any(registry.manifests.values())
        (intent,) = Ledger(journey.state).history().intents
        assert intent.sequence == 1
        # It was cut off, and is not remembered as imported: the same command goes on.
        registry.faults.clear()
        assert load(journey, scene.one, *to).code == 0
        assert Ledger(journey.state).history().intents == ()


def test_somebody_else_moves_a_tag_meanwhile(scene: Scene, journey: Journey) -> None:
    other = make_image("somebody else's")
    with run_registry(FakeRegistry()) as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)

        def meanwhile(request: Request) -> Reply | None:
            # Between the look at the tags and their writing: when the first manifest comes.
            if request.method == "PUT" and "/manifests/sha256:" in request.path:
                registry.add_manifest(
                    f"m/{NAME}", other.manifest.data, other.manifest.media_type, "1.4"
                )
            return None

        registry.faults.append(meanwhile)
        sentence = refused(load(journey, scene.one, *to), 5, "tag-race")
        assert str(other.digest) in sentence
        assert registry.manifests[f"m/{NAME}"]["1.4"][0] == other.manifest.data
        # A person looks, and says it again.
        registry.faults.clear()
        again = load(journey, scene.one, *to)
        assert again.code == 0
        (change,) = again.document["namesAtDestination"].values()
        assert change["change"] == f"replaces {other.digest}"


def test_a_registry_that_loses_tags(scene: Scene, journey: Journey) -> None:
    with run_registry(FakeRegistry()) as registry:
        to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)

        def forget(request: Request) -> Reply | None:
            if request.method == "PUT" and request.path.endswith("/manifests/1.4"):
                return Reply(status=201)
            return None

        registry.faults.append(forget)
        refused(load(journey, scene.one, *to), 5, "tag-race")
        assert not Ledger(journey.state).history().commits


def test_a_folder_that_holds_other_things(scene: Scene, journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters").write_text("private")
    answer = load(journey, scene.one, "--to", f"oci:{tmp_path}/home")
    refused(answer, 5, "layout-not-empty")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letters"]
    answer = load(journey, scene.one, "--to", f"oci:{scene.one}")
    assert answer.code == 5
    assert not Ledger(journey.state).history().commits


def test_a_damaged_layout_is_not_the_bundle_s_fault(
    scene: Scene, journey: Journey, tmp_path: Path
) -> None:
    assert load(journey, scene.one, "--to", f"oci:{tmp_path}/there").code == 0
    (tmp_path / "there" / "index.json").write_text("{")
    answer = journey.load(scene.two, "--to", f"oci:{tmp_path}/there")
    assert answer.code == 5, answer.err
    assert "bundle" not in answer.error["hint"]


# --- the site -------------------------------------------------------------------------------


def test_two_imports_at_once(
    scene: Scene, journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airgap.importer._LEDGER_WAIT", 0.2)
    with Ledger(journey.state).writing():
        refused(load(journey, scene.one), 5, "ledger-busy")
        # What only reads is not in the way.
        assert journey.verify(scene.one, "--bootstrap", scene.codes[1]).code == 0
        assert load(journey, scene.one, "--dry-run").code == 0
    assert not (journey.state / "store").exists()


def test_a_damaged_ledger_and_a_damaged_pin(scene: Scene, journey: Journey) -> None:
    assert load(journey, scene.one).code == 0
    flip(journey.state / "ledger.log", 40)
    refused(journey.load(scene.two), 5, "ledger-damaged")
    refused(journey.verify(scene.two), 5, "ledger-damaged")
    assert run("log", "show", "--state", journey.state).code == 5
    (pin,) = (journey.state / "trust").glob("*.json")
    (journey.state / "ledger.log").unlink()
    pin.write_text("{}")
    refused(journey.load(scene.two), 5, "pin-damaged")


def test_a_disk_that_fills_up_leaves_no_name(
    scene: Scene, journey: Journey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    genuine = os.write
    left = [100_000]

    def write(file: int, data: bytes) -> int:
        if left[0] < len(data) and len(data) > 4096:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= len(data)
        return genuine(file, data)

    with monkeypatch.context() as patch:
        patch.setattr("airgap.stores.ingest.os.write", write)
        answer = load(journey, scene.one)
        refused(answer, 5, "disk-full")
    store = open_store("oci", str(journey.state / "store"), StoreOptions())
    assert list(store.repository(NAME).tags()) == []
    assert not (journey.state / "receipts").exists()
    assert load(journey, scene.one).code == 0
    scene.freight.check(store.repository(NAME), "1.4")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk(scene: Scene, journey: Journey, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", small],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("this system lets nothing be mounted")
    try:
        refused(load(journey, scene.one, "--to", f"oci:{small}/there"), 5, "disk-full")
        layout = scene.layout
        output = small / "prod.tar"
        answer = run("export", layout, "--authority", journey.authority, "--stream", "small",
                     "-o", output, "--format", "json")  # fmt: skip
        refused(answer, 5, "disk-full")
        assert not output.exists()
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["umount", small], check=False)
    assert load(journey, scene.one, "--to", f"oci:{tmp_path}/roomy").code == 0


# --- the release record ---------------------------------------------------------------------


def record(repository: Destination, **annotations: str) -> None:
    """Write a release record that says what it is told to."""
    document = json.loads(make_image("record").manifest.data)
    document["artifactType"] = "application/vnd.airgap.release.v1+json"
    document["annotations"] = {f"vnd.airgap.{key}": value for key, value in annotations.items()}
    image = make_image("record")
    put(repository, image)
    repository.write_manifest(Manifest.parse(json.dumps(document).encode(), OCI_MANIFEST), "prod")


AUTHORITY = "00000000-0000-4000-8000-000000000000"
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ({"authority": AUTHORITY, "sequence": "1", "inventory": DIGEST}, 7,
         "release-of-other-authority"),
        ({"authority": "", "sequence": "9", "inventory": DIGEST}, 7, "replay"),
        ({"authority": "", "sequence": "1", "inventory": DIGEST}, 7, "fork"),
        ({"authority": "", "sequence": "x", "inventory": DIGEST}, 5, "release-record-damaged"),
        ({"authority": "", "sequence": "9" * 5000, "inventory": DIGEST}, 5,
         "release-record-damaged"),
        ({"authority": "", "sequence": "-1", "inventory": DIGEST}, 5, "release-record-damaged"),
        ({"sequence": "1"}, 5, "release-record-damaged"),
        ({}, 5, "release-record-damaged"),
    ],
)  # fmt: skip
def test_what_the_destination_says_can_only_raise_the_bar(
    scene: Scene, journey: Journey, tmp_path: Path, said: dict[str, str], code: int, reason: str
) -> None:
    if said.get("authority") == "":
        with open_bundle(scene.one) as bundle:
            said = {**said, "authority": bundle.inventory.authority}
    store = open_store("oci", str(tmp_path / "there"), StoreOptions(side="destination"))
    record(store.repository("airgap/releases"), **said)
    answer = load(journey, scene.one, "--to", f"oci:{tmp_path}/there")
    if code == 7:
        rejected(answer, code, reason)
    else:
        refused(answer, code, reason)
    assert not Ledger(journey.state).history().commits
    assert store.repositories() == ("airgap/releases",)  # type: ignore[attr-defined]  # a layout


def test_a_release_record_whose_bytes_are_wrong(
    scene: Scene, journey: Journey, tmp_path: Path
) -> None:
    assert load(journey, scene.one, "--to", f"oci:{tmp_path}/there").code == 0
    store = open_store("oci", str(tmp_path / "there"), StoreOptions())
    digest = store.repository("airgap/releases").resolve("prod").digest
    blob = tmp_path / "there" / digest.blob_path
    blob.chmod(0o644)
    flip(blob, 10)
    answer = journey.load(scene.two, "--to", f"oci:{tmp_path}/there")
    refused(answer, 5, "release-record-damaged")


def test_the_record_holds_where_the_ledger_was_lost(scene: Scene, journey: Journey) -> None:
    assert journey.load(scene.two, "--bootstrap", scene.codes[2]).code == 0
    (journey.state / "ledger.log").unlink()
    rejected(load(journey, scene.one), 7, "replay")
    again = journey.load(scene.two, "--bootstrap", scene.codes[2])
    assert (again.code, again.document["alreadyCurrent"]) == (0, False)


# --- an index without all its platforms -----------------------------------------------------


def test_a_sparse_index_and_who_takes_it(journey: Journey, tmp_path: Path) -> None:
    """Two platforms of three: no registry takes it, the embedded store does."""
    architectures = ("amd64", "arm64", "s390x")
    images = [make_image(f"sparse {name}", architecture=name) for name in architectures]
    index = make_index(*images, architectures=architectures)
    source = open_store("oci", str(tmp_path / "sparse"), StoreOptions(side="destination"))
    put(source.repository(NAME), index, "1.4")
    bundle = journey.export(
        f"oci:{tmp_path}/sparse:{NAME}:1.4", "--platform", "linux/arm64",
        "--platform", "linux/s390x", name="sparse.tar",
    )  # fmt: skip
    code = ("--bootstrap", journey.codes[max(journey.codes)])
    for kind in (DEBIAN, DISTRIBUTION_3):
        with running_registry(kind, tmp_path / kind) as registry:
            to = ("--to", f"docker://{registry.host}/m", "--insecure-http", registry.host)
            refused(journey.load(bundle, *to, *code), 5, "sparse-index-refused")
            store = open_registry_store(registry, tmp_path)
            with pytest.raises(NotFoundError):
                store.repository(f"m/{NAME}").resolve("1.4")
            store.close()
    assert journey.load(bundle, *code).code == 0
    stored = open_store("oci", str(journey.state / "store"), StoreOptions()).repository(NAME)
    assert stored.resolve("1.4").digest == index.digest
    for image in images[1:]:
        assert stored.read_manifest(image.descriptor).data == image.manifest.data
    with pytest.raises(NotFoundError):
        stored.read_manifest(images[0].descriptor)
    assert run("store", "verify", "--state", journey.state).code == 0
