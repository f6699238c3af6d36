"""Driver memory against the size of the pool: peak heap after garbage collection, and resident memory.

Runs `jobs/curate.py --pool` with spark-submit on two executors for a pool and for one eight times as large, while a
full collection of the driver's heap is asked for twice a second. Needs a JDK's `jcmd`.
"""

import argparse
import contextlib
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CHECKOUT = Path(__file__).parents[2]
METADATA = CHECKOUT / "tests" / "data" / "wordnet_lemmas.txt.gz"
SECONDS_BETWEEN_LOOKS = 0.5
_AFTER_COLLECTION = re.compile(r"Pause Full .*->(\d+)M\(")


def write_pool(folder: Path, pairs: int, files: int = 8) -> None:
    """Writes distinct pairs with texts of nine words each, drawn by Zipf's law with a fixed seed."""
    folder.mkdir(parents=True)
    lemmas = gzip.decompress(METADATA.read_bytes()).decode().splitlines()
    words = [word for word in lemmas if word.isalpha()][:20_000]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    random.seed(0)
    for number in range(files):
        drawn = random.choices(words, weights, k=9 * (pairs // files))
        texts = [" ".join(drawn[start : start + 9]) for start in range(0, len(drawn), 9)]
        urls = [f"https://example.org/{number}/{row}.jpg" for row in range(len(texts))]
        pq.write_table(pa.table({"url": urls, "text": texts}), folder / f"{number}.parquet")


def descendants(process: int) -> list[int]:
    """Lists a process and all processes below it, whichever thread started them."""
    found = [process]
    for parent in found:
        lists = Path(f"/proc/{parent}/task").glob("*/children")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for children in lists for child in children.read_text().split()]
    return found


def look(processes: list[int], script: Path) -> dict[str, int]:
    """Measures the driver: the JVM that runs SparkSubmit and the Python above its workers."""
    seen: dict[str, int] = {}
    for process in processes:
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) * 1024
        except (FileNotFoundError, TypeError, ProcessLookupError):
            continue
        if b"org.apache.spark.deploy.SparkSubmit" in command:
            subprocess.run(["jcmd", str(process), "GC.run"], capture_output=True, check=False)
            seen["jvm_resident"] = resident
        elif b"python" in command[0] and any(part == str(script).encode() for part in command):
            seen["python_resident"] = resident
    return seen


def measure(script: Path, options: list[str], collections: Path, master: str) -> dict[str, int]:
    """Runs a job and returns the peak of each measure, in bytes; `collections` is where the JVM logs its own."""
    settings = ["spark.ui.enabled=false", "spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1"]
    command = [
        *("bash", spark_submit()),
        *("--master", master, "--driver-memory", "1g"),
        *("--driver-java-options", f"-Xlog:gc:file={collections}"),
        *[part for setting in settings for part in ("--conf", setting)],
        str(script),
        *options,
    ]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        peaks: dict[str, int] = {}
        while process.poll() is None:
            for name, value in look(descendants(process.pid), script).items():
                peaks[name] = max(peaks.get(name, 0), value)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        log.seek(0)
        assert process.returncode == 0, log.read()[-3000:].decode(errors="replace")
        after = _AFTER_COLLECTION.findall(collections.read_text())
        peaks["heap_after_collection"] = max(int(megabytes) << 20 for megabytes in after)
    return peaks


def spark_submit() -> str:
    """Finds spark-submit of the installed pyspark."""
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-submit")


def main() -> None:
    """Measures both sizes and prints their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200_000, help="pairs of the smaller pool")
    parser.add_argument("--factor", type=int, default=8, help="how many times larger the other is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        peaks = []
        for factor in (1, options.factor):
            pool = Path(scratch) / f"pool{factor}"
            write_pool(pool, options.pairs * factor)
            files = ["--pool", str(pool), "--metadata", str(METADATA), "--output", str(Path(scratch) / f"out{factor}")]
            job = [*files, "--tail-share", "0.06", "--rows-per-file", "100000"]
            collections = Path(scratch) / f"{factor}.gc.log"
            peaks.append(measure(CHECKOUT / "jobs" / "curate.py", job, collections, "local-cluster[2,1,1024]"))
    ratios = {name: round(peaks[1][name] / peaks[0][name], 3) for name in peaks[0]}
    print(json.dumps({"pairs": options.pairs, "factor": options.factor, "peaks": peaks, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
