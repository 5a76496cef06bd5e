"""What tests of `docker://` say again and again: a visit to a registry, content, certificates."""

from __future__ import annotations

import io
import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trustme

from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST, Manifest
from airgap.stores import StoreOptions
from airgap.stores.registry import RegistryStore, open_registry
from airgap.stores.registry_http import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.simulators.fake_registry import FakeRegistry

__all__ = [
    "describe",
    "image",
    "index",
    "log_in",
    "make_tls",
    "opener",
    "put_image",
    "referrer",
    "visit",
]


@contextmanager
def visit(
    fake: FakeRegistry,
    waits: list[float] | None = None,
    **options: Any,  # noqa: ANN401 - those of StoreOptions
) -> Iterator[RegistryStore]:
    """Open `fake` as a store that never really waits; what it would have waited is in `waits`."""
    if fake.url.startswith("http:"):
        options["insecure_http"] = options.get("insecure_http", frozenset()) | {fake.host}
    patience = Patience(
        retries=options.get("retries", 3),
        sleep=(waits if waits is not None else []).append,
        spread=lambda: 0.0,
    )
    options.setdefault("timeout", (2.0, 2.0))
    store = open_registry(fake.host, StoreOptions(**options), patience)
    try:
        yield store
    finally:
        store.close()


def log_in(path: Path, *entries: tuple[str, dict[str, str]]) -> Path:
    """Write an auth file with `entries` of key and content."""
    path.write_text(json.dumps({"auths": dict(entries)}))
    return path


def make_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for 127.0.0.1 and localhost, and the file of its CA."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context, folder / "ca.pem"


def describe(data: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


def opener(data: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(data)


def image(*layers: bytes, **fields: object) -> Manifest:
    """Return a manifest over `layers` and the empty config."""
    return _parse(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": EMPTY_CONFIG.to_json(),
            "layers": [describe(layer).to_json() for layer in layers],
            **fields,
        }
    )


def referrer(subject: Manifest, kind: str = "application/x-signature") -> Manifest:
    """Return a manifest of artifact type `kind` that refers to `subject`."""
    return image(
        artifactType=kind,
        subject=subject.descriptor.to_json(),
        annotations={"made-by": "a test"},
    )


def index(*manifests: Manifest) -> Manifest:
    children = [manifest.descriptor.to_json() for manifest in manifests]
    return _parse({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})


def _parse(document: dict[str, object]) -> Manifest:
    return Manifest.parse(json.dumps(document).encode())


def put_image(fake: FakeRegistry, repository: str, manifest: Manifest, *tags: str) -> None:
    """Put `manifest` and the empty config into `fake`, by digest and by `tags`."""
    fake.add_blob(repository, b"{}")
    for tag in tags or (None,):
        fake.add_manifest(repository, manifest.data, manifest.media_type, tag)
