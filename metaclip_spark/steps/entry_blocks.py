"""Numbers per entry, added up over the cluster in blocks of entries: the shuffle carries vectors, never a row each."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.steps.schemas import spark_schema
from udfs.balancing.count import add_partial_counts
from udfs.balancing.entry_blocks import BLOCK_SIZE
from udfs.schemas import PARTIAL_COUNTS


def sum_blocks(partials: DataFrame) -> dict[int, bytes]:
    """Adds partial counts up by key over the cluster; triggers a Spark job.

    An RDD's `reduceByKey` does the same with pickled rows, and needs a second Python worker beside each task that makes
    partials, and then as many tasks as made them. In this shuffle adaptive execution joins what is small, and no more
    than `spark.sql.shuffle.partitions` tasks add. It matters since a Python task costs a tenth of a second before its
    first row: Spark has Python look through all zip files on its path again, which before Python 3.13 reads them.

    Args:
        partials: Columns of `PARTIAL_COUNTS`.

    Returns:
        Block -> its sums, little-endian 64-bit numbers.

    Raises:
        RuntimeError: If a block has two sums.
    """

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return add_partial_counts(iter(batches))

    summed = partials.repartition("block").mapInArrow(add, spark_schema(PARTIAL_COUNTS))
    rows = summed.collect()
    blocks = {row.block: bytes(row.counts) for row in rows}
    if len(blocks) != len(rows):
        raise RuntimeError(f"{len(rows)} sums of {len(blocks)} blocks: Spark did not bring all of a block together")
    return blocks


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
