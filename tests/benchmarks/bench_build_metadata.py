"""Building metadata: megabytes of wikitext per second and core, and what millions of distinct bigrams cost.

The first part reads a dump as a worker does, on one core: unpacking, cutting, plain text, tokens, counts. The second
(`--bigrams N`) sums, joins and scores N distinct bigrams in Spark, with a limit on what may come to the driver; its
time, times 200 million / N, is the cost of English Wikipedia's order, since sums and joins by key grow with the rows (a
sort adds a few per cent). `--sums N` sums N partial counts by an RDD's `reduceByKey` and by the DataFrame that the job
uses, in turn. `--memory N M` runs the whole job on N and on M distinct bigrams with the driver apart from the executor,
and reads the driver's heap after collections and the resident memory of its JVM and its Python (needs `jcmd`). Prints
one JSON object.
"""

import argparse
import bz2
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.metadata_builder.word_counts import sum_by_key
from udfs.schemas import DUMP_PARTS, WORD_COUNTS
from udfs.sources import open_archive
from udfs.wikipedia.articles import ArticleRules, count_articles
from udfs.wikipedia.ngrams import count_batches

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

    from metaclip_spark.metadata_builder.bigram_pmi import reaches_pmi, score_bigrams
    from metaclip_spark.stores.session import get_session

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


def partial_counts(task: int, rows: int) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Gives what one task has counted: distinct keys, of which every other task has half."""
    first = task // 2 * rows + task % 2 * (rows // 2)
    return ((("bigram", f"word{key % 1009}", f"next{key // 1009}"), 1) for key in range(first, first + rows))


def partial_batches(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same as `WORD_COUNTS`, as the workers give it."""
    for batch in batches:
        for task in batch.column("id").to_pylist():
            keyed = ((words[1:], count) for words, count in partial_counts(task, rows))
            yield from count_batches("bigram", Counter(dict(keyed)))


def compare_sums(rows: int, repeats: int) -> dict[str, float | list[float]]:
    """Sums partial counts by `reduceByKey` and by a DataFrame's groupBy, in turn; gives the seconds of each."""
    from operator import add

    from pyspark.sql import functions as F

    from metaclip_spark.steps.schemas import spark_schema
    from metaclip_spark.stores.session import get_session

    spark = get_session("metaclip-spark bench-metadata")
    tasks, per_task = 8, rows // 8
    spark.sql(f"set spark.sql.shuffle.partitions={tasks}")
    columns = spark_schema(WORD_COUNTS)

    def by_key() -> tuple[int, int]:
        pairs = spark.sparkContext.parallelize(range(tasks), tasks).flatMap(lambda task: partial_counts(task, per_task))
        counted = pairs.reduceByKey(add, tasks).map(lambda pair: (1, pair[1]))
        return counted.reduce(lambda one, other: (one[0] + other[0], one[1] + other[1]))

    def by_frame() -> tuple[int, int]:
        batches = spark.range(0, tasks, 1, tasks).mapInArrow(partial(partial_batches, rows=per_task), columns)
        row = sum_by_key(batches).agg(F.count("*").alias("keys"), F.sum("count").alias("total")).first()
        return row["keys"], row["total"]

    seconds: dict[str, list[float]] = {"reduce_by_key": [], "data_frame": []}
    for _ in range(repeats):
        found = set()
        for name, way in (("reduce_by_key", by_key), ("data_frame", by_frame)):
            started = time.monotonic()
            found.add(way())
            seconds[name].append(round(time.monotonic() - started, 2))
        assert len(found) == 1, found
    return {"rows": rows, **seconds, "ratio": min(seconds["reduce_by_key"]) / min(seconds["data_frame"])}


def write_bigram_counts(folder: Path, bigrams: int, files: int = 8) -> list[str]:
    """Writes ready counts of distinct bigrams and their words; gives the options that name them."""
    words = max(2, int(bigrams**0.5))
    (folder / "pairs").mkdir(parents=True)
    for number in range(files):
        ids = range(number * bigrams // files, (number + 1) * bigrams // files)
        pairs = {"word": [f"w{key % words}" for key in ids], "next_word": [f"w{key // words}" for key in ids]}
        pq.write_table(pa.table({**pairs, "count": [2] * len(ids)}), folder / "pairs" / f"{number}.parquet")
    singles = {"word": [f"w{key}" for key in range(words + 3)], "count": [2 * words + 6] * (words + 3)}
    pq.write_table(pa.table(singles), folder / "words.parquet")
    return ["--unigram-counts", str(folder / "words.parquet"), "--bigram-counts", str(folder / "pairs")]


def driver_memory(sizes: Sequence[int]) -> dict[str, dict[str, int]]:
    """Builds lists from so many distinct bigrams with the driver apart from the executor; gives its peaks in bytes."""
    from tests.benchmarks.bench_driver_memory import CHECKOUT, measure

    peaks = {}
    with tempfile.TemporaryDirectory() as scratch:
        for bigrams in sizes:
            folder = Path(scratch) / str(bigrams)
            job = [*write_bigram_counts(folder, bigrams), "--output", str(folder / "list")]
            script = CHECKOUT / "jobs" / "build_metadata.py"
            started = time.monotonic()
            peaks[str(bigrams)] = measure(script, job, folder / "gc.log", "local-cluster[1,1,2048]")
            peaks[str(bigrams)]["seconds"] = round(time.monotonic() - started)
    return peaks


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", default=None, help="an article dump; default: the excerpt below METACLIP_TEST_DATA")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bigrams", type=int, default=0, help="also score so many distinct bigrams in Spark")
    parser.add_argument("--sums", type=int, default=0, help="also sum so many partial counts in two ways")
    parser.add_argument("--memory", type=int, nargs="+", default=[], help="also the driver's memory, by bigrams")
    options = parser.parse_args(argv)
    dump = options.dump or Path(os.environ.get("METACLIP_TEST_DATA", "."), "wiki", "enwiki-206-pages.xml.bz2")
    runs = [read_dump(str(dump)) for _ in range(options.repeats)]
    best = max(runs, key=lambda run: run["megabytes_per_second"])
    report = {"id": "metadata", **best, "english_wikipedia": extrapolated(best["megabytes_per_second"])}
    if options.bigrams:
        report["bigrams"] = score_many(options.bigrams)
    if options.sums:
        report["sums"] = compare_sums(options.sums, options.repeats)
    if options.memory:
        report["driver_memory"] = driver_memory(options.memory)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
