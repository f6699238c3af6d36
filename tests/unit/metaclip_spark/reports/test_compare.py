from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark.reports.compare import (
    NamedCounts,
    _differing_settings,
    compare_counts,
    compare_named,
    rank_correlation,
    read_count_file,
)
from metaclip_spark.reports.records import MissingEntries

TEXTS = pa.array(["a", "dog", "cat", "house"])
COUNTS = np.array([100, 10, 5, 0])


def ranks(counts):
    """The mean, over the places that equal counts take, of one count's place: largest first, from 1."""
    ordered = sorted(counts, reverse=True)
    return [np.mean([place + 1 for place, other in enumerate(ordered) if other == count]) for count in counts]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_the_rank_correlation_is_pearsons_of_mean_ranks(pairs):
    first, second = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    found = rank_correlation(first, second)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(np.corrcoef(ranks(first.tolist()), ranks(second.tolist()))[0, 1])


def test_the_same_counts_have_nothing_to_tell():
    told = compare_counts(TEXTS, COUNTS, TEXTS[::-1], COUNTS[::-1])
    assert (told.shared, told.rank_correlation, told.moves, told.sentence) == (4, pytest.approx(1), [], "")


def test_another_list_is_compared_over_what_is_shared():
    told = compare_counts(TEXTS, COUNTS, pa.array(["cat", "dog", "zebra"]), np.array([90, 10, 7]))
    assert told.sentence.startswith("The metadata lists differ: 2 entries are in both, of 4 here and 3 there.")
    assert told.rank_correlation == pytest.approx(-1)
    assert told.missing_there == MissingEntries(entries=2, first=["a", "house"])
    assert told.missing_here == MissingEntries(entries=1, first=["zebra"])
    # The count of dog is the same in both.
    assert [(move.entry_text, move.rank_here, move.rank_there) for move in told.moves] == [("cat", 2, 1)]


def test_a_list_without_a_common_entry_is_said_to_be_another():
    told = compare_counts(TEXTS, COUNTS, pa.array(["x"]), np.array([1]))
    assert told.sentence.startswith("The two have no metadata entry in common")
    assert (told.shared, told.rank_correlation, told.moves) == (0, None, [])


def test_shares_of_counts_that_add_up_beyond_64_bits():
    huge = np.array([2**63 - 1, 2**63 - 1, 2, 0])
    told = compare_counts(TEXTS, COUNTS, TEXTS, huge)
    shares = {move.entry_text: move.share_there for move in told.moves}
    assert shares["dog"] == pytest.approx(0.5)
    assert shares["cat"] == pytest.approx(2**-63)


def test_counts_of_nothing_are_compared():
    told = compare_counts(TEXTS, np.zeros(4, np.int64), TEXTS, np.zeros(4, np.int64))
    assert (told.rank_correlation, told.moves) == (None, [])


def test_counts_of_several_lists_are_named_by_list_and_text(tmp_path):
    counts = {"entry_id": [0, 1, 2], "entry_text": ["dog", "dog", "cat"], "entry_count": [1, 2, 3]}
    pq.write_table(pa.table({**counts, "metadata_language": ["de", "en", "en"]}), tmp_path / "counts.parquet")
    found = read_count_file(str(tmp_path / "counts.parquet"))
    assert found.names.to_pylist() == ["de:dog", "en:dog", "en:cat"]
    assert (found.counts.tolist(), found.has_lists) == ([1, 2, 3], True)


def test_it_is_said_where_only_one_side_has_several_lists():
    for ours, theirs in product((True, False), repeat=2):
        sides = [NamedCounts(TEXTS, COUNTS, has_lists) for has_lists in (ours, theirs)]
        said = compare_named(*sides, "other").sentence
        assert said.startswith("Only this run has several metadata lists") == (ours and not theirs)
        assert said.startswith("Only the other has several metadata lists") == (theirs and not ours)


def test_an_option_that_an_earlier_version_lacks_is_no_difference_where_it_says_nothing():
    ours = {"extract": {"preference_agent": [], "limit": 0, "pool": ["a", "b"]}}
    assert _differing_settings(ours, {"extract": {"limit": 0, "pool": ["a", "b"]}}) == []
    (told,) = _differing_settings({"extract": ours["extract"] | {"preference_agent": ["ccbot"]}}, ours)
    assert (told.figure, told.this, told.other) == ("extract: preference_agent", "ccbot", "none")
