"""The first draw: pairs of which only those with draw < q0 were attempted, and what that changes.

A survivor's draw is uniform below its q0. Drawn again with the same seed, it is kept where its draw is below q1, too.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers, numpy_numbers

SMALLEST_FIRST = 2.0**-40
"""The smallest q0: one pair stands for at most 2^40."""

_CERTAIN = arrow_numbers(np.ones(1))[0]


def first_keep_probabilities(column: pa.Array | None) -> npt.NDArray[np.float64] | None:
    """Reads a batch's q0.

    Args:
        column: n float64 numbers; None where the table has no such column.

    Returns:
        n numbers from `SMALLEST_FIRST` to 1, with 1 for a null; None where all pairs were attempted.

    Raises:
        ValueError: If a number is outside that range.
    """
    if column is None or column.null_count == len(column):
        return None
    first: npt.NDArray[np.float64] = numpy_numbers(column.fill_null(_CERTAIN))
    outside = first[~((first >= SMALLEST_FIRST) & (first <= 1.0))]
    if outside.size:
        raise ValueError(f"first_keep_probability holds {outside[0]}, but must lie between 2^-40 and 1")
    return first


def column_of(batch: pa.RecordBatch) -> pa.Array | None:
    """Gives a batch's column of q0, None where it has none."""
    return batch.column("first_keep_probability") if "first_keep_probability" in batch.schema.names else None


def survivors_share(keep: npt.NDArray[np.float64], first: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """Gives the chance of each survivor of the first draw to be kept by the second: r = min(1, q1 / q0)."""
    return keep if first is None else np.minimum(1.0, keep / first)


def both_draws(keep: npt.NDArray[np.float64], first: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """Gives the chance of each pair to be kept by both draws, which share their numbers: min(q1, q0)."""
    return keep if first is None else np.minimum(keep, first)
