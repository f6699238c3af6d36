"""The expected size of a curated set at many thresholds, in one pass over the matched pairs; nothing is drawn."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers
from udfs.balancing.expected_sizes_kernel import CERTAIN, EXPECTED, VARIANCE, expected_sizes_kernel
from udfs.balancing.first_draw import column_of, first_keep_probabilities
from udfs.balancing.probability import PROBABILITY_UNITS, flat_entry_ids, lists_of_pairs
from udfs.schemas import LIST_SUMS, THRESHOLD_SUMS

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


def list_sizes_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    counts: npt.NDArray[np.int64],
    list_starts: npt.NDArray[np.int64],
    thresholds: Sequence[Sequence[int]],
) -> Iterator[pa.RecordBatch]:
    """Sums keep probabilities and their variances of each metadata list at each of many thresholds of its own.

    Args:
        batches: Batches with a column `entry_ids`, and with `first_keep_probability` where only a drawn part was
            attempted.
        counts: One entry count per metadata entry, over the whole pool.
        list_starts: Where each list begins among the ids, and the number of all entries: shape (lists + 1,).
        thresholds: For each list whole numbers of at least 1, ascending, each once.

    Yields:
        Batches of schema `LIST_SUMS`, for each list with thresholds and pairs one row per threshold and 2^30 pairs.

    Raises:
        ValueError: If an entry id lies outside the lists, or a `first_keep_probability` its range.
    """
    kernel, points = expected_sizes_kernel(), [np.array(wanted, np.float64) for wanted in thresholds]
    room = np.empty(max((wanted.size for wanted in points), default=0))
    sums: dict[int, npt.NDArray[np.int64]] = {}
    pairs: dict[int, int] = {}
    for batch in batches:
        ids, lengths = flat_entry_ids(batch.column("entry_ids"), counts.size)
        first = first_keep_probabilities(column_of(batch))
        lists = lists_of_pairs(ids, lengths, list_starts)
        order = np.argsort(lists, kind="stable")
        its_counts = counts[_ids_in_order(ids, lengths, order)].astype(np.float64)
        ends = np.cumsum(lengths[order], dtype=np.int64)
        places, begins = np.unique(lists[order], return_index=True)
        for place, begin, end in zip(places.tolist(), begins.tolist(), [*begins[1:].tolist(), order.size], strict=True):
            if not points[place].size:
                continue
            before = int(ends[begin - 1]) if begin else 0
            kernel(
                ends[begin:end] - before,
                _ALL_ATTEMPTED if first is None else first[order[begin:end]],
                its_counts[before : ends[end - 1]].copy(),
                points[place],
                PROBABILITY_UNITS,
                room,
                sums.setdefault(place, np.zeros((3, points[place].size + 1), np.int64)),
            )
            pairs[place] = pairs.get(place, 0) + end - begin
            if pairs[place] >= _PAIRS_PER_ROW:
                yield _list_rows(place, thresholds[place], pairs.pop(place), sums.pop(place))
    for place, number in sorted(pairs.items()):
        yield _list_rows(place, thresholds[place], number, sums[place])


def _ids_in_order(
    ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Gives the entry ids of pairs in another order of the pairs."""
    starts, ordered = np.cumsum(lengths) - lengths, lengths[order]
    places = np.repeat(starts[order] - (np.cumsum(ordered) - ordered), ordered) + np.arange(ids.size)
    return ids[places]


def _list_rows(place: int, thresholds: Sequence[int], pairs: int, sums: npt.NDArray[np.int64]) -> pa.RecordBatch:
    rows = _rows(thresholds, pairs, sums)
    lists = arrow_numbers(np.full(rows.num_rows, place, np.int32))
    return pa.RecordBatch.from_arrays([lists, *rows.columns], schema=LIST_SUMS)


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
