"""Where a registry's credentials come from: the files and helpers of docker and podman.

Order, the first place that knows the registry wins:

1. ``--authfile``, alone, if it is named; else ``$REGISTRY_AUTH_FILE``, alone, if it is set;
2. ``$DOCKER_CONFIG/config.json``, or ``~/.docker/config.json``;
3. ``$XDG_RUNTIME_DIR/containers/auth.json``, then ``~/.config/containers/auth.json``.

Within a file: keys with a repository, the most specific first; the host's entry in
``credHelpers``; ``credsStore``; the key of the host. Sources: containers-auth.json(5), docker's
command line reference ("Credential stores").
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airgap.errors import FormatError, UsageError
from airgap.oci.reference import DOCKER_HUB
from airgap.oci.strict_json import Reader, decode
from airgap.stores.registry_helper import ask_helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airgap.stores import StoreOptions

__all__ = ["HUB_KEY", "Credentials", "find_credentials"]

HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_HOSTS: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_FILE_LIMIT: Final = 1 << 20
_TOKEN_USER: Final = "<token>"  # noqa: S105 - the name that helpers give, not a token


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What proves who we are to one registry; `origin`, where it was found, may be shown."""

    origin: str
    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        """The Authorization header of the Basic scheme, if there is a password."""
        if not self.user or self.identity_token:
            return None
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    @property
    def kind(self) -> str:
        """What they are, for people."""
        if self.identity_token:
            return "identity token"
        return "registry token" if self.registry_token else "password"


def find_credentials(host: str, repository: str, options: StoreOptions) -> Credentials | None:
    """Return the credentials for `repository` at `host`, or None for an anonymous visit.

    Raises UsageError where a file is no auth file, AuthenticationError where a helper fails.
    """
    for path in _files(options):
        found = _AuthFile.read(path).find(host, repository, options.environment)
        if found is not None:
            return found
    return None


def _files(options: StoreOptions) -> Iterator[Path]:
    environment = options.environment
    named = options.authfile or environment.get("REGISTRY_AUTH_FILE")
    if named:
        if not Path(named).is_file():
            raise UsageError(
                f"there is no auth file {named}",
                reason="authfile-missing",
                hint="Name one with --authfile or $REGISTRY_AUTH_FILE, or leave both out.",
            )
        yield Path(named)
        return
    home = environment.get("HOME")
    docker = environment.get("DOCKER_CONFIG") or (home and f"{home}/.docker")
    runtime = environment.get("XDG_RUNTIME_DIR")
    config = environment.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    podman = "containers/auth.json"
    for folder, name in ((docker, "config.json"), (runtime, podman), (config, podman)):
        if folder and (path := Path(folder, name)).is_file():
            yield path


@dataclass(frozen=True, kw_only=True, slots=True)
class _AuthFile:
    path: Path
    auths: Mapping[str, Reader]
    helpers: Mapping[str, str]
    store: str

    @classmethod
    def read(cls, path: Path) -> _AuthFile:
        try:
            with path.open("rb") as file:
                data = file.read(_FILE_LIMIT)
            reader = Reader.of(decode(data or b"{}", str(path), floats=True), str(path))
            return cls(
                path=path,
                auths=_children(reader, "auths"),
                helpers=reader.text_map("credHelpers") if reader.value.get("credHelpers") else {},
                store=reader.optional_text("credsStore") or "",
            )
        except (OSError, FormatError) as error:
            raise _invalid(path, error) from error

    def find(
        self, host: str, repository: str, environment: Mapping[str, str]
    ) -> Credentials | None:
        parts = repository.split("/")
        scoped = ["/".join([host, *parts[:count]]) for count in range(len(parts), 0, -1)]
        for key in scoped:
            if key in self.auths and (found := self._entry(self.auths[key])):
                return found
        server = HUB_KEY if host == DOCKER_HUB else host
        for helper in filter(None, [self._helper(host), self.store]):
            pair = ask_helper(helper, server, environment)
            if pair is not None:
                return _credentials(
                    *pair, origin=f"docker-credential-{helper}, named in {self.path}"
                )
        for key, entry in self.auths.items():
            if key not in scoped and _host(key) == host and (found := self._entry(entry)):
                return found
        return None

    def _helper(self, host: str) -> str | None:
        return next((name for key, name in self.helpers.items() if _host(key) == host), None)

    def _entry(self, entry: Reader) -> Credentials | None:
        try:
            user = entry.optional_text("username") or ""
            password = entry.optional_text("password") or ""
            if auth := entry.optional_text("auth"):
                pair = base64.b64decode(auth, validate=True).decode()
                user, _, password = pair.partition(":")
            identity = entry.optional_text("identitytoken") or ""
            registry = entry.optional_text("registrytoken") or ""
        except (FormatError, binascii.Error, ValueError) as error:
            raise _invalid(self.path, f"{entry.path} cannot be decoded") from error
        if not (user or identity or registry):
            return None
        # Docker pads what it writes with NUL bytes (and so reads past them).
        return _credentials(
            user,
            password.strip("\0"),
            origin=str(self.path),
            identity=identity,
            registry=registry,
        )


def _credentials(
    user: str, secret: str, *, origin: str, identity: str = "", registry: str = ""
) -> Credentials:
    if user == _TOKEN_USER:
        user, secret, identity = "", "", secret
    return Credentials(
        origin=origin,
        user=user,
        password=secret,
        identity_token=identity,
        registry_token=registry,
    )


def _host(key: str) -> str:
    """Return the registry that a key of an auth file means (``https://host/v1/`` is one too)."""
    _, colon, rest = key.partition("://")
    name = rest.partition("/")[0] if colon else key.removesuffix("/").removesuffix("/v1")
    return DOCKER_HUB if name.lower() in _HUB_HOSTS else name.lower()


def _children(reader: Reader, key: str) -> dict[str, Reader]:
    auths: dict[str, Any] = reader.child(key).value if reader.value.get(key) else {}
    return {name: Reader.of(entry, f"auths[{name!r}]") for name, entry in auths.items()}


def _invalid(path: Path, why: object) -> UsageError:
    return UsageError(
        f"{path} is not an auth file: {why}",
        reason="authfile-invalid",
        hint="Log in again (docker login, podman login, skopeo login), which writes it anew.",
    )
