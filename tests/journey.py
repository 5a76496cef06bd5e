"""The way of a bundle in tests: the command line in process, an authority, a site, registries."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from airgap.cli import app
from airgap.stores import StoreOptions, open_store
from tests.conftest import find_tool
from tests.simulators.registry_process import start_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airgap.stores import Store
    from tests.simulators.registry_process import RegistryProcess

__all__ = ["Answer", "Journey", "open_registry_store", "run", "running_registry"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The result as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The last line of stderr as JSON."""
        found: dict[str, Any] = json.loads(self.err.strip().splitlines()[-1])
        return found

    @property
    def reasons(self) -> set[str]:
        """The reason codes of the findings that failed."""
        return {f["reason"] for f in self.document["findings"] if f["outcome"] == "fail"}


def run(*arguments: object, env: dict[str, str] | None = None) -> Answer:
    """Run the command line in this process and return its answer; a bug is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(code=result.exit_code, out=result.stdout, err=result.stderr)


def must(*arguments: object) -> Answer:
    """Run the command line, which must succeed."""
    answer = run(*arguments)
    assert answer.code == 0, f"{arguments}\n{answer.out}\n{answer.err}"
    return answer


@dataclass(kw_only=True)
class Journey:
    """An authority on the connected side and a site on the other, in one folder."""

    folder: Path
    stream: str = "prod"
    codes: dict[int, str] = field(default_factory=dict)
    fingerprint: str = ""

    @classmethod
    def begin(cls, folder: Path, *, pin: bool = True, scheme: str = "ecdsa-p256") -> Journey:
        """Make the authority and, if asked, pin it at the site."""
        journey = cls(folder=folder)
        made = must(
            "trust", "init", "acme", "--authority", journey.authority, "--no-passphrase",
            "--scheme", scheme, "--format", "json",
        )  # fmt: skip
        journey.fingerprint = made.document["fingerprint"]
        if pin:
            journey.pin()
        return journey

    @property
    def authority(self) -> Path:
        return self.folder / "acme"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def pin(self) -> None:
        must(
            "trust", "pin", self.authority / "root.json",
            "--fingerprint", self.fingerprint, "--state", self.state,
        )  # fmt: skip

    def export(self, *arguments: object, name: str | None = None) -> Path:
        """Export and return the bundle; remembers its bootstrap code."""
        output = self.folder / (name or f"{self.stream}-{len(self.codes) + 1}.tar")
        answer = must(
            "export", *arguments, "--authority", self.authority, "--stream", self.stream,
            "-o", output, "--format", "json",
        )  # fmt: skip
        self.codes[answer.document["sequence"]] = answer.document["code"]
        return output

    def verify(self, bundle: Path, *arguments: object) -> Answer:
        return run("verify", bundle, "--state", self.state, "--format", "json", *arguments)

    def load(self, bundle: Path, *arguments: object) -> Answer:
        return run("import", bundle, "--state", self.state, "--format", "json", *arguments)


def running_registry(
    kind: str, folder: Path, *, tls: bool = False, auth: bool = False
) -> AbstractContextManager[RegistryProcess]:
    """Start a real registry; skip or fail where it is not installed."""
    return start_registry(find_tool(kind), folder, kind=kind, tls=tls, auth=auth)


def open_registry_store(registry: RegistryProcess, folder: Path) -> Store:
    """Open a running registry as a store to write to."""
    authfile = None
    if registry.username is not None:
        authfile = registry.write_authfile(folder / "auth.json")
    return open_store(
        "docker",
        registry.host,
        StoreOptions(
            side="destination",
            insecure_http=registry.insecure,
            ca_file=registry.ca_file,
            authfile=authfile,
        ),
    )


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def spread(size: int, count: int) -> Iterator[int]:
    """Yield `count` offsets spread over `size` bytes."""
    yield from (size * number // count for number in range(count))
