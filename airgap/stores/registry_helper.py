"""Credential helpers: ``docker-credential-NAME get``, as docker and podman run them.

Source: docker's credential-helpers protocol: the server on stdin, a JSON object on stdout.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from airgap.errors import AuthenticationError, FormatError
from airgap.oci.strict_json import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ask_helper"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_SECONDS: Final = 30.0


def ask_helper(name: str, server: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return user and secret that the helper `name` keeps for `server`; None where it has none.

    Raises AuthenticationError where it is missing, fails, or answers with something else.
    """
    program = f"docker-credential-{name}"
    # The name becomes part of a path: a file of credentials must not choose what is run.
    path = (
        shutil.which(program, path=environment.get("PATH", "")) if _NAME.fullmatch(name) else None
    )
    if path is None:
        raise _failed(program, "it is not on the PATH")
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell; the path was looked up
            [path, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=dict(environment),
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(program, f"no answer within {_SECONDS:.0f} s") from error
    except OSError as error:
        raise _failed(program, str(error.strerror)) from error
    if done.returncode != 0:
        # Helpers say this on stdout; it is their way to answer "none".
        if b"credentials not found" in done.stdout + done.stderr:
            return None
        raise _failed(program, (done.stderr or done.stdout)[:200].decode(errors="replace").strip())
    try:
        reader = Reader.parse(done.stdout, f"the answer of {program}")
        return reader.text("Username"), reader.text("Secret")
    except FormatError as error:
        # Not `error.message`: it may quote the answer, which holds a secret.
        raise _failed(program, "its answer is not what helpers answer") from error


def _failed(program: str, why: str) -> AuthenticationError:
    return AuthenticationError(
        f"the credential helper {program} failed: {why}",
        reason="credential-helper-failed",
        hint="Install or repair it, or name a file with credentials with --authfile.",
    )
