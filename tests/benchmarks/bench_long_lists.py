"""Memory of count and sample with tens of millions of entries in hundreds of lists: of the driver and of its workers.

Writes a run up to its matched pairs, whose entries are synthetic; then counts and samples in processes of their own,
and looks at their memory four times a second. Of a worker it shows what is its own (`RssAnon`), besides pages of files
that all workers of a machine map (`RssFile`).
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.config.curation import LanguageConfig, OutputConfig, SampleConfig
from metaclip_spark.entries import EntryTexts, Metadata, MetadataList
from metaclip_spark.pipeline import run_count, run_sample
from metaclip_spark.runs import records
from metaclip_spark.runs.open import begin_run, continue_run
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import DEDUPLICATE, EXTRACT, MATCH, Attempt, Step
from tests.benchmarks.bench_driver_memory import command_of, descendants, is_python_worker
from udfs.schemas import MATCHED

SECONDS_BETWEEN_LOOKS = 0.25
_MEASURE = re.compile(r"(RssAnon|RssFile|VmRSS):\s+(\d+)")
DIGEST = "synthetic"


def list_starts(entries: int, lists: int) -> np.ndarray:
    """Gives lists of sizes that fall as 1 / sqrt(rank)."""
    weights = 1 / np.sqrt(np.arange(1, lists + 1))
    return np.concatenate([[0], np.rint(np.cumsum(weights) / weights.sum() * entries)]).astype(np.int64)


def metadata_of(entries: int, lists: int) -> Metadata:
    """Makes the lists, with texts of some ten characters."""
    starts = list_starts(entries, lists).tolist()
    codes = [f"l{place:03d}" for place in range(lists)]
    bounds = zip(codes, starts[:-1], starts[1:], strict=True)
    named = [MetadataList(code, first, after - first, "") for code, first, after in bounds]
    texts = EntryTexts(pa.array([f"word {number:x}" for number in range(entries)], pa.string()))
    return Metadata(texts, DIGEST, tuple(named), anchor=codes[0])


def write_matched(folder: Path, pairs: int, starts: np.ndarray, files: int = 8) -> None:
    """Writes matched pairs of some twelve entries, most of them frequent ones, of lists by Zipf's law."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    chances = 1 / np.arange(1, starts.size)
    for number in range(files):
        rows = pairs // files
        of_list = generator.choice(starts.size - 1, rows, p=chances / chances.sum())
        lengths = np.minimum(generator.integers(4, 21, rows), np.diff(starts)[of_list])
        ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        lists = np.repeat(of_list, lengths)
        ids = starts[lists] + (np.diff(starts)[lists] * generator.random(lists.size) ** 4).astype(np.int64)
        pair_ids = [f"{value:032x}" for value in generator.integers(0, 2**63 - 1, rows).tolist()]
        texts = pa.array([f"text {row} of a pair with a caption of usual length" for row in range(rows)])
        columns = {"pair_id": pa.array(pair_ids), "image_url": texts, "alt_text": texts}
        columns["entry_ids"] = pa.ListArray.from_arrays(pa.array(ends), pa.array(ids.astype(np.int32)))
        table = [columns.get(field.name, pa.nulls(rows, field.type)) for field in MATCHED]
        pq.write_table(pa.Table.from_arrays(table, schema=MATCHED), folder / f"{number}.parquet")


def write_run(run: Run, matched: Path, entries: int) -> None:
    """Commits what the steps before the count would have, with empty tables but for the matched pairs."""
    rows = run.spark.read.parquet(str(matched))
    pairs = rows.count()
    archives = dict.fromkeys(records.ExtractNumbers.__struct_fields__[:12], 0)
    settings = records.MatchSettings(metadata_digest=DIGEST, entries=entries, language_identified=False)
    extracted = msgspec.convert(archives | {"rejected": {}}, records.ExtractNumbers)
    made: list[tuple[Step, records.Record, records.StepNumbers]] = [
        (EXTRACT, records.ExtractionSettings(input="synthetic"), extracted),
        (DEDUPLICATE, records.NoSettings(), records.DeduplicateNumbers(pairs_in=pairs, duplicates=0, pairs=pairs)),
        (MATCH, settings, records.MatchNumbers(pairs_in=pairs, unmatched=0, pairs=pairs)),
    ]
    before = ""
    for step, config, numbers in made:
        begin = run.begin(step, config, before, buckets=1)
        attempt = Attempt(run, 0 if step.by_bucket else None)
        if step is MATCH:
            attempt.write(rows, "matched")
        manifest = records.Manifest(
            step=step.name, config=config, input=before, numbers=numbers, settings={}, seconds=0.0
        )
        run.commit(step, manifest, attempt, begin)
        before = run.manifest(step).digest


def work(step: str, folder: Path, entries: int, lists: int) -> None:
    """Does one step in this process."""
    output = OutputConfig(str(folder / "run"), resume=True)
    if step == "matched":
        with begin_run(output, "matched") as run:
            write_run(run, folder / "matched", entries)
        return
    with continue_run(output, step, []) as run:
        if step == "count":
            run_count(run, LanguageConfig(), metadata_of(entries, lists))
        else:
            run_sample(run, SampleConfig(threshold_t=100, min_language_pairs=50), LanguageConfig())


def look(process: int) -> dict[str, int]:
    """Reads the memory of a process in bytes; nothing where it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:
        return {}
    return {name: 1024 * int(kilobytes) for name, kilobytes in _MEASURE.findall(text)}


def kind_of(process: int, driver: int) -> str | None:
    """Tells a driver's Python, its JVM and its workers apart."""
    command = command_of(process)
    if process == driver:
        return "driver_python"
    if command[:1] and command[0].endswith(b"java"):
        return "jvm"
    return "worker" if is_python_worker(command) else None


def measure(step: str, folder: Path, entries: int, lists: int) -> dict[str, int]:
    """Does one step in a process of its own, and gives the peak of each measure in megabytes."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_long_lists", "--entries", str(entries)]
    command += ["--lists", str(lists), "--folder", str(folder), "--step", step]
    begun = time.monotonic()
    process = subprocess.Popen(command)
    peaks: dict[str, int] = {}
    while process.poll() is None:
        for each in descendants(process.pid):
            kind = kind_of(each, process.pid)
            for name, value in look(each).items() if kind else ():
                peaks[f"{kind} {name}"] = max(peaks.get(f"{kind} {name}", 0), value >> 20)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    assert process.returncode == 0, step
    return peaks | {"seconds": round(time.monotonic() - begun)}


def main() -> None:
    """Measures both steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=27_000_000)
    parser.add_argument("--lists", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--step", choices=["matched", "count", "sample"], default=None)
    options = parser.parse_args()
    if options.step:
        work(options.step, options.folder, options.entries, options.lists)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_matched(folder / "matched", options.pairs, list_starts(options.entries, options.lists))
        found = {step: measure(step, folder, options.entries, options.lists) for step in ("matched", "count", "sample")}
    print(json.dumps({"entries": options.entries, "pairs": options.pairs, "megabytes": found}, indent=1))


if __name__ == "__main__":
    main()
