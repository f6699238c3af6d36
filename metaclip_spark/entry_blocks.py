"""Numbers per entry, added up over the cluster in blocks of entries: the shuffle carries vectors, never a row each."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.schemas import spark_schema
from udfs.count import BLOCK_SIZE, add_partial_counts
from udfs.schemas import PARTIAL_COUNTS


def sum_blocks(partials: DataFrame) -> dict[int, bytes]:
    """Adds partial counts up by key over the cluster; triggers a Spark job.

    This is an RDD's `reduceByKey` with Arrow batches in place of pickled rows. That needs a second Python worker for
    each task of the partials, and a task for each of their partitions to add up; Spark makes as few tasks of this
    shuffle as its bytes need (adaptive execution).

    Args:
        partials: Columns of `PARTIAL_COUNTS`.

    Returns:
        Block -> its sums, little-endian 64-bit numbers.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return add_partial_counts(iter(batches))

    summed = partials.repartition("block").mapInArrow(add, spark_schema(PARTIAL_COUNTS))
    return {row.block: bytes(row.counts) for row in summed.collect()}


def join_blocks(blocks: Mapping[int, bytes], number_of_entries: int) -> NDArray[np.int64]:
    """Puts the blocks of entries together.

    Args:
        blocks: What `sum_blocks` returned, of entries only.
        number_of_entries: Length of the metadata list.

    Returns:
        Shape (number_of_entries,), zero in blocks that are not there.
    """
    counts = np.zeros(-(-number_of_entries // BLOCK_SIZE) * BLOCK_SIZE, dtype=np.int64)
    for block, content in blocks.items():
        values = np.frombuffer(content, dtype="<i8")
        counts[block * BLOCK_SIZE : block * BLOCK_SIZE + len(values)] = values
    return counts[:number_of_entries]
