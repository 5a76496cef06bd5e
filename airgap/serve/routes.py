"""Routes: from a request to a response, without sockets.

Source: OCI distribution-spec 1.1, "Endpoints": end-1, end-2, end-3, end-8a, end-8b, end-12a,
end-12b, GET and HEAD. Everything else is answered with UNSUPPORTED: this registry is read-only.

* ``?ns=HOST``, as containerd's mirrors send it, puts HOST before the repository's name.
* The repository's name, a tag and a digest are parsed before anything is looked up; no part of a
  path reaches the file system in any other form than a `Digest`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, NotFoundError, UsageError
from airgap.oci.digest import Digest
from airgap.oci.graph import REFERRER_BLOB_LIMIT
from airgap.oci.naming import Naming
from airgap.oci.reference import Reference, is_repository
from airgap.serve.catalog import Shelf
from airgap.serve.conditions import is_current, wanted_range
from airgap.serve.listing import list_names, list_referrers
from airgap.serve.response import Part, Response, document, refuse

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.serve.catalog import Catalog
    from airgap.serve.request import Request

__all__ = ["answer", "unavailable"]

_READING: Final = frozenset({"GET", "HEAD"})
_ROUTE: Final = re.compile(
    r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers|tags)/(?P<target>[^/]+)"
)
_UPLOAD: Final = re.compile(r"/v2/.+/blobs/uploads/[^/]*")
_FOR_EVER: Final = "max-age=31536000, immutable"
_ONCE: Final = ("ns", "n", "last", "artifactType")


def answer(catalog: Catalog, request: Request) -> Response:
    """Return the answer to `request`; a HEAD is answered like a GET, its body is not sent."""
    if request.method not in _READING:
        return _refuse_write(request)
    if any(len(request.query.get(name, ())) > 1 for name in _ONCE):
        return refuse(400, "UNSUPPORTED", "a query parameter stands there twice")
    if request.path in {"/v2", "/v2/"}:
        return document({})
    if request.path == "/v2/_catalog":
        return list_names(request, "repositories", catalog.repositories(), {})
    if _UPLOAD.fullmatch(request.path):
        return refuse(404, "BLOB_UPLOAD_UNKNOWN", "this registry is read-only: nothing is uploaded")
    route = _ROUTE.fullmatch(request.path)
    if route is None:
        return refuse(404, "UNSUPPORTED", "no such endpoint")
    name, kind, target = route["name"], route["kind"], route["target"]
    if not is_repository(name):
        return refuse(400, "NAME_INVALID", "not a repository name", detail={"name": name})
    try:
        shelf = _find(catalog, name, request.query.get("ns", (None,))[0])
    except UsageError as error:
        return refuse(400, "NAME_INVALID", error.message)
    return _answer_from(shelf, request, name=name, kind=kind, target=target)


def unavailable(part: Part | None, error: Exception) -> Response:
    """Return the answer where `part` (None: the catalog) could not be read, or is damaged.

    What exactly went wrong is for the log: clients are told no paths.
    """
    if part is not None and isinstance(error, NotFoundError):
        return _unknown(part.kind, str(part.descriptor.digest))
    what = "the catalog" if part is None else str(part.descriptor.digest)
    return refuse(500, "UNKNOWN", f"{what} cannot be read: it is damaged or its medium failed")


def _answer_from(
    shelf: Shelf | None, request: Request, *, name: str, kind: str, target: str
) -> Response:
    if kind == "referrers":
        # "the registry MUST NOT return a 404": a repository without content has no referrers.
        digest = _digest(target)
        if isinstance(digest, Response):
            return digest
        return list_referrers(request, (shelf or Shelf()).referrers(digest))
    if shelf is None:
        return refuse(404, "NAME_UNKNOWN", "no such repository", detail={"name": name})
    if kind == "tags":
        if target != "list":
            return refuse(404, "UNSUPPORTED", "no such endpoint")
        return list_names(request, "tags", shelf.tags, {"name": name})
    if kind == "manifests":
        return _manifest(shelf, request, target)
    return _blob(shelf, request, target)


def _manifest(shelf: Shelf, request: Request, target: str) -> Response:
    # A colon is in every digest and in no tag.
    reference = _digest(target) if ":" in target else target
    if isinstance(reference, Response):
        return reference
    descriptor = shelf.resolve(reference)
    if descriptor is None:
        return _unknown("manifest", target)
    cache = "no-cache" if isinstance(reference, str) else _FOR_EVER
    headers = (("Content-Type", descriptor.media_type), *_identity(descriptor, cache))
    if is_current(request.headers, _etag(descriptor)):
        return Response(status=304, headers=headers)
    part = Part(descriptor=descriptor, start=0, stop=descriptor.size, kind="manifest", hashed=True)
    return Response(status=200, headers=headers, body=part)


def _blob(shelf: Shelf, request: Request, target: str) -> Response:
    digest = _digest(target)
    if isinstance(digest, Response):
        return digest
    descriptor = shelf.blobs.get(digest)
    if descriptor is None:
        return _unknown("blob", target)
    etag, size = _etag(descriptor), descriptor.size
    headers = (
        ("Content-Type", "application/octet-stream"),
        ("Accept-Ranges", "bytes"),
        *_identity(descriptor, _FOR_EVER),
    )
    if is_current(request.headers, etag):
        return Response(status=304, headers=headers)
    wanted = wanted_range(request.headers, etag, size) if request.method == "GET" else None
    start, stop = (0, size) if wanted is None else wanted
    if wanted is not None:
        if start == stop:
            outside = (("Content-Range", f"bytes */{size}"),)
            return refuse(416, "SIZE_INVALID", "no byte of this range exists", headers=outside)
        headers += (("Content-Range", f"bytes {start}-{stop - 1}/{size}"),)
    small = size <= REFERRER_BLOB_LIMIT
    part = Part(descriptor=descriptor, start=start, stop=stop, kind="blob", hashed=small)
    return Response(status=200 if wanted is None else 206, headers=headers, body=part)


def _find(catalog: Catalog, name: str, namespace: str | None) -> Shelf | None:
    """Return the shelf of `name`, as `namespace` sees it; raise UsageError if that is no host."""
    if not namespace:
        return catalog.shelf(name)
    if Reference.parse(f"{namespace}/x/x").repository != "x/x":
        # Docker's grammar would take such a first component for a part of the name.
        raise UsageError(f"{namespace!r:.100} is not a registry", reason="reference-invalid")
    source = Reference.parse(f"{namespace}/{name}")
    place = Naming().place
    shelf = catalog.shelf(place(source.source))
    host = place(f"{source.host}/x").removesuffix("x")
    if shelf is None and name.startswith(host):
        # The mirror's address already ends in the host (containerd's override_path).
        return catalog.shelf(name)
    return shelf


def _refuse_write(request: Request) -> Response:
    # Both 400 and 405 are the specification's; a digest that is none is 400 in its test suite.
    route = _ROUTE.fullmatch(request.path)
    broken = (
        route is not None
        and ":" in route["target"]
        and isinstance(_digest(route["target"]), Response)
    )
    return refuse(
        400 if broken else 405,
        "UNSUPPORTED",
        "this registry is read-only",
        headers=(("Allow", "GET, HEAD"),),
    )


def _digest(text: str) -> Digest | Response:
    try:
        return Digest.parse(text)
    except FormatError as error:
        return refuse(400, "DIGEST_INVALID", error.message)


def _unknown(kind: str, target: str) -> Response:
    return refuse(404, f"{kind.upper()}_UNKNOWN", f"no such {kind}", detail={kind: target})


def _etag(descriptor: Descriptor) -> str:
    return f'"{descriptor.digest}"'


def _identity(descriptor: Descriptor, cache: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Docker-Content-Digest", str(descriptor.digest)),
        ("ETag", _etag(descriptor)),
        ("Cache-Control", cache),
    )
