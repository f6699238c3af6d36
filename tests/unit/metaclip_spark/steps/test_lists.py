"""The steps over several metadata lists, in any partitioning, against brute force."""

import math
import resource
from itertools import pairwise

import numpy as np
import pytest
from pyspark import Broadcast
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from metaclip_spark.balance import ExpectedSize, entry_probabilities
from metaclip_spark.errors import ConfigError
from metaclip_spark.list_thresholds import EntryLists, ListThresholds
from metaclip_spark.steps import entry_blocks
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.lists import entry_numbers
from metaclip_spark.steps.lists.sizes import (
    anchor_for_target_pairs,
    count_by_list,
    sizes_by_anchor,
    sizes_of_lists,
    smallest_thresholds,
)
from metaclip_spark.steps.sample import expect, expect_by_list, sample_pairs
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.steps.thresholds import expected_sizes
from tests.unit.udfs.balancing.test_lists import batch_of
from udfs.balancing.entry_blocks import BLOCK_SIZE
from udfs.balancing.expected_sizes import list_sizes_batches
from udfs.balancing.probability import PROBABILITY_UNITS
from udfs.pairs.rules import pair_id
from udfs.schemas import MATCHED

LISTS = EntryLists(("de", "en", "la", "zu"), np.array([0, 3, 3 + BLOCK_SIZE, 4 + BLOCK_SIZE, 6 + BLOCK_SIZE]))
ENTRIES = int(LISTS.starts[-1])


def ids_of(number):
    if number % 11 == 0:
        return [4 + BLOCK_SIZE, 5 + BLOCK_SIZE][: 1 + number % 2]
    if number % 3 == 0:
        return [0, 1] if number % 2 else [0]
    return sorted({3, 4 + number % 5, 9 + number * number % 300})


PAIRS = [ids_of(number) for number in range(600)]
PAIRS_OF_LISTS = [sum(start <= ids[0] < after for ids in PAIRS) for start, after in pairwise(LISTS.starts.tolist())]
COUNTS = np.bincount([entry for ids in PAIRS for entry in ids], minlength=ENTRIES)


def evaluate(thresholds):
    """One pass without Spark."""
    wanted = [sorted(set(points)) for points in thresholds]
    sizes = [dict.fromkeys(points, ExpectedSize(0, 0, 0)) for points in wanted]
    for batch in list_sizes_batches(
        iter([batch_of(PAIRS)]), counts=COUNTS, list_starts=LISTS.starts, thresholds=wanted
    ):
        for row in batch.to_pylist():
            sizes[row["list"]][row["threshold_t"]] = ExpectedSize(row["pairs"], row["expected"], row["variance"])
    return sizes


@pytest.fixture(scope="module")
def matched(spark):
    empty = dict.fromkeys(MATCHED.names)
    rows = [empty | {"pair_id": pair_id("https://example.org/", str(number)), "entry_ids": ids}
            for number, ids in enumerate(PAIRS)]  # fmt: skip
    table = spark.createDataFrame([tuple(row.values()) for row in rows], spark_schema(MATCHED))
    return table.repartition(3).cache()


def test_sizes_and_pairs_of_each_list_in_any_partitioning(matched):
    wanted = [[1, 7], [2, 30, math.inf], [5], []]
    found = sizes_of_lists(matched, COUNTS, LISTS, wanted)
    assert found == sizes_of_lists(matched.coalesce(1), COUNTS, LISTS, wanted)
    expected = evaluate([[1, 7], [2, 30, 2**63 - 1], [5], []])
    assert found == expected
    assert found[1][2**63 - 1].size == found[1][30].pairs
    assert count_by_list(matched, LISTS) == PAIRS_OF_LISTS
    assert count_by_list(matched.limit(0), LISTS) == [0] * 4


def test_what_is_expected_of_each_list_adds_up(matched):
    probability = entry_probabilities(COUNTS, LISTS.for_each_entry([9, 20, 1, 3]))
    sizes, of_entries = expect_by_list(matched, probability, LISTS.starts)
    whole, alone = expect(matched, probability)
    assert (of_entries == alone).all()
    assert sizes == [of_list[t] for of_list, t in zip(evaluate([[9], [20], [1], [3]]), [9, 20, 1, 3], strict=True)]
    assert sum(size.expected_units for size in sizes) == whole.expected_units
    assert [size.pairs for size in sizes] == PAIRS_OF_LISTS
    again, _ = expect_by_list(matched.coalesce(1), probability, LISTS.starts)
    assert again == sizes


