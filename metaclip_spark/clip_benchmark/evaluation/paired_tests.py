"""Verdicts from paired seeds: two settings share initial weights, order of samples and test items, seed by seed.

So the seed's own luck cancels in their difference, whose mean gets a t-interval. Where the interval holds zero, nothing
was shown, and the verdict says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95
FEWEST_SEEDS = 3
FEWEST_SEEDS_PRIMARY = 5
TIMES_CHANCE = 3


@dataclass(frozen=True)
class PairedDifference:
    """How much better one setting is than another, over the seeds that both have.

    Attributes:
        seeds: The seeds that were compared, ascending.
        mean: Mean difference.
        low: Lower end of the interval; minus infinity where there is one seed only.
        high: Its upper end.
        needed: Seeds without which there is no verdict.
    """

    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    needed: int = FEWEST_SEEDS

    @property
    def verdict(self) -> str:
        """better, worse, inconclusive, or how many seeds are missing."""
        if len(self.seeds) < self.needed:
            return f"too few seeds ({len(self.seeds)} of {self.needed})"
        if self.low <= 0 <= self.high:
            return "inconclusive"
        return "better" if self.mean > 0 else "worse"


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, needed: int = FEWEST_SEEDS, level: float = LEVEL
) -> PairedDifference | None:
    """Compares two settings on the seeds that both have.

    Args:
        first: Seed -> figure.
        second: The same of the setting that it is compared with.
        needed: Seeds without which there is no verdict.
        level: Coverage of the interval.

    Returns:
        mean(first - second) with the Student t-interval of n - 1 degrees of freedom; None where no seed is shared.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return None
    mean, low, high = t_interval([first[seed] - second[seed] for seed in seeds], level)
    return PairedDifference(seeds, mean, low, high, needed)


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """A mean and its two-sided Student t-interval.

    Args:
        values: n numbers, n at least 1.
        level: Coverage.

    Returns:
        mean, low, high; the ends are infinite for n = 1.
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, -math.inf, math.inf
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * math.sqrt(variance / len(values))
    return mean, mean - half, mean + half


def lower_bound_of_share(hits: int, items: int, level: float = LEVEL) -> float:
    """Bounds a share from below by its items: Clopper and Pearson's exact one-sided bound.

    Args:
        hits: Items that were right.
        items: All items, at least 1.
        level: Coverage.

    Returns:
        The share below which so many hits would be less likely than 1 - level.
    """
    return float(stats.beta.ppf(1 - level, hits, items - hits + 1)) if hits else 0.0


def lower_bound_of_mean(values: Sequence[float], level: float = LEVEL) -> float:
    """Bounds a mean over seeds from below, one-sided by Student's t; minus infinity for one seed."""
    return t_interval(values, 2 * level - 1)[1]


def bar_over_chance(classes: int) -> float:
    """The zero-shot accuracy that the lower bound must pass: `TIMES_CHANCE` times that of guessing."""
    return TIMES_CHANCE / classes
