"""The expected size of a curated set at many thresholds, in one pass over the matched pairs; nothing is drawn."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.draw import PairFactors
from udfs.sample import PROBABILITY_UNITS, probability_units
from udfs.schemas import THRESHOLD_SUMS

_PAIRS_PER_ROW = 1 << 30
"""So many keep probabilities in units of 2^-32 stay far from 2^63."""


def expected_sizes_batches(
    batches: Iterator[pa.RecordBatch], *, counts: npt.NDArray[np.int64], thresholds: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Sums keep probabilities and their variances at each of many thresholds.

    Args:
        batches: Batches with a column `entry_ids`.
        counts: One entry count per metadata entry, over the whole pool.
        thresholds: Whole numbers of at least 1.

    Yields:
        Batches of schema `THRESHOLD_SUMS`, one row per threshold and 2^30 pairs: add rows as Python integers or
        decimals.

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    sums = np.zeros((2, len(thresholds)), np.int64)
    pairs = 0
    for batch in batches:
        sums += _batch_sums(batch.column("entry_ids"), counts, thresholds)
        pairs += batch.num_rows
        if pairs >= _PAIRS_PER_ROW:
            yield _rows(thresholds, pairs, sums)
            sums[:], pairs = 0, 0
    if pairs:
        yield _rows(thresholds, pairs, sums)


def _batch_sums(
    entry_ids: pa.ListArray, counts: npt.NDArray[np.int64], thresholds: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Gives the sums of q and of q(1 - q) of one batch, shape (2, thresholds).

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    whole = PairFactors(entry_ids, counts.size)
    # A pair with an entry at or below the smallest threshold is kept at every threshold: most need no arithmetic.
    certain = np.zeros(len(entry_ids), bool)
    certain[np.repeat(np.arange(len(entry_ids)), whole.lengths)[counts[whole.ids] <= min(thresholds)]] = True
    factors = PairFactors(entry_ids.filter(pa.array(~certain)), counts.size)
    its_counts = counts[factors.ids]
    sums = np.empty((2, len(thresholds)), np.int64)
    for place, threshold in enumerate(thresholds):
        # The same division as in metaclip_spark.balance.entry_probabilities, so that the sums agree to the unit.
        keep = factors.keep_probabilities(np.minimum(1.0, threshold / its_counts))
        sums[:, place] = probability_units(keep).sum(), probability_units(keep * (1.0 - keep)).sum()
    sums[0] += int(certain.sum()) * PROBABILITY_UNITS
    return sums


def _rows(thresholds: Sequence[int], pairs: int, sums: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Puts sums into a batch."""
    columns = [pa.array(thresholds, pa.int64()), pa.array([pairs] * len(thresholds), pa.int64()), *map(pa.array, sums)]
    return pa.RecordBatch.from_arrays(columns, schema=THRESHOLD_SUMS)
