"""Signing summary: what a person is asked to sign, line by line, the same wherever it is shown.

Two persons who sign one bundle in two places can compare what they see. What the lines say of the
number before is taken from its inventory, whose digest this one states; without it they say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap.bundle.inventory import Inventory
from airgap.errors import FormatError
from airgap.oci.digest import Digest
from airgap.trust.envelope import ROLES
from airgap.trust.fingerprint import bootstrap_code
from airgap.trust.roles import origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap.trust.roles import Root
    from airgap.trust.signing import OpenRequest

__all__ = ["summarise"]


def summarise(request: OpenRequest) -> tuple[str, ...]:
    """Return the summary of `request`. Raises FormatError where it contradicts itself."""
    body = _root_lines(request) if request.request.role == "root" else _bundle_lines(request)
    return (*_head_lines(request), *body)


def _head_lines(request: OpenRequest) -> Iterator[str]:
    root = request.chain[-1]
    yield f"authority   {root.name}   {request.fingerprint}   root {root.version}"
    yield f"signed      {request.envelope.digest}"
    signed = [request.holder(entry.keyid) for entry in request.envelope.signatures]
    tallies = ", ".join(f"{signed} of {asked}" for signed, asked in request.tallies)
    yield f"signatures  {tallies}   so far by: {', '.join(signed) or 'nobody'}"
    waiting = ", ".join(request.holder(key.keyid) for key in request.waiting)
    yield f"            may still sign: {waiting or 'nobody'}"
    yield f"expires     {request.envelope.expires:%Y-%m-%d}"


def _bundle_lines(request: OpenRequest) -> Iterator[str]:
    inventory, before = _inventories(request)
    number, link = inventory.sequence, inventory.previous
    after = "the first" if link is None else f"after number {link.sequence}"
    yield (
        f"bundle      stream {inventory.stream}, number {number}, {after}, "
        f"made {inventory.created:%Y-%m-%d %H:%M} UTC"
    )
    digest = Digest.of(request.request.inventory or b"")
    yield f"inventory   {digest}   code {bootstrap_code(number, digest)}"
    if inventory.skips:
        yield f"skips       {', '.join(map(str, inventory.skips))}"
    if inventory.audience is not None:
        yield f"audience    {', '.join(inventory.audience)}"
    if link is not None and before is None:
        yield f"what changes since number {link.sequence} is not known here (--previous shows it)"
    yield from _name_lines(inventory, before)
    named = set(inventory.names.values())
    for item in inventory.items:
        if item.descriptor.digest not in named:
            yield f"  {item.source}   {item.descriptor.digest}   without a name"
    for withdrawn in inventory.withdrawn:
        yield f"  {withdrawn}   withdrawn"
    for piece in inventory.frozen:
        yield f"  {piece.path}   {piece.digest}   trust material"


def _inventories(request: OpenRequest) -> tuple[Inventory, Inventory | None]:
    """Return the inventory that is signed, and the one before it where the request has it."""
    inventory = Inventory.decode(request.request.inventory or b"")
    about = origin(request.envelope)
    said = (about.authority, about.stream, request.envelope.version, request.root.authority)
    if said != (
        inventory.authority,
        inventory.stream,
        inventory.sequence,
        inventory.authority,
    ):
        raise FormatError(
            "the inventory is of another bundle than the targets that sign it",
            reason="request-inconsistent",
        )
    previous = request.request.previous
    if previous is None:
        return inventory, None
    link = inventory.previous
    if link is None or Digest.of(previous) != link.inventory:
        raise FormatError(
            "the inventory of the number before is not the one that is stated",
            reason="request-inconsistent",
        )
    return inventory, Inventory.decode(previous)


def _name_lines(inventory: Inventory, before: Inventory | None) -> Iterator[str]:
    old = {} if before is None else before.names
    for name in sorted({*inventory.names, *old}):
        new = inventory.names.get(name)
        if new is None:
            yield f"  {name}   no longer named   was {old[name]}"
        elif before is None:
            yield f"  {name}   {new}"
        elif name not in old:
            yield f"  {name}   {new}   new"
        elif old[name] == new:
            yield f"  {name}   {new}   as before"
        else:
            yield f"  {name}   {new}   was {old[name]}"


def _root_lines(request: OpenRequest) -> Iterator[str]:
    old, new = request.chain[-1], request.root
    yield f"root        {new.version}, instead of root {old.version}"
    for role in ROLES:
        asked, was = new.roles[role].threshold, old.roles[role].threshold
        change = "" if asked == was else f"   (was {was})"
        yield f"{role:<11} {asked} of {len(new.roles[role].keys)} keys{change}"
        keys = {key.keyid: key for root in (old, new) for key in root.roles[role].keys}
        for keyid in keys:
            yield f"  {_change(keyid, role, old, new)}   {keyid}   {request.holder(keyid)}"


def _change(keyid: str, role: str, old: Root, new: Root) -> str:
    before, after = (
        (any(key.keyid == keyid for key in root.roles[role].keys), root.persons.get(keyid))
        for root in (old, new)
    )
    if not after[0]:
        return "gone"
    if not before[0]:
        return "new "
    return "kept" if before[1] == after[1] else f"kept (was of {before[1] or 'nobody named'})"
