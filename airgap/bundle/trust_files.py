"""TrustFiles: the frozen TUF repository in a bundle, as bytes that nothing here believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.bundle.fields import is_target_path
from airgap.bundle.limits import TRUST_LIMIT
from airgap.errors import FormatError
from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airgap.bundle.inventory import Inventory

__all__ = ["METADATA_TYPE", "TARGET_TYPE", "TrustFiles", "check_trust"]

METADATA_TYPE: Final = "application/vnd.tuf.metadata+json"
TARGET_TYPE: Final = "application/octet-stream"
_INVENTORY_TARGET: Final = "inventory.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustFiles:
    """The frozen TUF repository: metadata envelopes and target files, as bytes.

    `roots` are versions 1…N; `number` is the version in the names of snapshot and targets, which
    is the inventory's sequence; `files` maps target paths to bytes, without ``inventory.json``.
    """

    roots: tuple[bytes, ...]
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    number: int
    files: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def titled(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield title, media type and bytes of every file, in the order of the bundle manifest."""
        for version, root in enumerate(self.roots, start=1):
            yield f"metadata/{version}.root.json", METADATA_TYPE, root
        yield "metadata/timestamp.json", METADATA_TYPE, self.timestamp
        yield f"metadata/{self.number}.snapshot.json", METADATA_TYPE, self.snapshot
        yield f"metadata/{self.number}.targets.json", METADATA_TYPE, self.targets
        for path in sorted(self.files):
            yield f"targets/{path}", TARGET_TYPE, self.files[path]


def check_trust(inventory: Inventory, trust: TrustFiles) -> None:
    """Raise FormatError where the TUF files are not in the form that goes with `inventory`."""
    if not trust.roots or trust.number != inventory.sequence:
        raise FormatError(
            "the bundle does not have the TUF metadata of its number",
            reason="manifest-not-as-generated",
        )
    for path in trust.files:
        if path == _INVENTORY_TARGET or not is_target_path(path):
            raise FormatError(f"{path!r:.300} is no path of a target", reason="target-path-invalid")
    if sum(len(data) for _, _, data in trust.titled()) > TRUST_LIMIT:
        raise FormatError(
            f"TUF files and targets have more than {TRUST_LIMIT} bytes", reason="trust-too-large"
        )
    stated = {piece.path: piece.digest for piece in inventory.frozen}
    found = {path: Digest.of(d) for path, d in trust.files.items() if path.startswith("trust/")}
    if stated != found:
        path = min(name for name, _ in stated.items() ^ found.items())
        raise FormatError(
            f"{path} differs between inventory.frozen and the targets", reason="frozen-mismatch"
        )
