"""The count step: in how many pairs of the pool each metadata entry occurs."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.schemas import spark_schema
from udfs.count import BLOCK_SIZE, add_counts, partial_counts
from udfs.schemas import PARTIAL_COUNTS
from udfs.shares import SHARE_UNITS, partial_shares


def count_entries(matched: DataFrame, number_of_entries: int) -> NDArray[np.int64]:
    """Counts entries over the cluster; triggers a Spark job.

    Workers count their partitions with numpy, then `reduceByKey` adds the partial counts of each block of entry ids:
    the shuffle carries vectors, never a row per match.

    Args:
        matched: Pairs that passed the language gate, with `entry_ids`.
        number_of_entries: Length of the metadata list.

    Returns:
        Shape (number_of_entries,): the entry counts, zero where an entry was never met.
    """
    partials = matched.select("entry_ids").mapInArrow(
        partial(partial_counts, number_of_entries=number_of_entries), spark_schema(PARTIAL_COUNTS)
    )
    return _added_up(partials, number_of_entries)


def expected_kept(matched: DataFrame, entry_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes how many of each entry's pairs are expected to be kept, in the way of `count_entries`.

    Args:
        matched: Pairs that passed the language gate, with `entry_ids`.
        entry_probability: Shape (entries,).

    Returns:
        Shape (entries,): sums of keep probabilities, exact to 2^-20 per pair.
    """
    shipped = matched.sparkSession.sparkContext.broadcast(entry_probability)

    def shares(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return partial_shares(iter(batches), entry_probability=shipped.value)

    partials = matched.select("entry_ids").mapInArrow(shares, spark_schema(PARTIAL_COUNTS))
    sums = _added_up(partials, entry_probability.size)
    shipped.unpersist()
    return sums / SHARE_UNITS


def _added_up(partials: DataFrame, number_of_entries: int) -> NDArray[np.int64]:
    blocks = partials.rdd.map(lambda row: (row.block, bytes(row.counts))).reduceByKey(add_counts).collect()
    counts = np.zeros(-(-number_of_entries // BLOCK_SIZE) * BLOCK_SIZE, dtype=np.int64)
    for block, content in blocks:
        values = np.frombuffer(content, dtype="<i8")
        counts[block * BLOCK_SIZE : block * BLOCK_SIZE + len(values)] = values
    return counts[:number_of_entries]


def count_entries_in_sql(matched: DataFrame) -> DataFrame:
    """Counts entries with explode and groupBy: the cross-check of `count_entries`.

    Args:
        matched: Pairs that passed the language gate, with `entry_ids`.

    Returns:
        Columns entry_id and entry_count; entries that were never met have no row.
    """
    exploded = matched.select(F.explode("entry_ids").alias("entry_id"))
    return exploded.groupBy("entry_id").agg(F.count("*").alias("entry_count"))
