"""Two ways to count and two ways to match, in one warm session in turns: why the steps are built as they are.

count: `reduceByKey` over partial counts against explode and groupBy in SQL. match: `mapInArrow` over whole rows against
a scalar Arrow function (Spark 4.1 and newer) that takes the text alone. Prints one JSON object.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.count import count_entries, count_entries_in_sql
from metaclip_spark.match import match_pairs, ship_automaton
from metaclip_spark.metadata import load_metadata
from metaclip_spark.session import get_session
from tests.benchmarks.bench_jobs import DATA, make_pool
from udfs.automaton import load_engine


def with_arrow_function(pool: DataFrame, engine: str, file_name: str, digest: str) -> DataFrame:
    """Matches with a scalar Arrow function; the other columns stay in the JVM."""

    @F.arrow_udf("array<int>")
    def entry_ids(texts: pa.Array) -> pa.Array:
        return load_engine(engine, SparkFiles.get(file_name), digest).match(texts)

    return pool.withColumn("entry_ids", entry_ids("alt_text")).where(F.size("entry_ids") > 0)


def in_turns(sides: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Runs both ways in turns; gives the medians of their wall seconds and what each found last."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found = {}
    for _ in range(repeats):
        for name, side in sides.items():
            begin = time.perf_counter()
            found[name] = side()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(every) for name, every in seconds.items()}, found


def counts_in_sql(matched: DataFrame, entries: int) -> list[int]:
    """Counts in SQL and gives the counts in the list's order."""
    counts = [0] * entries
    for row in count_entries_in_sql(matched).toPandas().itertuples():
        counts[row.entry_id] = row.entry_count
    return counts


def measure(spark: SparkSession, rows: int, entries: int, repeats: int) -> dict[str, Any]:
    """Measures both choices."""
    pool_folder, list_path = make_pool(rows, entries)
    metadata = load_metadata(str(list_path))
    shipped = ship_automaton(spark, metadata, "token")
    pool = spark.read.parquet(str(pool_folder))
    outputs = {name: str(DATA / name) for name in ("map-in-arrow", "arrow-function")}

    def write(name: str, matched: DataFrame) -> None:
        matched.write.mode("overwrite").parquet(outputs[name])

    ways = {"map-in-arrow": lambda: write("map-in-arrow", match_pairs(pool, shipped, identify_language=False))}
    if hasattr(F, "arrow_udf"):
        ways["arrow-function"] = lambda: write(
            "arrow-function",
            with_arrow_function(pool, shipped.engine, shipped.file_name, shipped.metadata_digest),
        )
    match, _ = in_turns(ways, repeats)
    tables = {name: spark.read.parquet(outputs[name]).select("pair_id", "entry_ids") for name in ways}
    first, *others = tables.values()
    matched = spark.read.parquet(outputs["map-in-arrow"])
    count, found = in_turns(
        {
            "reduceByKey": lambda: count_entries(matched, entries).tolist(),
            "SQL": lambda: counts_in_sql(matched, entries),
        },
        repeats,
    )
    return {
        "match": {"seconds": match, "equal": all(first.exceptAll(other).isEmpty() for other in others)},
        "count": {"seconds": count, "equal": found["reduceByKey"] == found["SQL"]},
        "input": {"rows": rows, "entries": entries},
    }


def main() -> int:
    """Runs both and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    report = measure(get_session("benchmark of choices"), options.rows, options.entries, options.repeats)
    print(json.dumps(report, indent=1))
    return 0 if report["match"]["equal"] and report["count"]["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
