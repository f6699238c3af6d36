"""A second draw over the survivors of a first one, against the set that a download of all pairs would have given.

A pool as in bench_scale is matched, a first run draws with a large t, and a quarter of all pairs turns out dead. Then
three curated sets are drawn with one smaller t: of all living pairs (the ideal), of the survivors with estimated
counts, and of the survivors counted as they are. Prints one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.balance import entry_probabilities, size_bound
from metaclip_spark.entries import load_metadata
from metaclip_spark.steps.count import count_entries, estimate_counts
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.steps.sample import expect, sample_pairs
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.steps.thresholds import choose_threshold
from metaclip_spark.stores.session import get_session
from tests.benchmarks.bench_jobs import DATA
from tests.benchmarks.bench_scale import make_pool
from udfs.schemas import CURATED, ELIGIBLE, MATCHED, PAIRS

SEED = 0
LARGEST_ENTRIES = 6
MANY_PAIRS = 1_000
"""An entry with so many curated pairs is compared by itself; of fewer, chance alone moves more than the bar."""

BAR = 0.02
"""How far the pairs of a head entry may be from the ideal's."""

Sizes = dict[str, float | int]


def make_matched(spark: SparkSession, folder: Path, pairs: int, entries: int) -> tuple[DataFrame, int]:
    """Matches the pool, which is made where it is not there; gives the matched pairs and the number of entries."""
    if not (folder / "metadata.txt").exists():
        make_pool(folder, pairs, entries)
    metadata = load_metadata(str(folder / "metadata.txt"))
    target = folder / "matched-pairs"
    if not (target / "_SUCCESS").exists():
        pool = spark.read.parquet(str(folder / "pool"))
        known = {
            "pair_id": F.md5(F.concat_ws("\0", "url", "text")),
            "image_url": F.col("url"),
            "alt_text": F.col("text"),
        }
        columns = [
            known.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name) for field in spark_schema(PAIRS)
        ]
        match_pairs(pool.select(columns), metadata).write.mode("overwrite").parquet(str(target))
    return spark.read.parquet(str(target)).select(MATCHED.names), len(metadata.entries)


def is_alive(share_lost: float) -> Column:
    """Tells whether a pair survives the download: a function of its id that the draw does not know."""
    return F.pmod(F.xxhash64("pair_id"), F.lit(10_000)) >= round(share_lost * 10_000)


def stored(table: DataFrame, folder: Path, names: list[str]) -> DataFrame:
    """Writes a table and reads it."""
    table.write.mode("overwrite").parquet(str(folder))
    return table.sparkSession.read.parquet(str(folder)).select(names)


def compared(kept: NDArray[np.int64], ideal: NDArray[np.int64], head: NDArray[np.int64]) -> dict[str, Any]:
    """Compares the curated pairs of head entries, in the order of falling counts, with the ideal's."""
    large = head[ideal[head] >= MANY_PAIRS]
    difference = (kept[large] - ideal[large]) / ideal[large]
    return {
        "entries with many pairs": large.size,
        "largest": difference[:LARGEST_ENTRIES].round(5).tolist(),
        "median of distances": round(float(np.median(np.abs(difference))), 5) if large.size else None,
        "largest distance": round(float(np.abs(difference).max()), 5) if large.size else None,
        "entries beyond the bar": int((np.abs(difference) > BAR).sum()),
        "all head entries together": round(float(kept[head].sum() / ideal[head].sum() - 1), 5),
    }


def measure(
    spark: SparkSession, folder: Path, *, pairs: int, entries: int, shares: tuple[float, float], lost: float
) -> dict[str, Any]:
    """Makes the three curated sets.

    Args:
        spark: The session.
        folder: Where pool and tables lie.
        pairs: Pairs of the pool.
        entries: Entries of the list.
        shares: What the first draw keeps of all matched pairs, and what the second one keeps of them.
        lost: The share of pairs that cannot be downloaded.
    """
    begin = time.perf_counter()
    matched, number = make_matched(spark, folder, pairs, entries)
    first_counts = count_entries(matched, number)
    matched_pairs = matched.count()
    first_t = choose_threshold(first_counts, matched, tail_share=None, target_pairs=round(shares[0] * matched_pairs))
    first_probabilities = entry_probabilities(first_counts, first_t)
    attempted = stored(sample_pairs(matched, first_probabilities, seed=SEED), folder / "attempted", CURATED.names)

    living = stored(matched.where(is_alive(lost)), folder / "living", MATCHED.names)
    counts = count_entries(living, number)
    t = choose_threshold(counts, living, tail_share=None, target_pairs=round(shares[1] * matched_pairs))
    survivors = attempted.where(is_alive(lost)).withColumnRenamed("keep_probability", "first_keep_probability")
    estimates = estimate_counts(survivors.select(ELIGIBLE.names), number)
    plain = survivors.select(MATCHED.names)
    sides = {
        "ideal": (living, counts),
        "estimated": (survivors.select(ELIGIBLE.names), estimates.counts),
        "naive": (plain, count_entries(plain, number)),
    }
    head = np.flatnonzero(counts > t)
    head = head[np.argsort(-counts[head], kind="stable")]
    sizes: dict[str, Sizes] = {}
    kept_of: dict[str, NDArray[np.int64]] = {}
    for name, (table, its_counts) in sides.items():
        probabilities = entry_probabilities(its_counts, t)
        expected, _ = expect(table, probabilities)
        kept = stored(sample_pairs(table, probabilities, seed=SEED), folder / f"curated-{name}", CURATED.names)
        kept_of[name] = count_entries(kept, number)
        sizes[name] = {
            "pairs": kept.count(),
            "expected": round(expected.size, 1),
            "bound": round(size_bound(expected.variance), 1),
            "capped": expected.capped,
        }
    ideal = spark.read.parquet(str(folder / "curated-ideal")).select("pair_id")
    again = spark.read.parquet(str(folder / "curated-estimated")).select("pair_id")
    estimated = head[estimates.errors[head] > 0]
    deviation = (estimates.counts - counts)[estimated] / estimates.errors[estimated]
    within = abs(sizes["estimated"]["pairs"] - sizes["ideal"]["expected"]) <= sizes["ideal"]["bound"]
    return {
        "input": {"pairs": pairs, "entries": entries, "matched": matched_pairs, "lost": lost},
        "first draw": {"t": first_t, "attempted": attempted.count(), "survived": survivors.count()},
        "t": t,
        "head entries": head.size,
        "sizes": sizes,
        "in both": ideal.join(again, "pair_id").count(),
        "within the bound of the ideal": within,
        "estimates, in standard errors": {
            "mean": round(float(deviation.mean()), 3),
            "deviation": round(float(deviation.std()), 3),
        },
        "head": {name: compared(kept_of[name], kept_of["ideal"], head) for name in ("estimated", "naive")},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--first-share", type=float, default=0.5, help="of the matched pairs, drawn at first")
    parser.add_argument("--share", type=float, default=0.2, help="of the matched pairs, drawn in the end")
    parser.add_argument("--lost", type=float, default=0.25)
    options = parser.parse_args()
    folder = DATA / f"scale-{options.pairs}-{options.entries}"
    shares = (options.first_share, options.share)
    report = measure(
        get_session("benchmark of the second draw"),
        folder,
        pairs=options.pairs,
        entries=options.entries,
        shares=shares,
        lost=options.lost,
    )
    print(json.dumps(report, indent=1))
    beyond = report["head"]["estimated"]["entries beyond the bar"]
    return 0 if report["within the bound of the ideal"] and not beyond else 1


if __name__ == "__main__":
    sys.exit(main())
