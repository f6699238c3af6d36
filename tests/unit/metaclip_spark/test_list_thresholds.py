"""Thresholds per metadata list: every corner case by hand, and the rules that hold for all counts."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import TailShares, entry_probabilities, tail_share, threshold_for_tail_share
from metaclip_spark.errors import ConfigError
from metaclip_spark.list_thresholds import EntryLists, ListThresholds, whole_threshold
from metaclip_spark.thresholds import LARGEST_COUNT

ANCHOR = [2, 3, 5, 90]


def rule_of(by_code, anchor="en", **more):
    lists = EntryLists(tuple(by_code), np.cumsum([0, *map(len, by_code.values())]))
    return ListThresholds(lists, np.array([count for counts in by_code.values() for count in counts]), anchor, **more)


def thresholds_of(by_code, threshold, **more):
    return dict(zip(by_code, rule_of(by_code, **more).at_anchor(threshold), strict=True))


counts_of_list = st.lists(st.integers(0, 400) | st.integers(0, 3), min_size=1, max_size=12)
shares = st.fractions(0, 1)


@pytest.mark.parametrize(
    ("counts", "share", "threshold"),
    [
        # An entry was never seen, and the rarest seen one holds at least 2p of the matches: the published rule gives 0.
        ([0, 1], "0.06", 1),
        ([0, 4, 4], "0.06", 1),
        ([0, 1, 1, 1, 1, 1, 1, 1, 1], "0.06", 1),
        ([0, 1, 1, 1, 1, 1, 1, 1, 1, 1], "0.06", 1),
        ([0, 7, 80], "0", 1),
        ([0, 7, 80], "1", 81),
        # Small lists are crushed, by the formula itself.
        ([1, 1, 1, 500, 1000], "0.06", 2),
    ],
)
def test_thresholds_by_share_are_at_least_one(counts, share, threshold):
    assert rule_of({"xx": counts}, None).at_share(Fraction(share)) == [threshold]
    assert threshold_for_tail_share(np.array(counts), float(share)) == threshold


def test_a_small_list_is_crushed_by_the_formula_and_a_floor_mends_it():
    counts = [1, 1, 1, 500, 1000]
    (threshold,) = rule_of({"xx": counts}, None).at_share(0.06)
    assert sum(min(count, threshold) for count in counts) == 7
    assert rule_of({"xx": counts}, None).with_floors([100]).at_share(0.06) == [100]


def test_all_lists_take_the_tail_share_of_the_anchor():
    by_code = {"de": [0, 10, 10, 80], "en": ANCHOR, "la": [0, 0]}
    assert thresholds_of(by_code, 4) == {"de": 1, "en": 4, "la": 1}
    assert thresholds_of(by_code, 6) == {"de": 1, "en": 6, "la": 1}
    assert thresholds_of({**by_code, "de": [0, 10, 90]}, 6) == {"de": 11, "en": 6, "la": 1}
    assert rule_of(by_code).at_share(0.2) == [11, 6, 1]


def test_without_a_tail_every_other_threshold_is_one_and_the_rarest_count_is_named():
    by_code = {"de": [0, 10, 80], "en": ANCHOR}
    assert thresholds_of(by_code, 2) == {"de": 1, "en": 2}
    told = rule_of(by_code).empty_tail(2)
    assert told == (
        "the tail share is 0: t = 2 leaves en no tail, whose rarest matched entry has 2 pairs; so t is 1 for every "
        "other language, unless it is given or raised"
    )
    assert rule_of(by_code).empty_tail(3) is None
    assert rule_of(by_code).empty_tail(math.inf) is None


def test_infinity_keeps_everything_and_needs_no_anchor():
    by_code = {"de": [0, 10, 80], "en": [0]}
    assert set(rule_of(by_code, None).at_anchor(math.inf)) == {math.inf}
    probabilities = entry_probabilities(np.array([3, LARGEST_COUNT]), np.array([1, whole_threshold(math.inf)]))
    assert probabilities.tolist() == [1 / 3, 1.0]


def test_one_above_the_largest_count_of_the_anchor_keeps_every_pair_and_that_count_itself_does_not():
    rule = rule_of({"de": [0, 10, 80], "en": ANCHOR, "mt": [1] * 9})
    assert rule.largest_anchor_threshold == 91
    assert rule.at_anchor(91) == [81, 91, 2]
    assert rule.at_anchor(90) == [11, 90, 1]
    assert rule.tail_share(1, 91) == 1
    assert rule_of({"en": [LARGEST_COUNT]}).largest_anchor_threshold == LARGEST_COUNT + 1


def test_given_thresholds_stand_whatever_the_share_and_the_floor():
    rule = rule_of({"de": [0, 10, 80], "en": ANCHOR}, given={"de": 7})
    assert rule.at_anchor(91) == rule.with_floors([50, 1]).at_anchor(91) == [7, 91]
    assert rule.at_anchor(math.inf) == [7, math.inf]


def test_an_anchor_without_matches_or_none_at_all_is_told():
    with pytest.raises(ConfigError, match=r"no pair matched an entry of the anchor's list en, .* --anchor-language"):
        rule_of({"en": [0, 0], "de": [1]}).at_anchor(5)
    with pytest.raises(ConfigError, match="names no anchor"):
        rule_of({"en": [1], "de": [1]}, None).at_anchor(5)
    with pytest.raises(ConfigError, match="--anchor-language 'xx': there is no such metadata list; there are en, de"):
        rule_of({"en": [1], "de": [1]}).lists.check_code("xx", "--anchor-language")


@given(counts_of_list, shares)
def test_the_nearest_share_equals_a_look_at_every_threshold(counts, share):
    found = TailShares.of(np.array(counts)).threshold(share)
    matches = sum(counts)
    achieved = {t: Fraction(sum(count for count in counts if count < t), matches or 1) for t in range(1, 402)}
    assert found == min(achieved, key=lambda t: (abs(achieved[t] - share), t)) if matches else found == 1


@given(counts_of_list, st.integers(1, 402))
def test_a_share_leads_back_to_a_threshold_with_that_share(counts, threshold):
    shares = TailShares.of(np.array(counts))
    again = shares.threshold(shares.share(threshold))
    assert shares.share(again) == shares.share(threshold)
    assert again <= threshold
    assert float(shares.share(threshold)) == tail_share(np.array(counts), threshold)


@settings(deadline=None)
@given(counts_of_list.filter(any), st.lists(counts_of_list, max_size=3), st.integers(1, 402), st.integers(1, 402))
def test_no_threshold_falls_where_the_anchors_grows_or_the_share_does(anchor, others, one, other):
    rule = rule_of({"en": anchor} | {f"x{place}": counts for place, counts in enumerate(others)})
    low, high = sorted([one, other])
    assert all(first <= second for first, second in zip(rule.at_anchor(low), rule.at_anchor(high), strict=True))
    first, second = rule.at_share(Fraction(low, 402)), rule.at_share(Fraction(high, 402))
    assert all(before <= after for before, after in zip(first, second, strict=True))
    assert min(rule.at_anchor(low)) >= 1


def published_threshold(counts, share):
    """As published: the count at the nearest share of the sorted counts, those never seen among them."""
    ordered = sorted(counts)
    matches = sum(ordered)
    achieved = [Fraction(sum(ordered[: place + 1]), matches) for place in range(len(ordered))]
    return ordered[min(range(len(ordered)), key=lambda place: abs(achieved[place] - share))]


@given(counts_of_list.filter(any), shares)
def test_the_published_rule_empties_a_language_where_this_one_never_does(counts, share):
    seen = [count for count in counts if count]
    would_be_emptied = 0 in counts and Fraction(min(seen), sum(seen)) >= 2 * share
    assert (published_threshold(counts, share) == 0) == would_be_emptied
    threshold = TailShares.of(np.array(counts)).threshold(share)
    assert all(min(count, threshold) >= 1 for count in seen)


def test_one_threshold_for_each_entry_is_that_of_its_list():
    lists = EntryLists(("a", "b", "c"), np.array([0, 2, 2, 5]))
    each = lists.for_each_entry([3, 4, math.inf])
    assert each.tolist() == [3, 3, LARGEST_COUNT, LARGEST_COUNT, LARGEST_COUNT]
    counts = np.array([6, 2, 0, 7, LARGEST_COUNT])
    parts = [entry_probabilities(counts[:2], 3), entry_probabilities(counts[2:], math.inf)]
    assert entry_probabilities(counts, each).tolist() == np.concatenate(parts).tolist()


@pytest.mark.parametrize("wrong", [np.array([1, 2]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0])])
def test_thresholds_that_are_not_one_whole_number_for_each_entry_are_refused(wrong):
    with pytest.raises(ConfigError, match="one whole number of at least 1 for each of the 3 entries"):
        entry_probabilities(np.array([1, 2, 3]), wrong)
