"""One large run on this machine: time per step, peak memory by kind of process, spill, and bytes of each table.

A pool of distinct pairs with texts of the usual distribution goes through `jobs/curate.py` under spark-submit. Writes
scale.json beside this file; extrapolate.py takes its rates from there.
"""

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.bench_driver_memory import (
    SECONDS_BETWEEN_LOOKS,
    command_of,
    descendants,
    is_python_worker,
    resident_bytes,
    spark_submit,
)
from tests.benchmarks.bench_jobs import DATA
from tests.benchmarks.bench_match import make_entries, make_texts
from tests.benchmarks.peers import CHECKOUT
from tests.benchmarks.run_benchmarks import machine

RESULT = Path(__file__).with_name("scale.json")
DIFFERENT_TEXTS = 1_000_000
ROWS_PER_FILE = 1_000_000
SPILLED = ("Memory Bytes Spilled", "Disk Bytes Spilled")


def make_pool(folder: Path, pairs: int, entries: int) -> None:
    """Writes a metadata list and a pool of columns url and text, each URL once."""
    (folder / "pool").mkdir(parents=True)
    generator = np.random.default_rng(0)
    made = make_entries(entries, generator)
    texts = pa.array(make_texts(min(pairs, DIFFERENT_TEXTS), made, generator))
    (folder / "metadata.txt").write_text("\n".join(made) + "\n", "utf-8")
    for start in range(0, pairs, ROWS_PER_FILE):
        places = np.arange(start, min(pairs, start + ROWS_PER_FILE))
        hosts, names = (pa.array(numbers).cast(pa.string()) for numbers in (places % 9973, places))
        urls = pc.binary_join_element_wise("https://images", hosts, ".example.org/", names, ".jpg", "")
        table = pa.table({"url": urls, "text": texts.take(pa.array(generator.integers(len(texts), size=len(places))))})
        pq.write_table(table, folder / "pool" / f"{start:010d}.parquet", compression="zstd")


def kind_of(command: list[bytes]) -> str | None:
    """Tells what a process of the job is."""
    if is_python_worker(command):
        return "python worker"
    if b"org.apache.spark.deploy.SparkSubmit" in command:
        return "JVM of driver and executor"
    return "python driver" if any(part.endswith(b"curate.py") for part in command) else None


def watch(process: "subprocess.Popen[bytes]") -> dict[str, int]:
    """Waits for a job, and gives the largest resident memory of each kind of process, in bytes."""
    peaks: Counter[str] = Counter()
    while process.poll() is None:
        for each in descendants(process.pid):
            if kind := kind_of(command_of(each)):
                peaks[kind] = max(peaks[kind], resident_bytes(each))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return dict(peaks)


def spill(events: Path) -> dict[str, int]:
    """Adds what all tasks spilled and moved, in bytes, from Spark's event log."""
    sums: Counter[str] = Counter()
    for path in filter(Path.is_file, events.rglob("*")):
        for line in path.open(encoding="utf-8"):
            event = json.loads(line) if line.startswith('{"Event":"SparkListenerTaskEnd"') else {}
            metrics = event.get("Task Metrics") or {}
            for name in SPILLED:
                sums[name] += metrics.get(name, 0)
            sums["Shuffle Bytes Written"] += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return dict(sums)


def measure(folder: Path, pairs: int, entries: int, target: int, memory: str) -> dict[str, Any]:
    """Makes the pool where it is not there, and runs the job once."""
    if not (folder / "metadata.txt").exists():
        make_pool(folder, pairs, entries)
    output = folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory() as events, tempfile.TemporaryFile() as log:
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events,
            "spark.eventLog.compress": "false",
        }
        command = ["bash", spark_submit(), "--master", "local[*]", "--driver-memory", memory]
        command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        command += [str(CHECKOUT / "jobs" / "curate.py"), "--pool", str(folder / "pool"), "--target-pairs", str(target)]
        command += ["--metadata", str(folder / "metadata.txt"), "--output", str(output)]
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log)
        peaks = watch(process)
        seconds = time.perf_counter() - begin
        log.seek(0)
        if process.returncode:
            raise RuntimeError(log.read()[-4000:].decode(errors="replace"))
        moved = spill(Path(events))
    run = json.loads((output / "run.json").read_text("utf-8"))
    tables = ("extracted", "pool", "matched", "entry_counts", "curated")
    # The curated set lies beside the tables, in a folder of its attempt.
    files = {name: list(output.glob(f"{name}*/**/*.parquet")) for name in tables}
    sizes = {name: sum(path.stat().st_size for path in paths) for name, paths in files.items()}
    steps = {name: {"seconds": step["seconds"], "numbers": step["numbers"]} for name, step in run["steps"].items()}
    return {"seconds": seconds, "steps": steps, "peaks": peaks, "moved": moved, "bytes": sizes}


def main() -> None:
    """Runs the job and stores what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--target", type=int, default=12_500_000, help="pairs to keep")
    parser.add_argument("--memory", default="6g", help="of the one JVM")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    folder = DATA / f"scale-{options.pairs}-{options.entries}"
    report = measure(folder, options.pairs, options.entries, options.target, options.memory)
    given = {"pairs": options.pairs, "entries": options.entries, "target": options.target, "memory": options.memory}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    options.output.write_text(
        json.dumps({"date": today, "machine": machine(), "input": given, **report}, indent=1) + "\n"
    )
    print(options.output.read_text("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
