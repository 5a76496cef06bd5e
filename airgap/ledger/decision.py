"""Decision: what stands on the record because nobody but a person, or a policy, let it through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airgap.oci.strict_json import Reader

__all__ = ["Decision"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What only a person's word, or the site's policy in place of one, has let through."""

    reason: str
    sentence: str

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"reason": self.reason, "sentence": self.sentence}

    @classmethod
    def read(cls, reader: Reader) -> Decision:
        """Return what `reader` stands on."""
        reader.close("reason", "sentence")
        return cls(reason=reader.text("reason"), sentence=reader.text("sentence"))
