"""Intervals, p-values and corrections against ones worked by hand or from printed tables."""

import math

import pytest
from scipy import stats

from metaclip_spark.clip_benchmark.evaluation.paired_tests import (
    bar_over_chance,
    holm,
    log_odds,
    lower_bound_of_mean,
    lower_bound_of_share,
    p_of_mean,
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
    assert found.p == pytest.approx(stats.ttest_rel([0.12, 0.53, 0.34], [0.10, 0.50, 0.30]).pvalue)
    # 0.12, 0.53, 0.34 and 0.10, 0.50, 0.30: covariance 0.0411 over deviations 0.20518 and 0.2.
    assert found.correlation == pytest.approx(0.9991, abs=1e-4)
    assert paired_difference(second, first).p == pytest.approx(found.p)


def test_pairs_that_go_apart_are_told():
    apart = paired_difference({0: 0.1, 1: 0.2, 2: 0.3}, {0: 0.3, 1: 0.2, 2: 0.1})
    assert apart.correlation == pytest.approx(-1)
    assert paired_difference({0: 0.1, 1: 0.2}, {0: 0.3, 1: 0.1}).correlation is None
    assert paired_difference({0: 0.1, 1: 0.2, 2: 0.3}, dict.fromkeys(range(3), 0.2)).correlation is None


def test_fewer_than_five_seeds_are_too_few():
    four = {seed: 0.5 + seed / 1000 for seed in range(4)}
    assert not paired_difference(four, dict.fromkeys(four, 0.1)).enough
    five = four | {4: 0.5}
    assert paired_difference(five, dict.fromkeys(five, 0.1)).enough
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
    one = paired_difference({0: 1.0}, {0: 0.5})
    assert (one.low, one.p) == (-math.inf, 1.0)


def test_the_p_of_a_mean():
    assert p_of_mean([1.0, 2.0, 3.0, 2.5]) == pytest.approx(stats.ttest_1samp([1.0, 2.0, 3.0, 2.5], 0).pvalue)
    assert p_of_mean([0.0, 0.0]) == 1.0
    assert p_of_mean([1.0, 1.0]) == 0.0


def test_holm_s_correction_worked_by_hand():
    # In order 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, each at least as large as the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_log_odds_have_no_ceiling():
    assert log_odds(0.5, 480) == 0.0
    assert log_odds(1.0, 480) == pytest.approx(math.log(480.5 / 0.5))
    assert log_odds(0.0, 480) == -log_odds(1.0, 480)
    # From 92% to 98% is more than from 50% to 60%.
    assert log_odds(0.98, 480) - log_odds(0.92, 480) > 2 * (log_odds(0.6, 480) - log_odds(0.5, 480))


def test_the_exact_bound_of_a_share():
    # With all of n right the bound is 0.05^(1/n); with one of n right it is 1 - 0.95^(1/n).
    assert lower_bound_of_share(20, 20) == pytest.approx(0.05 ** (1 / 20))
    assert lower_bound_of_share(1, 480) == pytest.approx(1 - 0.95 ** (1 / 480))
    assert lower_bound_of_share(0, 480) == 0.0


def test_the_one_sided_bound_of_a_mean():
    # t(0.95, 2) = 2.919986.
    assert lower_bound_of_mean([1.0, 2.0, 3.0]) == pytest.approx(2 - 2.919986 / math.sqrt(3), abs=1e-6)
    assert bar_over_chance(24) == pytest.approx(0.125)


def test_a_p_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        holm([math.nan, 1e-4])
