"""Requests to one repository: authenticated by oras, tried again, bounded, judged by status.

oras-py is used for this and nothing more: `Registry.do_request`, without its decorator, sends a
request and answers a challenge through `ScopedAuth`. Its transfer code is never called.

Redirects (threat model A122): none on a write. A read follows at most five, without credentials
once the registry is left: https, or plain HTTP to a host that ``--insecure-http`` names; a
destination's only to itself or a ``--redirect-host``. (The amendment speaks of blobs; manifests
are read the same way, because registry.k8s.io redirects them, and are checked by digest too.)
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlsplit

from oras.provider import Registry

from airgap.stores.registry_credentials import find_credentials
from airgap.stores.registry_token import ScopedAuth

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import requests

    from airgap.errors import StoreError
    from airgap.stores.registry_credentials import Credentials
    from airgap.stores.registry_http import Connection

__all__ = ["PULL", "PUSH", "Client", "missing_repository"]

PULL: Final = "pull"
PUSH: Final = "push"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS: Final = 5
_UNASKED: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    method: str
    target: str
    purpose: str = PULL
    headers: Mapping[str, str]
    data: object = None

    @property
    def reads(self) -> bool:
        return self.method in {"GET", "HEAD"}


class Client:
    """How one repository is spoken to. Safe to share between threads.

    `foreign` collects the realms on other hosts that tokens were asked from, for the store.
    `keeps_blobs` is whether a blob that was sent here was seen to be there.
    """

    def __init__(self, connection: Connection, repository: str, foreign: set[str]) -> None:
        self.connection = connection
        self.repository = repository
        self.keeps_blobs = False
        self._foreign = foreign
        self._lock = threading.Lock()
        self._doors: dict[str, Registry] = {}
        self._credentials: Credentials | object | None = _UNASKED

    @property
    def name(self) -> str:
        """Host and repository, for people."""
        return f"{self.connection.host}/{self.repository}"

    def path(self, *parts: str) -> str:
        """Return the path of an API endpoint of this repository."""
        return "/".join(["/v2", self.repository, *(quote(part, safe=":") for part in parts)])

    def ask(
        self,
        method: str,
        target: str,
        *,
        expected: Collection[int],
        purpose: str = PULL,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> requests.Response:
        """Return an answer whose status is `expected`, its body unread; the caller ends it.

        `target` is a path or a URL of the registry; `purpose` keeps tokens of different scopes
        apart. Raises StoreError, or AuthenticationError for 401 and 403.
        """
        what = f"{method} {target.partition('?')[0]:.300}"
        request = _Request(
            method=method, target=target, purpose=purpose, headers=headers or {}, data=data
        )
        call = partial(self._walk, request)
        return self._judge(self.connection.patiently(what, call), what, expected)

    def fetch(
        self,
        target: str,
        *,
        limit: int,
        expected: Iterable[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[requests.Response, bytes]:
        """GET `target`; return the answer and the whole body of at most `limit` bytes.

        Beside 200 only statuses that are `expected` are returned, their bodies unread. A
        connection that breaks within the body is a reason to try again.
        """
        what = f"GET {target.partition('?')[0]:.300}"
        request = _Request(method="GET", target=target, headers=headers or {})
        body = b""

        def call() -> requests.Response:
            nonlocal body
            response = self._walk(request)
            if response.status_code == 200:
                body = self.connection.drain(response, limit, what)
            return response

        response = self._judge(self.connection.patiently(what, call), what, {200, *expected})
        response.close()
        return response, body

    def once(
        self, method: str, url: str, *, headers: Mapping[str, str], data: object
    ) -> requests.Response:
        """Send one request that writes, without trying again; the transport's errors come out."""
        request = _Request(method=method, target=url, purpose=PUSH, headers=headers, data=data)
        return self._send(request, url)

    def _judge(
        self, response: requests.Response, what: str, expected: Collection[int]
    ) -> requests.Response:
        status = response.status_code
        if status in expected:
            return response
        if status in _REDIRECTS:
            response.close()
            raise self.connection.error(
                f"{what} was redirected: a write follows none, a read at most {_MAX_REDIRECTS}",
                reason="redirect-refused",
                hint="Name the registry by the address that it redirects to.",
            )
        raise self.connection.failure(response, what)

    def _walk(self, request: _Request) -> requests.Response:
        """Send a request, follow where it is a read that leads elsewhere, return what answers."""
        url = self.connection.url(request.target)
        response = self._send(request, url)
        at_home = True
        for _ in range(_MAX_REDIRECTS):
            location = response.headers.get("Location")
            if not (location and request.reads and response.status_code in _REDIRECTS):
                return response
            response.close()
            url = self.connection.url(location, base=url)
            self._allow(url)
            # Once the registry is left no credential travels again, not even back to it.
            at_home = at_home and self.connection.is_own(url)
            response = self._send(request, url) if at_home else self._send_bare(request, url)
        return response

    def _allow(self, url: str) -> None:
        parts, options = urlsplit(url), self.connection.options
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        names = {parts.netloc.lower(), f"{parts.hostname}:{port}", str(parts.hostname)}
        own = self.connection.is_own(url)
        if options.side == "destination" and not own and not names & options.redirect_hosts:
            why = "which is not the destination"
            hint = f"If it belongs to the destination: --redirect-host {parts.netloc:.200}"
        elif own or parts.scheme == "https" or names & options.insecure_http:
            return
        else:
            why, hint = "which is not https", f"--insecure-http {parts.netloc:.200} allows it."
        raise self.connection.error(
            f"it redirects to {url.partition('?')[0]:.300}, {why}",
            reason="redirect-refused",
            hint=hint,
        )

    def _send_bare(self, request: _Request, url: str) -> requests.Response:
        """Send a read to where a redirect leads, without credentials."""
        response = self.connection.session.request(
            request.method, url, headers=dict(request.headers)
        )
        if response.status_code in {401, 403}:
            # No credentials are offered there, so this is no matter of logging in.
            what = f"following a redirect to {url.partition('?')[0]:.300}"
            raise self.connection.failure(response, what)
        return response

    def _send(self, request: _Request, url: str) -> requests.Response:
        door = self._door(request.purpose)
        # __wrapped__ is the request without the decorator that sleeps 131 s on any error.
        send = Registry.do_request.__wrapped__
        response = cast(
            "requests.Response",
            send(door, url, request.method, request.data, dict(request.headers), None, stream=True),
        )
        if response.status_code == 401:
            raise door.auth.still_refused(self.connection.complaint(response))
        return response

    def _door(self, purpose: str) -> Registry:
        with self._lock:
            if purpose not in self._doors:
                registry = Registry(hostname=self.connection.api)
                registry.session.close()
                registry.session = self.connection.session
                registry.auth = ScopedAuth(self.connection, self._find(), self._foreign)
                self._doors[purpose] = registry
            return self._doors[purpose]

    def _find(self) -> Credentials | None:
        if self._credentials is _UNASKED:
            self._credentials = find_credentials(
                self.connection.host, self.repository, self.connection.options
            )
        return cast("Credentials | None", self._credentials)

    def introduction(self) -> tuple[str, str | None]:
        """Return how the registry wanted to be visited, and where the credentials came from."""
        credentials = self._find()
        scheme = next(
            (door.auth.scheme for door in self._doors.values() if door.auth.scheme), "none"
        )
        if credentials is None:
            return scheme, None
        return scheme, f"{credentials.kind} from {credentials.origin}"


def missing_repository(client: Client, complaint: str) -> StoreError:
    """Return the error for a push into a project that Harbor, say, does not create itself."""
    project = client.repository.partition("/")[0]
    return client.connection.error(
        f"there is no repository {client.repository} to push to{complaint}",
        reason="repository-missing",
        hint=f"Create it there first; on Harbor create the project {project!r}.",
    )
