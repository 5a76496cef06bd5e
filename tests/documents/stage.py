"""The stage on which the examples of the documentation are run: two registries and an image."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.conftest import TOOLS
from tests.documents.examples import Stage
from tests.journey import open_registry_store, running_registry
from tests.simulators.registry_process import DEBIAN
from tests.stores.samples import make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.registry_process import RegistryProcess

__all__ = ["open_stage"]


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Run a source with ``prod/app:1.4`` in it and an empty target, both with TLS.

    The examples take the settings that a person has made once from the environment: the CA, and
    where passphrase and state are.
    """
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(running_registry(DEBIAN, folder / name, tls=True))
            for name in ("source", "target")
        )
        _fill(source, folder)
        work = folder / "work"
        work.mkdir()
        yield Stage(
            folder=work,
            environment=_environment(folder, (source, target)),
            source=source.host,
            target=target.host,
        )


def _fill(source: RegistryProcess, folder: Path) -> None:
    image = make_index(make_image("amd64"), make_image("arm64", architecture="arm64"))
    store = open_registry_store(source, folder)
    repository = store.repository("prod/app")
    put(repository, image, "1.4")
    put(repository, make_artifact(b"an SBOM", subject=image.manifest))
    put(repository, make_image("signature", layers=1, size=200), f"{image.digest.tag_stem}.sig")
    store.close()


def _environment(folder: Path, registries: tuple[RegistryProcess, ...]) -> dict[str, str]:
    programs = folder / "bin"
    programs.mkdir()
    command = programs / "airgap"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m airgap "$@"\n')
    command.chmod(0o755)
    authorities = folder / "ca.pem"
    found = [registry.ca_file.read_text() for registry in registries if registry.ca_file]
    authorities.write_text("".join(found))
    passphrase = folder / "passphrase"
    passphrase.write_text("a passphrase for tests\n")
    return {
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
        "PATH": os.pathsep.join([str(programs), str(TOOLS), os.environ.get("PATH", "")]),
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "AIRGAP_PASSPHRASE_FILE": str(passphrase),
        "AIRGAP_CA_FILE": str(authorities),
        "SSL_CERT_FILE": str(authorities),
    }
