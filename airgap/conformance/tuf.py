"""``python -m airgap.conformance.tuf``: the client that tuf-conformance runs.

It drives the general TUF workflow, without the profile that bundles must keep beyond it. Exit code
0: all was done; 1: it was not, and one line on stderr says why; 2: wrong options.

    python -m airgap.conformance.tuf --metadata-dir DIR init ROOT
    python -m airgap.conformance.tuf --metadata-dir DIR --metadata-url URL refresh
    python -m airgap.conformance.tuf --metadata-dir DIR --metadata-url URL
        --target-name PATH --target-base-url URL --target-dir DIR download

``--target-name`` may be given several times: all are looked up by one client.

Source: https://github.com/theupdateframework/tuf-conformance/blob/main/CLIENT-CLI.md
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tuf.api.metadata import Root

from airgap.conformance.cache import MetadataCache
from airgap.conformance.client import Client
from airgap.conformance.repository import Repository
from airgap.errors import AirgapError, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command of `arguments` (the process's own by default); return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    missing = [name for name in _needed(options.command) if not getattr(options, name)]
    if missing:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        parser.error(f"{options.command} needs {names}")
    try:
        _run(options)
    except (AirgapError, OSError) as error:
        sys.stderr.write(f"{safe(error)}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airgap.conformance.tuf")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


def _needed(command: str) -> tuple[str, ...]:
    return {
        "init": (),
        "refresh": ("metadata_url",),
        "download": ("metadata_url", "target_name", "target_base_url", "target_dir"),
    }[command]


def _run(options: argparse.Namespace) -> None:
    cache = MetadataCache(options.metadata_dir)
    if options.command == "init":
        # It is trusted by the word of whoever says so; what it is worth, the first refresh judges.
        cache.write(Root.type, options.trusted_root.read_bytes())
        return
    repository = Repository(options.metadata_url, options.target_base_url or "")
    client = Client(cache, repository, now=datetime.now(UTC))
    client.refresh()
    if options.command == "download":
        for name in options.target_name:
            client.download(name, options.target_dir / quote(name, safe=""))


if __name__ == "__main__":
    raise SystemExit(main())
