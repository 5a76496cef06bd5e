"""A release by two persons: an authority, Bob who signs elsewhere, and a site that believes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airgap.bundle.reader import open_bundle
from airgap.bundle.rewriting import rewrite_head
from tests.conftest import REPOSITORY
from tests.journey import Answer, Journey, must, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.bundle.trust_files import TrustFiles

__all__ = ["HELLO", "Team", "forge", "must", "run", "trust_of", "upkeep_documents"]

HELLO = f"oci:{REPOSITORY}/samples/hello:registry.example/samples/hello:1.0"
"""A small real image; no registry is needed to export it."""


@dataclass(kw_only=True)
class Team(Journey):
    """An authority with persons beside it. Keys are plain, unless a test says otherwise."""

    @classmethod
    def gather(cls, folder: Path, *, scheme: str = "ecdsa-p256") -> Team:
        """Make an authority, pinned at the site, that one key signs for."""
        journey = Journey.begin(folder, scheme=scheme)
        return cls(folder=folder, fingerprint=journey.fingerprint)

    @classmethod
    def of_two(cls, folder: Path, *, scheme: str = "ecdsa-p256") -> Team:
        """Make an authority whose bundles the exporter and Bob release together."""
        team = cls.gather(folder, scheme=scheme)
        team.trust("add", team.key("bob", scheme=scheme), "--person", "Bob", "--threshold", "2")
        return team

    def key(self, name: str, *, scheme: str = "ecdsa-p256") -> Path:
        """Make a key for a person and return the public one; the private one is NAME.pem."""
        must("trust", "key", self.folder / f"{name}.pem", "--no-passphrase", "--scheme", scheme)
        return self.folder / f"{name}.pub"

    def trust(self, command: str, *arguments: object) -> Answer:
        """Run a command of the authority, which must succeed."""
        return must("trust", command, *arguments, "--authority", self.authority, "--format", "json")

    def refused(self, command: str, *arguments: object) -> tuple[int, str]:
        """Run a command of the authority, which must be refused; return exit code and reason."""
        answer = run(
            "trust", command, *arguments, "--authority", self.authority, "--format", "json"
        )
        assert answer.out == ""
        return answer.code, answer.error["reason"]

    def hello(self, *arguments: object, name: str | None = None) -> Path:
        """Export the small image as the next number."""
        return self.export(HELLO, *arguments, name=name)

    def code(self, number: int) -> tuple[str, str]:
        return ("--bootstrap", self.codes[number])

    def outcome(self, bundle: Path, *arguments: object) -> tuple[int, set[str]]:
        """Return what `verify` answers: exit code and reasons."""
        answer = self.verify(bundle, *arguments)
        return answer.code, answer.reasons


def trust_of(bundle: Path) -> TrustFiles:
    """Return the TUF files of a bundle."""
    with open_bundle(bundle) as opened:
        return opened.trust


def forge(bundle: Path, path: Path, **changed: Any) -> Path:  # noqa: ANN401 - fields of TrustFiles
    """Write the bundle to `path` with other TUF files: well formed, and not what was signed."""
    shutil.copy(bundle, path)
    with open_bundle(path) as opened:
        opened.survey()
        rewrite_head(opened, replace(opened.trust, **changed))
    return path


def upkeep_documents(folder: Path) -> Iterator[tuple[str, Answer]]:
    """Yield a JSON document of every command that keeps an authority, and of all forms of sign."""
    folder.mkdir()
    team = Team.gather(folder)
    plain = ("--format", "json")
    bob = folder / "bob.pem"
    yield "trust key", must("trust", "key", bob, "--no-passphrase", *plain)
    bobs = (folder / "bob.pub", "--person", "Bob")
    yield "trust add", team.trust("add", *bobs, "--threshold", "2")
    yield "trust show", team.trust("show")
    one, request, signature = (folder / name for name in ("prod-1.tar", "req", "sig"))
    team.hello()
    yield "sign", must("sign", one, "--request", request, *plain)
    yield "sign", must("sign", request, "--key", bob, "-o", signature, "--yes", *plain)
    yield "sign", must("sign", one, "--add", signature, *plain)
    assert team.load(one, *team.code(1)).code == 0
    refreshed = ("--stream", "prod", "-o", folder / "refresh")
    yield "trust refresh", team.trust("refresh", *refreshed)
    yield "trust remove", team.trust("remove", "Bob", "--threshold", "1")
    yield "trust rotate", team.trust("rotate", "online", "--no-passphrase")
    yield "trust renew", team.trust("renew")
    anew = ("recover", "acme", "--stream", "prod", "--bundle", team.hello(), "--yes")
    yield "trust recover", must("trust", *anew, "--state", team.state, *plain)
    team.trust("add", *bobs, "--role", "root", "--threshold", "2")
    yield "trust add-signature", team.trust("add-signature", "--key", bob)
