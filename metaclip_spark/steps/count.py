"""The count step: in how many pairs of the pool each metadata entry occurs."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.errors import InputError
from metaclip_spark.steps.entry_blocks import join_blocks, join_kinds, sum_blocks
from metaclip_spark.steps.schemas import spark_schema
from udfs.balancing.count import LOW, WEIGHT_UNITS, estimates_of, partial_counts, partial_estimates
from udfs.balancing.first_draw import SMALLEST_FIRST
from udfs.schemas import PARTIAL_COUNTS


@dataclass(frozen=True)
class EstimatedCounts:
    """Estimates of the entry counts of a pool of which only a drawn part was attempted."""

    counts: NDArray[np.int64]
    """In how many eligible pairs of the whole pool each entry occurs, rounded, shape (entries,)."""

    errors: NDArray[np.float64]
    """The standard error of each, in pairs; 0 where every pair was attempted."""


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
    return join_blocks(sum_blocks(partials, number_of_entries), number_of_entries)


def estimate_counts(eligible: DataFrame, number_of_entries: int) -> EstimatedCounts:
    """Estimates in how many pairs each entry would occur if all had been attempted; triggers two Spark jobs.

    Args:
        eligible: Pairs with `entry_ids` and `first_keep_probability`, after the language filter: those that were drawn
            with that probability, and survived.
        number_of_entries: Length of the metadata list that they were matched with.

    Returns:
        The sums of 1/q0, and the roots of the sums of (1 - q0) / q0^2; of integers, so partitioning cannot change them.
        Where there is no such column, or it is null everywhere, what `count_entries` gives.

    Raises:
        InputError: If a `first_keep_probability` is outside of 2^-40 to 1.
        PySparkException: If an entry id is outside the list.
    """
    if "first_keep_probability" not in eligible.columns:
        return EstimatedCounts(count_entries(eligible, number_of_entries), np.zeros(number_of_entries))
    _check_first_draw(eligible)
    partials = eligible.select("entry_ids", "first_keep_probability").mapInArrow(
        partial(partial_estimates, number_of_entries=number_of_entries), spark_schema(PARTIAL_COUNTS)
    )
    sums = join_kinds(sum_blocks(partials, number_of_entries), LOW + 1, number_of_entries)
    return EstimatedCounts(*estimates_of(sums))


def estimate_pairs(eligible: DataFrame) -> int:
    """Estimates how many eligible pairs there would be if all had been attempted: the sum of 1/q0, rounded."""
    weight = F.round(F.lit(float(WEIGHT_UNITS)) / F.coalesce("first_keep_probability", F.lit(1.0)))
    # Of whole numbers, so that the order of the rows cannot change it.
    row = eligible.agg(F.sum(weight.cast("decimal(38,0)")).alias("weights")).first()
    return 0 if row is None or row.weights is None else round(row.weights / WEIGHT_UNITS)


def _check_first_draw(eligible: DataFrame) -> None:
    """Refuses a first draw that no pair could have been attempted by.

    Raises:
        InputError: If a probability is outside of its range.
    """
    first = F.col("first_keep_probability")
    # Spark takes NaN for larger than every other number.
    row = eligible.agg(F.min(first).alias("smallest"), F.max(first).alias("largest")).first()
    if row is None or row.smallest is None:
        return
    if row.smallest < SMALLEST_FIRST:
        raise InputError(
            f"first_keep_probability is as small as {row.smallest:g}: a pair may stand for at most 2^40, so it "
            "must be at least 2^-40; sample the first run with a larger t"
        )
    if not row.largest <= 1:
        raise InputError(
            f"first_keep_probability is as large as {row.largest:g}: give the keep_probability with which the pairs "
            "were drawn, which is at most 1"
        )
