"""The expected size of a curated set at many thresholds, in one pass over the matched pairs; nothing is drawn."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers
from udfs.balancing.expected_sizes_kernel import CERTAIN, EXPECTED, VARIANCE, expected_sizes_kernel
from udfs.balancing.first_draw import column_of, first_keep_probabilities
from udfs.balancing.probability import PROBABILITY_UNITS, flat_entry_ids
from udfs.schemas import THRESHOLD_SUMS

_PAIRS_PER_ROW = 1 << 30
"""So many keep probabilities in units of 2^-32 stay far from 2^63."""

_ALL_ATTEMPTED = np.empty(0)


def expected_sizes_batches(
    batches: Iterator[pa.RecordBatch], *, counts: npt.NDArray[np.int64], thresholds: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Sums keep probabilities and their variances at each of many thresholds.

    Args:
        batches: Batches with a column `entry_ids`, and with `first_keep_probability` where only a drawn part was
            attempted.
        counts: One entry count per metadata entry, over the whole pool.
        thresholds: Whole numbers of at least 1, each once.

    Yields:
        Batches of schema `THRESHOLD_SUMS`, in ascending order one row per threshold and 2^30 pairs: add rows as Python
        integers or decimals.

    Raises:
        ValueError: If an entry id lies outside the list, or a `first_keep_probability` its range.
    """
    ascending = sorted(thresholds)
    kernel, points, room = expected_sizes_kernel(), np.array(ascending, np.float64), np.empty(len(ascending))
    sums = np.zeros((3, len(ascending) + 1), np.int64)
    pairs = 0
    for batch in batches:
        ids, lengths = flat_entry_ids(batch.column("entry_ids"), counts.size)
        first = first_keep_probabilities(column_of(batch))
        # The compiled loop takes only arrays that may be written to: a copy.
        kernel(
            np.cumsum(lengths, dtype=np.int64),
            _ALL_ATTEMPTED if first is None else np.array(first),
            counts[ids].astype(np.float64),
            points,
            PROBABILITY_UNITS,
            room,
            sums,
        )
        pairs += batch.num_rows
        if pairs >= _PAIRS_PER_ROW:
            yield _rows(ascending, pairs, sums)
            sums[:], pairs = 0, 0
    if pairs:
        yield _rows(ascending, pairs, sums)


def _rows(thresholds: Sequence[int], pairs: int, sums: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Puts what the loop has summed into a batch."""
    expected, variance, certain = sums[EXPECTED, :-1], sums[VARIANCE, :-1], np.cumsum(sums[CERTAIN, :-1])
    columns = [
        np.array(thresholds, np.int64),
        np.full(len(thresholds), pairs),
        expected + certain * PROBABILITY_UNITS,
        variance.copy(),
    ]
    return pa.RecordBatch.from_arrays([arrow_numbers(column) for column in columns], schema=THRESHOLD_SUMS)
