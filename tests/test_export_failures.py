"""What an export refuses or could not do: reason, hint, exit code, nothing left behind."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airgap.authority import Authority
from airgap.stores import StoreOptions, open_store
from airgap.stores.registry_http import Patience
from tests.conftest import REPOSITORY
from tests.freight import NAME, Freight, write_layout
from tests.journey import Answer, Journey, open_registry_store, run, running_registry
from tests.simulators.fake_registry import FakeRegistry, Reply, Request, run_registry
from tests.simulators.registry_process import DEBIAN
from tests.simulators.registry_scenes import make_tls
from tests.stores.samples import make_artifact, make_image, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries are made, and nobody waits between them."""
    hurried = functools.partial(Patience, sleep=lambda _: None)
    monkeypatch.setattr("airgap.stores.registry.Patience", hurried)


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path, pin=False)


@pytest.fixture
def layout(tmp_path: Path) -> str:
    return write_layout(tmp_path / "layout", Freight.make("failures"))


def export(journey: Journey, *arguments: object, output: object = None) -> Answer:
    """Export with JSON answers; the output is prod.tar unless it is said otherwise."""
    return run(
        "export", *arguments, "--authority", journey.authority, "--stream", "prod",
        "-o", output or journey.folder / "prod.tar", "--format", "json",
    )  # fmt: skip


def refused(answer: Answer, code: int, reason: str) -> str:
    """Check a refusal: exit code, reason, hint, and nothing on stdout. Return the sentence."""
    assert (answer.code, answer.error["reason"]) == (code, reason), answer.err
    assert answer.out == ""
    assert answer.error["hint"]
    assert answer.error["code"] == code
    assert "Traceback" not in answer.err
    return str(answer.error["message"])


def nothing_was_made(journey: Journey) -> bool:
    """Tell whether there is neither a bundle nor the beginning of one, nor a number for it."""
    files = [path.name for path in journey.folder.iterdir() if path.name.startswith("prod")]
    with Authority.open(journey.authority).edition("prod") as edition:
        return not files and edition.number == 1


@contextmanager
def fake(freight: Freight, **settings: object) -> Iterator[tuple[FakeRegistry, str, list[str]]]:
    """Yield a registry that lies on request, the name of an image in it, and how to reach it."""
    registry = FakeRegistry(**settings)  # type: ignore[arg-type]
    with run_registry(registry):
        registry.auth, auth = "none", registry.auth
        options = StoreOptions(side="destination", insecure_http=frozenset({registry.host}))
        store = open_store("docker", registry.host, options)
        freight.put(store.repository("prod/app"), "1.4")
        store.close()
        registry.auth = auth
        registry.seen.clear()
        yield registry, f"{registry.host}/prod/app:1.4", ["--insecure-http", registry.host]


# --- the registry ---------------------------------------------------------------------------


def test_a_dead_registry(journey: Journey) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unheard.getsockname()[1]}"
        answer = export(journey, f"{host}/app:1", "--insecure-http", host)
    assert f"source {host}" in refused(answer, 5, "registry-unreachable")
    assert nothing_was_made(journey)


def test_a_host_without_a_name(journey: Journey) -> None:
    answer = export(journey, "registry.invalid/app:1")
    assert "registry.invalid" in refused(answer, 5, "registry-unreachable")


def test_a_wrong_password_fails_at_once(journey: Journey, tmp_path: Path) -> None:
    freight = Freight.make("password")
    with fake(freight, auth="basic", users={"operator": "right"}) as (registry, name, options):
        (tmp_path / "auth.json").write_text(
            json.dumps({"auths": {registry.host: {"username": "operator", "password": "wrong"}}})
        )
        answer = export(journey, name, *options, "--authfile", tmp_path / "auth.json")
        refused(answer, 5, "credentials-refused")
        with_credentials = [one for one in registry.seen if one.authorization]
        assert len(with_credentials) == 1, (
            "a wrong password is not tried again: accounts get locked"
        )
    assert nothing_was_made(journey)


def test_no_credentials(journey: Journey) -> None:
    with fake(Freight.make("nobody"), auth="basic") as (_, name, options):
        answer = export(journey, name, *options)
    assert answer.code == 5
    assert "log in" in answer.error["hint"].lower()


