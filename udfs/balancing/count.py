"""The count step in the workers: entry ids in, partial counts per block of entries out.

Counts travel as vectors of 64-bit numbers keyed by block, which `reduceByKey` adds up with `add_counts`: the shuffle
carries no row per match, and several tasks add.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import numpy_numbers
from udfs.balancing.entry_blocks import nonzero_blocks, partial_batch
from udfs.balancing.first_draw import first_keep_probabilities
from udfs.balancing.probability import flat_entry_ids, list_lengths, lists_of_pairs
from udfs.balancing.sorted_matches import LONG_LIST, SortedMatches

_COUNT = np.dtype("<i8")
_BUFFERED_IDS = 1 << 20

WEIGHT_UNITS = 2**16
"""A pair stands for 1/q0 pairs, rounded to a multiple of 2^-16, so that sums are exact and have one order."""

WHOLE, FRACTION, HIGH, MIDDLE, LOW = range(5)
"""What is summed for each entry: the whole pairs of the weights and their rests in units of 2^-16, and the parts of the
variances in units of 2^40, 2^10 and 2^-20: below 2^63 for 2^33 attempted pairs and every estimate that is."""

_VARIANCE_PARTS = {HIGH: 40, MIDDLE: 10, LOW: -20}


def partial_counts(batches: Iterator[pa.RecordBatch], *, number_of_entries: int) -> Iterator[pa.RecordBatch]:
    """Counts, over one partition, the pairs that contain each entry (the paper, section 3.2).

    Args:
        batches: Batches with a column `entry_ids`, lists of int32 that are distinct within a pair.
        number_of_entries: The length of the metadata list.

    Yields:
        One batch of schema `PARTIAL_COUNTS`, with the blocks that have a count above zero; none where no block has. Of
        a list of `LONG_LIST` entries and more, several, in which blocks may repeat.

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    if number_of_entries >= LONG_LIST:
        yield from _counts_of_long_list(batches, number_of_entries)
        return
    counts = np.zeros(number_of_entries, _COUNT)
    buffered: list[npt.NDArray[np.int32]] = []
    size = 0
    for batch in batches:
        buffered.append(_entry_ids(batch, number_of_entries))
        size += buffered[-1].size
        if size >= _BUFFERED_IDS:
            counts += np.bincount(np.concatenate(buffered), minlength=number_of_entries)
            buffered, size = [], 0
    if size:
        counts += np.bincount(np.concatenate(buffered), minlength=number_of_entries)
    blocks = nonzero_blocks(counts)
    if blocks:
        yield partial_batch(blocks)


def partial_estimates(batches: Iterator[pa.RecordBatch], *, number_of_entries: int) -> Iterator[pa.RecordBatch]:
    """Estimates, over one partition, how many pairs contain each entry, where only a drawn part of them was attempted.

    Each pair stands for 1/q0 pairs: the estimate of Horvitz and Thompson (1952), which is right on average over the
    first draw. Its variance is estimated by the sum of (1 - q0) / q0^2.

    Args:
        batches: Batches with columns `entry_ids`, lists of int32 that are distinct within a pair, and
            `first_keep_probability`, whose nulls stand for 1.
        number_of_entries: The length of the metadata list.

    Yields:
        One batch of schema `PARTIAL_COUNTS`: for each block with a sum above zero its sums of each kind, from `WHOLE`
        to `LOW`; none where no block has one. Of a list of `LONG_LIST` entries and more, several batches, in which
        blocks may repeat.

    Raises:
        ValueError: If an entry id lies outside the list, or a `first_keep_probability` its range.
    """
    if number_of_entries >= LONG_LIST:
        yield from _estimates_of_long_list(batches, number_of_entries)
        return
    sums = np.zeros((LOW + 1, number_of_entries), _COUNT)
    for batch in batches:
        ids = _entry_ids(batch, number_of_entries)
        first = first_keep_probabilities(batch.column("first_keep_probability"))
        if first is None:
            np.add.at(sums[WHOLE], ids, 1)
            continue
        lengths = list_lengths(batch.column("entry_ids"))
        for kind, numbers in enumerate(_weights_in_parts(first)):
            np.add.at(sums[kind], ids, np.repeat(numbers, lengths))
    blocks = nonzero_blocks(sums)
    if blocks:
        yield partial_batch(blocks)


