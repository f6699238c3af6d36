"""Whether variants come out in the order of a published column."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from scipy import stats


@dataclass(frozen=True)
class OrderAgreement:
    """How far two orders of the same variants agree.

    Attributes:
        variants: Those that both have, best published first.
        tau: Kendall's: 1 for the same order, -1 for the reverse.
        contradicted: (better, worse) as measured, where the published order is the other way round.
    """

    variants: tuple[str, ...]
    tau: float
    contradicted: tuple[tuple[str, str], ...]


def order_agreement(measured: Mapping[str, float], published: Mapping[str, float]) -> OrderAgreement | None:
    """Compares the order of means with that of a published column; None for fewer than two variants in both."""
    shared = sorted(measured.keys() & published.keys(), key=lambda name: -published[name])
    if len(shared) < 2:  # noqa: PLR2004 - one has no order
        return None
    tau = stats.kendalltau([measured[name] for name in shared], [published[name] for name in shared]).statistic
    contradicted = tuple(
        (one, other)
        for one, other in permutations(shared, 2)
        if measured[one] > measured[other] and published[one] < published[other]
    )
    return OrderAgreement(tuple(shared), float(tau), contradicted)
