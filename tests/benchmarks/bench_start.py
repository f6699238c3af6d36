"""P8: what the compiled loops of extraction cost a process before it reads, in processor seconds.

The first process of a machine compiles them; the others load what it has kept.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from tests.benchmarks.peers import CHECKOUT, HERE


def start(repeats: int) -> list[dict[str, Any]]:
    """Compiles with an empty cache and loads with a warm one, in turns, each in a process of its own."""
    rounds: dict[str, list[float]] = {"compile": [], "load": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for seconds in rounds.values():
                seconds.append(kernel_seconds(cache))
    medians = {name: statistics.median(seconds) for name, seconds in rounds.items()}
    shared = {"equal": None, "medians": medians, "rounds": rounds, "input": {}}
    empty = "processor seconds to compile extraction, with an empty cache (at most)"
    warm = "processor seconds to load it from a warm one (at most)"
    return [
        {"id": "P8a", "what": empty, "target": 20.0, "reached": medians["compile"], **shared},
        {"id": "P8b", "what": warm, "target": 0.5, "reached": medians["load"], **shared},
    ]


def kernel_seconds(cache: str | None = None) -> float:
    """Runs one process, with its kernels in a folder, or where they are kept else."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    command = [sys.executable, str(HERE / "contestants" / "kernels.py")]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
