"""Driver memory against the size of the input: peak heap after garbage collection, and resident memory.

Runs `jobs/curate.py` with spark-submit on two executors for an input and for one eight times as large (pairs of a pool,
or with --archives small archives in waves of 100), while a full collection of the driver's heap is asked for twice a
second. With archives it also times the look-up of the ledger. Needs a JDK's `jcmd`.
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


def write_archives(folder: Path, archives: int) -> None:
    """Writes archives of one page with twenty images each, whose texts are lemmas."""
    folder.mkdir(parents=True)
    lemmas = gzip.decompress(METADATA.read_bytes()).decode().splitlines()
    random.seed(0)
    for number in range(archives):
        images = "".join(f"<img src={image}.jpg alt='{' '.join(random.choices(lemmas, k=3))}'>" for image in range(20))
        body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{images}".encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/{number}/\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        (folder / f"{number:05d}.warc.gz").write_bytes(gzip.compress(head.encode() + body + b"\r\n\r\n"))


def ledger_seconds(output: Path) -> float:
    """Times what a resumed run does first: reading the log and asking which archives count."""
    from metaclip_spark.runs.ledger import ledger_of
    from metaclip_spark.runs.open import read_log
    from metaclip_spark.stores.storage import Storage

    begun = time.perf_counter()
    ledger = ledger_of(read_log(Storage(str(output))).state)
    assert len(ledger.accepted()) == len(list((output.parent / f"in{output.name[3:]}").iterdir()))
    return time.perf_counter() - begun


def descendants(process: int) -> list[int]:
    """Lists a process and all processes below it, whichever thread started them."""
    found = [process]
    for parent in found:
        lists = Path(f"/proc/{parent}/task").glob("*/children")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for children in lists for child in children.read_text().split()]
    return found


def command_of(process: int) -> list[bytes]:
    """Gives the command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def is_python_worker(command: list[bytes]) -> bool:
    """Tells whether a process is one of Spark's Python workers or the daemon that forks them, Spark's own or ours."""
    return any(part.endswith(b"daemon") for part in command)


def resident_bytes(process: int) -> int:
    """Gives the resident memory of a process; 0 where it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text("utf-8"))
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0


def look(processes: list[int], script: Path) -> dict[str, int]:
    """Measures the driver: the JVM that runs SparkSubmit and the Python above its workers."""
    seen: dict[str, int] = {}
    for process in processes:
        command, resident = command_of(process), resident_bytes(process)
        if b"org.apache.spark.deploy.SparkSubmit" in command:
            subprocess.run(["jcmd", str(process), "GC.run"], capture_output=True, check=False)
            seen["jvm_resident"] = resident
        elif b"python" in b"".join(command[:1]) and any(part == str(script).encode() for part in command):
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
    parser.add_argument("--archives", type=int, default=0, help="archives of the smaller input, instead of pairs")
    parser.add_argument("--factor", type=int, default=8, help="how many times larger the other is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        peaks, seconds = [], []
        for factor in (1, options.factor):
            inputs, output = Path(scratch) / f"in{factor}", Path(scratch) / f"out{factor}"
            if options.archives:
                write_archives(inputs, options.archives * factor)
                given = ["--archives", str(inputs), "--archives-per-wave", "100"]
            else:
                write_pool(inputs, options.pairs * factor)
                given = ["--pool", str(inputs)]
            job = [*given, "--metadata", str(METADATA), "--output", str(output), "--tail-share", "0.06"]
            job += ["--rows-per-file", "100000"]
            collections = Path(scratch) / f"{factor}.gc.log"
            peaks.append(measure(CHECKOUT / "jobs" / "curate.py", job, collections, "local-cluster[2,1,1024]"))
            if options.archives:
                seconds.append(round(ledger_seconds(output), 3))
    ratios = {name: round(peaks[1][name] / peaks[0][name], 3) for name in peaks[0]}
    size = {"archives": options.archives} if options.archives else {"pairs": options.pairs}
    print(json.dumps({**size, "factor": options.factor, "peaks": peaks, "ratios": ratios, "ledger": seconds}, indent=1))


if __name__ == "__main__":
    main()