def test_an_unknown_authority_of_certificates(journey: Journey, tmp_path: Path) -> None:
    context, ca_file = make_tls(tmp_path)
    with run_registry(FakeRegistry(), context) as registry:
        name = f"{registry.host}/app:1"
        refused(export(journey, name), 5, "tls-not-verified")
        refused(export(journey, name, "--ca-file", ca_file), 5, "manifest-missing")
    assert nothing_was_made(journey)


def test_plain_http_only_where_it_is_asked_for(journey: Journey) -> None:
    with fake(Freight.make("plain")) as (registry, name, _):
        answer = export(journey, name)
        refused(answer, 5, "registry-not-https")
        assert f"--insecure-http {registry.host}" in answer.error["hint"]
        refused(export(journey, name, "--insecure-http", "other.example"), 5, "registry-not-https")
        assert registry.seen == []


def test_an_image_that_is_not_there(journey: Journey) -> None:
    with fake(Freight.make("there")) as (registry, _, options):
        answer = export(journey, f"{registry.host}/prod/app:nope", *options)
        assert "nope" in refused(answer, 5, "manifest-missing")
        answer = export(journey, f"{registry.host}/prod/app@sha256:{'0' * 64}", *options)
        refused(answer, 5, "manifest-missing")
    assert nothing_was_made(journey)


def test_a_tag_that_is_not_the_digest_beside_it(journey: Journey) -> None:
    freight = Freight.make("pinned")
    with fake(freight) as (registry, name, options):
        assert export(journey, f"{name}@{freight.image.digest}", *options).code == 0
        # The digest is what is asked for: the registry cannot put another manifest there.
        answer = export(
            journey, f"{name}@{freight.sbom.digest}", *options, output=journey.folder / "b.tar"
        )
        assert answer.code == 0
        registry.manifests["prod/app"][str(freight.sbom.digest)] = registry.manifests["prod/app"][
            str(freight.note.digest)
        ]
        answer = export(
            journey, f"{name}@{freight.sbom.digest}", *options, output=journey.folder / "c.tar"
        )
        assert answer.code in {4, 5}
        assert "digest" in answer.error["reason"]


def test_a_referrer_that_could_not_be_fetched_is_never_called_unsigned(journey: Journey) -> None:
    freight = Freight.make("unsigned")
    with fake(freight) as (registry, name, options):

        def broken(request: Request) -> Reply | None:
            if request.path.endswith(f"/{freight.image.digest.tag_stem}"):
                return Reply(status=500)
            return None

        registry.faults.append(broken)
        assert export(journey, name, *options).code == 5
        assert nothing_was_made(journey)
        # Asked to leave them out, it does not look for them.
        assert export(journey, name, *options, "--no-referrers").code == 0


def test_a_signature_that_is_listed_and_missing_stops(journey: Journey) -> None:
    freight = Freight.make("missing signature")
    with fake(freight) as (registry, name, options):
        del registry.manifests["prod/app"][str(freight.sbom.digest)]
        answer = export(journey, name, *options)
        assert str(freight.sbom.digest) in refused(answer, 5, "manifest-missing")
    assert nothing_was_made(journey)


def test_a_referrer_of_something_else_stops(journey: Journey, tmp_path: Path) -> None:
    freight = Freight.make("stranger")
    stranger = make_artifact(b"of something else", subject=freight.sbom.manifest)
    with fake(freight) as (registry, name, options):
        listing = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [stranger.descriptor.to_json()],
        }
        registry.add_manifest("prod/app", stranger.manifest.data, stranger.manifest.media_type)
        registry.add_manifest(
            "prod/app", json.dumps(listing).encode(), str(listing["mediaType"]),
            freight.image.digest.tag_stem,
        )  # fmt: skip
        answer = export(journey, name, *options)
        assert answer.code in {4, 5}
        assert "subject" in answer.error["reason"]
    assert nothing_was_made(journey)


def test_a_layer_with_other_bytes_is_no_bundle_and_no_number(journey: Journey) -> None:
    freight = Freight.make("lying layer")
    layer = max(freight.image.children[0].blobs, key=lambda descriptor: descriptor.size)
    with fake(freight) as (registry, name, options):
        data = registry.blobs["prod/app"][str(layer.digest)]
        registry.blobs["prod/app"][str(layer.digest)] = data[:-1] + b"!"
        answer = export(journey, name, *options)
        assert answer.code in {4, 5}
        assert str(layer.digest) in answer.error["message"]
        assert not (journey.folder / "prod.tar").exists()
        registry.blobs["prod/app"][str(layer.digest)] = data
        # The same command again goes on, and the number was never used.
        again = export(journey, name, *options)
        assert (again.code, again.document["sequence"]) == (0, 1)
        assert not (journey.folder / "prod.tar.partial").exists()
        assert not (journey.folder / "prod.tar.journal").exists()


