"""Real registries for tests: Debian's docker-registry 2.8 and Distribution 3, on loopback.

`start_registry` runs one in a folder of the test's own, on a free port, plain or with TLS of a CA
made for the occasion, open or with one user. It is stopped when the context ends.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEBIAN", "DISTRIBUTION_3", "RegistryProcess", "find_registry", "start_registry"]

Kind = Literal["docker-registry", "registry"]
DEBIAN: Final = "docker-registry"
DISTRIBUTION_3: Final = "registry"
USER: Final = "operator"
PASSWORD: Final = "correct horse"
# bcrypt of PASSWORD, cost 4: as htpasswd writes it
_HTPASSWD: Final = f"{USER}:$2b$04$6U7rq4rhz8j3eLk3tpqXkOoSCj4ZY4pcRU3t7sJb/1hxgpOJWQrRW\n"
_START_SECONDS: Final = 20.0
_STARTS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryProcess:
    """A running registry: `host` is its name in references, `storage` where it keeps everything."""

    host: str
    kind: str
    storage: Path
    log: Path
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.ca_file is None else 'https'}://{self.host}"

    @property
    def insecure(self) -> frozenset[str]:
        """What `StoreOptions.insecure_http` must hold to reach it."""
        return frozenset({self.host}) if self.ca_file is None else frozenset()

    def write_authfile(self, path: Path) -> Path:
        """Write an auth file with this registry's user to `path`."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        path.write_text(json.dumps({"auths": {self.host: {"auth": pair}}}))
        return path


def find_registry(kind: str) -> str | None:
    """Return the path of the registry's program, or None where it is not installed.

    Distribution 3 is looked for where scripts/tools puts it, then on the PATH.
    """
    if kind == DEBIAN:
        return shutil.which(DEBIAN)
    tools = os.environ.get("AIRGAP_TOOLS") or Path(__file__).parents[2] / ".tools" / "bin"
    return shutil.which(kind, path=f"{tools}{os.pathsep}{os.environ.get('PATH', '')}")


@contextmanager
def start_registry(
    program: str,
    folder: Path,
    *,
    kind: str,
    tls: bool = False,
    auth: bool = False,
    sparse: bool = False,
) -> Iterator[RegistryProcess]:
    """Run the registry `program`, whose files are all below `folder`, until the context ends.

    With `sparse`, Distribution 3 takes indexes some of whose children it has not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _STARTS + 1):
        registry = _describe(folder, kind, tls=tls, auth=auth)
        with registry.log.open("ab") as log:
            process = subprocess.Popen(
                [program, "serve", str(_configure(folder, registry, sparse=sparse))],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "OTEL_TRACES_EXPORTER": "none"},
            )
        try:
            if _await(process, registry):
                yield registry
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if attempt == _STARTS:
            raise RuntimeError(f"{kind} does not start:\n{registry.log.read_text()[-2000:]}")


def _describe(folder: Path, kind: str, *, tls: bool, auth: bool) -> RegistryProcess:
    with socket.socket() as free:
        # Between here and the start another process may take it: then the next one is tried.
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return RegistryProcess(
        host=f"127.0.0.1:{port}",
        kind=kind,
        storage=folder / "storage",
        log=folder / "registry.log",
        ca_file=_make_certificate(folder) if tls else None,
        username=USER if auth else None,
        password=PASSWORD if auth else None,
    )


def _make_certificate(folder: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    (folder / "cert.pem").write_bytes(chain)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


def _configure(folder: Path, registry: RegistryProcess, *, sparse: bool) -> Path:
    # JSON is YAML, and quotes whatever a path may hold.
    http: dict[str, object] = {"addr": registry.host, "secret": "for tests"}
    if registry.ca_file is not None:
        http["tls"] = {
            "certificate": str(folder / "cert.pem"),
            "key": str(folder / "key.pem"),
        }
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(registry.storage)},
            "delete": {"enabled": True},
        },
        "http": http,
    }
    if sparse:
        document["validation"] = {"manifests": {"indexes": {"platforms": "none"}}}
    if registry.username is not None:
        (folder / "htpasswd").write_text(_HTPASSWD)
        document["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    path = folder / "config.yml"
    path.write_text(json.dumps(document))
    return path


def _await(process: subprocess.Popen[bytes], registry: RegistryProcess) -> bool:
    """Return whether the registry answers before it ends or the time is over."""
    until = time.monotonic() + _START_SECONDS
    context = ssl.create_default_context(cafile=registry.ca_file) if registry.ca_file else None
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)
    while time.monotonic() < until and process.poll() is None:
        try:
            opener.open(f"{registry.url}/v2/", timeout=2).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            time.sleep(0.05)
        else:
            return process.poll() is None
    return False
