"""One registry's connection: what is transient is tried again, what comes back is bounded.

- Tried again: 429, 502, 503, 504, timeouts, broken and refused connections; never 401, 403, 404
  or a certificate that does not verify.
- Read: at most a cap of bytes, within a deadline, without content encoding.
- Everything that requests, urllib3, ssl and http.client can raise leaves as StoreError.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from airgap.errors import AirgapError, StoreError
from airgap.stores.registry_guard import StallGuard
from airgap.stores.registry_session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.stores import StoreOptions

__all__ = ["TRANSPORT_ERRORS", "Connection", "Patience"]

TRANSPORT_ERRORS: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    # LocationParseError and UnicodeError (hostile host names) are ValueErrors.
    ValueError,
)
_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_ERROR_LIMIT: Final = 64 << 10
_BODY_SECONDS: Final = 300.0
_OWN_PATH: Final = re.compile(r"/[A-Za-z0-9][A-Za-z0-9/._~:?&=%+-]*", re.ASCII)
"""A path that stays as it is when it is joined to the registry's own address."""
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to wait between tries; `longest` is the most seconds that Retry-After may ask."""

    retries: int = 4
    longest: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)

    def wait(self, tried: int, response: requests.Response | None = None) -> bool:
        """Wait before the next try, or return False where there must be none."""
        asked = None if response is None else _retry_after(response)
        if tried >= self.retries or (asked or 0) > self.longest:
            return False
        self.sleep((min(30.0, 0.5 * 2**tried) if asked is None else asked) + self.spread() / 2)
        return True


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        return max(0.0, (until - datetime.now(tz=until.tzinfo or UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


class Connection:
    """A registry as it is reached: its names, its session, and how its answers are read.

    `host` is the name in references, `api` the host that answers for it. `lacks_referrers` is
    whether it was seen to have no endpoint for referrers.
    """

    def __init__(self, host: str, api: str, options: StoreOptions, patience: Patience) -> None:
        self.host = host
        self.api = api
        self.options = options
        self.patience = patience
        self.scheme = "http" if host in options.insecure_http else "https"
        self.origin = f"{self.scheme}://{api}"
        self.label = f"{options.side} {host}"
        self.lacks_referrers = False
        self.session = Session(options, self.origin)
        self.guard = StallGuard(2 * options.timeout[1])

    def close(self) -> None:
        """Close all connections."""
        self.guard.close()
        self.session.close()

    def patiently(self, what: str, call: Callable[[], requests.Response]) -> requests.Response:
        """Return what `call` answers, tried again while the failure is transient."""
        tried = 0
        while True:
            response = None
            try:
                response = call()
            except TRANSPORT_ERRORS as error:
                failure, transient = self.translate(error, what)
                if not (transient and self.patience.wait(tried)):
                    raise failure from error
            else:
                if response.status_code not in _TRANSIENT:
                    return response
                again = self.patience.wait(tried, response)
                if not again:
                    raise self.failure(response, what)
                response.close()
            tried += 1

    def translate(self, error: Exception, what: str) -> tuple[AirgapError, bool]:
        """Return our error for what the transport raised, and whether it may pass."""
        cause = _find_ssl(error)
        if cause is not None and cause.reason in _NOT_TLS:
            return self._plain_http(), False
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self.error(
                f"its certificate does not verify: {cause.verify_message}",
                reason="tls-not-verified",
                hint="Name the CA that issued it with --ca-file.",
            ), False
        passing = (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.HTTPError,
            OSError,
        )
        transient = isinstance(error, passing) and not isinstance(
            error, (ValueError, urllib3.exceptions.LocationValueError)
        )
        reason = "registry-unreachable" if transient else "registry-answer-invalid"
        return self.error(f"{what} failed: {_innermost(error)}", reason=reason), transient

    def _plain_http(self) -> StoreError:
        return self.error(
            "it does not speak TLS",
            reason="registry-not-https",
            hint=f"If it is meant to be reached without TLS: --insecure-http {self.host}",
        )

    def error(self, sentence: str, *, reason: str, hint: str | None = None) -> StoreError:
        """Return a StoreError that names the side and the registry."""
        return StoreError(f"{self.label}: {sentence}", reason=reason, hint=hint)

    def failure(self, response: requests.Response, what: str, reason: str = "") -> StoreError:
        """Return the error for an answer that is not what was asked for, and end the answer."""
        status = response.status_code
        if status == 429:
            reason = "rate-limited"
        return self.error(
            f"{what} was answered with {status}{self.complaint(response)}",
            reason=reason or "registry-failed",
        )

    def complaint(self, response: requests.Response) -> str:
        """Return what the registry says about an error, in one line; the answer is ended."""
        try:
            body = self.read(response, _ERROR_LIMIT, "an error")
        except StoreError:
            return ""
        return f": {text}" if (text := _first_errors(body)) else ""

    def read(self, response: requests.Response, limit: int, what: str) -> bytes:
        """Return the whole body, at most `limit` bytes of it, and end the answer."""
        try:
            return self.drain(response, limit, what)
        except TRANSPORT_ERRORS as error:
            raise self.translate(error, f"reading {what}")[0] from error

    def drain(self, response: requests.Response, limit: int, what: str) -> bytes:
        """Do as `read` does, but let the transport's own errors out, for `patiently` to see."""
        with response:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() not in {"identity", ""}:
                raise self.encoded(what, encoding)
            deadline = time.monotonic() + _BODY_SECONDS
            body = bytearray()
            # read1 returns what is there: a server that drips cannot hold us past the deadline.
            while data := response.raw.read1(64 << 10, decode_content=False):
                body += data
                if len(body) > limit:
                    raise self.error(
                        f"{what} is longer than {limit} bytes", reason="answer-too-large"
                    )
                if time.monotonic() > deadline:
                    raise self.error(f"{what} comes too slowly", reason="registry-too-slow")
            return bytes(body)

    def encoded(self, what: str, encoding: str) -> StoreError:
        """Return the error for an answer whose bytes are not those that a digest names."""
        return self.error(
            f"{what} comes with Content-Encoding {encoding:.40}, which was not asked for",
            reason="content-encoding-refused",
            hint="Something between here and the registry alters what it sends: look at proxies.",
        )

    def url(self, reference: str, base: str | None = None) -> str:
        """Return the URL that `reference` means, seen from `base`; refuse one with user or junk."""
        if base is None and _OWN_PATH.fullmatch(reference):
            return self.origin + reference
        try:
            url = urljoin(base or self.origin, reference)
            parts = urlsplit(url)
            strange = parts.username is not None or not parts.hostname or (parts.port or 1) < 1
        except ValueError:
            strange = True
        if strange:
            raise self.error(f"{reference!r:.300} is no URL to go to", reason="location-invalid")
        return url.partition("#")[0]

    def is_own(self, url: str) -> bool:
        """Tell whether `url` has the registry's own scheme, host and port."""
        return _origin(url) == _origin(self.origin)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _causes(error: BaseException) -> list[BaseException]:
    # requests and urllib3 keep what went wrong in arguments, `reason` and the exception chain.
    found: list[BaseException] = []
    left: list[object] = [error]
    while left and len(found) < 20:
        item = left.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            left += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found


def _find_ssl(error: BaseException) -> ssl.SSLError | None:
    return next((item for item in _causes(error) if isinstance(item, ssl.SSLError)), None)


def _innermost(error: BaseException) -> str:
    texts = [
        item.strerror or str(item)
        for item in _causes(error)
        if isinstance(item, OSError) and not isinstance(item, requests.RequestException)
    ]
    return (texts[-1] if texts else "") or str(error) or type(error).__name__


def _first_errors(body: bytes) -> str:
    # Shown only, through errors.safe; so the lenient parser will do, and any shape is survived.
    try:
        errors = json.loads(body)["errors"][:3]
        texts = [f"{item.get('code')}: {item.get('message')}"[:300] for item in errors]
        details = [item.get("detail") for item in errors]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return body[:200].decode("utf-8", errors="replace").strip()
    texts += [str(detail)[:200] for detail in details if detail]
    return "; ".join(texts)