def test_what_a_server_says_reaches_the_terminal_harmless(journey: Journey) -> None:
    nasty = "\x1b]0;owned\x07\x9b2J\u202etxt.exe\nairgap: ACCEPTED"
    body = json.dumps({"errors": [{"code": "X", "message": nasty}]}, ensure_ascii=False).encode()
    with fake(Freight.make("nasty")) as (registry, name, options):
        registry.faults.append(lambda _: Reply(status=500, body=body))
        text = run("export", name, *options, "--authority", journey.authority, "--stream", "prod",
                   "-o", journey.folder / "prod.tar")  # fmt: skip
        as_json = export(journey, name, *options)
    for said in (text.err, as_json.err):
        assert not set(said) & {"\x1b", "\x07", "\x9b", "\u202e"}
        assert "\nairgap: ACCEPTED" not in said
        assert "owned" in said


# --- the command line -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("Registry.example/UPPER:1", "reference-invalid"),
        ("registry.example/app:", "reference-invalid"),
        ("registry.example/app@sha256:short", "reference-invalid"),
        ("registry.example:99999999/app:1", "reference-invalid"),
        ("registry.example/../app", "reference-invalid"),
        ("registry.example/app:\x1b[2J", "reference-invalid"),
        ("", "reference-invalid"),
        ("ftp://registry.example/app", "transport-unknown"),
        ("oci:/nowhere/at/all:app", "path-not-found"),
        ("oci-archive:/nowhere.tar:app", "path-not-found"),
        ("bundle:/nowhere.tar:app", "path-not-found"),
        ("nowhere.yaml", "request-unreadable"),
        ("conf/nowhere.json", "request-unreadable"),
        ("../nowhere.yml", "request-unreadable"),
    ],
)
def test_references_that_are_none(journey: Journey, reference: str, reason: str) -> None:
    assert "\x1b" not in refused(export(journey, reference), 2, reason)
    assert nothing_was_made(journey)


def test_a_name_that_ends_like_a_file_is_an_image_where_it_says_its_host(journey: Journey) -> None:
    with run_registry(FakeRegistry()) as registry:
        name = f"{registry.host}/conf/app.json"
        answer = export(journey, name, "--insecure-http", registry.host)
        refused(answer, 5, "manifest-missing")


def test_tags_that_are_kept_for_signatures(journey: Journey, layout: str) -> None:
    tag = f"sha256-{'0' * 64}.sig"
    refused(export(journey, f"registry.example/app:{tag}"), 2, "tag-reserved")


@pytest.mark.parametrize(
    ("platform", "reason"), [("linux/s390x", "platform-missing"), ("linux", "platform-invalid")]
)
def test_platforms_that_are_not_there(
    journey: Journey, layout: str, platform: str, reason: str
) -> None:
    answer = export(journey, layout, "--platform", platform)
    refused(answer, 2, reason)
    if reason == "platform-missing":
        assert "linux/amd64, linux/arm64" in answer.error["hint"]
    assert nothing_was_made(journey)


def test_one_name_with_two_digests(journey: Journey, layout: str, tmp_path: Path) -> None:
    other = write_layout(tmp_path / "other", Freight.make("other"))
    refused(export(journey, layout, other), 2, "name-twice")
    assert nothing_was_made(journey)


def test_options_that_do_not_go_together(journey: Journey, layout: str, tmp_path: Path) -> None:
    refused(export(journey, layout, layout, "--as", "x.example/y"), 2, "as-not-applicable")
    refused(export(journey, "x.example/y:1", "--as", "x.example/z"), 2, "as-not-applicable")
    request = tmp_path / "request.yaml"
    request.write_text(f"version: 1\nstream: prod\nimages: ['{layout}']\n")
    refused(export(journey, request, "--platform", "linux/amd64"), 2, "request-mixed")
    refused(export(journey, request, layout), 2, "request-mixed")
    request.write_text(f"version: 1\nstream: other\nimages: ['{layout}']\n")
    refused(export(journey, request), 2, "request-mixed")
    common = ("--authority", journey.authority, "--format", "json")
    refused(run("export", layout, *common, "--stream", "prod"), 2, "output-missing")
    refused(run("export", layout, *common, "-o", tmp_path / "a.tar"), 2, "stream-missing")
    refused(run("export", layout, *common, "-o", tmp_path / "a.tar", "--stream", "No!"),
            2, "stream-invalid")  # fmt: skip
    refused(export(journey, layout, "--created", "yesterday"), 2, "time-invalid")
    refused(export(journey, layout, "--ca-file", "/nowhere.pem"), 2, "file-not-found")
    assert nothing_was_made(journey)


