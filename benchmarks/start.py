#!/usr/bin/env python3
"""How long the command takes to start: the median of 20 runs, in milliseconds.

    .venv/bin/python benchmarks/start.py

Goals (docs/architecture.md): `airgap --version` within 100 ms, `airgap verify --help` within 150.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

RUNS = 20
GOALS = {("--version",): 100, ("verify", "--help"): 150}


def measure(arguments: tuple[str, ...]) -> float:
    """Return the median wall time of `airgap` with these arguments, in milliseconds."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "airgap", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


for words, goal in GOALS.items():
    print(f"airgap {' '.join(words):14} {measure(words):6.1f} ms   (goal {goal} ms)")
