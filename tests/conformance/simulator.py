"""A TUF repository that is changed and published step by step, and a server that serves it.

The repository keeps every published version of every role and counts what was asked for. Keys are
made once for the process: a test that needs many does not wait for them.
"""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOP", "RepositorySimulator", "serving"]

TOP = ("root", "timestamp", "snapshot", "targets")
CONTENT = ("targets", "snapshot", "timestamp")
_DAYS = 30


@functools.cache
def signer(number: int) -> CryptoSigner:
    """Return a key; the same number is the same key."""
    return CryptoSigner.generate_ed25519()


@dataclass(kw_only=True)
class RepositorySimulator:
    """What a repository holds: `roles` as they are being written, `published` as they were."""

    expires: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + timedelta(days=_DAYS)
    )
    roles: dict[str, Any] = field(default_factory=dict)
    signers: defaultdict[str, list[CryptoSigner]] = field(default_factory=lambda: defaultdict(list))
    published: defaultdict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    artifacts: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    hashes: bool = False
    _keys: int = 0

    def __post_init__(self) -> None:
        self.roles = {
            "root": Root(expires=self.expires),
            "timestamp": Timestamp(expires=self.expires),
            "snapshot": Snapshot(expires=self.expires),
            "targets": Targets(expires=self.expires),
        }
        for role in TOP:
            self.add_key(role)
        self.publish(*CONTENT, "root", bump=False)

    @property
    def root(self) -> Root:
        found: Root = self.roles["root"]
        return found

    @property
    def metadata_asked(self) -> list[str]:
        """The metadata files that were asked for."""
        return [path.removeprefix("m/") for path in self.asked if path.startswith("m/")]

    @property
    def artifacts_asked(self) -> list[str]:
        """The artifacts that were asked for."""
        return [path.removeprefix("t/") for path in self.asked if path.startswith("t/")]

    def add_key(
        self, role: str, *, delegator: str = "root", key: CryptoSigner | None = None
    ) -> CryptoSigner:
        """Let one more key sign for `role`."""
        if key is None:
            self._keys += 1
            key = signer(self._keys)
        self.roles[delegator].add_key(key.public_key, role)
        self.signers[role].append(key)
        return key

    def replace_keys(self, role: str) -> None:
        """Take all keys of `role` away, and give it a new one."""
        self.root.roles[role].keyids.clear()
        self.signers[role].clear()
        self.add_key(role)

    def start_again(self, role: str, version: int = 1) -> None:
        """Forget what was published of `role`; the next one has this version."""
        self.published[role].clear()
        self.roles[role].version = version - 1

    def publish(self, *roles: str, bump: bool = True) -> None:
        """Sign and publish `roles` in order, each in its next version, and note it upstream."""
        for role in roles:
            signed = self.roles[role]
            if bump:
                signed.version += 1
            self.replace(role, self.sign(role))

    def sign(self, role: str) -> bytes:
        """Return `role` as it is now, signed by its keys."""
        metadata: Metadata[Any] = Metadata(self.roles[role])
        for key in self.signers[role]:
            metadata.sign(key, append=True)
        return metadata.to_bytes()

    def replace(self, role: str, data: bytes) -> None:
        """Publish these bytes as the current version of `role`."""
        version = self.roles[role].version
        self.published[role][version] = data
        entry = MetaFile.from_data(version, data, ["sha256"]) if self.hashes else MetaFile(version)
        if role == "snapshot":
            self.roles["timestamp"].snapshot_meta = entry
        elif role not in TOP or role == "targets":
            self.roles["snapshot"].meta[f"{role}.json"] = entry

    def add_artifact(self, path: str, data: bytes, *, role: str = "targets") -> TargetFile:
        """Let `role` say what the artifact at `path` is, and serve it."""
        target = TargetFile.from_data(path, data, ["sha256", "sha512"])
        self.roles[role].targets[path] = target
        self.artifacts[path] = data
        return target

    def delegate(
        self,
        delegator: str,
        role: str,
        *,
        paths: tuple[str, ...] = ("*",),
        prefixes: tuple[str, ...] | None = None,
        terminating: bool = False,
        sign: bool = True,
    ) -> None:
        """Let `delegator` delegate to `role`, which signs with a key of this delegation."""
        if role not in self.roles:
            self._new_role(role)
        upper = self.roles[delegator]
        upper.delegations = upper.delegations or Delegations({}, {})
        upper.delegations.roles[role] = DelegatedRole(
            role, [], 1, terminating,
            None if prefixes is not None else list(paths),
            None if prefixes is None else list(prefixes),
        )  # fmt: skip
        self.add_key(role, delegator=delegator)
        if not sign:
            self.signers[role].pop()

    def delegate_bins(self, bits: int) -> list[str]:
        """Let targets delegate to 2^`bits` bins by the hash of the path; return their names."""
        bins = SuccinctRoles([], 1, bits, "bin")
        self.roles["targets"].delegations = Delegations({}, None, bins)
        self._keys += 1
        key = signer(self._keys)
        self.roles["targets"].add_key(key.public_key)
        names = list(bins.get_roles())
        for name in names:
            self._new_role(name)
            self.signers[name].append(key)
        return names

    def _new_role(self, role: str) -> None:
        self.roles[role] = Targets(expires=self.expires)
        self.roles[role].version = 0

    def publish_all(self) -> None:
        """Publish every delegated role, then the top ones but root."""
        self.publish(*(role for role in self.roles if role not in TOP), *CONTENT)

    def answer(self, path: str) -> bytes | None:
        """Return what is served at `path`, or None."""
        self.asked.append(path)
        folder, _, name = path.partition("/")
        return self._metadata(name) if folder == "m" else self._artifact(unquote(name))

    def _metadata(self, name: str) -> bytes | None:
        name = name.removesuffix(".json")
        number, _, role = name.partition(".")
        if number.isdecimal() and (self.root.consistent_snapshot or role == "root"):
            return self.published[unquote(role)].get(int(number))
        versions = self.published[unquote(name)]
        versioned = self.root.consistent_snapshot and name != "timestamp"
        return versions[max(versions)] if versions and not versioned else None

    def _artifact(self, path: str) -> bytes | None:
        if self.root.consistent_snapshot:
            folder, slash, name = path.rpartition("/")
            prefix, _, name = name.partition(".")
            path = f"{folder}{slash}{name}"
            known = [
                value
                for signed in self.roles.values()
                if isinstance(signed, Targets) and path in signed.targets
                for value in signed.targets[path].hashes.values()
            ]
            if prefix not in known:
                return None
        return self.artifacts.get(path)


@contextmanager
def serving(repository: RepositorySimulator) -> Iterator[str]:
    """Serve metadata below ``m/`` and artifacts below ``t/`` of the address that is yielded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            data = repository.answer(path)
            status = repository.failing.get(path, 200 if data is not None else 404)
            data = data if data is not None and status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