@pytest.mark.parametrize("field", ["policy", "trust", "base", "audience", "withdrawn"])
def test_fields_that_cannot_be_carried_out_are_not_ignored(
    journey: Journey, layout: str, tmp_path: Path, field: str
) -> None:
    request = tmp_path / "request.yaml"
    request.write_text(f"version: 1\nstream: prod\n{field}: something\nimages: ['{layout}']\n")
    assert field in refused(export(journey, request), 2, "not-supported-yet")


def test_a_policy_is_never_ignored(journey: Journey, layout: str, tmp_path: Path) -> None:
    refused(export(journey, layout, "--policy", tmp_path / "policy.yaml"), 2, "not-supported-yet")
    assert nothing_was_made(journey)


# --- the output and the disk ----------------------------------------------------------------


def test_where_the_output_may_be(journey: Journey, layout: str, tmp_path: Path) -> None:
    (tmp_path / "there.tar").write_text("something else")
    refused(export(journey, layout, output=tmp_path / "there.tar"), 2, "output-exists")
    assert (tmp_path / "there.tar").read_text() == "something else"
    assert export(journey, layout, "--force", output=tmp_path / "there.tar").code == 0
    (tmp_path / "folder.tar").mkdir()
    for more in ((), ("--force",)):
        answer = export(journey, layout, *more, output=tmp_path / "folder.tar")
        refused(answer, 2, "output-exists")
    refused(export(journey, layout, output=tmp_path / "a.zip"), 2, "output-suffix")
    refused(export(journey, layout, output=tmp_path / "no/a.tar"), 2, "output-folder-missing")


def test_a_folder_that_may_not_be_written(journey: Journey, layout: str, tmp_path: Path) -> None:
    (tmp_path / "prod.tar.partial").mkdir()
    answer = export(journey, layout)
    assert answer.code in {2, 5}
    assert answer.error["reason"] != "bug"
    (tmp_path / "prod.tar.partial").rmdir()
    os.mkfifo(tmp_path / "prod.tar.partial")
    assert export(journey, layout).code == 0, "what is no partial file of ours is removed"


