"""The extract step: archives, or files with pairs, to rows of one type."""

from collections.abc import Iterable, Sequence
from functools import partial

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.steps.schemas import require_columns, spark_schema
from udfs.pairs.extract import ExtractOptions, extract_batches
from udfs.pairs.tables import read_pool_batches
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive


def archive_paths(spark: SparkSession, paths: Sequence[ArchivePath], at_once: int = 0) -> DataFrame:
    """Places archives on the cluster, one to a task.

    Args:
        spark: The session.
        paths: (archive, path).
        at_once: Archives that are read at once, at most; 0 for one on each core.

    Returns:
        Columns of `ARCHIVE_PATHS`, one row to a partition: a repartition of the rows would leave tasks empty. With
        `at_once` there are so many partitions, each of which reads its archives one after another.
    """
    placed = spark.sparkContext.parallelize(
        [(each.archive, each.path) for each in paths], min(at_once or len(paths), len(paths))
    )
    return spark.createDataFrame(placed, spark_schema(ARCHIVE_PATHS))


def extract_archives(
    paths: DataFrame, options: ExtractOptions, fetch_options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Extracts the pairs of WARC, ARC and WAT archives.

    Args:
        paths: Columns of `ARCHIVE_PATHS`.
        options: Limits of the parsers.
        fetch_options: How remote stores are reached.

    Returns:
        Columns of `EXTRACTED`: the pairs, the rejects, and one row per archive with its numbers.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    rows = require_columns(paths, ARCHIVE_PATHS)
    opened = partial(open_archive, options=fetch_options)

    def extract(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        context = TaskContext.get()
        attempt = context.attemptNumber() if context else 0
        return extract_batches(iter(batches), options=options, open_archive=opened, attempt=attempt)

    return rows.mapInArrow(extract, spark_schema(EXTRACTED))


def read_pool_files(
    paths: DataFrame, *, url_column: str, text_column: str, fetch_options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Reads pairs that were extracted before.

    Args:
        paths: Columns of `ARCHIVE_PATHS`: Parquet or JSONL files.
        url_column: Their column with the image's URL.
        text_column: Their column with the alternative text; it is cleaned as an archive's texts are.
        fetch_options: How remote stores are reached.

    Returns:
        Columns of `EXTRACTED`, as `extract_archives`.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    rows = require_columns(paths, ARCHIVE_PATHS)
    opened = partial(open_archive, options=fetch_options)
    read = partial(read_pool_batches, url_column=url_column, text_column=text_column, open_archive=opened)
    return rows.mapInArrow(read, spark_schema(EXTRACTED))