def test_numbers_of_long_lists_travel_as_a_file_and_change_nothing(matched, monkeypatch):
    probability = entry_probabilities(COUNTS, LISTS.for_each_entry([9, 20, 1, 3]))
    thresholds = [[9], [20], [1], [3]]

    def results():
        sizes, of_entries = expect_by_list(matched, probability, LISTS.starts)
        kept = [row.pair_id for row in sample_pairs(matched, probability, seed=1).select("pair_id").collect()]
        counts = count_entries(matched, ENTRIES).tolist()
        return sizes, of_entries.tolist(), kept, counts, sizes_of_lists(matched, COUNTS, LISTS, thresholds)

    before = results()
    # The workers' modules know nothing of it: they sum as ever, and read files.
    for module in (entry_numbers, entry_blocks):
        monkeypatch.setattr(module, "LONG_LIST", 1)
    monkeypatch.setattr(entry_blocks, "_BLOCKS_OF_A_TASK", 1)
    sent = entry_numbers.send_entry_numbers(matched.sparkSession, probability)
    assert (sent.read() == probability).all()
    assert not sent.read().flags.writeable
    assert results() == before
    assert before[3] == COUNTS.tolist()


def test_a_file_of_numbers_is_whole_or_not_there(spark, monkeypatch):
    monkeypatch.setattr(entry_numbers, "LONG_LIST", 1)
    numbers = np.arange(5_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            entry_numbers.send_entry_numbers(spark, numbers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (entry_numbers.send_entry_numbers(spark, numbers).read() == numbers).all()


@pytest.mark.parametrize(
    "job",
    [
        lambda matched: expect_by_list(matched, entry_probabilities(COUNTS, 5), LISTS.starts),
        lambda matched: expected_sizes(matched, COUNTS, [5]),
        lambda matched: sizes_of_lists(matched, COUNTS, LISTS, [[5]] * 4),
    ],
    ids=["expect_by_list", "expected_sizes", "sizes_of_lists"],
)
def test_numbers_are_freed_after_a_job_that_fails(matched, monkeypatch, job):
    freed = []
    unpersist = Broadcast.unpersist
    monkeypatch.setattr(Broadcast, "unpersist", lambda self: (freed.append(self), unpersist(self)))
    with pytest.raises(PySparkException):
        job(matched.where(F.expr("raise_error(pair_id) is null")))
    assert len(freed) == 1


RULES = [
    ListThresholds(LISTS, COUNTS, "en"),
    ListThresholds(LISTS, COUNTS, "zu"),
    ListThresholds(LISTS, COUNTS, "en", floors=[50, 3, 1, 7]),
    ListThresholds(LISTS, COUNTS, "en", {"de": 5}, [50, 3, 1, 7]),
]


@pytest.mark.parametrize("rule", RULES, ids=["en", "zu", "floors", "given"])
def test_the_target_is_reached_by_the_smallest_threshold_that_brute_force_finds(rule):
    everything = sizes_by_anchor(rule, evaluate, range(1, rule.largest_anchor_threshold + 1))
    units = [size.expected_units for size in everything.values()]
    assert units == sorted(units)
    for target in (1, 100, 300, 400, int(units[-1] / PROBABILITY_UNITS)):
        found = anchor_for_target_pairs(rule, evaluate, target)
        assert found == next(t for t, size in everything.items() if size.expected_units >= target * PROBABILITY_UNITS)


def test_every_pair_is_kept_at_the_upper_end_of_the_search():
    rule = RULES[0]
    assert sizes_by_anchor(rule, evaluate, [rule.largest_anchor_threshold]).popitem()[1].size == len(PAIRS)
    assert anchor_for_target_pairs(rule, evaluate, len(PAIRS)) <= rule.largest_anchor_threshold
    with pytest.raises(ConfigError, match=r"--target-pairs 600 cannot be reached with --language-thresholds: at most"):
        anchor_for_target_pairs(RULES[3], evaluate, 600)


@pytest.mark.parametrize("targets", [[10, 100, 0, 54], PAIRS_OF_LISTS, [0, 0, 0, 0], [1, 1, 0, 0]])
def test_floors_are_the_smallest_thresholds_that_brute_force_finds(targets, monkeypatch):
    monkeypatch.setattr("metaclip_spark.steps.lists.sizes.POINTS_OF_A_LIST", 5)
    largest = [int(LISTS.part(COUNTS, place).max()) for place in range(4)]
    everything = evaluate([range(1, max(count, 1) + 1) for count in largest])
    found = smallest_thresholds(evaluate, largest, targets)
    for sizes, target, threshold in zip(everything, targets, found, strict=True):
        reaching = [t for t, size in sizes.items() if size.expected_units >= target * PROBABILITY_UNITS]
        assert threshold == (reaching[0] if target else 1)
