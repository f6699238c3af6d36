"""The extract step: archives, or Parquet and JSONL files with pairs, to rows of one type."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.steps.schemas import require_columns, spark_schema
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive

if TYPE_CHECKING:
    from udfs.pairs.extract import ExtractOptions


def archive_paths(spark: SparkSession, paths: Sequence[ArchivePath], at_once: int = 0) -> DataFrame:
    """Makes a table of the archives: one row per partition, or `at_once` partitions, which are read at once."""
    # A repartition of the rows would leave tasks empty.
    placed = spark.sparkContext.parallelize(
        [(each.archive, each.path) for each in paths], min(at_once or len(paths), len(paths))
    )
    return spark.createDataFrame(placed, spark_schema(ARCHIVE_PATHS))


def extract_archives(
    paths: DataFrame, options: "ExtractOptions", fetch_options: FetchOptions = DEFAULT_OPTIONS
) -> DataFrame:
    """Extracts the image-text pairs of WARC, ARC and WAT archives; each partition reads its archives one by one.

    Args:
        paths: Columns of `udfs.schemas.ARCHIVE_PATHS`, from `archive_paths`.
        options: Limits of the parsers: bytes of a page and seconds to parse it.
        fetch_options: How remote stores are reached.

    Returns:
        Columns of `udfs.schemas.EXTRACTED`: the pairs, the rejects, and one row per archive with its numbers, told
        apart by `kind`.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    from udfs.pairs.extract import extract_batches

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
    """Reads Parquet or JSONL files of pairs, whose texts are cleaned as an archive's are, to columns of `EXTRACTED`."""
    from udfs.pairs.tables import read_pool_batches

    rows = require_columns(paths, ARCHIVE_PATHS)
    opened = partial(open_archive, options=fetch_options)
    read = partial(read_pool_batches, url_column=url_column, text_column=text_column, open_archive=opened)
    return rows.mapInArrow(read, spark_schema(EXTRACTED))
