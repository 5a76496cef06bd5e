"""Images and artifacts made by hand, put into a layout by hand, and asked for over real sockets."""

from __future__ import annotations

import http.client
import json
import random
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import OCI_INDEX, OCI_MANIFEST
from airgap.serve.request import Request
from airgap.serve.server import Limits, Server, serve
from airgap.serve.store_catalog import StoreCatalog
from airgap.stores.layout import LayoutStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"
NOTHING = Digest.of(b"nothing has these bytes")


@dataclass(kw_only=True)
class Content:
    """Bytes by digest, and the entries of an index.json, in the order in which they were made."""

    root: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "blobs/sha256").mkdir(parents=True)
        (self.root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.write_index()

    def put(self, data: bytes, media_type: str) -> Descriptor:
        digest = Digest.of(data)
        (self.root / digest.blob_path).write_bytes(data)
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def put_json(self, document: dict[str, Any]) -> Descriptor:
        return self.put(json.dumps(document).encode(), document["mediaType"])

    def image(self, *layers: bytes, architecture: str = "amd64", **more: object) -> Descriptor:
        """Make an image whose config and manifest are what strict clients want."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]},
            "history": [{"created_by": "hand"} for _ in layers],
        }
        return self.put_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self.put(json.dumps(config).encode(), CONFIG).to_json(),
                "layers": [self.put(layer, LAYER).to_json() for layer in layers],
                **more,
            }
        )

    def artifact(self, subject: Descriptor | None = None, **more: object) -> Descriptor:
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.put(b"{}", EMPTY).to_json(),
            "layers": [self.put(b"{}", EMPTY).to_json()],
            **more,
        }
        if subject is not None:
            document["subject"] = subject.to_json()
        return self.put_json(document)

    def index(self, *children: Descriptor, **more: object) -> Descriptor:
        platforms = ("amd64", "arm64", "s390x")
        return self.put_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [
                    child.to_json() | {"platform": {"os": "linux", "architecture": architecture}}
                    for child, architecture in zip(children, platforms, strict=False)
                ],
                **more,
            }
        )

    def record(self, repository: str, descriptor: Descriptor, *tags: str) -> None:
        """Put `descriptor` into index.json, once for each tag, or once without one."""
        for tag in tags or (None,):
            annotations = {"vnd.airgap.repository": repository}
            if tag is not None:
                annotations["org.opencontainers.image.ref.name"] = f"{repository}:{tag}"
            self.entries.append(descriptor.to_json() | {"annotations": annotations})
        self.write_index()

    def write_index(self) -> None:
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.entries}
        (self.root / "new").write_text(json.dumps(document))
        (self.root / "new").rename(self.root / "index.json")

    def path(self, descriptor: Descriptor) -> Path:
        return self.root / descriptor.digest.blob_path

    def data(self, descriptor: Descriptor) -> bytes:
        return self.path(descriptor).read_bytes()

    def blob(self, manifest: Descriptor, number: int = 0) -> Descriptor:
        """Return a layer of `manifest`, or (-1) its config."""
        document = json.loads(self.data(manifest))
        raw = document["config"] if number < 0 else document["layers"][number]
        return Descriptor(
            media_type=raw["mediaType"], digest=Digest.parse(raw["digest"]), size=raw["size"]
        )

    def catalog(self) -> StoreCatalog:
        return StoreCatalog(LayoutStore(self.root))

    @contextmanager
    def serve(
        self, *, limits: Limits | None = None, verify_blobs: bool = False
    ) -> Iterator[Client]:
        server = serve(self.catalog(), port=0, limits=limits, verify_blobs=verify_blobs)
        with running(server) as client:
            yield client


@contextmanager
def running(server: Server) -> Iterator[Client]:
    with server:
        server.start()
        client = Client(server=server)
        try:
            yield client
        finally:
            client.connection.close()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error document, which must have the specification's shape."""
        [error] = self.json["errors"]
        assert self.headers["Content-Type"] == "application/json"
        assert isinstance(error["message"], str)
        return str(error["code"])


@dataclass
class Client:
    """A plain HTTP client: one connection that is kept, as the standard library keeps it."""

    server: Server

    @cached_property
    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        self.connection.request(method, path, headers=dict(headers or {}), body=body or None)
        response = self.connection.getresponse()
        data = response.read()
        if method != "HEAD" and response.status != 304:
            assert int(response.headers["Content-Length"]) == len(data)
        return Reply(response.status, response.headers, data)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask(
            path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def head(self, path: str) -> Reply:
        return self.ask(path, method="HEAD")


def large(content: Content, size: int = 24 << 20) -> Descriptor:
    """Put an image with one large layer on the shelf and return the layer."""
    image = content.image(random.Random(7).randbytes(size))
    content.record("app", image, "large")
    return content.blob(image)


def connect(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.server.port), timeout=20)


def everything(sock: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    data = bytearray()
    try:
        while piece := sock.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        pass
    return bytes(data)


def request(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Request:
    """Return a request as `routes` takes it."""
    return Request(method=method, path=path, headers=headers or {})
