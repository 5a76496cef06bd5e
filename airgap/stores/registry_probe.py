"""What a registry and these credentials can do, found out by asking: for ``airgap doctor``.

Source: threat model, section 5.4. What may stay behind of a probe that writes is the two bytes of
OCI's empty config, which most artifacts bring anyway.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.errors import StoreError
from airgap.oci.descriptor import Descriptor
from airgap.oci.digest import Digest
from airgap.oci.manifest import EMPTY_CONFIG
from airgap.stores.registry_client import PULL
from airgap.stores.registry_upload import (
    cancel_upload,
    mount_blob,
    open_upload,
    put_bytes,
    write_blob,
)

if TYPE_CHECKING:
    from airgap.stores.registry_client import Client
    from airgap.stores.registry_referrers import Referrers

__all__ = ["RegistryFacts", "probe", "refuses_wrong_digest"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryFacts:
    """What a visit showed. `credentials` says what was found and where, never a secret.

    `authentication` is ``none``, ``basic`` or ``bearer``; None stands for *was not tried*.
    """

    host: str
    repository: str
    scheme: str
    api_version: str | None
    server: str | None
    authentication: str
    credentials: str | None
    realms: tuple[str, ...]
    repository_exists: bool
    referrers_api: bool
    push_allowed: bool | None = None
    push_refusal: str | None = None
    refuses_wrong_digest: bool | None = None
    mounts: bool | None = None


def probe(
    client: Client, referrers: Referrers, realms: set[str], *, write: bool = False
) -> RegistryFacts:
    """Return the facts about the repository of `client`; `write` tries an upload as well.

    Raises StoreError where the registry cannot be reached or refuses the credentials for reading.
    """
    greeting = client.ask("GET", "/v2/", purpose=PULL, expected={200, 404})
    greeting.close()
    tags = client.ask("GET", client.path("tags", "list"), expected={200, 404})
    tags.close()
    unknown = Digest.of(secrets.token_bytes(32))
    has_api = referrers.has_api(unknown)
    allowed = refusal = refuses = mounts = None
    if write:
        try:
            refuses = refuses_wrong_digest(client)
            write_blob(client, EMPTY_CONFIG, lambda: io.BytesIO(b"{}"))
            mounts = mount_blob(client, EMPTY_CONFIG, client.repository)
            allowed = True
        except StoreError as error:
            allowed, refusal = False, f"{error.message} ({error.reason}). {error.hint}"
    authentication, credentials = client.introduction()
    return RegistryFacts(
        host=client.connection.host,
        repository=client.repository,
        scheme=client.connection.scheme,
        api_version=greeting.headers.get("Docker-Distribution-Api-Version"),
        server=greeting.headers.get("Server"),
        authentication=authentication,
        credentials=credentials,
        realms=tuple(sorted(realms)),
        repository_exists=tags.status_code == 200,
        referrers_api=has_api,
        push_allowed=allowed,
        push_refusal=refusal,
        refuses_wrong_digest=refuses,
        mounts=mounts,
    )


def refuses_wrong_digest(client: Client) -> bool:
    """Send 32 bytes under another digest; tell whether the registry refuses them (A117)."""
    sent, named = secrets.token_bytes(32), secrets.token_bytes(32)
    location = open_upload(client)
    wrong = Descriptor(
        media_type="application/octet-stream", digest=Digest.of(named), size=len(sent)
    )
    response = client.connection.patiently(
        "sending a wrong digest", lambda: put_bytes(client, location, wrong, sent)
    )
    response.close()
    cancel_upload(client, location)
    return 400 <= response.status_code < 500
