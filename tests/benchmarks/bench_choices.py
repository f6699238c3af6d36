"""The ways to count, to match and to sample, in one warm session in turns: why the steps are built as they are.

count: partial counts added up with `reduceByKey`, and explode and groupBy in SQL. match and sample: `mapInArrow` over
whole rows against a scalar Arrow function (Spark 4.1 and newer) that takes what it needs. Prints one JSON object with
medians of wall seconds, and for the count of processor seconds (driver, JVM and workers) as well.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.entries import load_metadata
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.steps.sample import sample_pairs
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_driver_memory import descendants
from tests.benchmarks.bench_jobs import DATA, make_pool
from tests.support.counting import count_entries_in_sql

ROWS_PER_FILE = 750_000
MOST_IDS = 13
"""Entries of a made pair: from one to these, some seven on average, as in the pools of whole jobs."""


def with_whole_rows(work: Callable[[], DataFrame]) -> DataFrame:
    """Builds a step's plan as on Spark 3.5, which has no functions over Arrow columns."""
    with mock.patch.object(F, "arrow_udf", None, create=True):
        return work()


def in_turns(sides: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Runs all ways in turns; gives the medians of their wall seconds and what each found last."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found = {}
    for _ in range(repeats):
        for name, side in sides.items():
            begin = time.perf_counter()
            found[name] = side()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(every) for name, every in seconds.items()}, found


def write(work: Callable[[], DataFrame], path: str) -> None:
    """Builds a plan and runs it."""
    work().write.mode("overwrite").parquet(path)


def processor_seconds() -> float:
    """Gives the processor time of this process and all below it, with children that have ended."""
    ticks = 0
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def make_matched(rows: int, entries: int) -> Path:
    """Makes the column `entry_ids` of matched pairs; some entries are in far more pairs than others."""
    folder = DATA / f"matched-{rows}-{entries}"
    if folder.exists():
        return folder
    generator = np.random.default_rng(0)
    started = folder.with_suffix(".started")
    started.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, rows, ROWS_PER_FILE)):
        lengths = generator.integers(1, MOST_IDS + 1, min(ROWS_PER_FILE, rows - start))
        ids = (entries * generator.random(lengths.sum()) ** 4).astype(np.int32)
        ends = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
        table = pa.table({"entry_ids": pa.ListArray.from_arrays(pa.array(ends), pa.array(ids))})
        pq.write_table(table, started / f"part-{number:05}.zstd.parquet", compression="zstd")
    return started.rename(folder)


def counts_in_sql(matched: DataFrame, entries: int) -> list[int]:
    """Counts in SQL and gives the counts in the list's order."""
    counts = np.zeros(entries, np.int64)
    found = count_entries_in_sql(matched).toPandas()
    counts[found["entry_id"]] = found["entry_count"]
    return counts.tolist()


def measure(spark: SparkSession, rows: int, entries: int, repeats: int) -> dict[str, Any]:
    """Measures the choices."""
    pool_folder, list_path = make_pool(rows, entries)
    metadata = load_metadata(str(list_path))
    pool = spark.read.parquet(str(pool_folder))
    probability = np.random.default_rng(0).random(entries) * 0.3

    def match() -> DataFrame:
        return match_pairs(pool, metadata)

    match().write.mode("overwrite").parquet(str(DATA / "matched"))
    matched = spark.read.parquet(str(DATA / "matched"))

    def sample() -> DataFrame:
        return sample_pairs(matched, probability, seed=0)

    seconds, equal = {}, {}
    for step, work in {"match": match, "sample": sample}.items():
        ways = {"map-in-arrow": partial(with_whole_rows, work), "arrow-function": work}
        if not hasattr(F, "arrow_udf"):
            del ways["arrow-function"]
        outputs = {name: str(DATA / f"{step}-{name}") for name in ways}
        sides = {name: partial(write, way, outputs[name]) for name, way in ways.items()}
        seconds[step], _ = in_turns(sides, repeats)
        first, *others = (spark.read.parquet(path) for path in outputs.values())
        equal[step] = all(first.exceptAll(other).isEmpty() and other.exceptAll(first).isEmpty() for other in others)
    return {
        **{step: {"seconds": seconds[step], "equal": equal[step]} for step in seconds},
        "count": measure_count(matched, entries, repeats),
        "input": {"rows": rows, "entries": entries},
    }


def measure_count(matched: DataFrame, entries: int, repeats: int) -> dict[str, Any]:
    """Counts in both ways, after a round that is not measured."""
    ways = {
        "reduceByKey": lambda: count_entries(matched, entries).tolist(),
        "SQL": lambda: counts_in_sql(matched, entries),
    }
    processor: dict[str, list[float]] = {name: [] for name in ways}

    def noted(name: str) -> list[int]:
        start = processor_seconds()
        counts = ways[name]()
        processor[name].append(processor_seconds() - start)
        return counts

    sides = {name: partial(noted, name) for name in ways}
    in_turns(sides, 1)
    seconds, found = in_turns(sides, repeats)
    first, *others = found.values()
    return {
        "seconds": seconds,
        "processor": {name: statistics.median(every[1:]) for name, every in processor.items()},
        "partitions": matched.rdd.getNumPartitions(),
        "equal": all(first == other for other in others),
    }


def main() -> int:
    """Runs both and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    only_count = parser.add_mutually_exclusive_group()
    only_count.add_argument("--matched", nargs="+", help="only the count is measured, over these files")
    only_count.add_argument("--count-rows", type=int, help="only the count is measured, over so many made pairs")
    options = parser.parse_args()
    spark = get_session("benchmark of choices")
    if options.count_rows:
        options.matched = [str(make_matched(options.count_rows, options.entries))]
        # As many partitions as whole pairs of this number have, of which `entry_ids` is a tenth.
        spark.conf.set("spark.sql.files.maxPartitionBytes", str(16 << 20))
    if options.matched:
        matched = spark.read.parquet(*options.matched)
        report = {"count": measure_count(matched, options.entries, options.repeats), "input": {"rows": matched.count()}}
    else:
        report = measure(spark, options.rows, options.entries, options.repeats)
    print(json.dumps(report, indent=1))
    return 0 if all(report[step]["equal"] for step in ("match", "sample", "count") if step in report) else 1


if __name__ == "__main__":
    sys.exit(main())
