"""Site: what one importing site keeps under its state folder: pins, ledger, store, policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from airgap.errors import UsageError

__all__ = ["SYSTEM_POLICY", "Site"]

SYSTEM_POLICY: Final = Path("/etc/airgap/policy.yaml")
"""Where a site's policy is in force for every user of the machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The paths of one site. `state` holds all that is remembered; `system_policy` is root's."""

    state: Path
    system_policy: Path = SYSTEM_POLICY

    @property
    def store(self) -> Path:
        """The embedded store: an OCI image layout."""
        return self.state / "store"

    def refuse_policies(self, extra: Path | None = None) -> None:
        """Raise UsageError ``not-supported-yet`` where a policy file would have to be judged.

        A policy that cannot be judged yet is never ignored: the site's, root's, or the one named.
        """
        for path in (self.system_policy, self.state / "policy.yaml", extra):
            if path is not None and (path == extra or path.exists()):
                raise UsageError(
                    f"{path}: policy files cannot be judged by this release yet",
                    reason="not-supported-yet",
                    hint="Without a policy file the built-in checks are in force: authenticity, "
                    "sequence, integrity, completeness, expiry. A policy is never just ignored.",
                )
