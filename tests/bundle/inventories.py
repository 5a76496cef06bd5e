"""An inventory with every field, and what schema and decoder say of its mutants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from airgap.bundle.inventory import Inventory
from airgap.errors import ContentError
from tests.bundle import samples

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "inventory.schema.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
RELATIONS = {"inventory-not-sorted", "inventory-inconsistent", "time-impossible"}
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TYPES = [OCI, INDEX, "application/vnd.docker.distribution.manifest.v2+json", "text/plain"]


def document() -> dict[str, Any]:
    """Return an inventory that has every field."""
    manifest = {"mediaType": OCI, "digest": A, "size": 500}
    return {
        "format": 1,
        "requires": [],
        "kind": "content",
        "authority": samples.AUTHORITY,
        "stream": "prod",
        "sequence": 9,
        "created": "2026-11-22T10:00:00Z",
        "audience": ["site-a", "site-b"],
        "previous": {"sequence": 6, "inventory": A},
        "skips": [3, 7, 8],
        "covers": 4,
        "base": {"sequence": 5, "inventory": B},
        "items": [
            {
                "source": "docker.io/library/base",
                "kind": "index",
                "descriptor": {**manifest, "mediaType": INDEX},
                "children": [B, C],
                "referrers": [{**manifest, "digest": C, "subject": A, "found": "api"}],
                "signatures": "present",
            },
            {
                "source": "registry.example:5000/app",
                "kind": "image",
                "descriptor": manifest,
                "referrers": [],
                "signatures": "confirmed-absent",
            },
        ],
        "names": {"docker.io/library/base:1.0": A, "registry.example:5000/app:Latest": A},
        "withdrawn": [B],
        "content": {"blobs": 2, "bytes": 1000, "body_at": 81_920},
        "omitted": [{"digest": C, "size": 0}],
        "frozen": [
            {
                "path": "trust/keys/release.pub",
                "digest": C,
                "source": "https://example/é",
                "captured": "2026-11-01T00:00:00Z",
            }
        ],
    }


def spell(value: object) -> bytes:
    """Return canonical JSON, also of what our own encoder would not write."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def verdicts(value: object) -> tuple[bool, str | None]:
    """Return whether the schema takes `value`, and for which reason the decoder does not."""
    try:
        Inventory.decode(spell(value))
    except ContentError as error:
        return VALIDATOR.is_valid(value), error.reason
    return VALIDATOR.is_valid(value), None


def check_agreement(value: object) -> None:
    valid, reason = verdicts(value)
    assert valid or reason is not None, "the decoder takes what the schema refuses"
    assert not valid or reason is None or reason in RELATIONS, f"only the decoder: {reason}"
