"""Intervals against ones worked by hand from tables of Student's t, and the words that follow from them."""

import math

import pytest

from metaclip_spark.clip_benchmark.evaluation.paired_tests import (
    bar_over_chance,
    lower_bound_of_mean,
    lower_bound_of_share,
    paired_difference,
    t_interval,
)


def test_an_interval_worked_by_hand():
    # Mean 2, deviations -1 0 1, variance 1, standard error 1/sqrt(3), t(0.975, 2) = 4.302653 by the printed tables.
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((2.0, 2.0 - half, 2.0 + half), abs=1e-6)


def test_pairs_are_compared_seed_by_seed():
    # The seeds' own luck (0.1 and 0.5) cancels: differences 0.02, 0.03, 0.04; t(0.975, 2) as above.
    first = {0: 0.12, 1: 0.53, 2: 0.34, 9: 1.0}
    second = {2: 0.30, 1: 0.50, 0: 0.10, 7: 0.0}
    found = paired_difference(first, second)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert found.seeds == (0, 1, 2)
    assert (found.mean, found.low, found.high) == pytest.approx((0.03, 0.03 - half, 0.03 + half), abs=1e-7)
    assert found.verdict == "better"
    assert paired_difference(second, first).verdict == "worse"


def test_an_interval_that_holds_zero_is_inconclusive():
    assert paired_difference({0: 0.1, 1: 0.2, 2: 0.1}, {0: 0.0, 1: 0.3, 2: 0.05}).verdict == "inconclusive"
    assert paired_difference({0: 0.1, 1: 0.2, 2: 0.3}, {0: 0.1, 1: 0.2, 2: 0.3}).verdict == "inconclusive"


def test_too_few_seeds_give_no_verdict():
    assert paired_difference({0: 0.5, 1: 0.6}, {0: 0.1, 1: 0.2}).verdict == "too few seeds (2 of 3)"
    four = {seed: 0.5 + seed / 1000 for seed in range(4)}
    assert paired_difference(four, dict.fromkeys(four, 0.1), needed=5).verdict == "too few seeds (4 of 5)"
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
    assert paired_difference({0: 1.0}, {0: 0.5}).low == -math.inf


def test_the_exact_bound_of_a_share():
    # With all of n right the bound is 0.05^(1/n); with one of n right it is 1 - 0.95^(1/n).
    assert lower_bound_of_share(20, 20) == pytest.approx(0.05 ** (1 / 20))
    assert lower_bound_of_share(1, 480) == pytest.approx(1 - 0.95 ** (1 / 480))
    assert lower_bound_of_share(0, 480) == 0.0


def test_the_one_sided_bound_of_a_mean():
    # t(0.95, 2) = 2.919986.
    assert lower_bound_of_mean([1.0, 2.0, 3.0]) == pytest.approx(2 - 2.919986 / math.sqrt(3), abs=1e-6)
    assert bar_over_chance(24) == pytest.approx(0.125)
