"""Settings of the session and the order of the steps, each beside its alternatives: why they are as they are.

One warm session, all ways of a question in turns on one input; wall seconds with reading and writing, bytes on disk,
and bytes that cross the shuffle. Prints one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.entries import Metadata, load_metadata
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_choices import in_turns, write
from tests.benchmarks.bench_jobs import DATA, make_half_matching_pool
from tests.benchmarks.run_benchmarks import machine

BATCH_ROWS = ("4096", "10000", "16384", "65536")
ZSTD_LEVELS = ("1", "3", "6")
PARTITIONS = 16
WITHOUT_DICTIONARY = {f"parquet.enable.dictionary#{column}": "false" for column in ("pair_id", "image_url")}
PACKAGES = ("pyspark", "pyarrow", "numba")


def with_setting(spark: SparkSession, name: str, value: str, work: Callable[[], None]) -> None:
    """Works under a setting of the session, and puts back what was there."""
    before = spark.conf.get(name)
    spark.conf.set(name, value)
    try:
        work()
    finally:
        spark.conf.set(name, before)


def shuffled_bytes(spark: SparkSession) -> int:
    """Gives what all tasks of the session have written to shuffles."""
    context = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    summaries = context.statusStore().executorList(False)
    return sum(summaries.apply(place).totalShuffleWrite() for place in range(summaries.size()))


def bytes_of(path: str) -> int:
    """Gives the bytes of a table."""
    return sum(part.stat().st_size for part in Path(path).glob("*.parquet"))


def write_with(table: DataFrame, path: str, options: dict[str, str]) -> None:
    """Writes a table with options of Parquet."""
    table.write.mode("overwrite").options(**options).parquet(path)


def distinct_rows(table: DataFrame) -> DataFrame:
    """Removes duplicates in the manner of `deduplicate_pairs`, whatever the other columns and the type of the id."""
    rest = [name for name in table.columns if name not in {"pair_id", "archive", "record_offset", "image_index"}]
    order = F.struct("archive", "record_offset", "image_index", *rest)
    distinct = table.repartition(PARTITIONS, "pair_id").groupBy("pair_id").agg(F.min(order).alias("smallest"))
    return distinct.select("pair_id", "smallest.*").sortWithinPartitions("pair_id")


def with_copies(pool: DataFrame, copies: int) -> DataFrame:
    """Gives raw pairs: each pair of a pool as often as `copies` says, from other pages."""
    copied = pool.withColumn("copy", F.explode(F.sequence(F.lit(1), F.lit(copies))))
    page = F.concat("page_url", F.lit("/"), F.col("copy").cast("string"))
    offset = F.col("record_offset") * copies + F.col("copy")
    placed = copied.withColumn("page_url", page).withColumn("record_offset", offset)
    return placed.repartition(PARTITIONS, "record_offset").select(pool.columns)


def measure_writing(table: DataFrame, repeats: int) -> dict[str, Any]:
    """Compression levels and dictionaries: seconds and bytes of a copy."""
    ways = {f"zstd {level}": {"parquet.compression.codec.zstd.level": level} for level in ZSTD_LEVELS}
    ways["without dictionaries of ids and URLs"] = WITHOUT_DICTIONARY
    paths = {name: str(DATA / f"written-{place}") for place, name in enumerate(ways)}
    sides = {name: partial(write_with, table, paths[name], options) for name, options in ways.items()}
    seconds, _ = in_turns(sides, repeats)
    return {"seconds": seconds, "bytes": {name: bytes_of(path) for name, path in paths.items()}}


def measure_matching(spark: SparkSession, pool: DataFrame, metadata: Metadata, repeats: int) -> dict[str, Any]:
    """Rows of an Arrow batch: seconds of the match step."""

    def match() -> None:
        write(lambda: match_pairs(pool, metadata), str(DATA / "matched"))

    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    seconds, _ = in_turns({value: partial(with_setting, spark, name, value, match) for value in BATCH_ROWS}, repeats)
    return {"seconds": seconds}


def measure_deduplication(spark: SparkSession, raw: DataFrame, metadata: Metadata, repeats: int) -> dict[str, Any]:
    """Before or after matching; alone with the pair id as text or as bytes, and without adaptive execution.

    Before: the pool is written and read, as the job does.
    """
    outputs = {name: str(DATA / f"distinct-{name}") for name in ("before", "after", "pool", "alone")}

    def before() -> None:
        write(lambda: distinct_rows(raw), outputs["pool"])
        pool = spark.read.parquet(outputs["pool"])
        write(lambda: match_pairs(pool.select(raw.columns), metadata), outputs["before"])

    def after() -> None:
        write(lambda: distinct_rows(match_pairs(raw, metadata)), outputs["after"])

    def alone(table: DataFrame) -> None:
        write(lambda: distinct_rows(table), outputs["alone"])

    as_bytes = raw.withColumn("pair_id", F.unhex("pair_id"))
    ways = {
        "before matching": before,
        "after matching": after,
        "alone": partial(alone, raw),
        "alone, id as bytes": partial(alone, as_bytes),
        "alone, not adaptive": partial(with_setting, spark, "spark.sql.adaptive.enabled", "false", partial(alone, raw)),
    }
    shuffled: dict[str, int] = {}

    def noted(name: str) -> None:
        start = shuffled_bytes(spark)
        ways[name]()
        shuffled[name] = shuffled_bytes(spark) - start

    seconds, _ = in_turns({name: partial(noted, name) for name in ways}, repeats)
    first, second = (spark.read.parquet(outputs[name]) for name in ("before", "after"))
    sides = (first, second.select(first.columns))
    pairs = raw.count()
    return {
        "seconds": seconds,
        "shuffled bytes of a raw pair": {name: number / pairs for name, number in shuffled.items()},
        "raw pairs": pairs,
        "matched pairs": first.count(),
        "equal": all(one.exceptAll(two).isEmpty() for one, two in (sides, sides[::-1])),
    }


def measure(spark: SparkSession, rows: int, entries: int, copies: int, repeats: int) -> dict[str, Any]:
    """Measures all of it.

    Args:
        spark: The session.
        rows: Distinct pairs, half of which match.
        entries: Length of the metadata list.
        copies: Raw pairs of each distinct pair.
        repeats: Rounds.
    """
    folder, list_path = make_half_matching_pool(rows, entries)
    metadata = load_metadata(str(list_path))
    pool = spark.read.parquet(str(folder))
    raw_path = str(DATA / f"raw-{rows}-{copies}")
    with_copies(pool, copies).write.mode("overwrite").parquet(raw_path)
    return {
        "input": {"rows": rows, "entries": entries, "copies": copies},
        "machine": machine(),
        "versions": {package: version(package) for package in PACKAGES},
        "match": measure_matching(spark, pool, metadata, repeats),
        "write": measure_writing(pool, repeats),
        "deduplicate": measure_deduplication(spark, spark.read.parquet(raw_path), metadata, repeats),
    }


def main() -> int:
    """Measures and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="distinct pairs")
    parser.add_argument("--copies", type=int, default=5, help="raw pairs of each: cc2dataset found 40 billion for 8")
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spark = get_session("benchmark of settings")
    report = measure(spark, options.rows, options.entries, options.copies, options.repeats)
    print(json.dumps(report, indent=1))
    return 0 if report["deduplicate"]["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
