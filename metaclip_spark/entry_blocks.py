"""Numbers per entry, added up over the cluster in blocks of entries: the shuffle carries vectors, never a row each."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from udfs.count import BLOCK_SIZE, add_counts


def sum_blocks(partials: DataFrame) -> dict[int, bytes]:
    """Adds partial counts up over the cluster; triggers a Spark job.

    Args:
        partials: Columns of `PARTIAL_COUNTS`.

    Returns:
        Block -> its sums, little-endian 64-bit numbers.
    """
    summed = partials.rdd.map(lambda row: (row.block, bytes(row.counts))).reduceByKey(add_counts).collect()
    return dict(summed)


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
