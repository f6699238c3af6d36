"""What the draw of several metadata lists must become so that enough pairs survive, and a search in plain Python."""

import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest

from metaclip_spark.config.curation import SampleConfig
from metaclip_spark.errors import ConfigError
from metaclip_spark.list_thresholds import EntryLists, ListThresholds
from metaclip_spark.pipeline.balancing.refill_lists import STEPS_OF_SHARE, LargerDraws, ListsRefill, ListSurvivors
from tests.support import oracle

CODES = ("de", "en", "ja")
STARTS = (0, 5, 11, 15)
ATTEMPTED, SURVIVED = (40, 90, 25), (36, 45, 0)


@pytest.fixture(scope="module")
def pool():
    """Pairs of each list: their entries, frequent ones and rare ones."""
    random = Random(5)
    of_lists = []
    for first, end, size in zip(STARTS[:-1], STARTS[1:], (90, 260, 60), strict=True):
        weights = [1 / (1 + place) ** 2 for place in range(end - first)]
        drawn = [random.choices(range(first, end), weights, k=random.randint(1, 3)) for _ in range(size)]
        of_lists.append([{"entry_ids": sorted(set(ids))} for ids in drawn])
    return of_lists


@pytest.fixture(scope="module")
def matched(spark, pool):
    rows = [(row["entry_ids"],) for of_list in pool for row in of_list]
    return spark.createDataFrame(rows, "entry_ids array<int>").coalesce(2)


@pytest.fixture(scope="module")
def counts(pool):
    return oracle.count([row for of_list in pool for row in of_list], range(STARTS[-1]))


def part(counts, place):
    return counts[STARTS[place] : STARTS[place + 1]]


def thresholds_of(counts, share, given, floors, anchor=None):
    """Gives each list the threshold with a tail share, and the anchor its own."""
    chosen = {code: oracle.tail_share_threshold(part(counts, place), str(share)) for place, code in enumerate(CODES)}
    chosen |= {"en": anchor} if anchor else {}
    return [given.get(code, max(t, floor)) for (code, t), floor in zip(chosen.items(), floors, strict=True)]


def expected(pool, counts, thresholds):
    """Gives the expected size of each list."""
    return [oracle.expected_size(rows, counts, t) for rows, t in zip(pool, thresholds, strict=True)]


def floors_for(pool, counts, pairs):
    """Gives the smallest threshold of each list with which so many pairs, or all, are expected."""
    return [
        next(
            t
            for t in range(1, max(counts) + 1)
            if oracle.expected_size(rows, counts, t) >= min(pairs, len(rows)) - 1e-9
        )
        for rows in pool
    ]


RULES = [
    ({"threshold_t": 9}, {}, 0),
    ({"threshold_t": 9}, {"ja": 2}, 30),
    ({"tail_share": 0.1}, {}, 0),
    ({"tail_share": 0.1}, {"de": 4, "ja": math.inf}, 70),
]


@pytest.mark.parametrize(("size", "given", "floor"), RULES)
def test_the_smallest_larger_draw_is_that_of_a_search_by_hand(pool, matched, counts, size, given, floor):
    floors = floors_for(pool, counts, floor) if floor else [1] * len(CODES)
    by_share = "tail_share" in size

    def thresholds(number):
        if by_share:
            return thresholds_of(counts, Fraction(number, STEPS_OF_SHARE), given, floors)
        return thresholds_of(counts, oracle.tail_share(part(counts, 1), number), given, floors, number)

    drawn = thresholds(size.get("threshold_t") or round(size["tail_share"] * STEPS_OF_SHARE))
    sizes = expected(pool, counts, drawn)
    shares = [left / tried for left, tried in zip(SURVIVED, ATTEMPTED, strict=True)]

    def survivors(number):
        after = expected(pool, counts, thresholds(number))
        return sum(SURVIVED) + sum(share * (b - a) for share, a, b in zip(shares, sizes, after, strict=True))

    rule = ListThresholds(EntryLists(CODES, np.array(STARTS)), np.array(counts), "en", given).with_floors(floors)
    plan = ListsRefill(matched, drawn, LargerDraws(rule, SampleConfig(**size)), ListSurvivors(ATTEMPTED, SURVIVED))
    target = sum(SURVIVED) + 20
    number = plan.smallest(target)
    assert survivors(number - 1) < target <= survivors(number)
    if by_share:
        assert not [other for other in range(1, number, 1999) if survivors(other) >= target]
    else:
        assert number == next(other for other in range(1, max(counts) + 2) if survivors(other) >= target)
    told = plan.numbers(target, number)
    assert [*told.thresholds.values()] == ["inf" if t == math.inf else t for t in thresholds(number)]
    assert all(after >= before for before, after in zip(drawn, thresholds(number), strict=True))
    assert told.threshold_t == ("by language" if by_share else number)
    assert (told.tail_share or 0) == (number / STEPS_OF_SHARE if by_share else 0)

    assert plan.most == math.floor(survivors(plan.draws.largest))
    with pytest.raises(
        ConfigError, match=rf"^--refill-plan: {plan.most + 1:,} pairs are more than the 410 matched pairs"
    ):
        plan.smallest(plan.most + 1)


def test_of_a_draw_of_all_pairs_there_is_no_larger_one(matched, counts):
    rule = ListThresholds(EntryLists(CODES, np.array(STARTS)), np.array(counts))
    draws = LargerDraws(rule, SampleConfig(threshold_t="inf"))
    plan = ListsRefill(matched, [math.inf] * len(CODES), draws, ListSurvivors(ATTEMPTED, SURVIVED))
    assert plan.most == sum(SURVIVED)
    with pytest.raises(ConfigError, match=f"give at most {sum(SURVIVED)}, or extract more archives"):
        plan.smallest(sum(SURVIVED) + 1)


def test_a_list_of_which_nothing_was_attempted_survives_as_all_together():
    assert ListSurvivors((8, 0, 2), (2, 0, 1)).shares == [Fraction(1, 4), Fraction(3, 10), Fraction(1, 2)]
    assert ListSurvivors((0, 0), (0, 0)).shares == [0, 0]
