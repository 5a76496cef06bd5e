"""Digest: the only way from a string to a path or a URL.

One algorithm in version 1: ``sha256:`` and 64 lower-case hexadecimal digits. Anything else is
refused when a Digest is made (threat model A056 to A058), so one in hand is always safe to use as
a file name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from airgap.errors import FormatError

__all__ = ["BLOB_FOLDER", "Digest"]

BLOB_FOLDER = "blobs/sha256/"
_PREFIX = "sha256:"
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 content address; `hex` is its 64 lower-case hexadecimal digits."""

    hex: str

    def __post_init__(self) -> None:
        """Refuse, with FormatError, whatever is not 64 lower-case hexadecimal digits."""
        if _HEX.fullmatch(self.hex) is None:
            raise FormatError(
                f"expected 64 lower-case hex digits, got {self.hex!r:.200}", reason="digest-invalid"
            )

    @classmethod
    def parse(cls, text: object, path: str = "digest") -> Digest:
        """Return the digest that `text` spells, or raise FormatError naming `path`."""
        if not isinstance(text, str) or not (
            text.startswith(_PREFIX) and _HEX.fullmatch(text, len(_PREFIX))
        ):
            raise FormatError(
                f"expected sha256: and 64 lower-case hex digits in {path}, got {text!r:.200}",
                reason="digest-invalid",
            )
        return cls(text.removeprefix(_PREFIX))

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of `data`."""
        return cls(hashlib.sha256(data).hexdigest())

    @property
    def blob_path(self) -> str:
        """The blob's name in an OCI image layout and in a bundle."""
        return BLOB_FOLDER + self.hex

    @property
    def tag_stem(self) -> str:
        """The stem of the tags that cosign and the referrers fallback derive from a digest."""
        return f"sha256-{self.hex}"

    @property
    def short(self) -> str:
        """A form for people: enough to tell apart, never to be parsed."""
        return f"sha256:{self.hex[:12]}…"

    def __str__(self) -> str:
        """Spell the digest as OCI does."""
        return f"sha256:{self.hex}"
