"""Response: what is answered, as a value; and the error document of the distribution-spec.

Source: OCI distribution-spec 1.1, "Error Codes".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from airgap.errors import safe

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor

__all__ = ["Part", "Response", "document", "refuse", "spell"]

_JSON: Final = "application/json"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The bytes [start, stop) of stored content, to be sent from where they lie.

    `hashed` says that the whole content is read and hashed before its first byte is sent.
    """

    descriptor: Descriptor
    start: int
    stop: int
    kind: Literal["blob", "manifest"]
    hashed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """A status, headers and a body; `close` ends the connection after it.

    The length is not among the headers: whoever sends the body knows it.
    """

    status: int
    headers: Headers = ()
    body: bytes | Part = b""
    close: bool = False

    @property
    def length(self) -> int:
        """The number of bytes of the body that a GET receives."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.stop - self.body.start


def spell(value: object) -> bytes:
    """Return `value` as JSON; not canonical, for annotations of third parties are in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def document(value: object, media_type: str = _JSON, headers: Headers = ()) -> Response:
    """Return the answer 200 with `value` as JSON."""
    return Response(status=200, headers=(("Content-Type", media_type), *headers), body=spell(value))


def refuse(
    status: int,
    code: str,
    message: str,
    *,
    detail: object = None,
    headers: Headers = (),
    close: bool = False,
) -> Response:
    """Return an error answer: one of the spec's codes and a sentence that is safe to print."""
    error: dict[str, object] = {"code": code, "message": safe(message)}
    if detail is not None:
        error["detail"] = detail
    return Response(
        status=status,
        headers=(("Content-Type", _JSON), *headers),
        body=spell({"errors": [error]}),
        close=close,
    )
