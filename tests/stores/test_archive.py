"""oci-archive:FILE, written by real tools, and by people who mean harm."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    AirgapError,
    FormatError,
    IntegrityError,
    NotFoundError,
    StoreError,
    UnsupportedVersionError,
)
from airgap.stores import StoreOptions
from airgap.stores.archive import open_docker_archive, open_oci_archive
from airgap.stores.layout import LayoutStore
from tests.stores.archives import (
    AMD,
    FROM,
    MULTI,
    SBOM,
    add,
    check,
    files_of,
    skopeo,
    write_tar,
)
from tests.stores.contract import read
from tests.stores.samples import opener, put

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def layout(tmp_path: Path) -> LayoutStore:
    store = LayoutStore(tmp_path / "layout", side="destination")
    put(store.repository(""), MULTI, "registry.example/app:v1")
    put(store.repository(""), SBOM)
    return store


@pytest.fixture
def archive(layout: LayoutStore, tmp_path: Path) -> Path:
    return write_tar(tmp_path / "archive.tar", files_of(layout))


def test_plain_archive(archive: Path) -> None:
    store = open_oci_archive(str(archive), FROM)
    check(store)
    store.close()


def test_gzipped_archive(archive: Path) -> None:
    packed = archive.with_suffix(".tgz")
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    store = open_oci_archive(str(packed), FROM)
    check(store)
    store.close()


def test_archive_of_linked_blobs(layout: LayoutStore, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "linked.tar", "w") as tar:
        for name, data in files_of(layout).items():
            if not name.startswith("blobs/"):
                add(tar, f"./{name}", data)
                continue
            stored = f"store/{Path(name).name}"
            add(tar, stored, data)
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"../../{stored}"
            tar.addfile(link)
        for number, target in enumerate(("/etc/passwd", "../../../x", "loop")):
            link = tarfile.TarInfo("loop" if target == "loop" else f"blobs/sha256/{number:064x}")
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    store = open_oci_archive(str(tmp_path / "linked.tar"), FROM)
    check(store)
    with pytest.raises(NotFoundError):
        store._members.find("loop")
    store.close()


def test_skopeo_writes_oci_archives(
    layout: LayoutStore, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    source = f"oci:{layout.root}:registry.example/app:v1"
    skopeo(tool, "copy", "--all", source, f"oci-archive:{tmp_path}/a.tar:registry.example/app:v1")
    store = open_oci_archive(str(tmp_path / "a.tar"), FROM)
    repository = store.repository("")
    assert repository.resolve("registry.example/app:v1").digest == MULTI.digest
    assert repository.resolve("").digest == MULTI.digest
    assert read(repository, MULTI)
    store.close()


def test_nothing_is_written(archive: Path) -> None:
    with pytest.raises(StoreError, match="is read, not written"):
        open_oci_archive(str(archive), StoreOptions(side="destination"))
    store = open_oci_archive(str(archive), FROM)
    repository = store.repository("")
    for write in (
        lambda: repository.write_blob(next(iter(AMD.blobs)), opener(b"")),
        lambda: repository.write_manifest(AMD.manifest),
        lambda: repository.add_referrer(SBOM.manifest),
        repository.batch,
    ):
        with pytest.raises(StoreError, match="is read, not written") as caught:
            write()
        assert caught.value.reason == "store-read-only"
    store.close()


def test_flipped_bits_are_found_on_reading(archive: Path) -> None:
    descriptor, data = next(iter(AMD.blobs.items()))
    whole = archive.read_bytes()
    at = whole.index(data)
    archive.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    store = open_oci_archive(str(archive), FROM)
    with (
        pytest.raises(IntegrityError, match="does not have the bytes"),
        store.repository("").open_blob(descriptor) as stream,
    ):
        stream.read()
    store.close()


def test_another_version_is_refused(layout: LayoutStore, tmp_path: Path) -> None:
    files = files_of(layout) | {"oci-layout": b'{"imageLayoutVersion": "3"}'}
    with pytest.raises(UnsupportedVersionError):
        open_oci_archive(str(write_tar(tmp_path / "a.tar", files)), FROM)


def test_index_that_is_too_large(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airgap.stores.archive.INDEX_LIMIT", 10)
    with pytest.raises(FormatError, match="larger than 10 bytes"):
        open_oci_archive(str(archive), FROM)


@pytest.mark.parametrize(
    "data", [b"", b"no tar at all", b"\0" * 1024, b"\x1f\x8b garbage", b"\x1f\x8b"]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    for opened in (open_oci_archive, open_docker_archive):
        with pytest.raises((FormatError, NotFoundError)):
            opened(str(tmp_path / "file"), FROM)


def test_missing_file_and_pipe(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_oci_archive(str(tmp_path / "none"), FROM)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="not a regular file"):
        open_oci_archive(str(tmp_path / "pipe"), FROM)


def test_cut_archives_end_in_our_errors(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    for data in (whole, gzip.compress(whole)):
        for size in range(0, len(data), 509):
            (tmp_path / "cut").write_bytes(data[:size])
            try:
                store = open_oci_archive(str(tmp_path / "cut"), FROM)
            except AirgapError:
                continue
            repository = store.repository("")
            with suppress(AirgapError):
                assert read(repository, MULTI)
            store.close()


def header(name: str, size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
@pytest.mark.parametrize("before", [b"", header("a", 0, tarfile.REGTYPE)])
def test_header_that_claims_a_terabyte(tmp_path: Path, kind: bytes, before: bytes) -> None:
    (tmp_path / "bomb").write_bytes(before + header("x", 1 << 40, kind) + b"\0" * 1024)
    with pytest.raises(FormatError, match="larger than 1048576 bytes"):
        open_oci_archive(str(tmp_path / "bomb"), FROM)


def test_sizes_that_lie(tmp_path: Path) -> None:
    for size in (-1, 1 << 62, 4096):
        member = header("oci-layout", size, tarfile.REGTYPE)
        (tmp_path / "lie").write_bytes(member + b"\0" * 1024)
        with pytest.raises(FormatError, match=r"past the end|not a tar archive"):
            open_oci_archive(str(tmp_path / "lie"), FROM)


def test_too_many_members(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airgap.stores.archive_tar._MAX_MEMBERS", 3)
    with pytest.raises(FormatError, match="more than 3 members"):
        open_oci_archive(str(archive), FROM)


def test_member_that_is_there_twice(layout: LayoutStore, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "twice.tar", files_of(layout))
    blob = f"blobs/sha256/{AMD.digest.hex}"
    with tarfile.open(path, "a") as tar:
        add(tar, blob, b"another")
        add(tar, "folder", b"", type=tarfile.DIRTYPE)
    store = open_oci_archive(str(path), FROM)
    check(store)
    store.close()
    with tarfile.open(path, "a") as tar:
        add(tar, "./index.json", b"{}")
    with pytest.raises(FormatError, match=r"index.json is twice"):
        open_oci_archive(str(path), FROM)


def test_hard_links(layout: LayoutStore, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "hard.tar", {"real": b"data"})
    with tarfile.open(path, "a") as tar:
        add(tar, "linked", b"", type=tarfile.LNKTYPE, linkname="real")
        for name, data in files_of(layout).items():
            add(tar, name, data)
    store = open_oci_archive(str(path), FROM)
    assert store._members.read("linked", 10) == b"data"
    store.close()


def test_unpacking_needs_a_disk(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive.with_suffix(".tgz")
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    full = OSError(errno.ENOSPC, "No space left on device")

    class Full(io.FileIO):
        def write(self, _data: object, /) -> int:
            raise full

    def no_file(**_: object) -> object:
        raise full

    for replacement in (no_file, lambda **_: Full(archive.parent / "temporary", "w+")):
        monkeypatch.setattr(tempfile, "TemporaryFile", replacement)
        with pytest.raises(StoreError, match="cannot unpack") as caught:
            open_oci_archive(str(packed), FROM)
        assert caught.value.reason == "disk-full"