def pairs_by_list(batches: Iterator[pa.RecordBatch], *, list_starts: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """Counts, over one partition, the pairs of each metadata list.

    Args:
        batches: Batches with a column `entry_ids`.
        list_starts: Where each list begins among the ids, and the number of all entries: shape (lists + 1,).

    Yields:
        One batch of schema `PARTIAL_COUNTS`, whose block 0 has one number for each list.

    Raises:
        ValueError: If an entry id lies outside the lists.
    """
    lists = list_starts.size - 1
    pairs = np.zeros(lists, _COUNT)
    for batch in batches:
        ids, lengths = flat_entry_ids(batch.column("entry_ids"), int(list_starts[-1]))
        pairs += np.bincount(lists_of_pairs(ids, lengths, list_starts), minlength=lists)
    yield partial_batch({0: pairs})


def estimates_of(sums: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Reads the sums of `partial_estimates`.

    Args:
        sums: Shape (5, entries), added up over all partitions.

    Returns:
        For each entry the estimated number of pairs, rounded to a whole number, and its standard error.
    """
    counts = sums[WHOLE] + ((sums[FRACTION] + WEIGHT_UNITS // 2) // WEIGHT_UNITS)
    variances = np.zeros(counts.size)
    for kind, power in _VARIANCE_PARTS.items():
        variances += np.ldexp(sums[kind].astype(np.float64), power)
    return counts, np.sqrt(variances)


def _counts_of_long_list(batches: Iterator[pa.RecordBatch], number_of_entries: int) -> Iterator[pa.RecordBatch]:
    """Counts where an array over all entries would be too large."""

    def add(counts: npt.NDArray[np.int64], places: npt.NDArray[np.int64], _pairs: npt.NDArray[np.int64]) -> None:
        counts[0] += np.bincount(places, minlength=counts.shape[1])

    matches = SortedMatches(number_of_entries, add)
    for batch in batches:
        ids, lengths = _entry_ids(batch, number_of_entries), list_lengths(batch.column("entry_ids"))
        if not matches.has_room(ids.size):
            yield from matches.leave()
        matches.add(ids, lengths)
    yield from matches.leave()


def _estimates_of_long_list(batches: Iterator[pa.RecordBatch], number_of_entries: int) -> Iterator[pa.RecordBatch]:
    """Estimates where arrays over all entries would be too large."""
    buffered: list[npt.NDArray[np.float64]] = []
    whole: list[npt.NDArray[np.float64]] = []

    def add(sums: npt.NDArray[np.int64], places: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64]) -> None:
        for kind, numbers in enumerate(_weights_in_parts(whole[0][pairs])):
            np.add.at(sums[kind], places, numbers)

    def leave() -> Iterator[pa.RecordBatch]:
        whole[:] = [np.concatenate([*buffered, np.empty(0)])]
        buffered.clear()
        yield from matches.leave()

    matches = SortedMatches(number_of_entries, add, kinds=LOW + 1)
    for batch in batches:
        ids, lengths = _entry_ids(batch, number_of_entries), list_lengths(batch.column("entry_ids"))
        first = first_keep_probabilities(batch.column("first_keep_probability"))
        if not matches.has_room(ids.size):
            yield from leave()
        matches.add(ids, lengths)
        buffered.append(np.ones(lengths.size) if first is None else first.copy())
    yield from leave()


def _weights_in_parts(first: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    """Cuts the weight and the variance of each pair into the whole numbers that are summed, from `WHOLE` to `LOW`."""
    weights = np.rint(WEIGHT_UNITS / first).astype(_COUNT)
    parts = [weights // WEIGHT_UNITS, weights % WEIGHT_UNITS]
    rest = (1.0 - first) / first**2
    for power in _VARIANCE_PARTS.values():
        # Exact but for the last part: a float minus its own leading bits.
        part = np.rint(np.ldexp(rest, -power)) if power < 0 else np.floor(np.ldexp(rest, -power))
        rest = rest - np.ldexp(part, power)
        parts.append(part.astype(_COUNT))
    return parts


def _entry_ids(batch: pa.RecordBatch, number_of_entries: int) -> npt.NDArray[np.int32]:
    """Gives all entry ids of a batch.

    Raises:
        ValueError: If one lies outside the list.
    """
    # A copy: with the buffer itself every batch of the partition would stay in memory for as long as it is buffered.
    ids: npt.NDArray[np.int32] = numpy_numbers(batch.column("entry_ids").flatten()).copy()
    if ids.size and not 0 <= ids.min() <= ids.max() < number_of_entries:
        raise ValueError(
            f"entry ids from {ids.min()} to {ids.max()} do not fit a list of {number_of_entries} entries; "
            "count with the list that matched"
        )
    return ids
