"""The HTTP session under oras: TLS always verified, no redirects, no environment, timeouts.

- Nothing is followed here: whoever asks decides what a redirect may do (A122).
- No answer is read here: `send` hands every body over as a stream, so that a cap can stand on it.
- A client certificate is shown to the registry's own host only.
"""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import certifi
import requests
from requests.adapters import HTTPAdapter

from airgap.errors import UsageError
from airgap.stores.registry_proxy import Proxies

if TYPE_CHECKING:
    from airgap.stores import StoreOptions

__all__ = ["Session"]

_POOLED_HOSTS = 8
_CONNECTIONS = 8


class Session(requests.Session):
    """The connections of one store, shared by its repositories and threads.

    `origin` is the registry's scheme and host. Raises UsageError where `options` name a
    certificate that cannot be loaded.
    """

    def __init__(self, options: StoreOptions, origin: str) -> None:
        super().__init__()
        self.trust_env = False  # neither .netrc nor proxies nor REQUESTS_CA_BUNDLE
        self.headers["Accept-Encoding"] = "identity"
        self.headers["User-Agent"] = "airgap"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._proxies = Proxies.of(options)
        self._timeout = options.timeout
        self.mount("https://", _Adapter(_tls(options)))
        if options.client_certificate is not None:
            self.mount(f"{origin}/", _Adapter(_with_certificate(_tls(options), options)))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
        """Send one request, once; see the module for what is decided here and not by the caller."""
        proxy = self._proxies.choose(request.url or "")
        connect, read = self._timeout
        extra = getattr(request.body, "extra_seconds", None)
        kwargs.update(
            allow_redirects=False,
            stream=True,
            verify=True,
            cert=None,
            proxies={} if proxy is None else {"http": proxy, "https": proxy},
            # While a body is sent, urllib3 applies the connect timeout to each write.
            timeout=(connect, read) if extra is None else (max(connect, read), read + extra),
        )
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: requests would read a redirect's whole body to prepare the next step."""
        return None


class _Adapter(HTTPAdapter):
    """The transport with one TLS context of ours and no retries of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=_POOLED_HOSTS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401 - requests' own signature
        # The context holds all trust there is; requests would add its own bundle to it.
        conn.cert_reqs = "CERT_REQUIRED"


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
