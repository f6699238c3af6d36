"""Parquet files that a user names, as a table."""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType

from metaclip_spark.inputs.parquet_files import ParquetFile, UserTable
from metaclip_spark.steps.arrow_udf import make_arrow_udf
from metaclip_spark.steps.schemas import spark_schema
from udfs.schemas import FILE_PARTS, URL_DIGEST
from udfs.sources import DEFAULT_OPTIONS, FetchOptions, open_archive

ROWS_OF_PART = 200_000
"""So many rows one task reads, or one row group where that has more."""

_LOW_BITS = 0xFFFFFFFF
_HALF = 32


def read_user_table(spark: SparkSession, table: UserTable, fetch_options: FetchOptions = DEFAULT_OPTIONS) -> DataFrame:
    """Reads files that a user names, from wherever they are.

    Args:
        spark: The session.
        table: The files and their columns.
        fetch_options: How remote stores are reached.

    Returns:
        The columns of the table's schema.
    """
    schema = table.schema
    opened = partial(open_archive, options=fetch_options)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.exclusion.user_tables import read_parts

        return read_parts(iter(batches), schema, opened)

    return _parts(spark, table).mapInArrow(read, spark_schema(schema))


def _parts(spark: SparkSession, table: UserTable) -> DataFrame:
    """Makes a table of what tasks are to read: a task reads one large part, or several small ones."""
    parts, places, total = [], [], 0
    for file, columns in zip(table.files, table.columns, strict=True):
        for first, groups, rows in _row_groups(file):
            parts.append((file.path, first, groups, list(columns)))
            places.append(total // ROWS_OF_PART)
            total += rows
    tasks = [[part for _, part in task] for _, task in groupby(zip(places, parts, strict=True), itemgetter(0))]
    planned = spark.sparkContext.parallelize(tasks, max(1, len(tasks))).flatMap(list)
    return spark.createDataFrame(planned, spark_schema(FILE_PARTS))


def _row_groups(file: ParquetFile) -> Iterator[tuple[int, int, int]]:
    """Cuts a file: yields the first row group of each part, how many follow, and their rows."""
    first, rows = 0, 0
    for number, more in enumerate(file.rows):
        if rows and rows + more > ROWS_OF_PART:
            yield first, number - first, rows
            first, rows = number, 0
        rows += more
    if rows:
        yield first, len(file.rows) - first, rows


def rows_digest(table: DataFrame) -> str:
    """Gives a digest of a table's rows by one pass over them: their order, and the files they lie in, do not change it.

    Two tables that differ by accident have two digests; it withstands no one who makes tables to deceive.
    """
    columns = [part for name in table.columns for part in (F.col(name).isNull(), F.col(name))]
    hashes = {"first": F.xxhash64(*columns), "second": F.xxhash64(F.lit("second"), *columns)}
    sums = [
        F.sum(half).alias(f"{name}_{place}")
        for name, value in hashes.items()
        for place, half in enumerate(_halves(value))
    ]
    found = table.agg(F.count(F.lit(1)).alias("rows"), *sums).first()
    told = {"columns": table.dtypes, "sums": [] if found is None else list(found)}
    return sha256(json.dumps(told).encode()).hexdigest()


def _halves(number: Column) -> tuple[Column, Column]:
    """Cuts 64 bits into two numbers that are not negative, whose sums stay within 64 bits."""
    return number.bitwiseAND(F.lit(_LOW_BITS)), F.shiftrightunsigned(number, _HALF)


def with_url_digest(table: DataFrame, column: str = "image_url") -> DataFrame:
    """Adds the digest of the key of each row's URL, which URLs of one image have in common."""

    def digests(urls: pa.Array) -> pa.Array:
        from udfs.exclusion.user_tables import url_digests

        return url_digests(urls)

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.exclusion.user_tables import url_digests

        for batch in batches:
            yield batch.append_column(URL_DIGEST, url_digests(batch.column(column)))

    find = make_arrow_udf(digests, BinaryType())
    if find is not None:
        return table.withColumn(URL_DIGEST, find(column))
    return table.mapInArrow(add, StructType([*table.schema, StructField(URL_DIGEST, BinaryType())]))
