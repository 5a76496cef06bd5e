"""The HTTP session under oras: TLS always verified, no redirects, no environment, timeouts.

- Nothing is followed here: whoever asks decides what a redirect may do (A122).
- No answer is read here: `send` hands every body over as a stream, so that a cap can stand on it.
- A client certificate is shown to the registry's own host only.
"""

from __future__ import annotations

import re
import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, cast

import certifi
import requests
from requests.structures import CaseInsensitiveDict

from airgap.errors import UsageError
from airgap.stores.registry_pool import Adapter
from airgap.stores.registry_proxy import Proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap.stores import StoreOptions

__all__ = ["Session"]

_PLAIN_URL: Final = re.compile(
    r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(/[A-Za-z0-9/._~:?&=%+@,;!$()-]*)"
)
"""A URL that stands on the wire as it stands here. Any other is left to requests to prepare."""


class Session(requests.Session):
    """The connections of one store, shared by its repositories and threads.

    `origin` is the registry's scheme and host. Raises UsageError where `options` name a
    certificate that cannot be loaded.
    """

    def __init__(self, options: StoreOptions, origin: str) -> None:
        super().__init__()
        self._origin = f"{origin}/"
        self.trust_env = False  # neither .netrc nor proxies nor REQUESTS_CA_BUNDLE
        self._own = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "airgap"}
        self.headers.update(self._own)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._proxies = Proxies.of(options)
        self._timeout = options.timeout
        shared = Adapter(_tls(options))
        self.mount("https://", shared)
        self.mount("http://", shared)
        if options.client_certificate is not None:
            self.mount(self._origin, Adapter(_with_certificate(_tls(options), options)))

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        data: Any = None,  # noqa: ANN401 - bytes, a file-like object or a `FileBody`
        headers: Mapping[str, str] | None = None,
        **others: Any,  # noqa: ANN401 - requests' own
    ) -> requests.Response:
        """Send one request, once. See the module for what is decided here and not by the caller.

        requests prepares and sends for everybody: that is more work than a small answer is for
        the registry. What is left out here, cookies and hooks and parameters, is never used.
        """
        plain = _PLAIN_URL.fullmatch(url)
        form = isinstance(data, list) or others.get("params")
        if plain is None or form or self._proxies.choose(url) is not None:
            return super().request(method, url, data=data, headers=headers, **others)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = method, url, data
        prepared.headers = CaseInsensitiveDict({**self._own, **(headers or {})})
        if data is not None or method not in {"GET", "HEAD"}:
            prepared.headers["Content-Length"] = str(0 if data is None else len(data))
        adapter = cast("Adapter", self.get_adapter(url))
        return adapter.send_plainly(prepared, plain, self._patience(data))

    def _patience(self, body: object) -> tuple[float, float]:
        """Return the timeouts for connecting (and each write) and for reading, in seconds."""
        connect, read = self._timeout
        extra = getattr(body, "extra_seconds", None)
        # While a body is sent, urllib3 applies the connect timeout to each write.
        return (connect, read) if extra is None else (max(connect, read), read + extra)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
        """Send what requests has prepared, once."""
        proxy = self._proxies.choose(request.url or "")
        kwargs.update(
            allow_redirects=False,
            stream=True,
            verify=True,
            cert=None,
            proxies={} if proxy is None else {"http": proxy, "https": proxy},
            timeout=self._patience(request.body),
        )
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: requests would read a redirect's whole body to prepare the next step."""
        return None


def _tls(options: StoreOptions) -> ssl.SSLContext:
    """Return what is trusted: a destination's CA file alone, a source's beside the public CAs.

    An export reads from several registries in one run, an import writes to one.
    """
    try:
        if options.ca_file is not None and options.side == "destination":
            return ssl.create_default_context(cafile=options.ca_file)
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        if options.ca_file is not None:
            context.load_verify_locations(options.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"{options.ca_file} cannot be read as CA certificates: {error.strerror or error}",
            reason="ca-file-invalid",
            hint="Name a file of PEM certificates with --ca-file.",
        ) from error
    return context


def _with_certificate(context: ssl.SSLContext, options: StoreOptions) -> ssl.SSLContext:
    try:
        # The password function keeps OpenSSL from asking on the terminal.
        context.load_cert_chain(
            options.client_certificate or "", options.client_key, password=lambda: b""
        )
    except OSError as error:
        raise UsageError(
            f"{options.client_certificate} cannot be used as client certificate: "
            f"{error.strerror or error}",
            reason="client-certificate-invalid",
            hint="Name PEM files; the key must be unencrypted and fit the certificate.",
        ) from error
    return context
