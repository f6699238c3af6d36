"""The compiled loop that sums the keep probabilities of pairs at many thresholds.

Its products are those of `probability.PairFactors` to the bit: the factors of a pair in the order of its list. So are
its shares of the survivors of a first draw those of `first_draw.survivors_share`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from udfs.compilation import kernel
from udfs.numba_intrinsics import types

EXPECTED, VARIANCE, CERTAIN = range(3)
"""Rows of the sums."""

Numbers = npt.NDArray[np.float64]
WholeNumbers = npt.NDArray[np.int64]


def _add_sums(
    ends: WholeNumbers,
    first: Numbers,
    its_counts: Numbers,
    thresholds: Numbers,
    units: float,
    lost: Numbers,
    sums: WholeNumbers,
) -> None:
    begin = 0
    for pair in range(ends.size):
        end = ends[pair]
        if begin == end:
            continue
        smallest = its_counts[begin]
        for place in range(begin + 1, end):
            smallest = min(smallest, its_counts[place])
        # An entry at or below a threshold is certain to keep its pair, so that only smaller thresholds need arithmetic.
        below = 0
        while below < thresholds.size and thresholds[below] < smallest:
            lost[below] = 1.0
            below += 1
        for place in range(begin, end):
            for at in range(below):
                lost[at] *= 1.0 - thresholds[at] / its_counts[place]
        its_first = first[pair] if first.size else 1.0
        for at in range(below):
            keep = 1.0 - lost[at]
            if its_first < 1.0:
                keep = min(1.0, keep / its_first)
            sums[EXPECTED, at] += np.int64(np.rint(keep * units))
            sums[VARIANCE, at] += np.int64(np.rint(keep * (1.0 - keep) * units))
        sums[CERTAIN, below] += 1
        begin = end


@kernel(_add_sums)
def expected_sizes_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of

        - where the list of each pair ends, int64[n],
        - the keep probability of each pair in the first draw, float64[n], or none where all were attempted,
        - the counts of the entries of all lists, float64, none of which is negative,
        - thresholds, float64[m], ascending,
        - the number of units in one,
        - room for m numbers, float64[m],
        - sums, int64[3, m + 1], to which it adds: the sums of q and of q (1 - q) in units, over the pairs that are not
          certain at a threshold, and the number of pairs with entries that are certain from a threshold on, but at none
          before it. Of the survivors of a first draw, q is the chance of the second to keep what the first has kept.
    """
    numbers, whole_numbers = types.float64[::1], types.int64[::1]
    return types.void(whole_numbers, numbers, numbers, numbers, types.float64, numbers, types.int64[:, ::1])
