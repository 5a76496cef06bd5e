from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.bundle import hashing
from airgap.bundle.hashing import hash_ranges
from airgap.bundle.layout import Layout, Position, first_pad, settle
from airgap.bundle.medium import Medium
from airgap.bundle.reader import open_bundle
from airgap.bundle.writer import BundleWriter
from airgap.errors import FormatError, IntegrityError, StoreError, UsageError
from airgap.oci.descriptor import VerifyingReader
from airgap.oci.digest import Digest
from tests.bundle import samples
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import Shelf, noise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.oci.descriptor import Descriptor


def place_all(writer: BundleWriter, recipe: Recipe, layout: Layout) -> None:
    for descriptor in layout.arrangement.body:
        writer.place(descriptor, io.BytesIO(recipe.shelf.blobs[descriptor.digest]))


def finish(writer: BundleWriter, recipe: Recipe, layout: Layout) -> None:
    writer.finish(*recipe.draft(layout.body_at, longest=False), recipe.shelf.read_head)


def test_many_threads_place_in_any_order(tmp_path: Path) -> None:
    recipe = samples.varied()
    layout = recipe.layout()
    expected = recipe.pack(tmp_path / "one.tar").read_bytes()
    with BundleWriter(tmp_path / "many.tar", layout) as writer, ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(writer.place, one, io.BytesIO(recipe.shelf.blobs[one.digest]))
            for one in reversed(layout.arrangement.body)
        ]
        for future in futures:
            future.result()
        assert writer.placed == layout.positions.keys()
        finish(writer, recipe, layout)
    assert (tmp_path / "many.tar").read_bytes() == expected
    assert len(expected) == layout.size


def test_a_reader_that_was_begun_elsewhere_places_nothing(tmp_path: Path) -> None:
    recipe = samples.smallest()
    layout = recipe.layout()
    layer = layout.arrangement.body[-1]
    begun = VerifyingReader(io.BytesIO(recipe.shelf.blobs[layer.digest]), layer)
    begun.read(1)
    with BundleWriter(tmp_path / "bundle.tar", layout) as writer:
        with pytest.raises(IntegrityError, match="ended after") as caught:
            writer.place(layer, begun)
        assert caught.value.reason == "descriptor-size-mismatch"
        assert layer.digest not in writer.placed


def test_a_blob_that_is_not_what_it_should_be_is_not_placed(tmp_path: Path) -> None:
    recipe = samples.smallest()
    layout = recipe.layout()
    layer = layout.arrangement.body[1]
    with BundleWriter(tmp_path / "b.tar", layout) as writer:
        for data in (b"one Layer", b"one layer!", b"one"):
            with pytest.raises(IntegrityError):
                writer.place(layer, io.BytesIO(data))
        assert writer.placed == frozenset()
        lying = replace(layer, size=1 << 40)
        with pytest.raises(IntegrityError):
            writer.place(lying, io.BytesIO(noise(100_000)))
        with pytest.raises(StoreError, match="2 blobs are not in their places") as caught:
            finish(writer, recipe, layout)
        assert caught.value.reason == "blob-not-placed"


def test_an_interrupted_file_is_taken_up_again(tmp_path: Path) -> None:
    recipe = samples.varied()
    layout = recipe.layout()
    path = tmp_path / "b.tar"
    body = layout.arrangement.body
    with BundleWriter(path, layout) as writer:
        place_all(writer, recipe, layout)
    data = bytearray(path.read_bytes())
    damaged = body[-1]
    data[layout.positions[damaged.digest].offset] ^= 1
    data[:100] = noise(100)
    path.write_bytes(bytes(data) + noise(5000))
    with BundleWriter(path, layout) as writer:
        kept = writer.adopt([*layout.positions, Digest.of(b"unknown")])
        assert kept == writer.placed == layout.positions.keys() - {damaged.digest}
        writer.place(damaged, io.BytesIO(recipe.shelf.blobs[damaged.digest]))
        finish(writer, recipe, layout)
    assert path.read_bytes() == recipe.pack(tmp_path / "whole.tar").read_bytes()


def test_what_was_between_the_blobs_is_overwritten(tmp_path: Path) -> None:
    recipe = samples.varied()
    layout = recipe.layout()
    path = tmp_path / "b.tar"
    path.write_bytes(noise(layout.size + 700))
    recipe.pack(path)
    assert path.read_bytes() == recipe.pack(tmp_path / "clean.tar").read_bytes()


def test_added_signatures_move_nothing(tmp_path: Path) -> None:
    recipe = samples.varied()
    layout = recipe.layout()
    few = recipe.pack(tmp_path / "few.tar").read_bytes()
    with BundleWriter(tmp_path / "many.tar", layout) as writer:
        place_all(writer, recipe, layout)
        finish(writer, replace(recipe, keys=30), layout)
    many = (tmp_path / "many.tar").read_bytes()
    assert layout.body_at is not None
    start = layout.body_at - 512
    assert many[start:] == few[start:]
    with open_bundle(tmp_path / "many.tar") as bundle:
        bundle.survey()
        bundle.verify_blobs()


