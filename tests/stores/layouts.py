"""What tests do to layouts: look into them, and change them as others would."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.stores.samples import make_artifact, make_image, make_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.oci.digest import Digest
    from airgap.stores.layout import LayoutStore
    from tests.stores.samples import Sample


FULL = "org.opencontainers.image.ref.name"
AMD, ARM = make_image("amd"), make_image("arm", architecture="arm64")
MULTI = make_index(AMD, ARM)
SBOM = make_artifact(b"an sbom", subject=MULTI.manifest)


def document(store: LayoutStore) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((store.root / "index.json").read_bytes())
    return loaded


def entries(store: LayoutStore) -> list[tuple[str, str | None, str | None]]:
    """Return digest, ref.name and repository of each entry."""
    return [
        (e["digest"], e.get("annotations", {}).get(FULL),
         e.get("annotations", {}).get("vnd.airgap.repository"))
        for e in document(store)["manifests"]
    ]  # fmt: skip


def rewrite(store: LayoutStore, change: Callable[[dict[str, Any]], None]) -> None:
    """Change index.json as another tool would."""
    changed = document(store)
    change(changed)
    (store.root / "index.json").write_text(json.dumps(changed))


def damage(store: LayoutStore, digest: Digest, data: bytes | None) -> None:
    path = store.blob_path(digest)
    path.chmod(0o644)
    path.unlink() if data is None else path.write_bytes(data)


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def layer_of(sample: Sample) -> tuple[Digest, bytes]:
    descriptor, data = next(iter(sample.blobs.items()))
    return descriptor.digest, data
