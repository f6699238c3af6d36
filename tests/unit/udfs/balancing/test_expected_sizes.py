import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import ExpectedSize, entry_probabilities
from metaclip_spark.config.curation import SampleConfig, check_target
from metaclip_spark.errors import ConfigError
from metaclip_spark.steps.thresholds import (
    MOST_PASSES,
    PASSES_OF_HUGE_COUNTS,
    check_target_pairs,
    spread_thresholds,
    threshold_for_target_pairs,
)
from metaclip_spark.thresholds import LARGEST_COUNT
from udfs.balancing.expected_kept import partial_expectations, size_sums
from udfs.balancing.expected_sizes import expected_sizes_batches
from udfs.balancing.probability import PROBABILITY_UNITS

ENTRY_IDS = pa.list_(pa.int32())


def batch_of(lists):
    return pa.record_batch([pa.array(lists, ENTRY_IDS)], names=["entry_ids"])


def sizes(lists, counts, thresholds, cut=0):
    found = {}
    parts = [part for part in (batch_of(lists[:cut]), batch_of(lists[cut:])) if part.num_rows]
    for batch in expected_sizes_batches(iter(parts), counts=counts, thresholds=thresholds):
        for row in batch.to_pylist():
            before = found.get(row["threshold_t"], ExpectedSize(0, 0, 0))
            found[row["threshold_t"]] = ExpectedSize(
                before.pairs + row["pairs"],
                before.expected_units + row["expected"],
                before.variance_units + row["variance"],
            )
    return {t: found.get(t, ExpectedSize(0, 0, 0)) for t in thresholds}


def size_one_by_one(lists, counts, threshold):
    probability = entry_probabilities(counts, threshold)
    (sums,) = partial_expectations(iter([batch_of(lists)]), entry_probability=probability)
    return ExpectedSize(*size_sums(np.frombuffer(sums.column("counts")[0].as_py(), "<i8")))


entry_counts = st.lists(st.integers(0, 3_000) | st.integers(0, 3), min_size=6, max_size=6).map(np.array)
lists_of_ids = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted), max_size=30)


@settings(deadline=None)
@given(lists_of_ids, entry_counts, st.lists(st.integers(1, 3_500), min_size=1, max_size=8, unique=True),
       st.integers(0, 30))  # fmt: skip
def test_many_thresholds_in_one_pass_equal_one_by_one_to_the_unit(lists, counts, thresholds, cut):
    assert sizes(lists, counts, thresholds, cut) == {t: size_one_by_one(lists, counts, t) for t in thresholds}


def test_hundred_thresholds_over_long_lists_and_huge_counts_equal_one_by_one_to_the_unit():
    generator = np.random.default_rng(0)
    near = [2**power + step for power in (10, 30, 52, 53, 62) for step in (-1, 0, 1)]
    counts = np.concatenate([[0, 1, 2, 3], near, generator.integers(1, 10**9, 500), generator.integers(1, 2000, 500)])
    lengths = [*generator.integers(0, 4, 300).tolist(), *generator.integers(0, 300, 60).tolist()]
    lists = [sorted(generator.choice(counts.size, length, replace=False).tolist()) for length in lengths]
    tails = [[int(entry)] for entry in generator.integers(4, counts.size, 300)]
    thresholds = [*spread_thresholds(10**9, 100), *near]
    found = sizes([*lists, None, *tails], counts, thresholds, 17)
    assert found == {t: size_one_by_one([*lists, None, *tails], counts, t) for t in thresholds}
    assert len({size.expected_units for size in found.values()}) > 90


@settings(deadline=None)
@given(lists_of_ids.filter(bool), entry_counts, st.data())
def test_the_solver_finds_the_smallest_threshold_that_brute_force_finds(lists, counts, data):
    target = data.draw(st.integers(1, len(lists)))
    passes = []

    def evaluate(thresholds):
        passes.append(len(thresholds))
        return sizes(lists, counts, thresholds)

    found = threshold_for_target_pairs(evaluate, target, int(counts.max()))
    everything = sizes(lists, counts, list(range(1, max(1, int(counts.max())) + 1)))
    assert found == next(t for t, size in everything.items() if size.expected_units >= target * PROBABILITY_UNITS)
    assert len(passes) <= MOST_PASSES


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 10**9))
@example(10**9, 10**9)
@example(170_000, 2 * 10**9)
def test_the_solver_needs_three_passes_and_few_points_at_any_scale(answer, largest):
    answer = min(answer, largest)
    points = []

    def evaluate(thresholds):
        points.append(len(thresholds))
        return {t: ExpectedSize(1, PROBABILITY_UNITS if t >= answer else 0, 0) for t in thresholds}

    assert threshold_for_target_pairs(evaluate, 1, largest) == answer
    assert len(points) <= MOST_PASSES
    assert max(points, default=0) <= 97 + 2 * math.isqrt(answer)


