"""A registry in memory that does as it should until a test tells it otherwise.

`faults` are asked first: each sees a request and may answer it in the registry's place, so a lie
is a function of a line or two. Everything that was asked stays in `seen`. One server plays
registry, token service and, to another one, the foreign host that must see no credential.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from airgap.oci.manifest import OCI_INDEX
from tests.simulators.fake_server import Reply, Request, serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FakeRegistry", "Reply", "Request", "fail", "run_registry"]


@dataclass(kw_only=True)
class FakeRegistry:
    """The state of one server. `auth` is none, basic or bearer; `users` may enter, and `anonymous`
    may read. `token_uses` is how often a token is good."""

    auth: str = "none"
    users: dict[str, str] = field(default_factory=dict)
    identity_tokens: set[str] = field(default_factory=set)
    anonymous: bool = False
    realm: str | None = None
    token_uses: int = 1_000_000
    referrers_api: bool = False
    page: int = 1000
    host: str = ""
    url: str = ""
    blobs: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    manifests: dict[str, dict[str, tuple[bytes, str]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    uploads: set[str] = field(default_factory=set)
    tokens: dict[str, tuple[set[str], int]] = field(default_factory=dict)
    faults: list[Callable[[Request], Reply | None]] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add_blob(self, repository: str, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[repository][digest] = data
        return digest

    def add_manifest(self, repository: str, data: bytes, kind: str, tag: str | None = None) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        for name in filter(None, [digest, tag]):
            self.manifests[repository][name] = (data, kind)
        return digest

    def asked(self, method: str, part: str = "") -> list[Request]:
        """Return the requests of `method` whose path holds `part`."""
        return [one for one in self.seen if one.method == method and part in one.path]

    def answer(self, request: Request) -> Reply:
        with self.lock:
            self.seen.append(request)
            for fault in self.faults:
                if (reply := fault(request)) is not None:
                    return reply
            if request.path == "/token":
                return self._token(request)
            return self._refuse(request) or self._route(request)

    # --- who may enter

    def _refuse(self, request: Request) -> Reply | None:
        kind, _, value = (request.authorization or "").partition(" ")
        if self.auth == "none":
            return None
        if self.auth == "basic":
            if kind == "Basic" and self._knows(value):
                return None
            return _error(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="fake"'})
        wanted = self._scopes(request)
        granted, left = self.tokens.get(value, (set(), 0))
        if kind == "Bearer" and left and wanted <= granted:
            self.tokens[value] = (granted, left - 1)
            return None
        realm = self.realm or f"{self.url}/token"
        challenge = f'Bearer realm="{realm}",service="fake",scope="{" ".join(sorted(wanted))}"'
        return _error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})

    def _scopes(self, request: Request) -> set[str]:
        name = _name(request.path)
        if name is None:
            return set()
        actions = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        other = {f"repository:{source}:pull" for source in request.query.get("from", [])}
        return {f"repository:{name}:{actions}"} | other

    def _knows(self, value: str) -> bool:
        user, _, password = base64.b64decode(value).decode().partition(":")
        return self.users.get(user) == password

    def _token(self, request: Request) -> Reply:
        kind, _, value = (request.authorization or "").partition(" ")
        form = parse_qs(request.body.decode()) or dict(request.query)
        if request.method == "POST":
            known = form.get("refresh_token", [""])[0] in self.identity_tokens
        else:
            known = self._knows(value) if kind == "Basic" else self.anonymous
        if not known:
            return _error(401, "UNAUTHORIZED")
        scopes = {part for scope in form.get("scope", []) for part in scope.split()}
        if kind != "Basic" and request.method != "POST":
            scopes = {scope for scope in scopes if scope.endswith(":pull")}
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = (scopes, self.token_uses)
        key = "access_token" if request.method == "POST" else "token"
        return _json({key: token, "expires_in": 300})

    # --- what there is

    def _route(self, request: Request) -> Reply:
        name = _name(request.path)
        if name is None:
            return Reply(headers={"Docker-Distribution-Api-Version": "registry/2.0"})
        rest = request.path.removeprefix(f"/v2/{name}/")
        kind, _, what = rest.partition("/")
        if kind == "manifests":
            return self._manifest(request, name, what)
        if kind == "referrers":
            return self._referrers(request, name, what)
        if kind == "tags":
            return self._tags(request, name)
        if what.startswith("uploads/"):
            return self._upload(request, name, what.removeprefix("uploads/"))
        data = self.blobs[name].get(what)
        if data is None:
            return _error(404, "BLOB_UNKNOWN")
        return _ranged(data, request.headers.get("range"))

    def _manifest(self, request: Request, name: str, what: str) -> Reply:
        if request.method == "PUT":
            kind = request.headers["content-type"]
            digest = self.add_manifest(name, request.body, kind, what if ":" not in what else None)
            headers = {"Docker-Content-Digest": digest}
            subject = json.loads(request.body).get("subject")
            if subject and self.referrers_api:
                headers["OCI-Subject"] = subject["digest"]
            return Reply(status=201, headers=headers)
        if what not in self.manifests[name]:
            return _error(404, "MANIFEST_UNKNOWN")
        data, kind = self.manifests[name][what]
        return Reply(body=data, headers={"Content-Type": kind})

    def _referrers(self, request: Request, name: str, what: str) -> Reply:
        if not self.referrers_api:
            return Reply(status=404, body=b"404 page not found\n")
        found: list[dict[str, Any]] = []
        for digest, (data, kind) in sorted(self.manifests[name].items()):
            manifest = json.loads(data)
            if ":" in digest and manifest.get("subject", {}).get("digest") == what:
                entry = {"mediaType": kind, "digest": digest, "size": len(data)}
                found.append({**entry, "artifactType": manifest.get("artifactType", "")})
        page, link = self._page(request, found)
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page}
        return _json(body, {"Content-Type": OCI_INDEX, **link})

    def _tags(self, request: Request, name: str) -> Reply:
        if not self.manifests[name]:
            return _error(404, "NAME_UNKNOWN")
        page, link = self._page(request, [tag for tag in self.manifests[name] if ":" not in tag])
        return _json({"name": name, "tags": page}, link)

    def _page(self, request: Request, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        start = int(request.query.get("start", ["0"])[0])
        end = start + self.page
        link = {"Link": f'<{request.path}?start={end}>; rel="next"'} if end < len(items) else {}
        return items[start:end], link

    def _upload(self, request: Request, name: str, session: str) -> Reply:
        if request.method == "POST":
            mount, source = (request.query.get(key, [""])[0] for key in ("mount", "from"))
            if mount and mount in self.blobs[source]:
                self.blobs[name][mount] = self.blobs[source][mount]
                return Reply(status=201)
            session = f"session-{len(self.seen)}"
            self.uploads.add(session)
            location = f"/v2/{name}/blobs/uploads/{session}?state=a%2Bb%3D"
            return Reply(status=202, headers={"Location": location})
        if session not in self.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        self.uploads.remove(session)
        if request.method == "DELETE":
            return Reply(status=204)
        digest = request.query["digest"][0]
        if digest != f"sha256:{hashlib.sha256(request.body).hexdigest()}":
            self.uploads.add(session)
            return _error(400, "DIGEST_INVALID")
        self.add_blob(name, request.body)
        return Reply(status=201)


def fail(
    status: int, *, method: str, part: str, times: int = 1, headers: Mapping[str, str] | None = None
) -> Callable[[Request], Reply | None]:
    """Return a fault: the next `times` requests of `method` for `part` get `status`."""
    left = [times]

    def fault(request: Request) -> Reply | None:
        if request.method != method or part not in request.path or left[0] == 0:
            return None
        left[0] -= 1
        return _error(status, "FAULT", headers)

    return fault


def _name(path: str) -> str | None:
    for part in ("/manifests/", "/blobs/", "/referrers/", "/tags/"):
        if part in path:
            return path.removeprefix("/v2/").rpartition(part)[0]
    return None


def _error(status: int, code: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
    return Reply(status=status, body=body, headers=headers or {})


def _json(value: object, headers: Mapping[str, str] | None = None) -> Reply:
    kind = {"Content-Type": "application/json"}
    return Reply(body=json.dumps(value).encode(), headers={**kind, **(headers or {})})


def _ranged(data: bytes, wanted: str | None) -> Reply:
    if wanted is None:
        return Reply(body=data)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return Reply(status=206, body=data[start:], headers=headers)


@contextmanager
def run_registry(
    registry: FakeRegistry, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[FakeRegistry]:
    """Serve `registry` on a free port of loopback, under the name `host`."""
    with serve(registry.answer, context) as port:
        registry.host = f"{host}:{port}"
        registry.url = f"{'http' if context is None else 'https'}://{registry.host}"
        yield registry
