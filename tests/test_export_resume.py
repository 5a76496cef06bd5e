"""An export that was cut off, by an error, Ctrl-C or kill -9, goes on where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap.errors import FormatError
from airgap.export_journal import ExportJournal, read_journal
from airgap.oci.digest import Digest
from airgap.stores import StoreOptions, open_store
from tests.conftest import REPOSITORY
from tests.freight import Freight, write_layout
from tests.journey import Journey, run
from tests.simulators.fake_registry import FakeRegistry, Reply, Request, run_registry
from tests.stores.samples import make_image, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stores.samples import Sample

LAYERS = 5
SIZE = 300_000


@dataclass
class Slow:
    """A registry whose last layers come only after `go`; until then a few bytes, and a wait."""

    registry: FakeRegistry
    image: Sample
    held: set[str] = field(default_factory=set)
    go: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return f"{self.registry.host}/prod/app:1"

    def fetched(self) -> list[str]:
        """Return the digests of the blobs that were asked for, in order."""
        found = [one.path.rpartition("/")[2] for one in self.registry.asked("GET", "/blobs/")]
        self.registry.seen.clear()
        return found

    def fault(self, request: Request) -> Reply | None:
        digest = request.path.rpartition("/")[2]
        if request.method != "GET" or digest not in self.held or self.go.is_set():
            return None
        data = self.registry.blobs["prod/app"][digest]
        return Reply(pieces=self.dripping(data))

    def dripping(self, data: bytes) -> Iterator[bytes]:
        yield data[:1000]
        self.go.wait(30)
        yield data[1000:]


@contextmanager
def slow_registry(held: int) -> Iterator[Slow]:
    image = make_image("slow", layers=LAYERS, size=SIZE)
    with run_registry(FakeRegistry()) as registry:
        slow = Slow(registry, image)
        options = StoreOptions(side="destination", insecure_http=frozenset({registry.host}))
        store = open_store("docker", registry.host, options)
        put(store.repository("prod/app"), image, "1")
        store.close()
        layers = sorted(image.blobs, key=lambda descriptor: descriptor.size)[1:]
        slow.held = {str(descriptor.digest) for descriptor in layers[:held]}
        registry.faults.append(slow.fault)
        registry.seen.clear()
        try:
            yield slow
        finally:
            slow.go.set()


def command(journey: Journey, name: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "airgap", "export", name, "--authority", str(journey.authority),
        "--stream", "prod", "-o", str(journey.folder / "prod.tar"), "--format", "json",
        "--insecure-http", name.partition("/")[0], *more,
    ]  # fmt: skip


def placed(journey: Journey) -> int:
    """Return how many blobs the journal says are in their places."""
    undertaken = read_journal(journey.folder / "prod.tar.journal")
    return 0 if undertaken is None else len(undertaken.placed)


def wait_until(journey: Journey, count: int) -> None:
    until = time.monotonic() + 30
    while placed(journey) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_killed_in_the_middle_it_goes_on_and_fetches_only_what_is_missing(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path)
    with slow_registry(held=2) as slow:
        process = subprocess.Popen(command(journey, slow.name), cwd=REPOSITORY)
        wait_until(journey, LAYERS + 1 - 2)
        process.kill()
        process.wait()
        assert not (tmp_path / "prod.tar").exists()
        slow.go.set()
        first = set(slow.fetched())
        assert len(first) == LAYERS + 1
        done = subprocess.run(
            command(journey, slow.name), cwd=REPOSITORY, capture_output=True, check=True
        )
        assert set(slow.fetched()) == slow.held, "what was in its place is not fetched again"
        answer = json.loads(done.stdout)
        assert answer["reused"] > (LAYERS - 2) * SIZE
        assert answer["fetched"] + answer["reused"] == sum(d.size for d in slow.image.blobs)
    assert answer["sequence"] == 1
    assert sorted(path.name for path in tmp_path.glob("prod*")) == ["prod.tar"]
    assert journey.verify(tmp_path / "prod.tar", "--bootstrap", answer["code"]).code == 0


def test_damage_in_a_partial_file_is_found_and_fetched_again(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path)
    with slow_registry(held=1) as slow:
        process = subprocess.Popen(command(journey, slow.name), cwd=REPOSITORY)
        wait_until(journey, LAYERS)
        process.kill()
        process.wait()
        partial = tmp_path / "prod.tar.partial"
        data = bytearray(partial.read_bytes())
        there = next(
            content for descriptor, content in slow.image.blobs.items()
            if content in data and descriptor.size > SIZE
        )  # fmt: skip
        data[data.index(there) + 5] ^= 1
        partial.write_bytes(data)
        # The last line of a journal may be torn.
        with (tmp_path / "prod.tar.journal").open("ab") as journal:
            journal.write(b"sha256:0123")
        slow.go.set()
        slow.fetched()
        done = subprocess.run(
            command(journey, slow.name), cwd=REPOSITORY, capture_output=True, check=True
        )
        assert set(slow.fetched()) == slow.held | {str(Digest.of(there))}
    code = json.loads(done.stdout)["code"]
    assert journey.verify(tmp_path / "prod.tar", "--bootstrap", code).code == 0


def test_ctrl_c_says_so_ends_soon_and_leaves_no_bundle(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path)
    with slow_registry(held=1) as slow:
        process = subprocess.Popen(
            command(journey, slow.name), cwd=REPOSITORY,
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(journey, LAYERS)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        slow.go.set()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert (out, "Traceback" in err) == ("", False)
        assert "interrupted; the same command goes on where it stopped" in err
        assert not (tmp_path / "prod.tar").exists()
        slow.fetched()
        subprocess.run(command(journey, slow.name), cwd=REPOSITORY, capture_output=True, check=True)
        assert set(slow.fetched()) <= slow.held
    assert (tmp_path / "prod.tar").exists()


def test_one_layer_that_fails_stops_the_others_at_their_next_read(tmp_path: Path) -> None:
    """Also while another one has much to come still."""
    journey = Journey.begin(tmp_path)
    with slow_registry(held=1) as slow:
        (held,) = slow.held
        endless = threading.Event()

        def drip() -> Iterator[bytes]:
            while not endless.wait(0.05):
                yield bytes(1 << 20)

        layers = sorted(slow.image.blobs, key=lambda descriptor: -descriptor.size)
        broken = str(layers[0].digest)
        failed = threading.Event()

        def fault(request: Request) -> Reply | None:
            if request.method == "GET" and request.path.endswith(broken):
                failed.wait(0.5)
                return Reply(status=404)
            if request.method == "GET" and request.path.endswith(held):
                return Reply(pieces=drip())
            return None

        slow.registry.faults[:] = [fault]
        began = time.monotonic()
        answer = run(*command(journey, slow.name)[3:])
        endless.set()
        assert (answer.code, answer.error["code"]) == (5, 5), answer.err
        assert time.monotonic() - began < 15


# --- what an interrupted export has decided -------------------------------------------------


def interrupted(journey: Journey, layout: str) -> Path:
    """Leave an export that lacks only its key, and return its journal."""
    key = journey.authority / "keys" / "bundle.pem"
    key.rename(journey.folder / "key")
    assert run("export", layout, "--authority", journey.authority, "--stream", "prod",
               "-o", journey.folder / "prod.tar").code == 2  # fmt: skip
    (journey.folder / "key").rename(key)
    return journey.folder / "prod.tar.journal"


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


@pytest.fixture
def layout(tmp_path: Path) -> str:
    return write_layout(tmp_path / "layout", Freight.make("resume"))


def resume(journey: Journey, layout: str, *more: object) -> dict[str, object]:
    answer = run("export", layout, "--authority", journey.authority, "--stream", "prod",
                 "-o", journey.folder / "prod.tar", "--format", "json", *more)  # fmt: skip
    assert answer.code == 0, answer.err
    return answer.document


def created(journey: Journey) -> str:
    answer = run("inspect", journey.folder / "prod.tar", "--format", "json")
    return str(answer.document["inventory"]["created"])


def test_the_time_of_making_is_that_of_the_first_try(journey: Journey, layout: str) -> None:
    journal = interrupted(journey, layout)
    undertaken = read_journal(journal)
    assert undertaken is not None
    assert resume(journey, layout)["reused"] != 0
    assert created(journey) == undertaken.created.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_another_time_is_another_bundle(journey: Journey, layout: str) -> None:
    interrupted(journey, layout)
    assert resume(journey, layout, "--created", "2026-11-22T00:00:00Z")["reused"] == 0
    assert created(journey) == "2026-11-22T00:00:00Z"


def test_the_same_time_goes_on(journey: Journey, layout: str) -> None:
    undertaken = read_journal(interrupted(journey, layout))
    assert undertaken is not None
    moment = undertaken.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert resume(journey, layout, "--created", moment)["reused"] != 0


def test_other_images_begin_anew(journey: Journey, layout: str, tmp_path: Path) -> None:
    interrupted(journey, layout)
    other = write_layout(tmp_path / "other", Freight.make("other"))
    assert resume(journey, other)["reused"] == 0


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"garbage\n",
        b'{"created":"soon","inventory":"sha256:' + b"0" * 64 + b'","sequence":1}\n',
        b'{"created":"2026-11-22T00:00:00Z","inventory":"sha256:' + b"0" * 64
        + b'","sequence":99}\n',
        b'{"created":"2026-11-22T00:00:00Z","inventory":"x","sequence":1}\n',
        b'{"created":"2026-11-22T00:00:00Z"}\n',
        b"\xff\xfe\n",
    ],
)  # fmt: skip
def test_a_journal_that_cannot_be_used_is_begun_anew(
    journey: Journey, layout: str, damage: bytes
) -> None:
    journal = interrupted(journey, layout)
    journal.write_bytes(damage)
    assert resume(journey, layout)["reused"] == 0


def test_a_partial_file_that_is_gone_is_made_again(journey: Journey, layout: str) -> None:
    interrupted(journey, layout).with_name("prod.tar.partial").unlink()
    assert resume(journey, layout)["reused"] == 0


def test_cut_off_between_the_number_and_the_name(
    journey: Journey, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed and finished, but not named: the number is used, and is signed again as it was."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = type(journey.folder)
    with monkeypatch.context() as patch:
        patch.setattr(path, "replace", fail)
        answer = run("export", layout, "--authority", journey.authority, "--stream", "prod",
                     "-o", journey.folder / "prod.tar", "--format", "json")  # fmt: skip
    assert (answer.code, answer.error["reason"]) == (5, "os-error")
    again = resume(journey, layout)
    assert (again["sequence"], again["fetched"]) == (1, 0)
    following = journey.export(layout, name="next.tar")
    found = run("inspect", following, "--format", "json").document["inventory"]
    assert (found["sequence"], found["skips"]) == (2, [])


def test_an_abandoned_number_is_no_gap(journey: Journey, layout: str, tmp_path: Path) -> None:
    """Number 1 was signed and its file lost; number 2 says so, and a site takes it as its first."""
    resume(journey, layout)
    (tmp_path / "prod.tar").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airgap.exporter.BundleWriter.finish", _fail)
        cut = run("export", layout, "--authority", journey.authority, "--stream", "prod",
                  "-o", tmp_path / "two.tar")  # fmt: skip
    assert cut.code == 4
    journey.codes[0] = ""
    three = journey.export(layout, name="three.tar")
    found = run("inspect", three, "--format", "json").document["inventory"]
    assert (found["sequence"], found["skips"], found["previous"]["sequence"]) == (3, [2], 1)
    assert journey.verify(three, "--bootstrap", journey.codes[3]).code == 0


def _fail(*_: object, **__: object) -> None:
    raise FormatError("for the test", reason="test")


# --- the journal by itself ------------------------------------------------------------------


def test_a_journal_reads_back_what_was_noted(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
    blobs = [Digest.of(bytes([number])) for number in range(3)]
    path = tmp_path / "x.tar.journal"
    with ExportJournal(path, created=moment, sequence=7, inventory=blobs[0]) as journal:
        for blob in blobs:
            journal.note(blob)
    found = read_journal(path)
    assert found is not None
    assert (found.created, found.sequence, found.inventory) == (moment, 7, str(blobs[0]))
    assert list(found.placed) == blobs
    journal.remove()
    assert read_journal(path) is None
