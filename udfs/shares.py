"""What is expected to be kept of each entry, in the workers: entry ids in, partial sums per block of entries out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.count import BLOCK_SIZE
from udfs.draw import PairFactors
from udfs.sample import probability_units
from udfs.schemas import PARTIAL_COUNTS

SHARE_UNITS = 2**20
"""Sums per entry are in units of 2^-20: those of 2^43 pairs stay below 2^63."""

_COARSER = 2**12


def partial_shares(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64]
) -> Iterator[pa.RecordBatch]:
    """Sums, over one partition, the keep probabilities of the pairs that contain each entry.

    Args:
        batches: Batches with a column `entry_ids`, lists of int32 that are distinct within a pair.
        entry_probability: One probability per metadata entry.

    Yields:
        One batch of schema `PARTIAL_COUNTS`, in units of 2^-20, with the blocks that have a sum above zero; none where
        no block has. The units are whole numbers, so that partitioning cannot change a sum.

    Raises:
        ValueError: If an entry id lies outside the list.
    """
    blocks = -(-entry_probability.size // BLOCK_SIZE)
    shares = np.zeros(blocks * BLOCK_SIZE, "<i8")
    for batch in batches:
        factors = PairFactors(batch.column("entry_ids"), entry_probability.size)
        keep = factors.keep_probabilities(entry_probability[factors.ids])
        np.add.at(shares, factors.ids, np.repeat(probability_units(keep) // _COARSER, factors.lengths))
    by_block = shares.reshape(blocks, BLOCK_SIZE)
    present: list[int] = np.flatnonzero(by_block.any(axis=1)).tolist()
    if present:
        columns = [
            pa.array(present, pa.int32()),
            pa.array([_cut(by_block, block, entry_probability.size).tobytes() for block in present], pa.binary()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=PARTIAL_COUNTS)


def _cut(by_block: npt.NDArray[np.int64], block: int, number_of_entries: int) -> npt.NDArray[np.int64]:
    """Gives one block's sums; the last block may be shorter."""
    sums: npt.NDArray[np.int64] = by_block[block][: number_of_entries - block * BLOCK_SIZE]
    return sums
