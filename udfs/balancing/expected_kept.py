"""What is expected to be kept, in the workers: entry ids in, partial sums per block of entries and in all out."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.balancing.entry_blocks import nonzero_blocks, partial_batch
from udfs.balancing.first_draw import column_of, first_keep_probabilities, survivors_share
from udfs.balancing.probability import PairFactors, lists_of_pairs, probability_units
from udfs.balancing.sorted_matches import LONG_LIST, SortedMatches

SHARE_UNITS = 2**20
"""Sums per entry are in units of 2^-20: those of 2^43 pairs stay below 2^63."""

SIZE_BLOCK = -1
"""The block whose numbers are of all pairs, not of entries; of several metadata lists that of the first, and -2, -3 ...
those of the others."""

_COARSER = 2**12
_LIMB = 2**32


def partial_expectations(
    batches: Iterator[pa.RecordBatch],
    *,
    entry_probability: npt.NDArray[np.float64],
    list_starts: npt.NDArray[np.int64] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Sums, over one partition, what the draw is expected to keep: of all pairs, and of those with each entry.

    Args:
        batches: Batches with a column `entry_ids`, lists of int32 that are distinct within a pair, and with
            `first_keep_probability` where only a drawn part was attempted.
        entry_probability: One probability per metadata entry.
        list_starts: Where there are several metadata lists, where each begins among the ids, and the number of all
            entries: shape (lists + 1,).

    Yields:
        One batch of schema `PARTIAL_COUNTS`: the sums for each entry in units of 2^-20, for the blocks that have one
        above zero, and in the block `SIZE_BLOCK` what `size_sums` reads. Of several metadata lists each that has pairs
        has such a block, from `SIZE_BLOCK` downwards. Where there are `LONG_LIST` entries and more, several batches, in
        which blocks of entries may repeat. All are whole numbers, so that partitioning cannot change a sum.

    Raises:
        ValueError: If an entry id lies outside the list, or a `first_keep_probability` its range.
    """
    entries = entry_probability.size
    starts = np.array([0, entries]) if list_starts is None else list_starts
    shares = _LongShares(entries) if entries >= LONG_LIST else _Shares(entries)
    sizes = np.zeros((starts.size - 1, 4, 2), "<i8")
    for batch in batches:
        factors = PairFactors(batch.column("entry_ids"), entries)
        keep = factors.keep_probabilities(entry_probability[factors.ids])
        first = first_keep_probabilities(column_of(batch))
        capped = np.zeros(keep.size, np.int64) if first is None else (keep > first).astype(np.int64)
        keep = survivors_share(keep, first)
        units = probability_units(keep)
        yield from shares.add(factors, units // _COARSER)
        lists = lists_of_pairs(factors.ids, factors.lengths, starts)
        for kind, numbers in enumerate((np.ones_like(units), units, probability_units(keep * (1.0 - keep)), capped)):
            _add_by_list(sizes[:, kind], lists, numbers)
    blocks = {SIZE_BLOCK - place: _limbs(size) for place, size in enumerate(sizes) if not place or size.any()}
    yield from shares.leave(blocks)


class _Shares:
    """The expected pairs of each entry."""

    def __init__(self, number_of_entries: int) -> None:
        self._sums = np.zeros(number_of_entries, "<i8")

    def add(self, factors: PairFactors, numbers: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Adds a number per pair to each of its entries."""
        np.add.at(self._sums, factors.ids, np.repeat(numbers, factors.lengths))
        return iter(())

    def leave(self, sizes: Mapping[int, npt.NDArray[np.int64]]) -> Iterator[pa.RecordBatch]:
        """Yields the sums, and the sizes."""
        yield partial_batch({**sizes, **nonzero_blocks(self._sums)})


class _LongShares:
    """The same where an array over all entries would be too large."""

    def __init__(self, number_of_entries: int) -> None:
        self._matches = SortedMatches(number_of_entries, self._add_matches)
        self._numbers: list[npt.NDArray[np.int64]] = []
        self._whole = np.empty(0, np.int64)

    def _add_matches(
        self, sums: npt.NDArray[np.int64], places: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64]
    ) -> None:
        np.add.at(sums[0], places, self._whole[pairs])

    def _leave(self) -> Iterator[pa.RecordBatch]:
        self._whole = np.concatenate([*self._numbers, np.empty(0, np.int64)])
        self._numbers = []
        yield from self._matches.leave()

    def add(self, factors: PairFactors, numbers: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Adds a number per pair to each of its entries."""
        if not self._matches.has_room(factors.ids.size):
            yield from self._leave()
        self._matches.add(factors.ids, factors.lengths)
        self._numbers.append(numbers)

    def leave(self, sizes: Mapping[int, npt.NDArray[np.int64]]) -> Iterator[pa.RecordBatch]:
        """Yields the sums, and the sizes."""
        yield from self._leave()
        yield partial_batch(sizes)


def _add_by_list(sums: npt.NDArray[np.int64], lists: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> None:
    """Adds a number per pair to the sum of its list, in two halves: a sum may exceed 2^63."""
    added = np.zeros(sums.shape[0], np.int64)
    np.add.at(added, lists, numbers)
    sums[:, 0] += added // _LIMB
    sums[:, 1] += added % _LIMB


def _limbs(size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Gives the two halves of each sum, the lower one below 2^32."""
    carried = size[:, 1] // _LIMB
    return np.stack([size[:, 0] + carried, size[:, 1] % _LIMB], axis=1).reshape(-1)


def size_sums(limbs: npt.NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Reads the sums of `SIZE_BLOCK`.

    Args:
        limbs: What `add_counts` made of them, two numbers for each sum.

    Returns:
        The number of pairs; the sums of q and of q (1 - q) over their keep probabilities q in units of 2^-32, which
        exceed 2^63 from 2^31 pairs on, so that they travel in two halves each; and the number of capped pairs. Of the
        survivors of a first draw, q is the chance of the second to keep what the first has kept.
    """
    halves = limbs.tolist()
    pairs, expected, variance, capped = (
        high * _LIMB + low for high, low in zip(halves[::2], halves[1::2], strict=True)
    )
    return pairs, expected, variance, capped
