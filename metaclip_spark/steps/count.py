"""The count step: in how many pairs of the pool each metadata entry occurs."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.steps.entry_blocks import join_blocks, sum_blocks
from metaclip_spark.steps.schemas import spark_schema
from udfs.balancing.count import partial_counts
from udfs.schemas import PARTIAL_COUNTS


def count_entries(matched: DataFrame, number_of_entries: int) -> NDArray[np.int64]:
    """Counts in how many pairs each entry occurs (the paper, section 3.2); triggers a Spark job.

    Workers count their partitions with numpy, and `reduceByKey` adds up their partial counts by block of entries: the
    shuffle carries vectors, never a row per match.

    Args:
        matched: Pairs with `entry_ids`, after the language filter.
        number_of_entries: Length of the metadata list that they were matched with.

    Returns:
        Shape (entries,): the entry counts in the order of the ids, zero where an entry never occurs.

    Raises:
        PySparkException: If an entry id is outside the list.
    """
    partials = matched.select("entry_ids").mapInArrow(
        partial(partial_counts, number_of_entries=number_of_entries), spark_schema(PARTIAL_COUNTS)
    )
    return join_blocks(sum_blocks(partials), number_of_entries)
