"""Counts words, neighbours and title views over the cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel, TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.errors import InputError
from metaclip_spark.metadata_builder.wiki_dumps import DumpPart
from metaclip_spark.steps.schemas import spark_schema
from udfs.schemas import COUNT_FILES, DUMP_PARTS, VIEW_FILES, WORD_COUNTS
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive
from udfs.wikipedia.articles import ArticleRules, count_articles
from udfs.wikipedia.count_files import read_count_files
from udfs.wikipedia.page_views import ViewRules, count_views

WordCounter = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def count_article_words(
    spark: SparkSession, parts: Sequence[DumpPart], rules: ArticleRules, options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Counts the tokens and bigrams of article dumps as `WORD_COUNTS`, each key once; each part is a task."""
    rows = [(part.dump, part.path, part.start, part.end, part.pages) for part in parts]
    opener = partial(open_archive, options=options)

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        attempt = context.attemptNumber() if context else 0
        return count_articles(batches, opener=opener, rules=rules, attempt=attempt)

    return sum_by_key(_counted(spark, rows, DUMP_PARTS, count))


def count_title_views(
    spark: SparkSession,
    files: Sequence[tuple[str, str, str]],
    rules: ViewRules,
    options: FetchOptions = DEFAULT_OPTIONS,
) -> DataFrame:
    """Sums the views of titles as `WORD_COUNTS`, each key once; each of the files (name, path, form) is a task."""
    opener = partial(open_archive, options=options)
    return sum_by_key(_counted(spark, files, VIEW_FILES, partial(count_views, opener=opener, rules=rules)))


def read_ready_counts(
    spark: SparkSession, files: Sequence[tuple[str, str, str]], options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Reads ready count files, and refuses them where a count cannot be used. Triggers a Spark job.

    Args:
        spark: The session.
        files: Name, path and kind (one of `udfs.schemas.COUNTED`) of each file: Parquet with the columns of
            `udfs.wikipedia.count_files.COLUMNS_OF_COUNTS`, or tab-separated text, plain or packed. Each becomes a task.
        options: How remote stores are reached.

    Returns:
        `WORD_COUNTS`, each key once; kept on disk until the caller unpersists it.

    Raises:
        InputError: If a file has a bad line or row; the message names it.
    """
    opener = partial(open_archive, options=options)
    counts = sum_by_key(_counted(spark, files, COUNT_FILES, partial(read_count_files, opener=opener)))
    counts = counts.persist(StorageLevel.DISK_ONLY)
    bad = counts.where("kind = 'reject'").orderBy("next_word", "word").first()
    if bad is not None:
        counts.unpersist()
        raise InputError(f"{bad['next_word']}: {bad['word']}; correct the file or leave it out")
    try:
        refuse_large_sums(counts, ", ".join(name for name, _, _ in files))
    except InputError:
        counts.unpersist()
        raise
    return counts


def refuse_large_sums(counts: DataFrame, sources: str) -> None:
    """Refuses sums of `sum_by_key` of which one exceeds its type. Triggers a Spark job."""
    found = counts.where("count is null").orderBy("word", "next_word").first()
    if found is not None:
        words = " ".join(filter(None, (found["word"], found["next_word"])))
        raise InputError(
            f"{sources}: the counts of {words!a:.80} add up to more than 2^63 - 1: correct the files or leave one out"
        )


def _counted(
    spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: pa.Schema, counter: WordCounter
) -> DataFrame:
    # One row a partition, as repartition() leaves some empty.
    tasks = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)), spark_schema(schema))
    return tasks.mapInArrow(counter, spark_schema(WORD_COUNTS))


def sum_by_key(partial_counts: DataFrame) -> DataFrame:
    """Sums partial counts by key, within each worker's JVM first; a sum that does not fit its type is null.

    `refuse_large_sums` refuses those. Rows do not pass through Python, as an RDD's would.
    """
    # sum() wraps a sum that does not fit its type, or fails, as Spark is set.
    return partial_counts.groupBy("kind", "word", "next_word").agg(F.try_sum("count").alias("count"))
