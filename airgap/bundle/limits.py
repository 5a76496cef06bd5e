"""Limits: how much of a bundle is ever read at once. Nothing is read before its bound is known.

| What                                        | Bytes  | Constant                |
| ------------------------------------------- | ------ | ----------------------- |
| inventory                                   | 64 MiB | `INVENTORY_LIMIT`       |
| index.json                                  | 64 MiB | `INDEX_LIMIT`           |
| all TUF files and targets together          | 64 MiB | `TRUST_LIMIT`           |
| bundle manifest                             | 4 MiB  | `BUNDLE_MANIFEST_LIMIT` |
| one manifest or index of a third party      | 4 MiB  | `oci.manifest.MANIFEST_LIMIT` |
| one signature envelope (a referrer's blob that travels in the head) | 1 MiB | `oci.graph.REFERRER_BLOB_LIMIT` |
| content of the pad before the first body blob | less than 1 MiB | `PAD_LIMIT`  |

Blobs of the body have no limit: they are never held, only hashed through a buffer.
Source: docs/bundle-format.md, "Limits"; threat model G2, A012 and A049.
"""  # noqa: E501 - a table is read across

from __future__ import annotations

from typing import Final

from airgap.oci.manifest import MANIFEST_LIMIT

__all__ = [
    "BUNDLE_MANIFEST_LIMIT",
    "INDEX_LIMIT",
    "INVENTORY_LIMIT",
    "PAD_LIMIT",
    "TRUST_LIMIT",
]

INVENTORY_LIMIT: Final = 64 << 20
INDEX_LIMIT: Final = 64 << 20
TRUST_LIMIT: Final = 64 << 20
BUNDLE_MANIFEST_LIMIT: Final = MANIFEST_LIMIT
PAD_LIMIT: Final = 1 << 20