@settings(deadline=None)
@given(st.integers(1, LARGEST_COUNT), st.integers(2**34, LARGEST_COUNT))
@example(LARGEST_COUNT, LARGEST_COUNT)
@example(2**62, LARGEST_COUNT)
def test_the_solver_needs_few_points_at_once_for_huge_counts(answer, largest):
    answer = min(answer, largest)
    points = []

    def evaluate(thresholds):
        assert thresholds[-1] < largest
        points.append(len(thresholds))
        return {t: ExpectedSize(1, PROBABILITY_UNITS if t >= answer else 0, 0) for t in thresholds}

    assert threshold_for_target_pairs(evaluate, 1, largest) == answer
    assert len(points) <= PASSES_OF_HUGE_COUNTS
    assert max(points) <= 1300


def test_sums_of_a_long_partition_are_split_into_rows_far_from_the_largest_number(monkeypatch):
    monkeypatch.setattr("udfs.balancing.expected_sizes._PAIRS_PER_ROW", 3)
    counts = np.array([10, 4])
    batches = [batch_of([[0], [0, 1]])] * 5
    rows = [row for batch in expected_sizes_batches(iter(batches), counts=counts, thresholds=[2, 9])
            for row in batch.to_pylist()]  # fmt: skip
    assert [row["pairs"] for row in rows] == [4, 4, 4, 4, 2, 2]
    whole = size_one_by_one([[0], [0, 1]] * 5, counts, 2)
    assert sum(row["expected"] for row in rows if row["threshold_t"] == 2) == whole.expected_units


def test_no_pairs_give_no_row():
    assert list(expected_sizes_batches(iter([]), counts=np.array([1]), thresholds=[1])) == []


def test_spread_thresholds_begin_at_one_and_end_at_the_largest():
    assert spread_thresholds(1, 10) == [1]
    assert spread_thresholds(0, 10) == [1]
    spread = spread_thresholds(10**9, 50)
    assert (spread[0], spread[-1], len(spread) <= 50) == (1, 10**9, True)
    # The nearest float is 2^63.
    assert max(spread_thresholds(LARGEST_COUNT, 50)) == LARGEST_COUNT


@pytest.mark.parametrize(
    ("written", "read"),
    [("10M", 10_000_000), ("10_000_000", 10_000_000), ("1e6", 1_000_000), ("1.5k", 1_500), (" 2B ", 2 * 10**9), (7, 7)],
)
def test_targets_that_are_read(written, read):
    assert SampleConfig(target_pairs=written).target_pairs == read


@pytest.mark.parametrize("huge", ["10000000000G", "1e30", 2**63, "1e999999", "1e999999G", "1e999999999999", 1e300])
def test_targets_beyond_64_bits_are_refused_with_the_limit(huge):
    with pytest.raises(ConfigError, match=r"--target-pairs must be at most 2\^63 - 1"):
        check_target(huge)


def test_the_largest_target_is_read_to_the_pair():
    assert check_target(str(LARGEST_COUNT)) == LARGEST_COUNT


@pytest.mark.parametrize("bad", ["0", 0, -5, "1.0005k", "many", "10 M pairs", "inf", "nan", "", True, 2.5, "1e-3"])
def test_targets_that_are_refused(bad):
    with pytest.raises(ConfigError, match=r"target-pairs must be .* such as 10M"):
        check_target(bad)


def test_exactly_one_way_to_choose_t():
    with pytest.raises(ConfigError, match="exactly one of --threshold-t, --tail-share and --target-pairs"):
        SampleConfig(target_pairs=5, tail_share=0.06)
    with pytest.raises(ConfigError, match="exactly one of"):
        SampleConfig()


def test_a_target_above_the_matched_pairs_is_refused_with_their_number():
    check_target_pairs(1_234, 1_234)
    with pytest.raises(ConfigError, match="is more than the 1,234 matched pairs"):
        check_target_pairs(1_235, 1_234)
