"""Building metadata: megabytes of wikitext per second and core, and what millions of distinct bigrams cost.

The first part reads a dump as a worker does, on one core: unpacking, cutting, plain text, tokens, counts. The second
(`--bigrams N`) sums, joins and scores N distinct bigrams in Spark, with a limit on what may come to the driver; its
time, times 200 million / N, is the cost of English Wikipedia's order, since sums and joins by key grow with the rows (a
sort adds a few per cent). Prints one JSON object.
"""

import argparse
import bz2
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from udfs.article_counts import ArticleRules, count_articles
from udfs.fetch import open_archive
from udfs.metadata_schemas import DUMP_PARTS

ENGLISH_WIKIPEDIA_BYTES = 110e9
"""XML of pages-articles of English Wikipedia, unpacked: an assumption of the right order (some 25 GB packed)."""

DRIVER_RESULT_LIMIT = "4m"
"""What all tasks together may send to the driver; Spark fails a job that sends more."""

ENGLISH_WIKIPEDIA_BIGRAMS = 200e6
CORES = (16, 256)


def read_dump(path: str) -> dict[str, float]:
    """Counts one dump on one core; gives megabytes and seconds of processor time."""
    unpacked = len(bz2.decompress(Path(path).read_bytes()))
    row = {"dump": "dump", "path": path, "start": 0, "end": None, "pages": None}
    batch = pa.RecordBatch.from_pylist([row], schema=DUMP_PARTS)
    started = time.process_time()
    rows = sum(found.num_rows for found in count_articles([batch], opener=open_archive, rules=ArticleRules()))
    seconds = time.process_time() - started
    return {
        "megabytes": unpacked / 1e6,
        "seconds": seconds,
        "megabytes_per_second": unpacked / 1e6 / seconds,
        "rows": rows,
    }


def extrapolated(megabytes_per_second: float) -> dict[str, float]:
    """Gives the hours that English Wikipedia takes, by cores."""
    hours = ENGLISH_WIKIPEDIA_BYTES / 1e6 / megabytes_per_second / 3600
    return {"core_hours": hours, **{f"hours_on_{cores}_cores": hours / cores for cores in CORES}}


def score_many(bigrams: int) -> dict[str, float]:
    """Sums, joins and scores distinct bigrams in Spark; gives seconds and the driver's growth in megabytes."""
    from pyspark.sql import functions as F

    from metaclip_spark.bigram_pmi import reaches_pmi, score_bigrams
    from metaclip_spark.session import get_session

    spark = get_session("metaclip-spark bench-metadata", {"spark.driver.maxResultSize": DRIVER_RESULT_LIMIT})
    spark.range(10).count()
    words = max(2, int(bigrams**0.5))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    # Every pair of two word numbers comes twice, as partial counts of two tasks do.
    halves = spark.range(2 * bigrams).selectExpr(
        f"concat('w', cast(id % {bigrams} % {words} as string)) as word",
        f"concat('w', cast(cast(id % {bigrams} / {words} as long) as string)) as next_word",
        "1L as count",
    )
    pairs = halves.groupBy("word", "next_word").agg(F.sum("count").alias("count"))
    unigrams = pairs.groupBy("word").agg(F.sum("count").alias("count"))
    scored = score_bigrams(pairs, unigrams).withColumn("reached", reaches_pmi(30.0, 2 * bigrams))
    row = scored.agg(F.count("*").alias("seen"), F.count_if("reached").alias("kept"), F.max("ratio")).first()
    assert row is not None
    seconds = time.monotonic() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    cores = spark.sparkContext.defaultParallelism
    return {
        "distinct_bigrams": row["seen"],
        "seconds": seconds,
        "cores": cores,
        "driver_growth_megabytes": grown,
        "core_hours_for_200_million": seconds * cores / 3600 * ENGLISH_WIKIPEDIA_BIGRAMS / bigrams,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", default=None, help="an article dump; default: the excerpt below METACLIP_TEST_DATA")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bigrams", type=int, default=0, help="also score so many distinct bigrams in Spark")
    options = parser.parse_args(argv)
    dump = options.dump or Path(os.environ.get("METACLIP_TEST_DATA", "."), "wiki", "enwiki-206-pages.xml.bz2")
    runs = [read_dump(str(dump)) for _ in range(options.repeats)]
    best = max(runs, key=lambda run: run["megabytes_per_second"])
    report = {"id": "metadata", **best, "english_wikipedia": extrapolated(best["megabytes_per_second"])}
    if options.bigrams:
        report["bigrams"] = score_many(options.bigrams)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
