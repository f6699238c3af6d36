"""Numbers per metadata entry, cut into vectors that are keyed by block, and what `reduceByKey` does with them."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_contents, arrow_numbers
from udfs.schemas import PARTIAL_COUNTS

BLOCK_SIZE = 512
"""Entry ids per block, 4 KiB of counts; the last block may be shorter. A partition sends no block without a count."""


def partial_batch(sums: Mapping[int, npt.NDArray[np.int64]]) -> pa.RecordBatch:
    """Puts numbers by block into a batch of schema `PARTIAL_COUNTS`."""
    columns = [arrow_numbers(np.fromiter(sums, np.int32, len(sums))), arrow_contents(list(sums.values()))]
    return pa.RecordBatch.from_arrays(columns, schema=PARTIAL_COUNTS)


def nonzero_blocks(numbers: npt.NDArray[np.int64]) -> dict[int, npt.NDArray[np.int64]]:
    """Cuts numbers per metadata entry into blocks, and keeps those with a number other than zero.

    Args:
        numbers: Shape (entries,), or (kinds, entries): a block then holds its numbers of one kind after the other.
    """
    cut = (numbers[..., start : start + BLOCK_SIZE] for start in range(0, numbers.shape[-1], BLOCK_SIZE))
    return {block: content.reshape(-1) for block, content in enumerate(cut) if content.any()}


def add_blocks(partials: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Adds up rows of `PARTIAL_COUNTS` by block, where `reduceByKey` would hold too many."""
    sums: dict[int, npt.NDArray[np.int64]] = {}
    for block, counts in map(block_and_counts, partials):
        sums[block] = add_counts(sums[block], counts) if block in sums else counts
    yield from sums.items()


def block_and_counts(partial: tuple[int, bytes]) -> tuple[int, npt.NDArray[np.int64]]:
    """Turns a row of `PARTIAL_COUNTS` into a key and a value that `add_counts` may change."""
    block, content = partial
    return block, np.frombuffer(content, "<i8").copy()


def add_counts(total: npt.NDArray[np.int64], more: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Adds counts of one block in place: what `reduceByKey` calls. Whole numbers, so that their order changes nothing.

    Args:
        total: Shape (entries of the block,), none negative; changed.
        more: Counts of the same block, none negative.

    Returns:
        `total`.

    Raises:
        ValueError: If their lengths differ, so that they come from different lists.
        OverflowError: If a sum exceeds 2^63 - 1.
    """
    if total.size != more.size:
        raise ValueError(
            f"partial counts of one block have {total.nbytes} and {more.nbytes} bytes; count with one list"
        )
    total += more
    # numpy wraps around in silence; the sum of two numbers below 2^63 is then negative.
    if (total < 0).any():
        raise OverflowError("the counts of an entry exceed 2^63 - 1")
    return total
