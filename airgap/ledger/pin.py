"""Pin: one authority that a site believes, as it is written down (schemas/pin)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError
from airgap.oci.strict_json import Reader
from airgap.trust.fingerprint import parse_code, parse_fingerprint
from airgap.trust.names import check_pattern, matches_any
from airgap.trust.profile import verify_roots
from airgap.trust.release import Anchor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Pin"]

_VERSION: Final = 1
_FIELDS: Final = ("name", "authority", "fingerprint", "root", "names", "shared", "codes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One pinned authority.

    `root` are the bytes of its root 1; `names` are the patterns of names that it may speak for,
    None for all; `shared` says that they may overlap those of another; `codes` are bootstrap codes
    by stream, told with the fingerprint.
    """

    name: str
    authority: str
    fingerprint: str
    root: bytes
    names: tuple[str, ...] | None = None
    shared: bool = False
    codes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def anchor(self, roots: Sequence[bytes] = ()) -> Anchor:
        """Return the anchor for judging a bundle; `roots` are those that the ledger knows."""
        return Anchor(
            name=self.name,
            authority=self.authority,
            fingerprint=self.fingerprint,
            roots=tuple(roots) or (self.root,),
        )

    def speaks_for(self, name: str) -> bool:
        """Tell whether the full source name is within the scope."""
        return self.names is None or matches_any(self.names, name)

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "schemaVersion": _VERSION,
            "name": self.name,
            "authority": self.authority,
            "fingerprint": self.fingerprint,
            "root": self.root.decode(),
            "shared": self.shared,
            "codes": dict(self.codes),
            **({} if self.names is None else {"names": list(self.names)}),
        }

    @classmethod
    def decode(cls, data: bytes, what: str) -> Pin:
        """Return the pin that `data` spells. Raises AirgapError where it does not hold together."""
        reader = Reader.parse(data, what)
        reader.close("schemaVersion", *_FIELDS)
        if reader.integer("schemaVersion") != _VERSION:
            raise FormatError(f"{what} is of another version", reason="field-invalid")
        pin = cls(
            name=reader.text("name"),
            authority=reader.text("authority"),
            fingerprint=parse_fingerprint(reader.text("fingerprint")),
            root=reader.text("root").encode(),
            names=tuple(map(check_pattern, reader.texts("names"))) if reader.has("names") else None,
            shared=reader.boolean("shared"),
            codes={stream: parse_code(code) for stream, code in reader.text_map("codes").items()},
        )
        verify_roots((pin.root,), anchor=pin.anchor())
        return pin
