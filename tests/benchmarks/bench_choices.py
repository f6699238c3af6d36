"""The ways to count, to match and to sample, in one warm session in turns: why the steps are built as they are.

count: partial counts added up by key in Arrow batches, by an RDD's `reduceByKey`, and explode and groupBy in SQL. match
and sample: `mapInArrow` over whole rows against a scalar Arrow function (Spark 4.1 and newer) that takes what it needs.
Prints one JSON object.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.entries import load_metadata
from metaclip_spark.steps.count import count_entries, count_entries_in_sql
from metaclip_spark.steps.entry_blocks import join_blocks
from metaclip_spark.steps.match import match_pairs, ship_automaton
from metaclip_spark.steps.sample import sample_pairs
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_jobs import DATA, make_pool
from udfs.balancing.count import partial_counts
from udfs.schemas import PARTIAL_COUNTS


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


def added(left: bytes, right: bytes) -> bytes:
    """Adds two partial counts of one block."""
    return (np.frombuffer(left, "<i8") + np.frombuffer(right, "<i8")).tobytes()


def counts_by_reducing(matched: DataFrame, entries: int) -> list[int]:
    """Counts with an RDD's `reduceByKey` and gives the counts in the list's order."""
    work = partial(partial_counts, number_of_entries=entries)
    partials = matched.select("entry_ids").mapInArrow(work, spark_schema(PARTIAL_COUNTS))
    summed = partials.rdd.map(lambda row: (row.block, bytes(row.counts))).reduceByKey(added).collect()
    return join_blocks(dict(summed), entries).tolist()


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
    shipped = ship_automaton(spark, metadata, "token")
    pool = spark.read.parquet(str(pool_folder))
    probability = np.random.default_rng(0).random(entries) * 0.3

    def match() -> DataFrame:
        return match_pairs(pool, shipped, identify_language=False)

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
    """Counts in all ways."""
    seconds, found = in_turns(
        {
            "by key in Arrow": lambda: count_entries(matched, entries).tolist(),
            "reduceByKey": lambda: counts_by_reducing(matched, entries),
            "SQL": lambda: counts_in_sql(matched, entries),
        },
        repeats,
    )
    first, *others = found.values()
    return {"seconds": seconds, "equal": all(first == other for other in others)}


def main() -> int:
    """Runs both and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--matched", nargs="+", help="files of matched pairs: only the count is measured, over these")
    options = parser.parse_args()
    spark = get_session("benchmark of choices")
    if options.matched:
        matched = spark.read.parquet(*options.matched)
        report = {"count": measure_count(matched, options.entries, options.repeats), "input": {"rows": matched.count()}}
    else:
        report = measure(spark, options.rows, options.entries, options.repeats)
    print(json.dumps(report, indent=1))
    return 0 if all(report[step]["equal"] for step in ("match", "sample", "count") if step in report) else 1


if __name__ == "__main__":
    sys.exit(main())
