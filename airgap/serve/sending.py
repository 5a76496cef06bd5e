"""Sending: bytes from an open file to a socket, by the kernel where it can.

Two ways: `os.sendfile` (or reading and sending, where a system or a file system has none), which
trusts that the file is what it was when it was verified; and, on request, hashing on the way,
which withholds the last piece of what was asked for until the whole content has matched.
"""

from __future__ import annotations

import errno
import hashlib
import os
import selectors
from typing import TYPE_CHECKING, Final

from airgap.errors import IntegrityError
from airgap.serve.catalog import Extent, pieces

if TYPE_CHECKING:
    import socket

    from airgap.serve.response import Part

__all__ = ["send_part"]

_AT_ONCE: Final = 1 << 30
_NOT_BY_KERNEL: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def send_part(sock: socket.socket, extent: Extent, part: Part, *, verify: bool) -> None:
    """Send the bytes of `part` from `extent`; the socket's timeout is for each step, in seconds.

    Raises IntegrityError where the content ends too early or, with `verify`, is not what its
    digest names: less than the promised length has been sent then, and never its last piece.
    """
    if verify:
        _send_verified(sock, extent, part)
        return
    wanted = Extent(fd=extent.fd, offset=extent.offset + part.start, size=part.stop - part.start)
    if not hasattr(os, "sendfile") or not _send_by_kernel(sock, wanted):
        for piece in pieces(wanted):
            sock.sendall(piece)


def _send_by_kernel(sock: socket.socket, extent: Extent) -> bool:
    """Send `extent` by os.sendfile; False, and nothing sent, where that is not to be had here."""
    done = 0
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        while done < extent.size:
            count = min(_AT_ONCE, extent.size - done)
            try:
                sent = os.sendfile(sock.fileno(), extent.fd, extent.offset + done, count)
            except BlockingIOError:
                if not selector.select(sock.gettimeout()):
                    raise TimeoutError("the client takes nothing more") from None
                continue
            except OSError as error:
                if done == 0 and error.errno in _NOT_BY_KERNEL:
                    return False
                raise
            if sent == 0:
                raise IntegrityError(
                    f"the file ended {extent.size - done} bytes too early",
                    reason="content-truncated",
                )
            done += sent
    return True


def _send_verified(sock: socket.socket, extent: Extent, part: Part) -> None:
    digest = hashlib.sha256()
    position, held = 0, b""
    for piece in pieces(extent):
        digest.update(piece)
        wanted = piece[max(part.start - position, 0) : max(part.stop - position, 0)]
        position += len(piece)
        if wanted:
            sock.sendall(held)
            held = wanted
    if digest.hexdigest() != part.descriptor.digest.hex:
        raise IntegrityError(
            f"{part.descriptor.digest} does not have the bytes that its digest names",
            reason="blob-digest-mismatch",
        )
    sock.sendall(held)