def test_too_little_room_is_said_before_anything_is_fetched(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    freight = Freight.make("room", size=100_000)
    with fake(freight) as (registry, name, options):
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr("airgap.exporter.shutil.disk_usage", lambda _: usage)
        answer = export(journey, name, *options)
        assert "1000 are free" in refused(answer, 5, "disk-full")
        assert registry.asked("GET", "/blobs/sha256:") == [
            one for one in registry.seen if one.method == "GET" and is_small(freight, one)
        ]
        assert nothing_was_made(journey)
        # A dry run counts, whatever the room.
        dry = export(journey, name, *options, "--dry-run")
        assert (dry.code, dry.document["diskFree"]) == (0, 1000)


def is_small(freight: Freight, request: Request) -> bool:
    layers = {str(d.digest) for child in freight.image.children for d in child.blobs}
    return "/blobs/" in request.path and request.path.rpartition("/")[2] not in layers


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from airgap.cli import main
main()
"""


def test_a_disk_that_fills_up_is_no_bundle_and_the_same_command_goes_on(
    journey: Journey, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", Freight.make("full", size=200_000))
    command = ["export", layout, "--authority", str(journey.authority), "--stream", "prod",
               "-o", str(tmp_path / "prod.tar"), "--format", "json"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "300000", *command],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    error = json.loads(done.stderr.splitlines()[-1])
    assert error["reason"] in {"bundle-unwritable", "disk-full"}
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "prod.tar").exists()
    again = run(*command)
    assert (again.code, again.document["sequence"]) == (0, 1)


# --- the authority --------------------------------------------------------------------------


def test_an_authority_that_is_none(layout: str, tmp_path: Path) -> None:
    common = ("--stream", "prod", "-o", tmp_path / "a.tar", "--format", "json")
    missing = run("export", layout, "--authority", tmp_path / "none", *common)
    refused(missing, 2, "authority-missing")
    journey = Journey.begin(tmp_path, pin=False)
    (journey.authority / "authority.json").write_text("{}")
    refused(run("export", layout, "--authority", journey.authority, *common), 5,
            "authority-damaged")  # fmt: skip


def test_two_exports_of_one_stream_at_once(journey: Journey, layout: str, tmp_path: Path) -> None:
    with Authority.open(journey.authority).edition("prod"):
        assert "prod" in refused(export(journey, layout), 5, "authority-busy")
        assert not list(tmp_path.glob("prod*"))
        other = run("export", layout, "--authority", journey.authority, "--stream", "other",
                    "-o", tmp_path / "other.tar")  # fmt: skip
        assert other.code == 0, "another stream is not in the way"


def test_a_key_that_is_gone(journey: Journey, layout: str) -> None:
    key = journey.authority / "keys" / "bundle.pem"
    key.rename(key.with_suffix(".elsewhere"))
    refused(export(journey, layout), 2, "key-missing")
    key.with_suffix(".elsewhere").rename(key)
    again = export(journey, layout)
    assert (again.code, again.document["sequence"]) == (0, 1)
    assert again.document["reused"] > 0, "what was fetched before the key was missed is still there"


def test_a_wrong_passphrase_signs_nothing(layout: str, tmp_path: Path) -> None:
    (tmp_path / "right").write_text("right\n")
    (tmp_path / "wrong").write_text("wrong\n")
    made = run("trust", "init", "acme", "--authority", tmp_path / "acme",
               "--passphrase-file", tmp_path / "right")  # fmt: skip
    assert made.code == 0
    journey = Journey(folder=tmp_path)
    answer = export(journey, layout, "--passphrase-file", tmp_path / "wrong")
    refused(answer, 2, "passphrase-wrong")
    refused(export(journey, layout), 2, "passphrase-needed")
    refused(export(journey, layout, "--passphrase-file", tmp_path / "no"), 2,
            "passphrase-unreadable")  # fmt: skip
    refused(export(journey, layout, "--passphrase-fd", "999"), 2, "passphrase-unreadable")
    again = export(journey, layout, "--passphrase-file", tmp_path / "right")
    assert (again.code, again.document["sequence"]) == (0, 1)


# --- layouts that are broken ----------------------------------------------------------------


def test_a_layout_that_lacks_a_child(journey: Journey, layout: str, tmp_path: Path) -> None:
    freight = Freight.make("failures")
    child = freight.image.children[1]
    (tmp_path / "layout" / child.digest.blob_path).unlink()
    answer = export(journey, layout)
    assert "linux/arm64" in refused(answer, 5, "blob-missing")
    assert "--platform" in answer.error["hint"]
    assert export(journey, layout, "--platform", "linux/amd64").code == 0


def test_a_name_that_nobody_can_know(journey: Journey, tmp_path: Path) -> None:
    store = open_store("oci", str(tmp_path / "short"), StoreOptions(side="destination"))
    put(store.repository(""), make_image("short"), "latest")
    refused(export(journey, f"oci:{tmp_path}/short:latest"), 2, "source-name-missing")
    answer = export(journey, f"oci:{tmp_path}/short:latest", "--as", f"{NAME}")
    assert answer.code == 0
    assert answer.document["images"][0]["name"] == f"{NAME}:latest"


def test_a_real_registry_says_no_as_the_fake_one(journey: Journey, tmp_path: Path) -> None:
    with running_registry(DEBIAN, tmp_path / "registry", tls=True, auth=True) as registry:
        open_registry_store(registry, tmp_path).close()
        ca_file = ("--ca-file", registry.ca_file)
        refused(export(journey, f"{registry.host}/app:1"), 5, "tls-not-verified")
        assert export(journey, f"{registry.host}/app:1", *ca_file).code == 5
        authfile = ("--authfile", registry.write_authfile(tmp_path / "auth.json"))
        refused(export(journey, f"{registry.host}/app:1", *ca_file, *authfile), 5,
                "manifest-missing")  # fmt: skip
    assert nothing_was_made(journey)
