"""The sample step in the workers: matched pairs in, kept pairs out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers
from udfs.balancing.draw import pair_draws
from udfs.balancing.probability import keep_probabilities
from udfs.schemas import CURATED, DRAWN, MATCHED


def sample_batches(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64], seed: int
) -> Iterator[pa.RecordBatch]:
    """Keeps each matched pair by its own draw (the paper, section 3.3 and its Algorithm 1).

    Args:
        batches: Batches of schema `MATCHED`.
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Yields:
        Batches of schema `CURATED`, with the pairs whose draw is below their keep probability; never an empty one.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, or the seed is out of range.
    """
    for batch in batches:
        keep = kept_probabilities(
            batch.column("pair_id"), batch.column("entry_ids"), entry_probability=entry_probability, seed=seed
        )
        if keep.null_count < len(keep):
            kept = batch.select(MATCHED.names).append_column("keep_probability", keep).filter(keep.is_valid())
            yield pa.RecordBatch.from_arrays(kept.columns, schema=CURATED)


def draw_batches(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64], seed: int
) -> Iterator[pa.RecordBatch]:
    """Adds to each pair its keep probability and its draw, and keeps all.

    Args:
        batches: Batches of schema `MATCHED`.
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Yields:
        Batches of schema `DRAWN`.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, or the seed is out of range.
    """
    for batch in batches:
        keep = keep_probabilities(batch.column("entry_ids"), entry_probability)
        draws = pair_draws(batch.column("pair_id"), seed)
        columns = [*batch.select(MATCHED.names).columns, arrow_numbers(keep), arrow_numbers(draws)]
        yield pa.RecordBatch.from_arrays(columns, schema=DRAWN)


def kept_probabilities(
    pair_ids: pa.Array, entry_ids: pa.Array, *, entry_probability: npt.NDArray[np.float64], seed: int
) -> pa.Array:
    """Draws pairs, each by itself.

    Args:
        pair_ids: Shape (rows,).
        entry_ids: The entry ids of each pair, shape (rows,).
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Returns:
        Shape (rows,), float64: the keep probability of each pair that is kept, null for the others.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, or the seed is out of range.
    """
    keep = keep_probabilities(entry_ids, entry_probability)
    return arrow_numbers(keep, valid=pair_draws(pair_ids, seed) < keep)
