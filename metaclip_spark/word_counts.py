"""Counts words, neighbours and title views over the cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.errors import InputError
from metaclip_spark.schemas import spark_schema
from metaclip_spark.wiki_dumps import DumpPart
from udfs.article_counts import ArticleRules, count_articles
from udfs.count_files import read_count_files
from udfs.fetch import open_archive
from udfs.metadata_schemas import COUNT_FILES, DUMP_PARTS, VIEW_FILES, WORD_COUNTS
from udfs.page_views import ViewRules, count_views

WordCounter = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]

COLUMNS_OF_COUNTS = {
    "unigram": ("word", "count"),
    "bigram": ("word", "next_word", "count"),
    "title": ("title", "views"),
}
"""The columns of a ready count file in Parquet, by what it counts."""


def count_article_words(spark: SparkSession, parts: Sequence[DumpPart], rules: ArticleRules) -> DataFrame:
    """Counts the tokens and bigrams of article dumps.

    Args:
        spark: The session.
        parts: The dumps, cut into parts; each becomes a task.
        rules: Which pages count.

    Returns:
        `WORD_COUNTS`, each key once.
    """
    rows = [(part.dump, part.path, part.start, part.end, part.pages) for part in parts]
    return _summed(_counted(spark, rows, DUMP_PARTS, partial(count_articles, opener=open_archive, rules=rules)))


def count_title_views(spark: SparkSession, files: Sequence[tuple[str, str, str]], rules: ViewRules) -> DataFrame:
    """Sums the views of titles.

    Args:
        spark: The session.
        files: Name, path and form of each dump; each becomes a task.
        rules: Which lines count.

    Returns:
        `WORD_COUNTS`, each key once.
    """
    return _summed(_counted(spark, files, VIEW_FILES, partial(count_views, opener=open_archive, rules=rules)))


def read_ready_counts(spark: SparkSession, files: Sequence[Path], kind: str) -> DataFrame:
    """Reads ready count files, and refuses them where a count cannot be used. Triggers a Spark job.

    Args:
        spark: The session.
        files: Tab-separated text, plain or packed, or Parquet with the columns of `COLUMNS_OF_COUNTS`.
        kind: What they count, one of `udfs.metadata_schemas.COUNTED`.

    Returns:
        `WORD_COUNTS`, each key once.

    Raises:
        InputError: If a file has a bad line or row; the message names it.
    """
    texts = [(file.name, str(file), kind) for file in files if file.suffix != ".parquet"]
    tables = [_read_parquet_counts(spark, file, kind) for file in files if file.suffix == ".parquet"]
    if texts:
        tables.append(_counted(spark, texts, COUNT_FILES, partial(read_count_files, opener=open_archive)))
    counts = tables[0]
    for table in tables[1:]:
        counts = counts.unionByName(table)
    bad = counts.where("kind = 'reject'").orderBy("next_word", "word").first()
    if bad is not None:
        raise InputError(f"{bad['next_word']}: {bad['word']}; correct the file or leave it out")
    return _summed(counts)


def _read_parquet_counts(spark: SparkSession, file: Path, kind: str) -> DataFrame:
    table = spark.read.parquet(str(file))
    types = dict(table.dtypes)
    # Sums of page views that an earlier build stored have the columns of unigrams.
    *words, count = columns = COLUMNS_OF_COUNTS["unigram" if kind == "title" and "word" in types else kind]
    wrong = [name for name in words if types.get(name) != "string"]
    wrong += [] if types.get(count) in {"bigint", "int"} else [count]
    if wrong:
        raise InputError(f"{file} lacks the columns {', '.join(wrong)}: it must hold {', '.join(columns)}")
    bad = table.where(" or ".join([f"{count} < 0", *(f"{name} is null" for name in columns)])).orderBy(*columns).first()
    if bad is not None:
        raise InputError(f"{file} has the row {bad.asDict()}: counts must be at least 0 and nothing may be null")
    next_word = F.col("next_word") if kind == "bigram" else F.lit(None).cast("string")
    return table.select(
        F.lit(kind).alias("kind"),
        F.col(words[0]).alias("word"),
        next_word.alias("next_word"),
        F.col(count).cast("bigint").alias("count"),
    )


def _counted(
    spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: pa.Schema, counter: WordCounter
) -> DataFrame:
    # One row a partition, as repartition() leaves some empty.
    tasks = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)), spark_schema(schema))
    return tasks.mapInArrow(counter, spark_schema(WORD_COUNTS))


def _summed(partial_counts: DataFrame) -> DataFrame:
    """Sums by key: `reduceByKey` in the form that sums in each worker's JVM first and keeps rows out of Python."""
    return partial_counts.groupBy("kind", "word", "next_word").agg(F.sum("count").alias("count"))
