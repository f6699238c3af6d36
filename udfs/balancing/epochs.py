"""Draws of online curation: that of the curated set in epoch 0, and one of its own for each later epoch."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.balancing.draw import pair_draws, splitmix64


def epoch_draws(pair_ids: pa.Array, seed: int, epoch: int) -> npt.NDArray[np.float64]:
    """Draws a number for each pair in an epoch: `pair_draws` with the epoch's seed.

    Args:
        pair_ids: n strings of 32 hex digits.
        seed: The curation's, from 0 to 2^64 - 1.
        epoch: From 0 to 2^64 - 1.

    Returns:
        n numbers, at least 0 and below 1, the same in every release; in epoch 0 those of the curated set.

    Raises:
        ValueError: If a pair_id is malformed, or seed or epoch is out of range.
    """
    return pair_draws(pair_ids, epoch_seed(seed, epoch))


def epoch_seed(seed: int, epoch: int) -> int:
    """Derives the seed of an epoch's draws: the seed itself in epoch 0, then splitmix64(splitmix64(seed) XOR epoch).

    Raises:
        ValueError: If the seed or the epoch is out of range.
    """
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise ValueError(f"the {name} {value} is outside 0 to 2^64 - 1")
    if epoch == 0:
        return seed
    mixed = splitmix64(splitmix64(np.array([seed], np.uint64)) ^ np.array([epoch], np.uint64))
    return int(mixed[0])
