"""Authority roots: the next root of an authority, signed by the old threshold and by the new one.

Root keys may be elsewhere. Where those at hand are not enough, the new root is written as
``metadata/N.root.json.pending``, a signing request like those for bundles: it can be carried to
whoever is to sign (schemas/signing-request). It becomes ``N.root.json`` with the last signature
that it needs, and until then nothing changes.
"""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from airgap.authority_roles import check_root
from airgap.errors import AirgapError, StoreError, UsageError
from airgap.ledger.durable import flush_folder, locked, make_private_folder, write_file
from airgap.trust.envelope import write_envelope
from airgap.trust.signing import SigningRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap.authority import Authority
    from airgap.authority_keyring import Keyring
    from airgap.authority_roles import RootChange
    from airgap.trust.signing import DetachedSignature, OpenRequest

__all__ = ["change_root", "pending_path", "read_pending", "renew_root", "sign_pending"]


def change_root(
    authority: Authority, change: RootChange, keyring: Keyring, *, now: datetime
) -> OpenRequest:
    """Make the next root of `authority`, altered by `change`, and sign it with the keys at hand.

    It is in force if the answer is `complete`, else pending. Raises UsageError ``root-pending``,
    ``root-unchanged`` and what `change` and the keys raise, StoreError; nothing is written then.
    """
    return _next_root(authority, change, keyring, now=now, renew=False)


def renew_root(authority: Authority, keyring: Keyring, *, now: datetime) -> OpenRequest:
    """Make the next root of `authority`, which differs in its end alone."""
    return _next_root(authority, lambda _: None, keyring, now=now, renew=True)


def sign_pending(
    authority: Authority, signatures: Sequence[DetachedSignature], keyring: Keyring
) -> OpenRequest:
    """Add `signatures` and those of the keys at hand to the root that is pending.

    Raises UsageError ``root-not-pending``, ``key-not-of-role``, ``signature-of-other``.
    """
    with _held(authority):
        request = read_pending(authority)
        if request is None:
            raise UsageError(
                f"no root of {authority.name} waits for signatures",
                reason="root-not-pending",
                hint="airgap trust show --authority says which root is in force.",
            )
        request = request.signed_by(signatures)
        request = request.signed_by(keyring.sign(request.envelope, request.keys))
        _write(authority.path, request)
    return request


def read_pending(authority: Authority) -> OpenRequest | None:
    """Return the root that waits for signatures, or None. Raises StoreError."""
    path = pending_path(authority.path, authority.roots[-1].version + 1)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        request = SigningRequest.decode(data, path.name).opened()
        if [root.envelope.data for root in request.chain] != [
            root.envelope.data for root in authority.roots
        ]:
            raise UsageError("it follows other roots", reason="authority-damaged")
    except AirgapError as error:
        raise StoreError(
            f"the pending root {path} is damaged: {error.message}",
            reason="authority-damaged",
            hint="Remove the file and make the change again.",
        ) from error
    return request


def pending_path(authority: Path, version: int) -> Path:
    """Return where root `version` is while it waits for signatures."""
    return authority / "metadata" / f"{version}.root.json.pending"


def _next_root(
    authority: Authority, change: RootChange, keyring: Keyring, *, now: datetime, renew: bool
) -> OpenRequest:
    last = authority.roots[-1]
    with _held(authority):
        path = pending_path(authority.path, last.version + 1)
        if path.exists():
            raise UsageError(
                f"root {last.version + 1} waits for signatures already",
                reason="root-pending",
                hint=f"Complete it: airgap trust add-signature. Or give it up: remove {path}",
            )
        signed: dict[str, Any] = deepcopy(dict(last.envelope.signed.value))
        signed["version"] = last.version + 1
        signed["expires"] = authority.lifetimes.end("root", now)
        change(signed)
        if check_root(signed).roles == last.roles and not renew:
            raise UsageError(
                f"root {last.version} says that already",
                reason="root-unchanged",
                hint="airgap trust show --authority lists keys, persons and thresholds.",
            )
        request = SigningRequest(
            role="root",
            roots=tuple(root.envelope.data for root in authority.roots),
            envelope=write_envelope(signed, []),
        ).opened()
        request = request.signed_by(keyring.sign(request.envelope, request.keys))
        _write(authority.path, request)
    return request


def _write(authority: Path, request: OpenRequest) -> None:
    pending = pending_path(authority, request.root.version)
    try:
        if not request.complete:
            write_file(pending, request.request.encode())
            return
        write_file(pending.with_suffix(""), request.envelope.data)
        pending.unlink(missing_ok=True)
        flush_folder(pending.parent)
    except OSError as error:
        raise _unusable(authority, error) from error


@contextlib.contextmanager
def _held(authority: Authority) -> Iterator[None]:
    """Let no two commands make the next root at once."""
    # No stream has a name that begins with a dot.
    lock = authority.path / "locks" / ".root.lock"
    busy = "another command is making a root of this authority"
    with contextlib.ExitStack() as held:
        try:
            make_private_folder(lock.parent)
            held.enter_context(locked(lock, reason="authority-busy", message=busy))
        except OSError as error:
            raise _unusable(authority.path, error) from error
        if pending_path(authority.path, authority.roots[-1].version + 1).with_suffix("").exists():
            raise StoreError(busy, reason="authority-busy", hint="Look at it, then run this again.")
        yield


def _unusable(authority: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the authority at {authority} cannot be used: {error.strerror or error}",
        reason="authority-unusable",
    )
