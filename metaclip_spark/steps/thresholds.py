"""Expected sizes at many thresholds in one pass, and the smallest t that reaches a target size.

The expected size is a sum of integers that never falls when t grows (`udfs.balancing.expected_sizes_kernel`), so that
bisection with many points at once is exact.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.balance import ExpectedSize, threshold_for_tail_share
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.steps.lists.entry_numbers import send_entry_numbers
from metaclip_spark.steps.schemas import spark_schema, with_first_draw
from metaclip_spark.thresholds import LARGEST_COUNT
from udfs.balancing.probability import PROBABILITY_UNITS
from udfs.schemas import THRESHOLD_SUMS

MOST_PASSES = 3
PASSES_OF_HUGE_COUNTS = 7
"""Where counts exceed 2^34, three passes would need more thresholds at once than memory holds."""

_HUGE_BITS = 34
FIRST_POINTS = 96
"""Thresholds of the first pass, evenly spaced in logarithm: neighbours differ by a quarter where counts reach 10^9."""

Evaluate = Callable[[Sequence[int]], Mapping[int, ExpectedSize]]
"""One pass: thresholds to expected sizes."""


def expected_sizes(
    matched: DataFrame, counts: npt.NDArray[np.int64], thresholds: Sequence[int]
) -> dict[int, ExpectedSize]:
    """Computes the expected size of the curated set at many thresholds; triggers one Spark job over `entry_ids`.

    Args:
        matched: Pairs with `entry_ids`, after the language filter; with `first_keep_probability`, the survivors of a
            first draw with the same seed.
        counts: Shape (entries,): the counts to balance with.
        thresholds: Whole numbers of at least 1.

    Returns:
        Threshold to expected size, in ascending order.
    """
    from udfs.balancing.expected_sizes import expected_sizes_batches

    # Above the largest count all thresholds keep every pair, and the workers' numbers have 64 bits.
    fitting = {threshold: min(threshold, LARGEST_COUNT) for threshold in sorted(set(thresholds))}
    wanted = sorted(set(fitting.values()))
    columns = matched.select(with_first_draw(matched, ["entry_ids"]))
    # A sum of bigint wraps around beyond 2^63, which 2^31 pairs reach in units of 2^-32.
    wide = [F.sum(F.col(name).cast("decimal(38,0)")).alias(name) for name in ("pairs", "expected", "variance")]
    with send_entry_numbers(matched.sparkSession, counts) as read:

        def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return expected_sizes_batches(iter(batches), counts=read(), thresholds=wanted)

        partial_sums = columns.mapInArrow(sums, spark_schema(THRESHOLD_SUMS))
        rows = {row.threshold_t: row for row in partial_sums.groupBy("threshold_t").agg(*wide).collect()}
    return {
        threshold: ExpectedSize(
            pairs=int(row.pairs), expected_units=int(row.expected), variance_units=int(row.variance)
        )
        if (row := rows.get(sent)) is not None
        else ExpectedSize(pairs=0, expected_units=0, variance_units=0)
        for threshold, sent in fitting.items()
    }


def threshold_for_target_pairs(evaluate: Evaluate, target_pairs: int | Fraction, largest_count: int) -> int:
    """Finds the smallest threshold whose expected size reaches a target, in at most `MOST_PASSES` passes.

    `target_pairs` is at most the number of matched pairs, which `largest_count` as threshold keeps all.
    """
    target = target_pairs * PROBABILITY_UNITS
    below, reached = 0, max(1, largest_count)
    passes = MOST_PASSES if largest_count.bit_length() <= _HUGE_BITS else PASSES_OF_HUGE_COUNTS
    for passes_left in range(passes, 0, -1):
        points = _points_between(below, reached, passes_left)
        if not points:
            break
        sizes = evaluate(points)
        reached = min((t for t in points if sizes[t].expected_units >= target), default=reached)
        below = max((t for t in points if sizes[t].expected_units < target), default=below)
    return reached


def choose_threshold(
    counts: npt.NDArray[np.int64], passed: DataFrame, *, tail_share: float | None, target_pairs: int | str | None
) -> int:
    """Finds t by the tail share that it gives or by the size that it reaches; one of the two is given.

    Args:
        counts: The counts to balance with.
        passed: The matched pairs that pass the language filter; a target reads them up to three times.
        tail_share: The share of all matches that entries below t have.
        target_pairs: The expected size of the curated set.

    Returns:
        A whole number of at least 1.

    Raises:
        ConfigError: If no entry was matched, so that no t has a tail share.
    """
    if target_pairs is not None:
        evaluate = partial(expected_sizes, passed, counts)
        return threshold_for_target_pairs(evaluate, int(target_pairs), int(counts.max()))
    assert tail_share is not None
    return threshold_for_tail_share(counts, tail_share)


def check_target_pairs(target_pairs: int, pairs: int, *, is_estimated: bool = False) -> None:
    """Refuses a target that no threshold reaches: one above the number of matched pairs after the language filter.

    Args:
        target_pairs: How many pairs are wanted.
        pairs: How many there are.
        is_estimated: Whether they are the survivors of another run's draw.

    Raises:
        ConfigError: If there are fewer matched pairs than wanted.
    """
    if target_pairs > pairs:
        what, several, otherwise = "matched pair", "matched pairs", "extract more archives"
        if is_estimated:
            what, several = "survivor of the first draw", "survivors of the first draw"
            otherwise = "rebalance with --refill-plan, which finds what is missing"
        raise ConfigError(
            f"--target-pairs {target_pairs:,} is more than the {counted(pairs, what, several)}: "
            f"give at most {pairs:,}, or {otherwise}"
        )


def spread_thresholds(largest: int, points: int) -> list[int]:
    """Spreads at most `points` whole thresholds from 1 to `largest` evenly in logarithm, ascending."""
    largest = max(1, largest)
    # Above 2^53 the float next to the largest may exceed it.
    return sorted({min(int(t), largest) for t in np.rint(np.geomspace(1, largest, points))} | {largest})


def _points_between(below: int, reached: int, passes_left: int) -> list[int]:
    """Chooses thresholds strictly between two, so few that the passes that are left suffice."""
    between = reached - below - 1
    if passes_left == 1 or between <= FIRST_POINTS:
        return list(range(below + 1, reached))
    if below == 0:
        return [t for t in spread_thresholds(reached, FIRST_POINTS) if t < reached]
    step = between // math.ceil(between ** (1 / passes_left)) + 1
    return list(range(below + step, reached, step))
