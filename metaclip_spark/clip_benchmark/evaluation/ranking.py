"""Whether variants come out in the order of a published column."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from scipy import stats

from metaclip_spark.clip_benchmark.evaluation.paired_tests import LEVEL, holm, paired_difference


@dataclass(frozen=True)
class OrderAgreement:
    """How far two orders of the same variants agree.

    Attributes:
        variants: Those that both have, best published first.
        tau: Kendall's: 1 for the same order, -1 for the reverse; None where all means are the same.
        contradicted: (better, worse) as measured, where the published order is the other way round, and Holm's p over
            all pairs of variants is below 0.05.
        within_noise: The same where it is not.
    """

    variants: tuple[str, ...]
    tau: float | None
    contradicted: tuple[tuple[str, str], ...]
    within_noise: tuple[tuple[str, str], ...]


def order_agreement(
    measured: Mapping[str, Mapping[int, float]], published: Mapping[str, float]
) -> OrderAgreement | None:
    """Compares the order of means with that of a published column.

    Args:
        measured: Variant -> seed -> figure.
        published: Variant -> figure.

    Returns:
        How far they agree; None for fewer than two variants in both.
    """
    shared = sorted(measured.keys() & published.keys(), key=lambda name: -published[name])
    if len(shared) < 2:  # noqa: PLR2004 - one has no order
        return None
    means = {name: math.fsum(measured[name].values()) / len(measured[name]) for name in shared}
    tau = float(stats.kendalltau([means[name] for name in shared], [published[name] for name in shared]).statistic)
    pairs = [(lower, higher) for higher, lower in combinations(shared, 2) if published[higher] > published[lower]]
    differences = [paired_difference(measured[lower], measured[higher]) for lower, higher in pairs]
    corrected = holm([found.p if found is not None and found.enough else 1.0 for found in differences])
    reversed_pairs = {pair: p for pair, p in zip(pairs, corrected, strict=True) if means[pair[0]] > means[pair[1]]}
    return OrderAgreement(
        tuple(shared),
        None if math.isnan(tau) else tau,
        tuple(pair for pair, p in reversed_pairs.items() if p < 1 - LEVEL),
        tuple(pair for pair, p in reversed_pairs.items() if p >= 1 - LEVEL),
    )
