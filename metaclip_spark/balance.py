"""The maths of balancing on one page: thresholds, probabilities, tail shares and expected sizes.

Source: "Demystifying CLIP Data", section 3.3 and Algorithm 1. numpy and Arrow only; nothing here knows Spark.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from operator import index

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metaclip_spark.errors import ConfigError, brief, wrong_type
from metaclip_spark.thresholds import LARGEST_COUNT, check_threshold
from udfs.balancing.epochs import epoch_draws
from udfs.balancing.probability import PROBABILITY_UNITS

Counts = npt.NDArray[np.int64]

_HALF_BITS = 32

CHANCE_OF_FALSE_ALARM = 1e-6
"""How often a right sample may lie outside `size_bound`; half of it on each side."""


def exact_sum(counts: Counts) -> int:
    """Adds counts up without wrapping around at 2^63.

    Args:
        counts: Fewer than 2^31 numbers, none of which is negative.

    Returns:
        The sum.
    """
    return (int((counts >> _HALF_BITS).sum()) << _HALF_BITS) + int((counts & (2**_HALF_BITS - 1)).sum())


def entry_probabilities(counts: Counts, threshold_t: float | Counts) -> npt.NDArray[np.float64]:
    """Computes each metadata entry's probability, min(1, t / count) ("Demystifying CLIP Data", Algorithm 1).

    Args:
        counts: int64, shape (entries,): in how many pairs of the whole pool each entry occurs.
        threshold_t: The threshold t: a whole number of at least 1, or infinity. Or one for each entry, int64, shape
            (entries,), where each metadata list has its own; there 2^63 - 1 stands for infinity.

    Returns:
        float64, shape (entries,): above 0 and up to 1; 1 where the count is at most t, never NaN.

    Raises:
        ConfigError: If there are no counts, a count is negative, the threshold is not one, or there is not one for each
            entry.

    Example:
        >>> import numpy as np
        >>> from metaclip_spark import entry_probabilities
        >>> entry_probabilities(np.array([0, 20, 80]), 20).tolist()
        [1.0, 1.0, 0.25]
    """
    counts = _as_counts(counts)
    limit = _comparable(threshold_t, counts)
    probabilities = np.ones(counts.size)
    head = counts > limit
    probabilities[head] = (limit[head] if isinstance(limit, np.ndarray) else limit) / counts[head]
    return probabilities


def tail_share(counts: Counts, threshold_t: float | Counts) -> float:
    """Computes the tail's share of all matches: the matches of entries whose count is below t.

    Args:
        counts: int64, shape (entries,): in how many pairs of the whole pool each entry occurs.
        threshold_t: The threshold t: a whole number of at least 1, or infinity; or one for each entry, as
            `entry_probabilities` takes them.

    Returns:
        A number from 0 to 1; 0 where nothing was matched. The paper's English pool has about 0.055 at t = 20,000.

    Raises:
        ConfigError: If there are no counts, a count is negative, or the threshold is not one.

    Example:
        >>> import numpy as np
        >>> from metaclip_spark import tail_share
        >>> tail_share(np.array([0, 20, 80]), 21)
        0.2
    """
    counts = _as_counts(counts)
    limit = _comparable(threshold_t, counts)
    matches = exact_sum(counts)
    return exact_sum(counts[counts < limit]) / matches if matches else 0.0


def threshold_without_caps(first_counts: Counts, counts: Counts, threshold_t: float) -> int:
    """Finds the threshold of a first draw that attempts every pair a second draw asks for.

    Args:
        first_counts: One count per metadata entry: those of the first draw, over all matched pairs.
        counts: The counts of the second draw, over the eligible pairs.
        threshold_t: The threshold of the second draw.

    Returns:
        The smallest t with min(1, t / first_counts) >= min(1, threshold_t / counts) for every entry with a count.
    """
    left = counts > 0
    head = counts > threshold_t
    # Of the tail every pair is asked for, of the head a part. Python integers do not wrap around.
    asked: list[int] = first_counts[left & ~head].tolist()
    both = zip(first_counts[head].tolist(), counts[head].tolist(), strict=True)
    asked += [-(-first * int(threshold_t) // now) for first, now in both]
    return max(asked, default=1)


def head_entries_cut(counts: Counts, threshold_t: float | Counts) -> int:
    """Gives the number of entries whose count exceeds t, which alone are balanced.

    Args:
        counts: One count per metadata entry.
        threshold_t: The threshold t, or one for each entry.

    Returns:
        A number of entries; 0 means that every matched pair is kept.

    Raises:
        ConfigError: If there are no counts, a count is negative, or the threshold is none.
    """
    counts = _as_counts(counts)
    return int((counts > _comparable(threshold_t, counts)).sum())


@dataclass(frozen=True)
class TailShares:
    """The tail shares that entry counts can give: a share grows with t, in steps just above each count that occurs.

    All numbers are Python integers and fractions: products and sums may exceed 2^63.
    """

    values: list[int]
    """The counts that occur, without zero, ascending."""

    matches_up_to: list[int]
    """One number more than `values`: the matches of the entries whose count is one of the first n values."""

    @classmethod
    def of(cls, counts: Counts) -> "TailShares":
        """Sums counts up by value; zeros play no part."""
        values, entries = np.unique(counts[counts > 0], return_counts=True)
        by_value = list(zip(values.tolist(), entries.tolist(), strict=True))
        return cls(
            [value for value, _ in by_value],
            list(accumulate((value * times for value, times in by_value), initial=0)),
        )

    @property
    def matches(self) -> int:
        """The matches of all entries."""
        return self.matches_up_to[-1]

    def share(self, threshold_t: float) -> Fraction:
        """Gives the share of all matches that entries below t have; 0 where nothing was matched."""
        below = self.matches_up_to[bisect_left(self.values, threshold_t)]
        return Fraction(below, self.matches) if self.matches else Fraction(0)

    def threshold(self, share: Fraction) -> int:
        """Finds the smallest t whose share comes nearest to a wanted one; 1 where nothing was matched."""
        wanted, parts = share.as_integer_ratio()
        wanted *= self.matches
        place = bisect_left(self.matches_up_to, wanted, key=lambda matches: matches * parts)
        nearest = [place for place in (place - 1, place) if 0 <= place <= len(self.values)]
        chosen = min(nearest, key=lambda place: abs(self.matches_up_to[place] * parts - wanted))
        return self.values[chosen - 1] + 1 if chosen else 1


def threshold_for_tail_share(counts: Counts, share: float) -> int:
    """Finds the threshold whose tail share comes nearest to a wanted one (the paper, section 3.3, uses 6%).

    The tail share grows with t, in steps just above each count that occurs; the smallest t of the nearest is taken.

    Args:
        counts: int64, shape (entries,): in how many pairs of the whole pool each entry occurs; zeros play no part.
        share: The wanted share, from 0 to 1.

    Returns:
        The threshold t, a whole number of at least 1.

    Raises:
        ConfigError: If there are no counts above zero, a count is negative, or the share is outside 0 to 1.

    Example:
        >>> import numpy as np
        >>> from metaclip_spark import threshold_for_tail_share
        >>> threshold_for_tail_share(np.array([0, 6, 14, 80]), 0.06)
        7
    """
    counts = _as_counts(counts)
    try:
        # Its digits as they are written: none is rounded.
        wanted_share = Fraction(str(share))
    except (ValueError, ZeroDivisionError):
        wanted_share = Fraction(-1)
    if not 0 <= wanted_share <= 1:
        raise ConfigError(f"tail_share must lie between 0 and 1, such as 0.06 (got {brief(share)})")
    shares = TailShares.of(counts)
    if not shares.matches:
        raise ConfigError("tail_share has nothing to choose t from: no pair matched any metadata entry")
    return shares.threshold(wanted_share)


def keeps_in_epoch(
    pair_ids: Iterable[str], keep_probability: Iterable[float], seed: int, epoch: int
) -> npt.NDArray[np.bool_]:
    """Draws which matched pairs an epoch of a training keeps: online curation, a function of its arguments only.

    Args:
        pair_ids: n texts of 32 hex digits, in a list, an array or a column.
        keep_probability: The keep probability of each pair, n numbers from 0 to 1.
        seed: The seed of the curated set, from 0 to 2^64 - 1.
        epoch: From 0 to 2^64 - 1. Epoch 0 keeps exactly the curated set, each later one a set of its own draw.

    Returns:
        n booleans: whether the epoch keeps the pair, the same in every release.

    Raises:
        ConfigError: If an id or a probability is malformed, there are not as many of both, or seed or epoch is out of
            range.

    Example:
        >>> from metaclip_spark import keeps_in_epoch
        >>> pair_ids = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
        >>> [keeps_in_epoch(pair_ids, [0.5, 0.5], seed=0, epoch=epoch).tolist() for epoch in range(4)]
        [[True, False], [True, True], [True, False], [False, True]]
    """
    try:
        ids = pa.array(pair_ids, pa.string())
        probabilities = np.asarray(keep_probability, np.float64)
    except (pa.ArrowException, ValueError, TypeError, LookupError):
        raise ConfigError("pair_ids and keep_probability: pass a list of texts and a list of as many numbers") from None
    if probabilities.shape != (len(ids),):
        raise ConfigError(f"keep_probability has the shape {probabilities.shape}: pass one number for each of pair_ids")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ConfigError("keep_probability holds something else than numbers from 0 to 1: take that of the pairs")
    try:
        return epoch_draws(ids, index(seed), index(epoch)) < probabilities
    except (ValueError, TypeError) as error:
        raise ConfigError(f"pair_ids, seed and epoch cannot be drawn with: {error}") from None


@dataclass(frozen=True)
class ExpectedSize:
    """The predicted size of a curated set, from integer sums over the matched pairs.

    Example:
        >>> from metaclip_spark import ExpectedSize
        >>> predicted = ExpectedSize(pairs=100, expected_units=25 * 2**32, variance_units=16 * 2**32)
        >>> predicted.size, predicted.standard_error
        (25.0, 4.0)
        >>> predicted.is_plausible(30), predicted.is_plausible(90)
        (True, False)
    """

    pairs: int
    """Matched pairs."""

    expected_units: int
    """The sum of the keep probabilities q, in units of 2^-32."""

    variance_units: int
    """The sum of q(1 - q), in units of 2^-32."""

    capped: int = 0
    """Of the survivors of a first draw, those whose q exceeds the one that they were attempted with."""

    @property
    def size(self) -> float:
        """The expected number of kept pairs."""
        return self.expected_units / PROBABILITY_UNITS

    @property
    def variance(self) -> float:
        """The variance of the number of kept pairs: draws of different pairs are independent."""
        return self.variance_units / PROBABILITY_UNITS

    @property
    def standard_error(self) -> float:
        """The standard deviation of the number of kept pairs."""
        return math.sqrt(self.variance)

    def is_plausible(self, kept: int) -> bool:
        """Tells whether an actual size lies within what chance allows (`size_bound`)."""
        return abs(kept - self.size) <= size_bound(self.variance)


def size_bound(variance: float) -> float:
    """Bounds the distance between expected and actual size: Bernstein's inequality, valid for every variance.

    Args:
        variance: The sum of q(1 - q) over the pairs, V.

    Returns:
        0.5 + L/3 + sqrt(L^2/9 + 2VL) pairs with L = ln(2 / 10^-6), where 0.5 is for rounding; a right sample lies
        outside once in a million.
    """
    logarithm = math.log(2 / CHANCE_OF_FALSE_ALARM)
    return 0.5 + logarithm / 3 + math.sqrt(logarithm**2 / 9 + 2 * variance * logarithm)


def _comparable(threshold_t: object, counts: Counts) -> int | float | Counts:
    """Reads a threshold; one that no count reaches becomes infinity, which 64-bit numbers can be compared with.

    Raises:
        ConfigError: If it is no threshold, nor one for each entry.
    """
    if isinstance(threshold_t, np.ndarray) and threshold_t.ndim:
        return _one_each(threshold_t, counts)
    limit = check_threshold(threshold_t)
    return limit if limit <= LARGEST_COUNT else math.inf


def _one_each(thresholds: npt.NDArray[np.int64], counts: Counts) -> Counts:
    """Refuses thresholds that are not one whole number of at least 1 for each entry.

    Raises:
        ConfigError: If they are not.
    """
    if thresholds.shape != counts.shape or thresholds.dtype.kind not in "iu" or thresholds.min() < 1:
        raise ConfigError(
            "threshold_t must be a whole number of at least 1, inf, or one whole number of at least 1 for each of the "
            f"{counts.size:,} entries"
        )
    return thresholds


def _as_counts(counts: object) -> Counts:
    """Reads counts from an array, a list or a column of a DataFrame, and refuses those that no pool can have.

    Raises:
        ConfigError: If there are none, they are not integers, or one is negative or too large.
    """
    wanted = "one integer of at least 0 for each entry, such as EntryCounts.counts"
    try:
        array = np.asarray(counts)
    except ValueError:
        raise ConfigError(f"counts holds lists of several lengths: pass {wanted}") from None
    if array.shape == (0,):
        raise ConfigError("there are no entry counts; run the count step with a metadata list that has entries")
    if array.ndim != 1:
        raise ConfigError(
            wrong_type("counts", counts, wanted)
            if array.ndim == 0
            else f"counts has the shape {array.shape}: pass {wanted}"
        )
    if array.dtype.kind not in "iu":
        raise ConfigError(f"counts holds values of the type {array.dtype}: pass {wanted}")
    if array.min() < 0:
        raise ConfigError(f"the count of entry {array.argmin()} is {array.min()}, but must be at least 0")
    if array.max() > LARGEST_COUNT:
        raise ConfigError(f"the count of entry {array.argmax()} is {array.max()}, but must be at most 2^63 - 1")
    return array.astype(np.int64, copy=False)
