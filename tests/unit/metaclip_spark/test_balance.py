import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import (
    ExpectedSize,
    entry_probabilities,
    exact_sum,
    head_entries_cut,
    size_bound,
    tail_share,
    threshold_for_tail_share,
)
from metaclip_spark.errors import ConfigError
from metaclip_spark.thresholds import LARGEST_COUNT, LARGEST_THRESHOLD, check_threshold

COUNTS = np.array([0, 1, 2, 2, 10, 85])


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (1, 1),
        (20_000, 20_000),
        ("20000", 20_000),
        (3.0, 3),
        ("inf", math.inf),
        (" Inf ", math.inf),
        (math.inf, math.inf),
        ("9223372036854775807", LARGEST_COUNT),
        (2.0**63, LARGEST_THRESHOLD),
    ],
)
def test_thresholds_that_are_read(given_value, expected):
    assert check_threshold(given_value) == expected
    assert type(check_threshold(given_value)) is type(expected)


@pytest.mark.parametrize(
    "bad", [0, -1, 0.5, 2.5, math.nan, -math.inf, "", "many", "1.5", "nan", "-inf", None, True, [1]]
)
def test_thresholds_that_are_refused(bad):
    with pytest.raises(ConfigError, match=r"^threshold_t must be a whole number, 1 or more, or inf \(got ") as caught:
        check_threshold(bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("huge", [LARGEST_THRESHOLD + 1, "99999999999999999999", 1e300, 10**400])
def test_thresholds_above_every_count_are_refused_with_the_way_to_keep_all_pairs(huge):
    with pytest.raises(ConfigError, match=r"^threshold_t must be at most 2\^63, .*: give inf") as caught:
        check_threshold(huge)
    assert "\n" not in str(caught.value)


def test_probabilities_are_the_papers():
    assert entry_probabilities(COUNTS, 2).tolist() == [1.0, 1.0, 1.0, 1.0, 0.2, 2 / 85]
    assert entry_probabilities(COUNTS, math.inf).tolist() == [1.0] * 6
    assert entry_probabilities(np.array([5_000_000_000]), 20_000)[0] == 4e-6


@given(st.lists(st.integers(0, 2**62), min_size=1), st.integers(1, 2**40), st.integers(0, 2**40))
def test_probabilities_lie_in_bounds_and_grow_with_the_threshold(counts, threshold, more):
    low = entry_probabilities(np.array(counts), threshold)
    high = entry_probabilities(np.array(counts), threshold + more)
    assert ((low > 0) & (low <= high) & (high <= 1)).all()
    assert (low[np.array(counts) <= threshold] == 1).all()


def test_tail_and_head_at_the_border():
    assert tail_share(COUNTS, 2) == 0.01
    assert tail_share(COUNTS, 3) == 0.05
    assert tail_share(COUNTS, math.inf) == 1.0
    assert tail_share(np.zeros(3, np.int64), 5) == 0.0
    assert [head_entries_cut(COUNTS, threshold) for threshold in (1, 2, 84, 85, math.inf)] == [4, 2, 1, 0, 0]


@given(st.lists(st.integers(0, 50), min_size=1).filter(any), st.floats(0, 1))
def test_the_threshold_for_a_tail_share_is_the_smallest_of_the_nearest(counts, share):
    array = np.array(counts)
    assert threshold_for_tail_share(array, share) == nearest_threshold(counts, share, range(1, 53))


def nearest_threshold(counts, share, limits):
    """The smallest of the limits whose tail share is nearest, by exact arithmetic."""
    wanted = Fraction(str(share)) * sum(counts)
    return min(limits, key=lambda limit: abs(sum(count for count in counts if count < limit) - wanted))


HUGE = st.integers(0, 5) | st.integers(2**53, 2**53 + 9) | st.integers(2**61, LARGEST_COUNT)


@settings(deadline=None)
@given(st.lists(HUGE | st.just(LARGEST_COUNT), min_size=1).filter(any), st.floats(0, 1))
@example([LARGEST_COUNT, LARGEST_COUNT, 1], 0.9)
@example([2**62] * 4, 0.5)
@example([2**53 + 3] * 2, 0.5)
def test_sums_of_counts_beyond_64_bits_equal_those_of_python_integers(counts, share):
    array = np.array(counts, np.int64)
    assert exact_sum(array) == sum(counts)
    limits = [1, *(count + 1 for count in sorted(set(counts)) if count)]
    threshold = threshold_for_tail_share(array, share)
    assert threshold == nearest_threshold(counts, share, limits)
    for limit in (threshold, LARGEST_COUNT, math.inf):
        assert tail_share(array, limit) == sum(count for count in counts if count < limit) / sum(counts)
        assert head_entries_cut(array, limit) == sum(count > limit for count in counts)
        expected = [min(1.0, limit / count) if count else 1.0 for count in counts]
        assert entry_probabilities(array, limit) == pytest.approx(expected, rel=1e-15, abs=0)


def test_a_share_is_read_as_its_digits_say():
    # As a binary number 0.07 is a little more, so that 8 of 100 matches would be nearer than 6.
    assert threshold_for_tail_share(np.array([1] * 6 + [2, 92]), 0.07) == 2


def test_the_threshold_for_published_like_shares():
    assert threshold_for_tail_share(COUNTS, 0.06) == 3
    assert threshold_for_tail_share(COUNTS, 0) == 1
    assert threshold_for_tail_share(COUNTS, 1) == 86


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        threshold_for_tail_share(COUNTS, share)


def test_unusable_counts_are_refused():
    nothing = np.array([], np.int64)
    for refused in (
        lambda: entry_probabilities(nothing, 1),
        lambda: tail_share(nothing, 1),
        lambda: head_entries_cut(nothing, 1),
        lambda: threshold_for_tail_share(nothing, 0.5),
    ):
        with pytest.raises(ConfigError, match="no entry counts"):
            refused()
    with pytest.raises(ConfigError, match="entry 1 is -3"):
        entry_probabilities(np.array([1, -3]), 1)
    with pytest.raises(ConfigError, match="no pair matched any metadata entry"):
        threshold_for_tail_share(np.zeros(3, np.int64), 0.5)


def test_bernsteins_bound():
    logarithm = math.log(2e6)
    assert size_bound(0) == pytest.approx(0.5 + 2 * logarithm / 3)
    assert size_bound(1e6) == pytest.approx(0.5 + logarithm / 3 + math.sqrt(logarithm**2 / 9 + 2e6 * logarithm))


def test_expected_size_from_sums_beyond_64_bits():
    size = ExpectedSize(pairs=10**11, expected_units=3 * 2**80, variance_units=2**66)
    assert size.size == 3 * 2**48
    assert size.standard_error == 2**17
    assert size.is_plausible(3 * 2**48 + 2**17)
    assert not size.is_plausible(3 * 2**48 + 2**20)
