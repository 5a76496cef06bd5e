#!/usr/bin/env python3
"""`airgap export` and `airgap import` against `crane`, in pairs within one run.

    .venv/bin/python -m benchmarks.peers [--scale 1] [--runs 3] [--load large]

Everything is on loopback: a Distribution 3 registry to read from, a fresh one to write to for
each import; warm page cache. Peers (scripts/tools builds them):

- export: `crane pull --format=oci` of all images into one layout, then `tar` of the layout;
- import: `crane push --index` of that layout to one repository, in one process.

crane verifies no signature; airgap signs, verifies and reads the manifests back. Figures depend on
the machine: what counts are the ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.freight import Load, fill, large, small
from tests.simulators.registry_process import DISTRIBUTION_3, find_registry, start_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.simulators.registry_process import RegistryProcess

GOALS = {
    ("large", "export"): 0.45,
    ("large", "import"): 0.75,
    ("large", "import, all read back"): 1.1,
    ("small", "export"): 0.6,
    ("small", "import"): 0.6,
}
HERE = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("AIRGAP_TOOLS", HERE / ".tools" / "bin"))
AIRGAP = [sys.executable, "-m", "airgap"]


@contextmanager
def fresh_registry(folder: Path) -> Iterator[RegistryProcess]:
    """Run an empty Distribution 3; all that it held is gone afterwards."""
    program = find_registry(DISTRIBUTION_3)
    if program is None:
        sys.exit("registry (Distribution 3) is not installed: scripts/tools builds it")
    try:
        with start_registry(program, folder, kind=DISTRIBUTION_3) as registry:
            yield registry
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Bench:
    """One load, measured again and again; `walls` has the seconds of each step."""

    def __init__(self, load: Load, folder: Path) -> None:
        self.load = load
        self.folder = folder
        self.walls: dict[str, list[float]] = defaultdict(list)
        self._turn = 0
        self._fingerprint = ""
        self._code = ""

    def prepare(self) -> None:
        """Make an authority and a site that believes it."""
        made = self._airgap(
            "trust", "init", "bench", "--authority", "authority", "--no-passphrase",
            "--format", "json",
        )  # fmt: skip
        self._fingerprint = str(json.loads(made)["fingerprint"])

    def run(self, references: Sequence[str]) -> None:
        """Measure each step once; who comes first alternates."""
        self._turn += 1
        self._both("export", references)
        self._both("import", references)
        self._airgap_import(references, read_back="always")
        for name in ("layout", "layout.tar", "bundle.tar"):
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _both(self, step: str, references: Sequence[str]) -> None:
        for tool in ("crane", "airgap") if self._turn % 2 else ("airgap", "crane"):
            getattr(self, f"_{tool}_{step}")(references)

    def _airgap(self, *arguments: str) -> str:
        return subprocess.run(
            [*AIRGAP, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def _crane_export(self, references: Sequence[str]) -> None:
        line = f'"{TOOLS}/crane" pull --format=oci "$@" layout && tar -cf layout.tar -C layout .'
        self._measure("crane export", "sh", "-c", line, "sh", *references)

    def _airgap_export(self, references: Sequence[str]) -> None:
        out = self._measure(
            "airgap export", *AIRGAP, "export", *references, "--authority", "authority",
            "--stream", "bench", "-o", "bundle.tar", "--format", "json",
            "--insecure-http", references[0].partition("/")[0],
        )  # fmt: skip
        self._code = str(json.loads(out)["code"])

    def _crane_import(self, _references: Sequence[str]) -> None:
        with fresh_registry(self.folder / "to") as registry:
            target = f"{registry.host}/mirror/all:v1"
            self._measure("crane import", f"{TOOLS}/crane", "push", "--index", "layout", target)

    def _airgap_import(self, _references: Sequence[str], read_back: str = "") -> None:
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self._airgap(
            "trust", "pin", "authority/root.json", "--fingerprint", self._fingerprint,
            "--state", "state",
        )  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.read_back"] if read_back else AIRGAP
        with fresh_registry(self.folder / "to") as registry:
            self._measure(
                "airgap import, all read back" if read_back else "airgap import",
                *command, "import", "bundle.tar", "--to", f"docker://{registry.host}/mirror",
                "--state", "state", "--insecure-http", registry.host, "--format", "json",
                "--bootstrap", self._code,
            )  # fmt: skip

    def _measure(self, step: str, *command: str) -> str:
        """Run a command that must succeed; note its wall time and processor time in seconds."""
        os.sync()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"{step}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        self.walls[step].append(wall)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"    {step:30} {wall:7.2f} s   {cpu:6.2f} s CPU", flush=True)
        return done.stdout

    def report(self) -> None:
        """Print the medians, and the ratios beside their goals."""
        print(f"\n| {self.load.title} | median s | lowest to highest | ratio to crane | goal |")
        print("| --- | --- | --- | --- | --- |")
        medians = {step: statistics.median(walls) for step, walls in self.walls.items()}
        for step, walls in self.walls.items():
            tool, _, what = step.partition(" ")
            peer = medians[f"crane {what.partition(',')[0]}"]
            ratio = "" if tool == "crane" else f"{medians[step] / peer:.2f}"
            goal = GOALS.get((self.load.title, what), "") if tool == "airgap" else ""
            print(
                f"| {step} | {medians[step]:.2f} | {min(walls):.2f} to {max(walls):.2f} "
                f"| {ratio} | {goal} |"
            )
        print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes and numbers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--load", choices=("large", "small", "both"), default="both")
    parser.add_argument("--folder", type=Path, help="where to work; 15 GiB at scale 1")
    given = parser.parse_args()
    loads = {"large": large(given.scale), "small": small(given.scale)}
    with tempfile.TemporaryDirectory(prefix="airgap-bench-", dir=given.folder) as name:
        for load in loads.values():
            if given.load not in {load.title, "both"}:
                continue
            folder = Path(name) / load.title
            folder.mkdir()
            bench = Bench(load, folder)
            bench.prepare()
            with fresh_registry(folder / "from") as source:
                references = fill(source.host, load)
                print(f"{load.title}: {load.images} images, {load.bytes / 2**20:.0f} MiB of layers")
                for number in range(1, given.runs + 1):
                    print(f"  run {number}")
                    bench.run(references)
            bench.report()


if __name__ == "__main__":
    main()
