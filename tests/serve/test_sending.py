"""From the file to the socket: by the kernel, without it, and hashed on the way."""

from __future__ import annotations

import errno
import http.client
import os
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from tests.serve.content import Client, Content

SIZE = (3 << 20) + 12345
RANGES = [(0, 0), (0, 262143), (1, 262144), (262143, 262144), (262144, 524288), (5, SIZE - 6),
          (SIZE - 1, SIZE - 1), (0, SIZE - 1)]  # fmt: skip


@pytest.fixture
def layer(content: Content) -> Descriptor:
    image = content.image(random.Random(3).randbytes(SIZE), b"small layer", b"")
    content.record("app", image, "1")
    return content.blob(image)


def path(descriptor: Descriptor) -> str:
    return f"/v2/app/blobs/{descriptor.digest}"


def damage(content: Content, descriptor: Descriptor, position: int) -> None:
    data = bytearray(content.data(descriptor))
    data[position] ^= 1
    content.path(descriptor).write_bytes(data)


def partial(client: Client, where: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and what arrived of a body whose length was promised and not kept."""
    client.connection.request("GET", where, headers=headers)
    response = client.connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    client.connection.close()
    return response.status, caught.value.partial


@pytest.fixture(params=["kernel", "portable", "refused", "verified"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "portable":
        monkeypatch.delattr(os, "sendfile")
    if request.param == "refused":

        def refuse(*_: object) -> int:
            raise OSError(errno.EINVAL, "this file system cannot")

        monkeypatch.setattr(os, "sendfile", refuse)
    return str(request.param)


def test_the_whole_and_every_range_arrive(content: Content, layer: Descriptor, way: str) -> None:
    data = content.data(layer)
    with content.serve(verify_blobs=way == "verified") as client:
        assert client.get(path(layer)).body == data
        for first, last in RANGES:
            reply = client.get(path(layer), Range=f"bytes={first}-{last}")
            assert reply.status == 206
            assert reply.body == data[first : last + 1]


def test_small_and_empty_blobs_arrive(content: Content, layer: Descriptor, way: str) -> None:
    with content.serve(verify_blobs=way == "verified") as client:
        for data in (b"small layer", b""):
            blob = content.put(data, "application/octet-stream")
            assert client.get(path(blob)).body == data
        small = content.put(b"small layer", "application/octet-stream")
        assert client.get(path(small), Range="bytes=1-4").body == b"mall"
        assert client.get(path(layer), Range="bytes=0-").status == 206


@pytest.mark.parametrize("position", [0, SIZE // 2, SIZE - 1])
def test_verified_sending_withholds_the_last_piece_of_wrong_content(
    content: Content, layer: Descriptor, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    damage(content, layer, position)
    with content.serve(verify_blobs=True) as client:
        status, received = partial(client, path(layer))
        assert status == 200
        assert len(received) < SIZE
        # A range far from the damage is not served in full either: the whole is what has a digest.
        status, received = partial(client, path(layer), Range="bytes=300000-300009")
        assert (status, received) == (206, b"")
    assert caplog.text.count("does not have the bytes that its digest names") == 2


def test_a_small_blob_with_wrong_bytes_is_500_whatever_was_chosen(
    content: Content, layer: Descriptor
) -> None:
    assert layer.size == SIZE
    small = content.put(b"small layer", "application/octet-stream")
    damage(content, small, 3)
    with content.serve() as client:
        assert client.get(path(small)).code == "UNKNOWN"
        assert client.get(path(small), Range="bytes=0-1").code == "UNKNOWN"
        assert client.get("/v2/").status == 200


def test_a_manifest_with_wrong_bytes_is_500(content: Content, layer: Descriptor) -> None:
    assert layer.size == SIZE
    image = content.image(b"other")
    content.record("app", image, "2")
    with content.serve() as client:
        assert client.get("/v2/app/manifests/2").status == 200
        damage(content, image, 5)
        reply = client.get("/v2/app/manifests/2")
        assert (reply.status, reply.code) == (500, "UNKNOWN")


@pytest.mark.parametrize("verify", [False, True])
def test_a_file_of_another_size_is_not_served(
    content: Content, layer: Descriptor, verify: bool
) -> None:
    content.path(layer).write_bytes(content.data(layer)[:-1])
    with content.serve(verify_blobs=verify) as client:
        assert client.get(path(layer)).code == "UNKNOWN"
        assert client.head(path(layer)).status == 500


def test_a_file_that_is_gone_is_404(content: Content, layer: Descriptor) -> None:
    with content.serve() as client:
        assert client.head(path(layer)).status == 200
        content.path(layer).unlink()
        assert client.get(path(layer)).code == "BLOB_UNKNOWN"


@pytest.mark.parametrize("way", ["kernel", "portable"])
def test_a_file_that_shrinks_while_it_is_sent_cuts_the_connection(
    content: Content, layer: Descriptor, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = "sendfile" if way == "kernel" else "pread"
    if way == "portable":
        monkeypatch.delattr(os, "sendfile")
    real = getattr(os, function)

    def shrink(*arguments: int) -> object:
        os.truncate(content.path(layer), 1000)
        return real(*arguments)

    with content.serve() as client:
        assert client.head(path(layer)).status == 200
        monkeypatch.setattr(os, function, shrink)
        status, received = partial(client, path(layer))
    assert status == 200
    assert len(received) <= 1000


def test_an_error_of_the_disk_while_it_is_sent_cuts_the_connection(
    content: Content, layer: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "sendfile", fail)
    with content.serve() as client:
        status, received = partial(client, path(layer))
        assert (status, received) == (200, b"")
        assert client.get("/v2/").status == 200