def test_a_signature_without_room_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    recipe = samples.smallest()
    layout = recipe.layout()
    path = tmp_path / "b.tar"
    with BundleWriter(path, layout) as writer:
        place_all(writer, recipe, layout)
        before = path.read_bytes()
        with pytest.raises(UsageError) as caught:
            finish(writer, replace(recipe, keys=100), layout)
        assert (caught.value.reason, caught.value.exit_code) == ("no-room-for-signature", 2)
        assert path.read_bytes() == before


def test_the_first_pad_has_its_bounds() -> None:
    assert first_pad(4096 - 512 - 1024, 4096) == 1024
    with pytest.raises(UsageError):
        first_pad(4096 - 1024, 4096)
    assert first_pad(0, (1 << 20) + 512) == 1 << 20
    with pytest.raises(FormatError) as caught:
        first_pad(0, (1 << 20) + 1024)
    assert caught.value.reason == "body-at-invalid"


def test_head_content_is_checked_when_it_is_written(tmp_path: Path) -> None:
    recipe = samples.bodiless()
    layout = recipe.layout()
    readers: tuple[Callable[[Descriptor], bytes], ...] = (
        lambda _: b"",
        lambda descriptor: b"?" * descriptor.size,
    )
    for read in readers:
        with BundleWriter(tmp_path / "b.tar", layout) as writer:
            with pytest.raises(IntegrityError) as caught:
                writer.finish(*recipe.draft(None, longest=False), read)
            assert caught.value.reason == "blob-digest-mismatch"


def test_body_at_has_room_for_its_own_digits_and_signatures(tmp_path: Path) -> None:
    recipe = samples.smallest()
    asked: list[int | None] = []

    def draft(body_at: int | None) -> object:
        asked.append(body_at)
        return recipe.draft(body_at)

    layout = settle(draft, recipe.arrangement())  # type: ignore[arg-type]
    assert asked[-1] == layout.body_at
    assert layout.body_at is not None
    assert layout.body_at % 4096 == 0
    assert len(asked) >= 2
    # whatever the head's length, the fixed point is found
    for count in range(1, 60, 7):
        shelf = Shelf()
        many = [shelf.item(shelf.image(b"%d" % n)) for n in range(count)]
        Recipe(shelf, inventory(*many)).layout()


def test_a_draft_that_says_other_than_the_walk_is_refused() -> None:
    recipe = samples.smallest()

    def draft(body_at: int | None) -> object:
        data, trust = recipe.draft(body_at)
        return data.replace(b'"blobs":2', b'"blobs":3'), trust

    with pytest.raises(FormatError) as caught:
        settle(draft, recipe.arrangement())  # type: ignore[arg-type]
    assert caught.value.reason == "content-mismatch"


def test_a_body_blob_that_is_a_target_as_well_must_be_told() -> None:
    recipe = samples.smallest()
    layer = recipe.arrangement().body[1]
    files = {"policy/p": recipe.shelf.blobs[layer.digest]}
    told = replace(recipe, files=files)
    assert layer.digest not in told.layout().positions
    untold = recipe.arrangement()

    def draft(body_at: int | None) -> object:
        data, trust = recipe.draft(body_at)
        return data, replace(trust, files=files)

    with pytest.raises(FormatError, match="own documents") as caught:
        settle(draft, untold)  # type: ignore[arg-type]
    assert caught.value.reason == "content-mismatch"


def test_hashing_stops_when_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_BUFFER", 16)
    data = noise(4096)
    (tmp_path / "file").write_bytes(data)
    started, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def progress(count: int) -> None:
        seen.append(count)
        if len(seen) == 2:
            started.set()
            assert go_on.wait(20)

    wrong = Digest.of(b"?")
    with Medium.open(tmp_path / "file") as medium:
        ranges = [(wrong, Position(offset=0, size=16)), (wrong, Position(offset=0, size=4096))]
        results = hash_ranges(medium, ranges, threads=1, progress=progress)
        assert next(results) == (wrong, False)
        assert started.wait(20)
        threading.Timer(0.05, go_on.set).start()
        results.close()
    assert len(seen) < 250


def test_hashing_says_what_each_range_holds(tmp_path: Path) -> None:
    data = noise(3 << 20)
    (tmp_path / "file").write_bytes(data)
    good = Digest.of(data[5 : (2 << 20) + 5])
    with Medium.open(tmp_path / "file") as medium:
        large = Position(offset=5, size=2 << 20)
        ranges = [(good, large), (Digest.of(b""), Position(offset=9, size=0)), (good, large)]
        found = list(hash_ranges(medium, [*ranges, (Digest.of(b"?"), large)]))
    assert found == [
        (Digest.of(b""), True),
        (good, True),
        (good, True),
        (Digest.of(b"?"), False),
    ]
