"""Listings: tags, repositories and referrers, a page at a time.

Source: OCI distribution-spec 1.1, "Listing Tags" (end-8a, end-8b) and "Listing Referrers"
(end-12a, end-12b); the catalog of repositories is docker's, with the same paging.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from airgap.oci.manifest import OCI_INDEX
from airgap.serve.response import Response, document, refuse, spell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap.oci.descriptor import Descriptor
    from airgap.oci.strict_json import JsonObject
    from airgap.serve.request import Request

__all__ = ["list_names", "list_referrers"]

_PAGE_BYTES: Final = 3 << 20
"""Where a page of referrers ends: clients read at most 4 MiB of it."""
_MAX_DIGITS: Final = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """How many entries are wanted (None: all), after which one."""

    count: int | None
    last: str | None

    @classmethod
    def of(cls, request: Request) -> _Page | None:
        """Return the page that `request` asks for, or None where its `n` is not a number."""
        last = request.query.get("last", (None,))[0]
        if "n" not in request.query:
            return cls(count=None, last=last)
        text = request.query["n"][0]
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            return None
        return cls(count=int(text), last=last)


def list_names(request: Request, key: str, names: Iterable[str], also: JsonObject) -> Response:
    """Answer a page of `names` under `key`, beside what `also` holds.

    The order is the specification's: case-insensitive, and where that does not decide, by code
    point; `last` is a place in this order and need not be one of the names.
    """
    page = _Page.of(request)
    if page is None:
        return refuse(400, "UNSUPPORTED", "n is not a number")
    ordered = sorted(names, key=_order)
    if page.last is not None:
        after = _order(page.last)
        ordered = [name for name in ordered if _order(name) > after]
    shown = ordered[: page.count]
    more = bool(shown) and len(shown) < len(ordered)
    headers = (_next(request, {"n": str(page.count), "last": shown[-1]}),) if more else ()
    return document({**also, key: shown}, headers=headers)


def list_referrers(request: Request, referrers: Iterable[Descriptor]) -> Response:
    """Answer the referrers that pass the filter as an image index, at most 3 MiB of them."""
    wanted = request.query.get("artifactType", ("",))[0]
    last = request.query.get("last", ("",))[0]
    entries = (
        _entry(descriptor)
        for descriptor in referrers
        if str(descriptor.digest) > last and (not wanted or descriptor.artifact_type == wanted)
    )
    shown, size = [], 0
    for entry in entries:
        shown.append(entry)
        size += len(spell(entry))
        if size >= _PAGE_BYTES:
            break
    headers: tuple[tuple[str, str], ...] = ()
    if wanted:
        headers += (("OCI-Filters-Applied", "artifactType"),)
    if any(True for _ in islice(entries, 1)):
        more = {"last": shown[-1]["digest"]} | ({"artifactType": wanted} if wanted else {})
        headers += (_next(request, more),)
    return document(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": shown}, OCI_INDEX, headers
    )


def _order(name: str) -> tuple[str, str]:
    return name.lower(), name


def _entry(descriptor: Descriptor) -> JsonObject:
    entry = descriptor.to_json()
    if descriptor.artifact_type is not None:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def _next(request: Request, parameters: dict[str, str]) -> tuple[str, str]:
    if "ns" in request.query:
        parameters["ns"] = request.query["ns"][0]
    return "Link", f'<{quote(request.path)}?{urlencode(parameters)}>; rel="next"'
