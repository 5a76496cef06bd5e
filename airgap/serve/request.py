"""Request: the head of an HTTP/1.1 message, parsed once and strictly.

Source: RFC 9112. What two readers could take for two messages (folded lines, blanks before a
colon, two lengths, two hosts, control characters) is refused with 400. A head is at most 16 KiB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

from airgap.serve.response import Response, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEAD_LIMIT", "Request", "parse_head"]

HEAD_LIMIT: Final = 16 << 10
"""The most bytes of a request line with its headers."""
_MAX_HEADERS: Final = 100
_MAX_PARAMETERS: Final = 20
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_AUTHORITY: Final = re.compile(r"https?://[^/?#]*", re.ASCII | re.IGNORECASE)
_ONCE: Final = frozenset({"host", "content-length", "range", "if-range", "transfer-encoding"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Method, decoded path, query parameters (each as often as it was given) and headers.

    Header names are lower case.
    """

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    keep_alive: bool = True

    @property
    def has_body(self) -> bool:
        """Whether bytes follow the head that belong to this request."""
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers


def parse_head(data: bytes) -> Request | Response:
    """Return the request that `data` (without the empty line at its end) spells, or the refusal."""
    first, *rest = data.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        return _bad("the request line is not one")
    method, target, major, minor = line[1].decode(), line[2].decode(), line[3], line[4]
    if major != b"1":
        return refuse(505, "UNSUPPORTED", "this server speaks HTTP/1.1", close=True)
    headers = _headers(rest)
    if headers is None:
        return _bad("a header is not one, or stands there twice")
    if minor != b"0" and "host" not in headers:
        return _bad("the Host header is missing")
    path, _, query = _AUTHORITY.sub("", target, count=1).partition("?")
    try:
        parameters = parse_qs(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return _bad("too many query parameters")
    connection = {token.strip() for token in headers.get("connection", "").lower().split(",")}
    return Request(
        method=method,
        path=unquote(path, errors="replace"),
        query=MappingProxyType({name: tuple(values) for name, values in parameters.items()}),
        headers=MappingProxyType(headers),
        keep_alive=minor != b"0" and "close" not in connection,
    )


def _headers(lines: list[bytes]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    if len(lines) > _MAX_HEADERS:
        return None
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name, value = match[1].decode().lower(), match[2].decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            return None
        else:
            headers[name] += ", " + value
    return headers


def _bad(why: str) -> Response:
    # After a head that was not understood nobody knows where the next one begins.
    return refuse(400, "UNSUPPORTED", f"bad request: {why}", close=True)
