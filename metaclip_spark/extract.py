"""The extract step: archives, or files with pairs, to rows of one type."""

from functools import partial

from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.schemas import require_columns, spark_schema
from udfs.extract import ExtractOptions, extract_batches
from udfs.pool_files import read_pool_batches
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED


def archive_paths(spark: SparkSession, paths: list[tuple[str, str]]) -> DataFrame:
    """Places archives on the cluster, one to a task.

    Args:
        spark: The session.
        paths: (archive, path).

    Returns:
        Columns of `ARCHIVE_PATHS`, one row to a partition: a repartition of the rows would leave tasks empty.
    """
    placed = spark.sparkContext.parallelize(paths, len(paths))
    return spark.createDataFrame(placed, spark_schema(ARCHIVE_PATHS))


def extract_archives(paths: DataFrame, options: ExtractOptions) -> DataFrame:
    """Extracts the pairs of WARC, ARC and WAT archives.

    Args:
        paths: Columns of `ARCHIVE_PATHS`.
        options: Limits of the parsers.

    Returns:
        Columns of `EXTRACTED`: the pairs, the rejects, and one row per archive with its numbers.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    rows = require_columns(paths, ARCHIVE_PATHS)
    return rows.mapInArrow(partial(extract_batches, options=options), spark_schema(EXTRACTED))


def read_pool_files(paths: DataFrame, *, url_column: str, text_column: str) -> DataFrame:
    """Reads pairs that were extracted before.

    Args:
        paths: Columns of `ARCHIVE_PATHS`: Parquet or JSONL files.
        url_column: Their column with the image's URL.
        text_column: Their column with the alternative text; it is cleaned as an archive's texts are.

    Returns:
        Columns of `EXTRACTED`, as `extract_archives`.

    Raises:
        SchemaMismatchError: If `paths` lacks a column.
    """
    rows = require_columns(paths, ARCHIVE_PATHS)
    read = partial(read_pool_batches, url_column=url_column, text_column=text_column)
    return rows.mapInArrow(read, spark_schema(EXTRACTED))
