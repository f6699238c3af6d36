"""The count step in the workers: entry ids in, partial counts per block of entries out.

Counts travel as blocks of 64-bit numbers keyed by block, so that the shuffle carries vectors (not one row per match)
and no single reducer receives all entries.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.schemas import PARTIAL_COUNTS

BLOCK_SIZE = 4096
"""Entry ids per block; the last block may be shorter."""

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
    blocks = [block for block in range(-(-number_of_entries // BLOCK_SIZE)) if _block(counts, block).any()]
    if blocks:
        columns = [
            pa.array(blocks, pa.int32()),
            pa.array([_block(counts, block).tobytes() for block in blocks], pa.binary()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=PARTIAL_COUNTS)


def add_counts(left: bytes, right: bytes) -> bytes:
    """Adds two partial counts of one block, for `reduceByKey`.

    Args:
        left: Little-endian 64-bit counts.
        right: As many counts of the same block.

    Returns:
        Their sums, in the same form.

    Raises:
        ValueError: If the two have different lengths, so that they come from different lists.
    """
    if len(left) != len(right):
        raise ValueError(f"partial counts of one block have {len(left)} and {len(right)} bytes; count with one list")
    return (np.frombuffer(left, _COUNT) + np.frombuffer(right, _COUNT)).tobytes()


def _block(counts: npt.NDArray[np.int64], block: int) -> npt.NDArray[np.int64]:
    """Gives the counts of one block."""
    return counts[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]


def _entry_ids(batch: pa.RecordBatch, number_of_entries: int) -> npt.NDArray[np.int32]:
    """Gives all entry ids of a batch.

    Raises:
        ValueError: If one lies outside the list.
    """
    # A copy: with the buffer itself every batch of the partition would stay in memory for as long as it is buffered.
    ids: npt.NDArray[np.int32] = batch.column("entry_ids").flatten().to_numpy(zero_copy_only=False).copy()
    if ids.size and not 0 <= ids.min() <= ids.max() < number_of_entries:
        raise ValueError(
            f"entry ids from {ids.min()} to {ids.max()} do not fit a list of {number_of_entries} entries; "
            "count with the list that matched"
        )
    return ids
