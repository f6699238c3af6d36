"""The sample step: the second pass, which draws each matched pair independently of all others."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.balance import ExpectedSize
from metaclip_spark.schemas import require_columns, spark_schema
from udfs.sample import expected_size_batches, sample_batches
from udfs.schemas import CURATED, MATCHED, SIZE_SUMS


def expected_size(matched: DataFrame, entry_probability: NDArray[np.float64]) -> ExpectedSize:
    """Computes the curated set's expected size before it is drawn; triggers a Spark job that reads `entry_ids` only.

    Args:
        matched: Pairs that passed the language gate, with `entry_ids`.
        entry_probability: Shape (entries,).

    Returns:
        Number of pairs, expected size and variance. All sums are of integers, so partitioning cannot change them.
    """
    shipped = matched.sparkSession.sparkContext.broadcast(entry_probability)

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return expected_size_batches(iter(batches), entry_probability=shipped.value)

    partial_sums = matched.select("entry_ids").mapInArrow(sums, spark_schema(SIZE_SUMS))
    # A sum of bigint wraps around beyond 2^63, which 2^31 pairs reach in units of 2^-32.
    wide = [F.sum(F.col(name).cast("decimal(38,0)")).alias(name) for name in SIZE_SUMS.names]
    row = partial_sums.agg(*wide).first()
    shipped.unpersist()
    pairs, expected, variance = (int(value or 0) for value in row) if row else (0, 0, 0)
    return ExpectedSize(pairs=pairs, expected_units=expected, variance_units=variance)


def sample_pairs(matched: DataFrame, entry_probability: NDArray[np.float64], seed: int) -> DataFrame:
    """Keeps each pair with its keep probability.

    Args:
        matched: Pairs that passed the language gate, columns of `MATCHED`.
        entry_probability: Shape (entries,).
        seed: Seed of the draws; the draw of a pair depends on nothing but the seed and its pair_id.

    Returns:
        Columns of `CURATED`.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    shipped = matched.sparkSession.sparkContext.broadcast(entry_probability)

    def sample(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return sample_batches(iter(batches), entry_probability=shipped.value, seed=seed)

    return require_columns(matched, MATCHED).mapInArrow(sample, spark_schema(CURATED))
