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

_COUNT = np.dtype("<i8")
_BUFFERED_IDS = 1 << 20


def partial_counts(batches: Iterator[pa.RecordBatch], *, number_of_entries: int) -> Iterator[pa.RecordBatch]:
    """Counts, over one partition, the pairs that contain each entry (the paper, section 3.2).

    Args:
        batches: Batches with a column `entry_ids`, lists of int32 that are distinct within a pair.
        number_of_entries: The length of the metadata list.

    Yields:
        One batch of schema `PARTIAL_COUNTS`, with the blocks that have a count above zero; none where no block has.

    Raises:
        ValueError: If an entry id lies outside the list.
    """
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
