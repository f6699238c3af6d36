"""The sample step in the workers: matched pairs in, kept pairs out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers
from udfs.balancing.draw import pair_draws
from udfs.balancing.first_draw import both_draws, column_of, first_keep_probabilities
from udfs.balancing.probability import keep_probabilities
from udfs.schemas import CURATED, DRAWN, MATCHED


def sample_batches(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64], seed: int
) -> Iterator[pa.RecordBatch]:
    """Keeps each matched pair by its own draw (the paper, section 3.3 and its Algorithm 1).

    Args:
        batches: Batches of schema `MATCHED` or `ELIGIBLE`.
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Yields:
        Batches of schema `CURATED`, with the pairs whose draw is below their keep probability; never an empty one.
        Where only a drawn part was attempted, the keep probability is that of both draws together, min(q1, q0).

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, a `first_keep_probability` its range,
            or the seed is out of range.
    """
    for batch in batches:
        keep = kept_probabilities(
            batch.column("pair_id"),
            batch.column("entry_ids"),
            column_of(batch),
            entry_probability=entry_probability,
            seed=seed,
        )
        if keep.null_count < len(keep):
            kept = batch.select(MATCHED.names).append_column("keep_probability", keep).filter(keep.is_valid())
            yield pa.RecordBatch.from_arrays(kept.columns, schema=CURATED)


def draw_batches(
    batches: Iterator[pa.RecordBatch], *, entry_probability: npt.NDArray[np.float64], seed: int
) -> Iterator[pa.RecordBatch]:
    """Adds to each pair its keep probability and its draw, and keeps all.

    Args:
        batches: Batches of schema `MATCHED` or `ELIGIBLE`.
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Yields:
        Batches of schema `DRAWN`.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, or the seed is out of range.
    """
    for batch in batches:
        keep = chances_of_both_draws(batch.column("entry_ids"), column_of(batch), entry_probability=entry_probability)
        draws = pair_draws(batch.column("pair_id"), seed)
        columns = [*batch.select(MATCHED.names).columns, arrow_numbers(keep), arrow_numbers(draws)]
        yield pa.RecordBatch.from_arrays(columns, schema=DRAWN)


def kept_probabilities(
    pair_ids: pa.Array,
    entry_ids: pa.Array,
    first: pa.Array | None = None,
    *,
    entry_probability: npt.NDArray[np.float64],
    seed: int,
) -> pa.Array:
    """Draws pairs, each by itself.

    Args:
        pair_ids: Shape (rows,).
        entry_ids: The entry ids of each pair, shape (rows,).
        first: The chance with which each pair was attempted, shape (rows,), null or None where all were.
        entry_probability: One probability per metadata entry.
        seed: A number from 0 to 2^64 - 1.

    Returns:
        Shape (rows,), float64: the keep probability of each pair that is kept, null for the others.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, a number of `first` its range, or the
            seed is out of range.
    """
    keep = chances_of_both_draws(entry_ids, first, entry_probability=entry_probability)
    return arrow_numbers(keep, valid=pair_draws(pair_ids, seed) < keep)


def chances_of_both_draws(
    entry_ids: pa.Array, first: pa.Array | None = None, *, entry_probability: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Gives each pair's chance to be kept, min(q1, q0) where only a drawn part was attempted.

    Args:
        entry_ids: The entry ids of each pair, shape (rows,).
        first: q0 of each pair, shape (rows,), null or None where all pairs were attempted.
        entry_probability: One probability per metadata entry, for q1.

    Returns:
        Shape (rows,).

    Raises:
        ValueError: If an entry id lies outside the list, or a number of `first` its range.
    """
    return both_draws(keep_probabilities(entry_ids, entry_probability), first_keep_probabilities(first))


def missing_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    attempted_probability: npt.NDArray[np.float64],
    entry_probability: npt.NDArray[np.float64],
    seed: int,
) -> Iterator[pa.RecordBatch]:
    """Keeps what a larger threshold draws and a smaller one, which chose what was attempted, did not.

    Args:
        batches: Batches of schema `MATCHED`.
        attempted_probability: One probability per metadata entry, at the smaller threshold.
        entry_probability: One probability per metadata entry, at the larger threshold.
        seed: That of both draws.

    Yields:
        Batches of schema `CURATED` with the keep probability at the larger threshold; never an empty one.

    Raises:
        ValueError: If a pair_id is malformed, an entry id lies outside the list, or the seed is out of range.
    """
    for batch in batches:
        keep = keep_probabilities(batch.column("entry_ids"), entry_probability)
        draws = pair_draws(batch.column("pair_id"), seed)
        missing = (draws < keep) & (draws >= keep_probabilities(batch.column("entry_ids"), attempted_probability))
        if missing.any():
            probability = arrow_numbers(keep, valid=missing)
            kept = batch.select(MATCHED.names).append_column("keep_probability", probability)
            yield pa.RecordBatch.from_arrays(kept.filter(probability.is_valid()).columns, schema=CURATED)
