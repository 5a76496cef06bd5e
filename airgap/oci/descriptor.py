"""Descriptor: what a piece of content is, and the reader that believes nothing else.

Source: OCI image-spec 1.1, descriptor.md. Size is checked before digest, as it says.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from airgap.errors import FormatError, IntegrityError, UsageError
from airgap.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.oci.strict_json import JsonObject, Reader

__all__ = ["ByteStream", "Descriptor", "Filling", "Platform", "VerifyingReader"]

_MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}", re.ASCII
)
_NO_ANNOTATIONS: Final[Mapping[str, str]] = MappingProxyType({})
_KNOWN_KEYS: Final = (
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform",
)  # fmt: skip
_PLATFORM_KEYS: Final = ("os", "architecture", "variant", "os.version", "os.features", "features")


class ByteStream(Protocol):
    """Anything that bytes can be read from, a piece at a time."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; an empty answer is the end."""
        ...


@runtime_checkable
class Filling(Protocol):
    """A stream that fills a buffer which is used again, instead of making each piece anew."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` from its start; return how many bytes are in it, 0 at the end."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Where an image runs: operating system, architecture, variant."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Return the platform that ``os/architecture[/variant]`` spells, or raise UsageError."""
        parts = text.split("/")
        if len(parts) not in {2, 3} or not all(parts):
            raise UsageError(
                f"{text!r:.100} is not a platform",
                reason="platform-invalid",
                hint="Write os/architecture or os/architecture/variant, as in linux/arm64.",
            )
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if parts[2:] else None)

    @classmethod
    def from_json(cls, reader: Reader) -> Platform:
        """Return the platform of a descriptor in an index."""
        reader.refuse_case_variants(*_PLATFORM_KEYS)
        reader = reader.without_nulls()
        return cls(
            os=reader.text("os"),
            architecture=reader.text("architecture"),
            variant=reader.optional_text("variant"),
            os_version=reader.optional_text("os.version"),
        )

    def matches(self, wanted: Platform) -> bool:
        """Tell whether this platform is the `wanted` one; a wanted variant of None takes any."""
        return (self.os, self.architecture) == (wanted.os, wanted.architecture) and (
            wanted.variant is None or wanted.variant == self.variant
        )

    def __str__(self) -> str:
        """Spell the platform as docker does."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes of content, with what else a manifest says of it."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=lambda: _NO_ANNOTATIONS, hash=False)

    @classmethod
    def from_json(cls, reader: Reader) -> Descriptor:
        """Return the descriptor at `reader`, or raise FormatError.

        ``urls`` are refused (A064) and ``data`` must be the content itself (A065).
        """
        reader.refuse_case_variants(*_KNOWN_KEYS)
        reader = reader.without_nulls()
        if reader.has("urls"):
            raise FormatError(f"{reader.at('urls')} is not allowed", reason="descriptor-urls")
        descriptor = cls(
            media_type=media_type(reader.text("mediaType"), reader.at("mediaType")),
            digest=reader.digest("digest"),
            size=reader.integer("size"),
            artifact_type=reader.optional_text("artifactType") or None,
            platform=Platform.from_json(reader.child("platform"))
            if reader.has("platform")
            else None,
            annotations=reader.text_map("annotations")
            if reader.has("annotations")
            else _NO_ANNOTATIONS,
        )
        if reader.has("data"):
            descriptor._check_data(reader.text("data"), reader.at("data"))
        return descriptor

    def _check_data(self, text: str, path: str) -> None:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise FormatError(f"{path} is not base64", reason="descriptor-data-mismatch") from error
        # The last character of base64 may hold bits that no decoder looks at: one spelling only.
        if (
            base64.b64encode(data) != text.encode()
            or len(data) != self.size
            or (Digest.of(data) != self.digest)
        ):
            raise FormatError(
                f"{path} is not the content of {self.digest}", reason="descriptor-data-mismatch"
            )

    @property
    def attested(self) -> str | None:
        """The digest that this child of an index is an attestation about, as BuildKit marks it."""
        if self.annotations.get("vnd.docker.reference.type") != "attestation-manifest":
            return None
        return self.annotations.get("vnd.docker.reference.digest", "")

    def to_json(self) -> JsonObject:
        """Return mediaType, digest and size: what identifies the content."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}


def media_type(text: str, path: str) -> str:
    """Return `text` if it is a media type (RFC 6838 section 4.2), else raise FormatError."""
    if _MEDIA_TYPE.fullmatch(text) is None:
        raise FormatError(
            f"expected a media type in {path}, got {text!r:.100}", reason="media-type-invalid"
        )
    return text


class VerifyingReader:
    """A stream that reaches its end only after size and digest have matched.

    `stream` is read once, forwards; `what` names the content in errors. A longer stream fails as
    soon as one byte too many is seen, a shorter one at its end, other bytes before the last of
    them are given out: whoever holds as many bytes as the descriptor says holds what was signed,
    and whoever stops earlier has been told nothing.
    """

    def __init__(self, stream: ByteStream, descriptor: Descriptor, what: str | None = None) -> None:
        self.descriptor = descriptor
        self._stream = stream
        self._filling = stream if isinstance(stream, Filling) else None
        self._what = what or str(descriptor.digest)
        self._hash = hashlib.sha256()
        self._seen = 0
        self._done = False

    @classmethod
    def of(cls, stream: ByteStream, descriptor: Descriptor) -> VerifyingReader:
        """Return `stream` if it verifies this very content itself, else a reader around it."""
        if (
            isinstance(stream, VerifyingReader)
            and stream.descriptor.digest == descriptor.digest
            and stream.descriptor.size == descriptor.size
        ):
            return stream
        return cls(stream, descriptor)

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes (all that is left, if negative)."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if self._done or size == 0:
            return b""
        data = self._stream.read(min(size, self._wanted()))
        self._account(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` from its start and return how many bytes are in it; 0 is the end.

        What `read` does, without a new object for each piece where the stream can fill a buffer.
        What stands in `buffer` counts only once this has returned.
        """
        if self._done or not buffer:
            return 0
        view = buffer[: self._wanted()]
        if self._filling is not None:
            count = self._filling.readinto(view)
            self._account(view[:count])
            return count
        data = self._stream.read(len(view))
        self._account(data)
        view[: len(data)] = data
        return len(data)

    def _wanted(self) -> int:
        # One byte more than is left is asked for: a stream that goes on is found out.
        return max(self.descriptor.size - self._seen, 0) + 1

    def _account(self, data: bytes | memoryview) -> None:
        self._seen += len(data)
        if self._seen > self.descriptor.size:
            raise IntegrityError(
                f"{self._what} is longer than its {self.descriptor.size} bytes",
                reason="descriptor-size-mismatch",
            )
        self._hash.update(data)
        if self._seen == self.descriptor.size:
            self._check_digest()
        if not data:
            self._finish()

    def _check_digest(self) -> None:
        if self._hash.hexdigest() != self.descriptor.digest.hex:
            raise IntegrityError(
                f"{self._what} does not have the bytes that its digest names",
                reason="blob-digest-mismatch",
            )

    def _finish(self) -> None:
        if self._seen != self.descriptor.size:
            raise IntegrityError(
                f"{self._what} ended after {self._seen} of {self.descriptor.size} bytes",
                reason="descriptor-size-mismatch",
            )
        self._done = True
