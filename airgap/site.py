"""Site: what one importing site keeps under its state folder: pins, ledger, store, policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airgap.errors import UsageError
from airgap.trust.policy import BUILT_IN_POLICY, in_force, tighten
from airgap.trust.policy_document import decode_policy

if TYPE_CHECKING:
    from airgap.trust.policy import Policy, PolicyFile

__all__ = ["SYSTEM_POLICY", "Site", "read_policy_file"]

SYSTEM_POLICY: Final = Path("/etc/airgap/policy.yaml")
"""Where a site's policy is in force for every user of the machine."""

_LIMIT: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The paths of one site. `state` holds all that is remembered; `system_policy` is root's."""

    state: Path
    system_policy: Path = SYSTEM_POLICY

    @property
    def store(self) -> Path:
        """The embedded store: an OCI image layout."""
        return self.state / "store"

    def read_policy(self, further: Path | None = None) -> Policy:
        """Return the policy in force here: root's, else the state folder's, else the built-in one.

        `further` is a file that can only add failures. Raises UsageError ``policy-unreadable`` or
        what `decode_policy` raises: a policy that cannot be judged is never ignored.
        """
        policy = BUILT_IN_POLICY
        for path in (self.system_policy, self.state / "policy.yaml"):
            if _is_there(path):
                policy = in_force(read_policy_file(path, path.name))
                break
        if further is None:
            return policy
        return tighten(policy, read_policy_file(further, f"--policy {further}"))


def _is_there(path: Path) -> bool:
    """Tell whether there is a file; a link that leads nowhere, or what cannot be seen, is one."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def read_policy_file(path: Path, name: str) -> PolicyFile:
    """Return what the file at `path` says; findings will call it `name`."""
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > _LIMIT:
        raise UsageError(
            f"the policy {path} is larger than {_LIMIT} bytes", reason="policy-invalid"
        )
    return decode_policy(data, name, file=str(path))


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot read the policy {path}: {error.strerror}",
        reason="policy-unreadable",
        hint="A policy that cannot be read is never ignored: mend it, or take it away.",
    )
