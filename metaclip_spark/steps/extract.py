"""The extract step: archives, or Parquet and JSONL files with pairs, to rows of one type."""

import json
from collections.abc import Iterable, Sequence
from functools import partial

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.steps.schemas import require_columns, spark_schema
from udfs.pairs import ExtractOptions
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive

MOST_IN_PLAN = 1000
"""Archives that a plan names itself. Each task is sent the whole plan."""


def archive_paths(spark: SparkSession, paths: Sequence[ArchivePath], at_once: int = 0) -> DataFrame:
    """Makes a table of the archives: one row per partition, or `at_once` partitions, which are read at once."""
    rows = [(each.archive, each.path) for each in paths]
    partitions = min(at_once or len(rows), len(rows))
    if len(rows) > MOST_IN_PLAN:
        # A repartition of the rows would leave tasks empty.
        return spark.createDataFrame(spark.sparkContext.parallelize(rows, partitions), spark_schema(ARCHIVE_PATHS))
    # An RDD would take each task a second Python worker, which has to start.
    arrays = F.from_json(F.lit(json.dumps(rows)), "array<array<string>>")
    row = F.element_at(arrays, (F.col("id") + 1).cast("int"))
    columns = (row[place].alias(field.name) for place, field in enumerate(ARCHIVE_PATHS))
    return spark.range(0, len(rows), 1, partitions).select(*columns)


def extract_archives(
    paths: DataFrame, options: ExtractOptions, fetch_options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Extracts the image-text pairs of WARC, ARC and WAT archives; each partition reads its archives one by one.

    Args:
        paths: Columns of `udfs.schemas.ARCHIVE_PATHS`, from `archive_paths`.
        options: Limits of the parsers (bytes of a page and seconds to parse it), and the agents whose directives count.
        fetch_options: How remote stores are reached.

    Returns:
        Columns of `udfs.schemas.EXTRACTED`: the pairs, the rejects, and one row per archive with its numbers, told
        apart by `kind`.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    rows = require_columns(paths, ARCHIVE_PATHS)
    opened = partial(open_archive, options=fetch_options)

    def extract(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        from udfs.pairs.extract import extract_batches

        context = TaskContext.get()
        attempt = context.attemptNumber() if context else 0
        return extract_batches(iter(batches), options=options, open_archive=opened, attempt=attempt)

    return rows.mapInArrow(extract, spark_schema(EXTRACTED))


def read_pool_files(
    paths: DataFrame,
    *,
    url_column: str,
    text_column: str,
    language_column: str | None = None,
    fetch_options: FetchOptions = DEFAULT_OPTIONS,
) -> DataFrame:
    """Reads Parquet or JSONL files of pairs, whose texts are cleaned as an archive's are, to columns of `EXTRACTED`."""
    rows = require_columns(paths, ARCHIVE_PATHS)
    opened = partial(open_archive, options=fetch_options)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        from udfs.pairs.tables import read_pool_batches

        return read_pool_batches(
            iter(batches),
            url_column=url_column,
            text_column=text_column,
            language_column=language_column,
            open_archive=opened,
        )

    return rows.mapInArrow(read, spark_schema(EXTRACTED))
