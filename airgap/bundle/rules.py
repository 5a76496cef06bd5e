"""Rules: what must hold between the fields of an inventory, beyond what a schema can say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from airgap.bundle.fields import read_name
from airgap.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap.bundle.inventory import Inventory
    from airgap.bundle.item import Item

__all__ = ["BODY_STEP", "check_inventory"]

BODY_STEP: Final = 4096
"""The first body blob starts on a multiple of this; big ones after it do as well."""


def check_inventory(inventory: Inventory) -> None:
    """Raise FormatError where `inventory`, whose fields are each well formed, does not hold."""
    _check_order(inventory)
    for item in inventory.items:
        _check_item(item)
    _check_numbers(inventory)
    _check_names(inventory)
    _check_kind(inventory)
    _check_content(inventory)


def _check_order(inventory: Inventory) -> None:
    _sorted("items (by source and digest)", (item.key for item in inventory.items))
    _sorted("skips", inventory.skips)
    _sorted("withdrawn", inventory.withdrawn)
    _sorted("omitted (by digest)", (blob.digest for blob in inventory.omitted))
    _sorted("frozen (by path)", (piece.path for piece in inventory.frozen))
    if inventory.audience is not None:
        _sorted("audience", inventory.audience)
        _require("audience names at least one site", bool(inventory.audience))


def _check_item(item: Item) -> None:
    digest = item.descriptor.digest
    _sorted(f"children of {digest}", item.children or ())
    ways = {(one.descriptor.digest, one.subject, one.found) for one in item.referrers}
    _require(f"each referrer of {digest} is listed once", len(ways) == len(item.referrers))
    _require(
        f"no referrer of {digest} is its own subject",
        all(one.subject != one.descriptor.digest for one in item.referrers),
    )


def _check_numbers(inventory: Inventory) -> None:
    number = inventory.sequence
    last = 0 if inventory.previous is None else inventory.previous.sequence
    _require("previous is before this number", last < number)
    _require(
        "skips are before this number and are not previous",
        all(skipped < number and skipped != last for skipped in inventory.skips),
    )
    skipped_since = sum(skipped > last for skipped in inventory.skips)
    _require(
        "every number between previous and this one is in skips",
        skipped_since == number - last - 1,
    )
    _require("covers is before this number", inventory.covers < number)
    _check_base(inventory, last)


def _check_base(inventory: Inventory, last: int) -> None:
    base = inventory.base
    if base is None:
        _require("omitted is empty where there is no base", not inventory.omitted)
        return
    _require(
        "base is a bundle up to previous",
        base.sequence <= last and base.sequence not in inventory.skips,
    )
    if base.sequence == last:
        _require("base and previous agree on what this number is", base == inventory.previous)


def _check_names(inventory: Inventory) -> None:
    roots = {item.key for item in inventory.items}
    withdrawn = frozenset(inventory.withdrawn)
    for name, digest in inventory.names.items():
        source = read_name(name, "inventory.names").source
        _require(f"{name} names an item from its own repository", (source, digest) in roots)
        _require(f"{digest}, which {name} names, is not withdrawn", digest not in withdrawn)


def _check_kind(inventory: Inventory) -> None:
    if inventory.kind == "trust":
        _require(
            "a bundle of kind trust has no items and no base",
            not inventory.items and inventory.base is None,
        )
    else:
        _require("a bundle of kind content has items", bool(inventory.items))


def _check_content(inventory: Inventory) -> None:
    content = inventory.content
    if content.blobs == 0:
        empty = content.size == 0 and content.body_at is None
        _require("a body without blobs has no bytes and no body_at", empty)
        return
    _require("a bundle of kind trust has no body", inventory.kind != "trust")
    if content.body_at is None or content.body_at % BODY_STEP:
        raise FormatError(
            f"expected a multiple of {BODY_STEP} in inventory.content.body_at",
            reason="body-at-invalid",
        )


def _sorted(what: str, values: Iterable[Any]) -> None:
    if any(first >= second for first, second in pairwise(values)):
        raise FormatError(
            f"inventory: {what} must be sorted, each once", reason="inventory-not-sorted"
        )


def _require(statement: str, holds: bool) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise FormatError(
            f"inventory: it does not hold that {statement}", reason="inventory-inconsistent"
        )
