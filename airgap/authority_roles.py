"""Authority roles: what the next root says of keys, persons and thresholds, as changes of the last.

Each change takes the `signed` of a root, which nobody else holds, and alters it. It raises
UsageError where the result would be a root that nobody could sign, or the root that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airgap.errors import FormatError, UsageError
from airgap.trust.envelope import ROLES, read_envelope, write_envelope
from airgap.trust.roles import Root, is_person, read_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.trust.keys import PublicKey

    RootChange = Callable[[dict[str, Any]], None]

__all__ = ["MAX_KEYS", "add_key", "check_root", "find_key", "remove_key", "replace_key"]

MAX_KEYS: Final = 8
"""Keys in one role: an envelope has room for 16 signatures, a root's by old and new keys."""


def add_key(key: PublicKey, role: str, *, person: str | None, threshold: int | None) -> RootChange:
    """Return the change that lets `key` sign `role`, as a key of `person`.

    `threshold` is how many persons must sign the role then; None leaves it. A key that is in the
    role already gets the person and the threshold.
    """
    if person is not None and not is_person(person):
        raise UsageError(
            f"{person!r:.80} is no name of a person",
            reason="person-invalid",
            hint="1 to 63 printable characters, without spaces at the ends.",
        )

    def change(signed: dict[str, Any]) -> None:
        entry = signed["roles"][role]
        signed["keys"][key.keyid] = key.tuf.to_dict()
        if key.keyid not in entry["keyids"]:
            entry["keyids"].append(key.keyid)
        if person is not None:
            signed["x-airgap"].setdefault("persons", {})[key.keyid] = person
        entry["threshold"] = entry["threshold"] if threshold is None else threshold

    return change


def remove_key(keyid: str, role: str, *, threshold: int | None) -> RootChange:
    """Return the change after which the key signs `role` no more."""

    def change(signed: dict[str, Any]) -> None:
        entry = signed["roles"][role]
        entry["keyids"].remove(keyid)
        entry["threshold"] = entry["threshold"] if threshold is None else threshold
        _forget_unused(signed)

    return change


def replace_key(old: str, new: PublicKey, *, person: str | None) -> RootChange:
    """Return the change that puts `new` in the place of the key `old` in every role.

    A key that was lost or has leaked is so gone from all of them. The person stays the same unless
    another one is named.
    """

    def change(signed: dict[str, Any]) -> None:
        signed["keys"][new.keyid] = new.tuf.to_dict()
        for entry in signed["roles"].values():
            if old in entry["keyids"]:
                kept = [keyid for keyid in entry["keyids"] if keyid not in {old, new.keyid}]
                entry["keyids"] = [*kept, new.keyid]
        persons = signed["x-airgap"].setdefault("persons", {})
        holder = person or persons.get(old)
        if holder is not None:
            persons[new.keyid] = holder
        _forget_unused(signed)

    return change


def find_key(root: Root, role: str, text: str | None) -> str:
    """Return the id of the key of `role` that `text` means: the start of its id, or its person.

    None means the only one. Raises UsageError ``key-unknown``, ``key-ambiguous``.
    """
    keyids = [key.keyid for key in root.roles[role].keys]
    found = [
        keyid
        for keyid in keyids
        if text is None or root.persons.get(keyid) == text or keyid.startswith(text)
    ]
    shown = ", ".join(
        f"{keyid[:16]} ({root.persons.get(keyid, 'nobody named')})" for keyid in keyids
    )
    if not found:
        raise UsageError(
            f"{text!r:.80} is no key of {role} in root {root.version}",
            reason="key-unknown",
            hint=f"Its keys are {shown}.",
        )
    if len(found) > 1:
        raise UsageError(
            f"several keys of {role} are meant",
            reason="key-ambiguous",
            hint=f"Say which one, by the start of its id or by its person: {shown}.",
        )
    return found[0]


def check_root(signed: dict[str, Any]) -> Root:
    """Return the root that `signed` makes, or raise UsageError where nobody could sign it."""
    for role in ROLES:
        count = len(signed["roles"][role]["keyids"])
        if count > MAX_KEYS:
            raise UsageError(
                f"{role} would have {count} keys, more than {MAX_KEYS}",
                reason="role-full",
                hint="Remove one first: airgap trust remove",
            )
    try:
        return read_root(read_envelope(write_envelope(signed, []), "root", "the new root"))
    except FormatError as error:
        raise UsageError(
            error.message,
            reason=error.reason,
            hint="The keys of one person count once. Add a key first, or say another --threshold.",
        ) from error


def _forget_unused(signed: dict[str, Any]) -> None:
    used = {keyid for entry in signed["roles"].values() for keyid in entry["keyids"]}
    about = signed["x-airgap"]
    signed["keys"] = {keyid: key for keyid, key in signed["keys"].items() if keyid in used}
    persons = {k: name for k, name in about.pop("persons", {}).items() if k in used}
    if persons:
        about["persons"] = persons
