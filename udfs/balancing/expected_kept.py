"""What is expected to be kept, in the workers: entry ids in, partial sums per block of entries and in all out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.balancing.entry_blocks import nonzero_blocks, partial_batch
from udfs.balancing.first_draw import column_of, first_keep_probabilities, survivors_share
from udfs.balancing.probability import PairFactors, probability_units

SHARE_UNITS = 2**20
"""Sums per entry are in units of 2^-20: those of 2^43 pairs stay below 2^63."""

SIZE_BLOCK = -1
"""The block whose numbers are of all pairs, not of entries."""

_COARSER = 2**12
_LIMB = 2**32


def partial_expectations(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64]
) -> Iterator[pa.RecordBatch]:
    """Sums, over one partition, what the draw is expected to keep: of all pairs, and of those with each entry.

    Args:
        batches: Batches with a column `entry_ids`, lists of int32 that are distinct within a pair, and with
            `first_keep_probability` where only a drawn part was attempted.
        entry_probability: One probability per metadata entry.

    Yields:
        One batch of schema `PARTIAL_COUNTS`: the sums for each entry in units of 2^-20, for the blocks that have one
        above zero, and in the block `SIZE_BLOCK` what `size_sums` reads. All are whole numbers, so that partitioning
        cannot change a sum.

    Raises:
        ValueError: If an entry id lies outside the list, or a `first_keep_probability` its range.
    """
    shares = np.zeros(entry_probability.size, "<i8")
    sizes = [0, 0, 0, 0]
    for batch in batches:
        factors = PairFactors(batch.column("entry_ids"), entry_probability.size)
        keep = factors.keep_probabilities(entry_probability[factors.ids])
        first = first_keep_probabilities(column_of(batch))
        capped = 0 if first is None else int(np.count_nonzero(keep > first))
        keep = survivors_share(keep, first)
        units = probability_units(keep)
        np.add.at(shares, factors.ids, np.repeat(units // _COARSER, factors.lengths))
        sums = (keep.size, int(units.sum()), int(probability_units(keep * (1.0 - keep)).sum()), capped)
        sizes = [total + more for total, more in zip(sizes, sums, strict=True)]
    limbs = np.array([limb for total in sizes for limb in divmod(total, _LIMB)], "<i8")
    yield partial_batch({SIZE_BLOCK: limbs} | nonzero_blocks(shares))


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
