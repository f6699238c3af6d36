"""Expected sizes of several metadata lists at thresholds of their own, and the thresholds that reach wanted sizes.

The expected size of a list never falls when its threshold grows, so that bisection over all lists at once is exact.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.balance import ExpectedSize
from metaclip_spark.errors import ConfigError
from metaclip_spark.list_thresholds import EntryLists, ListThresholds, Threshold, whole_threshold
from metaclip_spark.steps.entry_blocks import sum_blocks
from metaclip_spark.steps.lists.entry_numbers import send_entry_numbers
from metaclip_spark.steps.schemas import spark_schema, with_first_draw
from metaclip_spark.steps.thresholds import spread_thresholds, threshold_for_target_pairs
from udfs.balancing.count import pairs_by_list
from udfs.balancing.probability import PROBABILITY_UNITS
from udfs.schemas import LIST_SUMS, PARTIAL_COUNTS

NOTHING = ExpectedSize(pairs=0, expected_units=0, variance_units=0)
POINTS_OF_A_LIST = 64
"""Thresholds of a list in one pass of the search for floors: each pass leaves a sixty-fifth of what is between."""

SizesOfLists = list[dict[int, ExpectedSize]]
Evaluate = Callable[[Sequence[Sequence[int]]], SizesOfLists]
"""One pass: for each list thresholds to expected sizes."""


def sizes_of_lists(
    matched: DataFrame, counts: NDArray[np.int64], lists: EntryLists, thresholds: Sequence[Iterable[Threshold]]
) -> SizesOfLists:
    """Computes the expected size of each list at many thresholds of its own; triggers a Spark job over `entry_ids`.

    Args:
        matched: Pairs with `entry_ids`, after the language filter; with `first_keep_probability`, the survivors of a
            first draw with the same seed.
        counts: Shape (entries,): the counts to balance with.
        lists: The lists.
        thresholds: For each list its thresholds.

    Returns:
        For each list threshold to expected size, where a threshold is 2^63 - 1 if no count exceeds it.
    """
    from udfs.balancing.expected_sizes import list_sizes_batches

    wanted = [sorted(set(map(whole_threshold, points))) for points in thresholds]
    list_starts = lists.starts
    columns = matched.select(with_first_draw(matched, ["entry_ids"]))
    # A sum of bigint wraps around beyond 2^63, which 2^31 pairs reach in units of 2^-32.
    wide = [F.sum(F.col(name).cast("decimal(38,0)")).alias(name) for name in ("pairs", "expected", "variance")]
    with send_entry_numbers(matched.sparkSession, counts) as read:

        def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return list_sizes_batches(iter(batches), counts=read(), list_starts=list_starts, thresholds=wanted)

        partial_sums = columns.mapInArrow(sums, spark_schema(LIST_SUMS))
        rows = partial_sums.groupBy("list", "threshold_t").agg(*wide).collect()
    sizes: SizesOfLists = [dict.fromkeys(points, NOTHING) for points in wanted]
    for row in rows:
        sizes[row.list][row.threshold_t] = ExpectedSize(
            pairs=int(row.pairs), expected_units=int(row.expected), variance_units=int(row.variance)
        )
    return sizes


def sizes_by_anchor(rule: ListThresholds, evaluate: Evaluate, points: Iterable[Threshold]) -> dict[int, ExpectedSize]:
    """Computes the expected size of all lists together for thresholds of the anchor; one pass.

    Args:
        rule: What gives the other lists their thresholds.
        evaluate: The pass.
        points: Thresholds of the anchor.

    Returns:
        The anchor's threshold to the expected size.
    """
    by_point = {int(point): [*map(whole_threshold, rule.at_anchor(point))] for point in points}
    sizes = evaluate([*zip(*by_point.values(), strict=True)])
    return {
        point: added([of_list[threshold] for of_list, threshold in zip(sizes, thresholds, strict=True)])
        for point, thresholds in by_point.items()
    }


def added(sizes: Iterable[ExpectedSize]) -> ExpectedSize:
    """Adds expected sizes of disjoint pairs up."""
    each = list(sizes)
    return ExpectedSize(
        pairs=sum(size.pairs for size in each),
        expected_units=sum(size.expected_units for size in each),
        variance_units=sum(size.variance_units for size in each),
        capped=sum(size.capped for size in each),
    )


def anchor_for_target_pairs(rule: ListThresholds, evaluate: Evaluate, target_pairs: int) -> int:
    """Finds the smallest threshold of the anchor with which all lists together reach a target.

    Raises:
        ConfigError: If thresholds that were given for single lists keep it from being reached.
    """
    largest = rule.largest_anchor_threshold
    if rule.given:
        most = sizes_by_anchor(rule, evaluate, [largest])[largest]
        if most.expected_units < target_pairs * PROBABILITY_UNITS:
            raise ConfigError(
                f"--target-pairs {target_pairs:,} cannot be reached with --language-thresholds: at most "
                f"{most.size:,.1f} pairs are expected; give fewer, or larger thresholds"
            )
    return threshold_for_target_pairs(partial(sizes_by_anchor, rule, evaluate), target_pairs, largest)


def smallest_thresholds(evaluate: Evaluate, largest: Sequence[int], targets: Sequence[int]) -> list[int]:
    """Finds for each list the smallest threshold whose expected size reaches its target.

    Args:
        evaluate: One pass; lists without thresholds in it cost nothing.
        largest: The largest count of each list, which as a threshold keeps all of its pairs.
        targets: A number of pairs for each list, at most its pairs; 0 for a list that needs none.

    Returns:
        One threshold for each list; 1 where the target is 0.
    """
    below = [0] * len(targets)
    reached = [max(1, count) if target else 1 for count, target in zip(largest, targets, strict=True)]
    while any(points := [*map(_points_between, below, reached)]):
        for place, sizes in enumerate(evaluate(points)):
            units = targets[place] * PROBABILITY_UNITS
            its_points = points[place]
            first = bisect_left([sizes[point].expected_units for point in its_points], units)
            if first < len(its_points):
                reached[place] = its_points[first]
            if first:
                below[place] = its_points[first - 1]
    return reached


def _points_between(below: int, reached: int) -> list[int]:
    """Chooses thresholds strictly between two."""
    between = reached - below - 1
    if between <= POINTS_OF_A_LIST:
        return list(range(below + 1, reached))
    if below == 0:
        return [t for t in spread_thresholds(reached, POINTS_OF_A_LIST) if t < reached]
    step = between // POINTS_OF_A_LIST + 1
    return list(range(below + step, reached, step))


def count_by_list(pairs: DataFrame, lists: EntryLists) -> list[int]:
    """Counts the pairs of each list; triggers a Spark job that reads `entry_ids` only."""
    counted = partial(pairs_by_list, list_starts=lists.starts)
    blocks = sum_blocks(pairs.select("entry_ids").mapInArrow(counted, spark_schema(PARTIAL_COUNTS)))
    numbers: list[int] = blocks[0].tolist() if blocks else [0] * len(lists)
    return numbers
