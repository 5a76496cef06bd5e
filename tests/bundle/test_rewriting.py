"""A new head before a body that does not move: the old one or the new one, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.head_journal import HeadJournal, journal_path, partial_path
from airgap.bundle.reader import open_bundle
from airgap.bundle.rewriting import complete_rewrite, rewrite_head
from airgap.bundle.tar import BLOCK
from airgap.errors import AirgapError, ContentError, FormatError, StoreError, UsageError
from tests.bundle.samples import Recipe, bodiless, inventory, smallest, trust_files, varied
from tests.bundle.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap.bundle.medium import Medium


def refused(reason: str, kind: type[AirgapError]) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def check(path: Path) -> None:
    with open_bundle(path) as bundle:
        bundle.survey()
        bundle.verify_blobs()


def resign(path: Path, recipe: Recipe, keys: int = 2) -> None:
    """Rewrite the head with the TUF files of `recipe`, signed by as many `keys`."""
    with open_bundle(path) as bundle:
        bundle.survey()
        trust = trust_files(
            bundle.inventory_bytes, files=bundle.trust.files, roots=recipe.roots, keys=keys
        )
        rewrite_head(bundle, trust)


def body_at(path: Path) -> int:
    with open_bundle(path) as bundle:
        assert bundle.inventory.content.body_at is not None
        return bundle.inventory.content.body_at


class TestWhole:
    @pytest.mark.parametrize("make", [smallest, varied, bodiless])
    def test_the_rest_of_the_file_stays(self, tmp_path: Path, make: Callable[[], Recipe]) -> None:
        recipe = make()
        path = recipe.pack(tmp_path / "prod-1.tar")
        path.chmod(0o640)
        before = path.read_bytes()
        resign(path, recipe)
        after = path.read_bytes()
        check(path)
        with open_bundle(path) as bundle:
            start = bundle.inventory.content.body_at
            assert len(bundle.trust.targets) > len(trust_files(bundle.inventory_bytes).targets)
        if start is not None:
            assert (len(before), before[start:]) == (len(after), after[start:])
        assert before != after
        assert path.stat().st_mode & 0o777 == 0o640
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("make", [smallest, varied, bodiless])
    def test_it_is_what_the_writer_would_have_written(
        self, tmp_path: Path, make: Callable[[], Recipe]
    ) -> None:
        recipe = make()
        path = recipe.pack(tmp_path / "prod-1.tar")
        first = path.read_bytes()
        resign(path, recipe)
        resign(path, recipe, keys=1)
        assert path.read_bytes() == first

    def test_nothing_waits_to_be_completed(self, tmp_path: Path) -> None:
        assert not complete_rewrite(smallest().pack(tmp_path / "prod-1.tar"))


class TestInterrupted:
    """What a kill leaves behind, made by hand: a journal, and a part of the new head in place."""

    @pytest.fixture
    def heads(self, tmp_path: Path) -> tuple[Path, bytes, bytes, bytes]:
        """Return the path of a bundle, its old bytes, its new ones, and the journal between."""
        recipe = smallest()
        path = recipe.pack(tmp_path / "prod-1.tar")
        old = path.read_bytes()
        kept: list[bytes] = []
        apply = HeadJournal.apply

        def watch(journal: HeadJournal, source: Medium, target: Medium) -> None:
            kept.append(journal_path(path).read_bytes())
            apply(journal, source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HeadJournal, "apply", watch)
            resign(path, recipe)
        return path, old, path.read_bytes(), kept[0]

    def test_between_the_two_heads_there_is_no_bundle_and_completing_makes_one(
        self, heads: tuple[Path, bytes, bytes, bytes]
    ) -> None:
        path, old, new, journal = heads
        end = body_at(path) - BLOCK
        differing = [at for at in range(end) if old[at] != new[at]]
        first, last = differing[0], differing[-1]
        cuts = [0, 1, first, first + 1, *range(first + 500, last, 1499), last, last + 1, end]
        for cut in cuts:
            path.write_bytes(new[:cut] + old[cut:])
            journal_path(path).write_bytes(journal)
            if first < cut <= last:
                with pytest.raises(ContentError):
                    check(path)
            else:
                check(path)
            assert complete_rewrite(path)
            assert path.read_bytes() == new
            assert not journal_path(path).exists()

    def test_pages_that_reach_the_disk_in_any_order_are_completed_as_well(
        self, heads: tuple[Path, bytes, bytes, bytes]
    ) -> None:
        path, old, new, journal = heads
        end = body_at(path) - BLOCK
        for keep in (0, 1):
            mixed = bytearray(old)
            for at in range(0, end, 4096):
                if at // 4096 % 2 == keep:
                    mixed[at : min(at + 4096, end)] = new[at : min(at + 4096, end)]
            path.write_bytes(mixed)
            journal_path(path).write_bytes(journal)
            with pytest.raises(ContentError):
                check(path)
            assert complete_rewrite(path)
            assert path.read_bytes() == new

    def test_a_journal_that_never_got_its_name_is_nothing(
        self, heads: tuple[Path, bytes, bytes, bytes]
    ) -> None:
        path, old, new, journal = heads
        path.write_bytes(old)
        partial_path(path).write_bytes(journal[:700])
        assert not complete_rewrite(path)
        check(path)
        resign(path, smallest())
        assert path.read_bytes() == new
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("at", [0, 12, 511, 512, 5000, -1])
    def test_a_damaged_journal_touches_nothing(
        self, heads: tuple[Path, bytes, bytes, bytes], at: int
    ) -> None:
        path, old, _, journal = heads
        path.write_bytes(old)
        damaged = bytearray(journal)
        damaged[at] ^= 1
        journal_path(path).write_bytes(damaged)
        with refused("sign-journal-damaged", StoreError):
            complete_rewrite(path)
        assert path.read_bytes() == old

    @pytest.mark.parametrize("size", [0, 100, 512, 4000])
    def test_a_journal_that_lost_its_end_touches_nothing(
        self, heads: tuple[Path, bytes, bytes, bytes], size: int
    ) -> None:
        path, old, _, journal = heads
        path.write_bytes(old)
        journal_path(path).write_bytes(journal[:size])
        with refused("sign-journal-damaged", StoreError):
            complete_rewrite(path)
        assert path.read_bytes() == old

    def test_a_journal_of_a_later_release(self, heads: tuple[Path, bytes, bytes, bytes]) -> None:
        path, old, _, journal = heads
        path.write_bytes(old)
        block = journal[:BLOCK].replace(b'"version":1', b'"version":2')
        journal_path(path).write_bytes(block + journal[BLOCK:])
        with refused("sign-journal-damaged", StoreError):
            complete_rewrite(path)

    def test_a_journal_is_of_one_bundle(self, heads: tuple[Path, bytes, bytes, bytes]) -> None:
        path, old, _, journal = heads
        # Another size; another first blob; and the same content, but another number.
        longer = varied().pack(path.with_name("longer.tar")).read_bytes()
        start = body_at(path) - BLOCK
        moved = bytearray(old)
        moved[start + 20] ^= 1
        recipe = smallest()
        again = replace(recipe, inventory=replace(recipe.inventory, stream="test"))
        other = again.pack(path.with_name("other.tar")).read_bytes()
        assert len(other) == len(old)
        for found in (longer, bytes(moved), other):
            path.write_bytes(found)
            journal_path(path).write_bytes(journal)
            with refused("journal-of-other-bundle", UsageError):
                complete_rewrite(path)
            assert path.read_bytes() == found


class TestRefused:
    def test_without_room_nothing_is_written(self, tmp_path: Path) -> None:
        recipe = smallest()
        path = recipe.pack(tmp_path / "prod-1.tar")
        before = path.read_bytes()
        with refused("no-room-for-signature", UsageError):
            resign(path, recipe, keys=200)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_content_that_is_also_metadata_cannot_move(self, tmp_path: Path) -> None:
        """A layer with the bytes of the timestamp stands in the head: a new one would move it."""
        shelf = Shelf()
        timestamp = trust_files(b"{}").timestamp
        root = shelf.image(b"one layer", timestamp)
        recipe = Recipe(shelf, inventory(shelf.item(root)), files={"evidence.jsonl": timestamp})
        path = recipe.pack(tmp_path / "prod-1.tar")
        check(path)
        before = path.read_bytes()
        with open_bundle(path) as bundle:
            bundle.survey()
            trust = replace(bundle.trust, files={"evidence.jsonl": b"others"})
            trust = replace(trust, timestamp=trust_files(b"{}", keys=2).timestamp)
            with refused("content-mismatch", FormatError):
                rewrite_head(bundle, trust)
        assert path.read_bytes() == before

    def test_a_disk_that_does_not_take_it(self, tmp_path: Path) -> None:
        recipe = smallest()
        path = recipe.pack(tmp_path / "prod-1.tar")
        before = path.read_bytes()
        journal_path(path).mkdir()
        with refused("bundle-unwritable", StoreError):
            resign(path, recipe)
        assert path.read_bytes() == before

    def test_a_journal_that_is_no_file(self, tmp_path: Path) -> None:
        path = smallest().pack(tmp_path / "prod-1.tar")
        journal_path(path).mkdir()
        with refused("bundle-not-a-file", UsageError):
            complete_rewrite(path)
