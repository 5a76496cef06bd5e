"""Pins: the authorities that a site believes, put there by its people and by nobody else.

One file for each, ``trust/UUID.json`` in the state folder. A pin holds root 1 and its fingerprint,
which a person was told by another way, and the scope of names that the authority may speak for. The
first pin may do without a scope; a second one may not, and scopes that overlap are refused unless
they are meant to be shared. Source: docs/trust.md, "Anchors and where keys come from".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airgap.errors import AirgapError, FormatError, StoreError, TrustRootError, UsageError
from airgap.ledger.durable import locked, make_private_folder, write_file
from airgap.ledger.pin import Pin
from airgap.oci.strict_json import encode
from airgap.trust.envelope import AUTHORITY, STREAM, read_envelope
from airgap.trust.fingerprint import fingerprint, parse_code, parse_fingerprint
from airgap.trust.names import check_pattern, overlap
from airgap.trust.profile import verify_roots
from airgap.trust.roles import read_root

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Pin", "Pins", "read_root_1"]


class Pins:
    """The pins of the site whose state folder is `state`. Only `add` writes."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "trust"

    def all(self) -> tuple[Pin, ...]:
        """Return all pins, by name; none where there is no folder.

        Raises StoreError ``pin-damaged``, ``pins-unusable``.
        """
        try:
            files = [path for path in self._folder.iterdir() if AUTHORITY.fullmatch(path.stem)]
            pins = [_read(path) for path in files if path.suffix == ".json"]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unusable(error) from error
        return tuple(sorted(pins, key=lambda pin: pin.name))

    def find(self, authority: str) -> Pin:
        """Return the pin of an authority, or raise TrustRootError ``authority-not-pinned``."""
        for pin in self.all():
            if pin.authority == authority:
                return pin
        raise TrustRootError(
            f"this bundle is of the authority {authority!r:.40}, which is not pinned here",
            reason="authority-not-pinned",
            hint="If it should be: airgap trust pin root.json, with the root and the fingerprint "
            "brought by another way than the bundle.",
        )

    def add(
        self,
        root: bytes,
        *,
        told: str,
        name: str | None = None,
        names: Sequence[str] | None = None,
        shared: bool = False,
        codes: Sequence[tuple[str, str]] = (),
    ) -> Pin:
        """Pin the authority whose root 1 is `root`, and return the pin.

        `told` is the fingerprint that a person was told; `name` what to call the authority here, if
        not as its root does; `codes` are pairs of stream and bootstrap code. Pinning the same root
        again adds codes, and replaces name and scope where they are given: none is ever lost.
        Raises UsageError, TrustRootError or StoreError.
        """
        expected = parse_fingerprint(told)
        pin = read_root_1(root)
        if expected != pin.fingerprint:
            raise TrustRootError(
                "the root has another fingerprint than the one that you were told",
                reason="fingerprint-mismatch",
                hint="Do not pin it. Ask for the root and its fingerprint again, by another way.",
            )
        pin = replace(
            pin,
            names=None if names is None else tuple(check_pattern(pattern) for pattern in names),
            shared=shared,
            codes=_parse_codes(codes),
        )
        try:
            make_private_folder(self._folder)
            with locked(
                self._folder / "lock",
                reason="pins-busy",
                message=f"another command is writing {self._folder}",
                wait=10.0,
            ):
                return self._add(pin, name)
        except OSError as error:
            raise self._unusable(error) from error

    def _add(self, pin: Pin, name: str | None) -> Pin:
        others = []
        for other in self.all():
            if other.authority != pin.authority:
                others.append(other)
                continue
            if other.fingerprint != pin.fingerprint:
                raise UsageError(
                    f"the authority {other.name} has the same id {other.authority}, and another "
                    "root",
                    reason="authority-id-taken",
                    hint="One of the two is not what it says. Find out which one first.",
                )
            scope = other if pin.names is None else pin
            pin = replace(
                pin,
                name=other.name,
                names=scope.names,
                shared=scope.shared,
                codes={**other.codes, **pin.codes},
            )
        pin = replace(pin, name=name or pin.name)
        _refuse_conflicts(pin, others)
        write_file(self._folder / f"{pin.authority}.json", encode(pin.to_json()))
        return pin

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._folder} cannot be used: {error.strerror or error}", reason="pins-unusable"
        )


def read_root_1(root: bytes) -> Pin:
    """Return the pin that root 1 of an authority would make: its name, id and fingerprint.

    Raises UsageError ``root-invalid`` where `root` is not a first root that signs itself.
    """
    try:
        found = read_root(read_envelope(root, "root", "the root"))
        if found.version != 1:
            raise FormatError(f"it is root {found.version}", reason="root-invalid")
        pin = Pin(
            name=found.name,
            authority=found.authority,
            fingerprint=fingerprint(found.envelope.payload),
            root=root,
        )
        verify_roots((root,), anchor=pin.anchor())
    except AirgapError as error:
        raise UsageError(
            f"this is not root 1 of an authority: {error.message}",
            reason="root-invalid",
            hint="Pin the root.json that airgap trust init wrote.",
        ) from error
    return pin


def _parse_codes(codes: Sequence[tuple[str, str]]) -> dict[str, str]:
    for stream, _ in codes:
        if not STREAM.fullmatch(stream):
            raise UsageError(f"{stream!r:.80} is no name of a stream", reason="stream-invalid")
    return {stream: parse_code(code) for stream, code in codes}


def _refuse_conflicts(pin: Pin, others: Sequence[Pin]) -> None:
    for other in others:
        if other.name == pin.name:
            raise UsageError(
                f"another authority is called {pin.name} here",
                reason="pin-name-taken",
                hint="Give this one a name of its own: --name",
            )
        if pin.names is None or other.names is None:
            open_one = pin if pin.names is None else other
            raise UsageError(
                f"with several authorities each needs a scope, and {open_one.name} has none",
                reason="pin-scope-needed",
                hint="Say which names each may speak for: --names 'registry.example/**'",
            )
        pairs = [(ours, theirs) for ours in pin.names for theirs in other.names]
        common = next((pair for pair in pairs if overlap(*pair)), None)
        if common is not None and not pin.shared:
            raise UsageError(
                f"{common[0]} overlaps with {common[1]}, for which {other.name} speaks",
                reason="pin-scope-overlaps",
                hint="Narrow one of the two, or say that they share it: --shared",
            )


def _read(path: Path) -> Pin:
    try:
        pin = Pin.decode(path.read_bytes(), path.name)
        if pin.authority != path.stem:
            raise FormatError("it has the name of another authority", reason="pin-damaged")
    except AirgapError as error:
        raise StoreError(
            f"the pin {path} is damaged: {error.message}",
            reason="pin-damaged",
            hint="Remove the file and pin the authority again.",
        ) from error
    return pin
