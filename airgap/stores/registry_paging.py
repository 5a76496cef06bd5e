"""Lists that come in pages: tags, and referrers by the API.

Source: OCI distribution-spec 1.1, "Listing Tags" and "Listing Referrers": a ``Link`` header with
``rel="next"`` leads on (RFC 8288). Bounded: a page by bytes, a list by pages, and no page twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airgap.errors import FormatError, NotFoundError
from airgap.oci.manifest import MANIFEST_LIMIT
from airgap.oci.reference import is_tag
from airgap.oci.strict_json import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from airgap.stores.registry_client import Client

__all__ = ["pages", "tags"]

_MAX_PAGES: Final = 1000
_NEXT: Final = re.compile(r'\s*<([^>]*)>[^,]*;\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)', re.IGNORECASE)


def pages(client: Client, path: str, *, accept: str) -> Iterator[tuple[requests.Response, bytes]]:
    """Yield each page of the list at `path`; the first may be a 404, which is then the only one."""
    seen: set[str] = set()
    target: str | None = path
    while target is not None:
        if target in seen or len(seen) == _MAX_PAGES:
            raise client.connection.error(
                f"the pages of {path:.200} do not come to an end", reason="paging-endless"
            )
        seen.add(target)
        response, body = client.fetch(
            target,
            limit=MANIFEST_LIMIT,
            expected=() if len(seen) > 1 else (404,),
            headers={"Accept": accept},
        )
        yield response, body
        target = _next(client, response)


def _next(client: Client, response: requests.Response) -> str | None:
    match = _NEXT.match(response.headers.get("Link", ""))
    if response.status_code != 200 or match is None:
        return None
    url = client.connection.url(match[1], base=response.url)
    if not client.connection.is_own(url):
        raise client.connection.error(
            f"its list goes on at {url.partition('?')[0]:.300}, which is another host",
            reason="paging-foreign",
        )
    return url


def tags(client: Client) -> Iterator[str]:
    """Yield the tags of the repository as the registry sorts them."""
    for response, body in pages(client, client.path("tags", "list") + "?n=1000", accept="*/*"):
        if response.status_code == 404:
            raise NotFoundError(
                f"{client.connection.label}: there is no repository {client.repository}",
                reason="repository-unknown",
            )
        try:
            reader = Reader.parse(body, "list of tags", floats=True)
            names = reader.texts("tags") if reader.value.get("tags") is not None else ()
        except FormatError as error:
            raise _invalid(client, error.message) from error
        for name in names:
            if not is_tag(name):
                raise _invalid(client, f"{name!r:.150} is no tag")
            yield name


def _invalid(client: Client, why: str) -> Exception:
    return client.connection.error(
        f"the tags of {client.repository} cannot be read: {why}", reason="tags-invalid"
    )
