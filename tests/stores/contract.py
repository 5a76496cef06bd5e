"""What every store owes its users. A test class derives from these and says where its store is.

`SourceContract` asks for the fixture `source`: a repository that holds `CONTENT`, under the tags
of `TAGS`. `DestinationContract` asks for `store`: an empty store that can be written to.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.errors import ContentError, IntegrityError, NotFoundError, StoreError
from tests.stores.samples import (
    Sample,
    describe,
    make_artifact,
    make_image,
    make_index,
    opener,
    put,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.oci.descriptor import ByteStream
    from airgap.oci.digest import Digest
    from airgap.stores import Destination, Source, Store

AMD, ARM = make_image("amd"), make_image("arm", architecture="arm64")
MULTI = make_index(AMD, ARM)
SINGLE = make_image("single", layers=1)
SBOM = make_artifact(b"an sbom", subject=MULTI.manifest)
NOTE = make_artifact(
    b"a note on the sbom", subject=SBOM.manifest, kind="application/vnd.example.note"
)
CHILD_SBOM = make_artifact(b"an sbom of a child", subject=ARM.manifest)
CONTENT = (MULTI, SINGLE, SBOM, NOTE, CHILD_SBOM)
TAGS = {"multi": MULTI, "single": SINGLE, "also-single": SINGLE}
ABSENT = describe(b"nobody has this", "application/octet-stream")


def fill(destination: Destination) -> None:
    """Put `CONTENT` into a repository, under `TAGS`."""
    for sample in CONTENT:
        put(destination, sample, *(tag for tag, tagged in TAGS.items() if tagged is sample))


def read(source: Source, sample: Sample) -> dict[Digest, bytes]:
    """Return every blob of `sample` as `source` has it."""
    found = {}
    for part in sample.everything():
        for descriptor in part.blobs:
            with source.open_blob(descriptor) as stream:
                found[descriptor.digest] = stream.read()
    return found


def sent(sample: Sample) -> dict[Digest, bytes]:
    return {d.digest: data for part in sample.everything() for d, data in part.blobs.items()}


class SourceContract:
    """What can be read, and what is said of that which cannot.

    `spelling` is how the store spells a tag: a bundle by its full name.
    """

    spelling = "{}"

    def test_tag_names_its_manifest(self, source: Source) -> None:
        for tag, sample in TAGS.items():
            found = source.resolve(self.spelling.format(tag))
            assert (found.digest, found.size) == (sample.digest, sample.manifest.size)
            assert found.media_type == sample.manifest.media_type

    def test_digest_names_its_manifest(self, source: Source) -> None:
        for sample in (*CONTENT, AMD, ARM):
            found = source.resolve(str(sample.digest))
            assert (found.digest, found.size) == (sample.digest, sample.manifest.size)

    @pytest.mark.parametrize("target", ["no-such-tag", str(ABSENT.digest)])
    def test_unknown_name_is_not_found(self, source: Source, target: str) -> None:
        with pytest.raises(NotFoundError):
            source.resolve(target)

    def test_manifest_bytes_are_kept(self, source: Source) -> None:
        for sample in (*CONTENT, AMD, ARM):
            assert source.read_manifest(sample.descriptor).data == sample.manifest.data

    def test_manifest_of_another_size_is_refused(self, source: Source) -> None:
        lying = replace(SINGLE.descriptor, size=SINGLE.descriptor.size + 1)
        with pytest.raises((IntegrityError, StoreError)):
            source.read_manifest(lying)

    def test_absent_content_is_not_found(self, source: Source) -> None:
        with pytest.raises(NotFoundError):
            source.read_manifest(replace(ABSENT, media_type=SINGLE.descriptor.media_type))
        with pytest.raises(NotFoundError), source.open_blob(ABSENT) as stream:
            stream.read()

    def test_blobs_are_kept(self, source: Source) -> None:
        for sample in CONTENT:
            assert read(source, sample) == sent(sample)

    def test_blob_is_read_in_pieces(self, source: Source) -> None:
        descriptor, data = next(iter(SINGLE.blobs.items()))
        with source.open_blob(descriptor) as stream:
            assert b"".join(iter(lambda: stream.read(100), b"")) == data
            assert stream.read(1) == b""

    def test_blob_of_another_size_is_refused(self, source: Source) -> None:
        descriptor = next(iter(SINGLE.blobs))
        for size in (descriptor.size - 1, descriptor.size + 1):
            with (
                pytest.raises((IntegrityError, StoreError)),
                source.open_blob(replace(descriptor, size=size)) as stream,
            ):
                stream.read()

    def test_referrers_of_index_child_and_referrer(self, source: Source) -> None:
        for sample in (SBOM, NOTE, CHILD_SBOM):
            subject = sample.manifest.subject
            assert subject is not None
            (found,) = source.referrers(subject.digest)
            assert found.descriptor.digest == sample.digest
            assert found.descriptor.size == sample.manifest.size
            # A bundle's inventory does not repeat it; who needs it reads the manifest.
            assert found.descriptor.artifact_type in {None, sample.manifest.artifact_type}
            assert found.subject == subject.digest
            assert found.found in {"api", "fallback"}

    def test_no_referrers_is_an_empty_answer(self, source: Source) -> None:
        assert source.referrers(SINGLE.digest) == ()
        assert source.referrers(ABSENT.digest) == ()

    def test_tags_are_listed(self, source: Source) -> None:
        tags = list(source.tags())
        assert len(tags) == len(set(tags))
        # A registry without the API keeps referrers under tags too; those are not names of images.
        assert {tag for tag in tags if not tag.startswith("sha256-")} == {
            self.spelling.format(tag) for tag in TAGS
        }

    def test_name_is_for_people(self, source: Source) -> None:
        assert source.name


class DestinationContract:
    """What can be written, and that nothing wrong ever is."""

    @pytest.fixture
    def destination(self, store: Store) -> Destination:
        return store.repository("team/app")

    def test_blob_that_is_absent(self, destination: Destination) -> None:
        assert not destination.has_blob(ABSENT)

    def test_blob_comes_back(self, destination: Destination) -> None:
        data = bytes(range(256)) * 5000
        descriptor = describe(data, "application/octet-stream")
        destination.write_blob(descriptor, opener(data))
        assert destination.has_blob(descriptor)
        assert not destination.has_blob(replace(descriptor, size=descriptor.size + 1))
        with destination.open_blob(descriptor) as stream:
            assert stream.read() == data

    def test_empty_blob(self, destination: Destination) -> None:
        descriptor = describe(b"", "application/octet-stream")
        destination.write_blob(descriptor, opener(b""))
        assert destination.has_blob(descriptor)
        with destination.open_blob(descriptor) as stream:
            assert stream.read() == b""

    def test_blob_is_written_twice(self, destination: Destination) -> None:
        descriptor = describe(b"twice", "text/plain")
        destination.write_blob(descriptor, opener(b"twice"))
        destination.write_blob(descriptor, opener(b"twice"))
        assert destination.has_blob(descriptor)

    @pytest.mark.parametrize(
        "wrong", [b"other bytes!!!!", b"nobody has thi", b"nobody has this.", b""]
    )
    def test_wrong_blob_leaves_nothing(self, destination: Destination, wrong: bytes) -> None:
        with pytest.raises(ContentError):
            destination.write_blob(ABSENT, opener(wrong))
        assert not destination.has_blob(ABSENT)
        with pytest.raises(NotFoundError), destination.open_blob(ABSENT) as stream:
            stream.read()

    def test_source_that_fails_leaves_nothing(self, destination: Destination) -> None:
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                data = super().read(5)
                if not data:
                    raise ContentError("the medium is gone", reason="medium-gone")
                return data

        @contextmanager
        def opened() -> Iterator[ByteStream]:
            yield Failing(b"nobody has")

        with pytest.raises(ContentError, match="the medium is gone"):
            destination.write_blob(ABSENT, opened)
        assert not destination.has_blob(ABSENT)

    def test_manifest_by_digest(self, destination: Destination) -> None:
        put(destination, SINGLE)
        assert destination.read_manifest(SINGLE.descriptor).data == SINGLE.manifest.data
        assert destination.resolve(str(SINGLE.digest)).digest == SINGLE.digest
        # A registry knows no repository without tags, and may say so.
        with suppress(NotFoundError):
            assert list(destination.tags()) == []

    def test_tag_moves(self, destination: Destination) -> None:
        put(destination, SINGLE, "stable")
        assert destination.resolve("stable").digest == SINGLE.digest
        put(destination, AMD, "stable")
        assert destination.resolve("stable").digest == AMD.digest
        assert list(destination.tags()) == ["stable"]
        # What the tag named before is still there under its digest.
        assert destination.resolve(str(SINGLE.digest)).digest == SINGLE.digest

    def test_index_with_children(self, destination: Destination) -> None:
        put(destination, MULTI, "multi")
        found = destination.read_manifest(destination.resolve("multi"))
        assert [child.digest for child in found.manifests] == [AMD.digest, ARM.digest]
        assert destination.resolve(str(ARM.digest)).digest == ARM.digest

    def test_referrers_are_merged(self, destination: Destination) -> None:
        put(destination, MULTI)
        others = [make_artifact(f"note {n}".encode(), subject=MULTI.manifest) for n in range(3)]
        for sample in (SBOM, *others, SBOM):
            put(destination, sample)
        found = {referrer.descriptor.digest for referrer in destination.referrers(MULTI.digest)}
        assert found == {SBOM.digest, *(other.digest for other in others)}

    def test_referrer_of_what_is_not_there(self, destination: Destination) -> None:
        put(destination, CHILD_SBOM)
        (found,) = destination.referrers(ARM.digest)
        assert found.descriptor.digest == CHILD_SBOM.digest

    def test_repositories_are_apart(self, store: Store) -> None:
        one, other = store.repository("team/one"), store.repository("other/two")
        put(one, SINGLE, "v1")
        put(other, AMD, "v1")
        assert one.resolve("v1").digest == SINGLE.digest
        assert other.resolve("v1").digest == AMD.digest
        with pytest.raises(NotFoundError):
            other.resolve(str(SINGLE.digest))

    def test_blob_is_mounted_or_not(self, store: Store) -> None:
        one, other = store.repository("team/one"), store.repository("other/two")
        descriptor = describe(b"shared", "text/plain")
        assert not other.mount_blob(descriptor, "team/one")
        one.write_blob(descriptor, opener(b"shared"))
        if not other.mount_blob(descriptor, "team/one"):
            other.write_blob(descriptor, opener(b"shared"))
        with other.open_blob(descriptor) as stream:
            assert stream.read() == b"shared"

    def test_many_threads(self, store: Store) -> None:
        samples = [make_image(f"thread {number}", layers=1) for number in range(12)]

        def work(pair: tuple[int, Sample]) -> None:
            number, sample = pair
            put(store.repository(f"team/app{number % 3}"), sample, f"v{number}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, enumerate(samples)))
        for number, sample in enumerate(samples):
            repository = store.repository(f"team/app{number % 3}")
            assert repository.resolve(f"v{number}").digest == sample.digest
            assert read(repository, sample) == sent(sample)
