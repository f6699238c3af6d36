"""Tests of paired seeds: two settings share pool, initial weights, order of samples and test items, seed by seed.

What a seed gives to both cancels in their difference, whose mean gets a t-interval and a p-value. Pairing helps as far
as the two correlate over the seeds, so the correlation is told beside each difference.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from metaclip_spark.clip_benchmark.settings.grid_config import FEWEST_SEEDS

LEVEL = 0.95
FEWEST_FOR_BOUND = 3
"""Seeds without which a setting is bounded over the items of one training."""

FEWEST_FOR_CORRELATION = 3
TIMES_CHANCE = 3


@dataclass(frozen=True)
class PairedDifference:
    """How much better one setting is than another, over the seeds that both have.

    Attributes:
        seeds: The seeds that were compared, ascending.
        mean: Mean difference.
        low: Lower end of the 95% interval; minus infinity where there is one seed only.
        high: Its upper end.
        p: Two-sided, of Student's t over the differences; 1 where there is one seed only.
        correlation: Pearson's, of the two settings over the seeds; None below three seeds, or where one never varies.
    """

    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    p: float
    correlation: float | None

    @property
    def enough(self) -> bool:
        """Whether there are enough seeds for a verdict."""
        return len(self.seeds) >= FEWEST_SEEDS


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> PairedDifference | None:
    """Compares two settings on the seeds that both have.

    Args:
        first: Seed -> figure.
        second: The same of the setting that it is compared with.

    Returns:
        mean(first - second) with the Student t-interval of n - 1 degrees of freedom; None where no seed is shared.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return None
    one, other = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
    differences = [a - b for a, b in zip(one, other, strict=True)]
    mean, low, high = t_interval(differences)
    return PairedDifference(seeds, mean, low, high, p_of_mean(differences), _correlation(one, other))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects the p-values of a family of questions, so that one false answer among all of them is as rare as told.

    Args:
        p_values: One for each question.

    Returns:
        Holm's adjusted p-values (1979), in the same order: compare them with the level of the whole family.

    Raises:
        ValueError: If one is not a number, which would take part in the order of all.
    """
    if any(math.isnan(p) for p in p_values):
        raise ValueError(f"a p-value is not a number: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def log_odds(share: float, items: int) -> float:
    """The log-odds of a share of so many items, half an item away from none and all (Haldane and Anscombe)."""
    hits = share * items
    return math.log((hits + 0.5) / (items - hits + 0.5))


def p_of_mean(values: Sequence[float]) -> float:
    """Two-sided p of Student's t that n numbers have the mean zero; 1 for n = 1."""
    if len(values) == 1:
        return 1.0
    mean, error = math.fsum(values) / len(values), statistics.stdev(values) / math.sqrt(len(values))
    if error == 0:
        return float(mean == 0)
    return float(2 * stats.t.sf(abs(mean) / error, len(values) - 1))


def _correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    if len(first) < FEWEST_FOR_CORRELATION or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return statistics.correlation(first, second)


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
