"""A repository that is served, and our client with a cache and a folder for artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tuf.api.metadata import Metadata

from airgap.conformance.cache import MetadataCache
from airgap.conformance.client import Client
from airgap.conformance.repository import Repository
from airgap.conformance.tuf import main
from airgap.errors import AirgapError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.simulator import RepositorySimulator

__all__ = ["TRUSTED", "Scene"]

TRUSTED = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One client of one repository at `url`; its files are below `folder`."""

    folder: Path
    url: str
    repository: RepositorySimulator

    @property
    def cache(self) -> Path:
        return self.folder / "metadata"

    @property
    def artifacts(self) -> Path:
        return self.folder / "targets"

    def run(self, *arguments: object) -> int:
        """Run the program in this process; return its exit code."""
        return main(["--metadata-dir", str(self.cache), *map(str, arguments)])

    def init(self, root: bytes | None = None) -> None:
        trusted = self.folder / "trusted.json"
        trusted.write_bytes(self.repository.published["root"][1] if root is None else root)
        assert self.run("init", trusted) == 0
        assert self.repository.asked == []

    def refresh(self) -> int:
        return self.run("--metadata-url", f"{self.url}/m/", "refresh")

    def download(self, *names: str) -> int:
        targets = [word for name in names for word in ("--target-name", name)]
        return self.run(
            "--metadata-url", f"{self.url}/m", *targets, "--target-base-url", f"{self.url}/t",
            "--target-dir", self.artifacts, "download",
        )  # fmt: skip

    def client(self, *, days: float = 0) -> Client:
        """Return a client whose clock is so many days ahead."""
        return Client(
            MetadataCache(self.cache),
            Repository(f"{self.url}/m/", f"{self.url}/t/"),
            now=datetime.now(UTC) + timedelta(days=days),
        )

    def refused(self, reason: str, *, days: float = 0) -> None:
        """Refresh, which must be refused for this reason."""
        with pytest.raises(AirgapError) as caught:
            self.client(days=days).refresh()
        assert caught.value.reason == reason

    @property
    def trusted(self) -> dict[str, int]:
        """The version of each role that is kept, by the name of its file."""
        names = sorted(os.listdir(self.cache)) if self.cache.exists() else []  # noqa: PTH208
        assert all(name.endswith(".json") for name in names)
        return {
            name.removesuffix(".json"): Metadata.from_bytes(
                (self.cache / name).read_bytes()
            ).signed.version
            for name in names
        }

    @property
    def downloaded(self) -> list[bytes]:
        """What is in the folder for artifacts, which has nothing else."""
        if not self.artifacts.exists():
            return []
        return sorted(path.read_bytes() for path in self.artifacts.iterdir())

    def asked(self) -> list[str]:
        """Return what was asked for since the last time."""
        found = self.repository.metadata_asked + self.repository.artifacts_asked
        self.repository.asked.clear()
        return found
