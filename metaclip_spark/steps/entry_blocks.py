"""Numbers per entry, added up over the cluster with `reduceByKey`: a key is a block of entries, its value a vector."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from udfs.balancing.entry_blocks import BLOCK_SIZE, add_blocks, add_counts, block_and_counts
from udfs.balancing.sorted_matches import LONG_LIST

_BLOCKS_OF_A_TASK = 4096


def sum_blocks(partials: DataFrame, number_of_entries: int = 0) -> dict[int, NDArray[np.int64]]:
    """Adds up the columns of `PARTIAL_COUNTS` by block; triggers a Spark job.

    Args:
        partials: The columns.
        number_of_entries: The length of the metadata list: of a long one more tasks add, since each holds its blocks.
    """
    rows = partials.rdd
    # Adding takes far less time than counting: few tasks do it, yet each adds no more than a task's counts many times.
    key_partitions = max(1, math.isqrt(rows.getNumPartitions()))
    if number_of_entries < LONG_LIST:
        return dict(rows.map(block_and_counts).reduceByKey(add_counts, key_partitions).collect())
    # reduceByKey would hold all blocks of a task before they travel, and a reducer all of its own.
    tasks = max(key_partitions, number_of_entries // (BLOCK_SIZE * _BLOCKS_OF_A_TASK))
    return dict(rows.map(tuple).partitionBy(tasks).mapPartitions(add_blocks).collect())


def join_blocks(blocks: Mapping[int, NDArray[np.int64]], number_of_entries: int) -> NDArray[np.int64]:
    """Joins the sums of blocks to one number per entry, zero where a block is missing."""
    joined: NDArray[np.int64] = join_kinds(blocks, 1, number_of_entries)[0]
    return joined


def join_kinds(blocks: Mapping[int, NDArray[np.int64]], kinds: int, number_of_entries: int) -> NDArray[np.int64]:
    """Joins the sums of blocks of several kinds to the shape (kinds, entries), zero where a block is missing."""
    sums = np.zeros((kinds, number_of_entries), dtype=np.int64)
    for block, values in blocks.items():
        sums[:, block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE] = values.reshape(kinds, -1)
    return sums
