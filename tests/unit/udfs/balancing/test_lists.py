"""Sums of several metadata lists, and of lists that are too long for an array over all entries in each worker."""

from collections import Counter
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import entry_probabilities
from tests.support.counting import add_by_key
from udfs.balancing import count, expected_kept, sorted_matches
from udfs.balancing.count import LOW, estimates_of, pairs_by_list, partial_counts, partial_estimates
from udfs.balancing.entry_blocks import BLOCK_SIZE, add_blocks
from udfs.balancing.expected_kept import SIZE_BLOCK, partial_expectations, size_sums
from udfs.balancing.expected_sizes import expected_sizes_batches, list_sizes_batches
from udfs.balancing.mapped_numbers import map_numbers
from udfs.balancing.probability import lists_of_pairs

ENTRIES = 9 * BLOCK_SIZE + 3
STARTS = np.array([0, 3, 4, 4, ENTRIES])
"""The third list has no entries."""

ids_of_a_pair = st.one_of(
    *(
        st.lists(st.integers(first, after - 1), min_size=1, max_size=4, unique=True).map(sorted)
        for first, after in ((0, 3), (3, 4), (4, ENTRIES))
    )
)
lists_of_ids = st.lists(ids_of_a_pair, max_size=30)
first_probabilities = st.sampled_from([None, 1.0, 0.5, 0.3, 2.0**-40])


def batch_of(lists, first=None):
    columns = {"entry_ids": pa.array(lists, pa.list_(pa.int32()))}
    if first is not None:
        columns["first_keep_probability"] = pa.array(first, pa.float64())
    return pa.record_batch(columns)


def batches_of(lists, cut, first=None):
    parts = [(lists[:cut], first and first[:cut]), (lists[cut:], first and first[cut:])]
    return [batch_of(*part) for part in parts if part[0]]


def list_of(ids):
    return int(np.searchsorted(STARTS, ids[0], side="right")) - 1


@pytest.fixture
def long_lists(monkeypatch):
    """Takes every list for a long one, with a buffer of few matches."""
    for module in (count, expected_kept):
        monkeypatch.setattr(module, "LONG_LIST", 1)
    monkeypatch.setattr(sorted_matches, "_BUFFER_BYTES", 8 * 9)
    monkeypatch.setattr(sorted_matches, "_BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr(sorted_matches, "_MATCHES_AT_ONCE", 2)


def test_the_list_of_a_pair_is_that_of_its_first_entry():
    lengths = np.array([2, 0, 1, 1, 1], np.int32)
    ids = np.array([0, 2, 3, 4, ENTRIES - 1], np.int32)
    assert lists_of_pairs(ids, lengths, STARTS).tolist() == [0, 0, 1, 3, 3]
    assert lists_of_pairs(ids, lengths, STARTS[[0, -1]]).tolist() == [0] * 5


@settings(deadline=None)
@given(lists_of_ids, st.integers(0, 30), st.data())
def test_sizes_of_each_list_at_thresholds_of_its_own_equal_those_of_its_pairs_alone(lists, cut, data):
    counts = np.random.default_rng(0).integers(0, 50, ENTRIES)
    points = st.lists(st.integers(1, 60), max_size=3, unique=True).map(sorted)
    thresholds = [data.draw(points) for _ in range(STARTS.size - 1)]
    first = data.draw(st.none() | st.lists(first_probabilities, min_size=len(lists), max_size=len(lists)))
    found = {}
    arguments = {"counts": counts, "list_starts": STARTS, "thresholds": thresholds}
    for batch in list_sizes_batches(iter(batches_of(lists, cut, first)), **arguments):
        for row in batch.to_pylist():
            found[row.pop("list"), row["threshold_t"]] = row
    expected = {}
    for place, wanted in enumerate(thresholds):
        mine = [number for number, ids in enumerate(lists) if list_of(ids) == place]
        its_first = first and [first[number] for number in mine]
        alone = iter([batch_of([lists[number] for number in mine], its_first)] if mine else [])
        for batch in expected_sizes_batches(alone, counts=counts, thresholds=wanted) if wanted else []:
            expected |= {(place, row["threshold_t"]): row for row in batch.to_pylist()}
    assert found == expected


def test_sums_of_a_list_with_many_pairs_are_split_into_rows(monkeypatch):
    monkeypatch.setattr("udfs.balancing.expected_sizes._PAIRS_PER_ROW", 3)
    arguments = {"counts": np.full(ENTRIES, 4), "list_starts": STARTS, "thresholds": [[2], [], [], [1]]}
    rows = [row for batch in list_sizes_batches(iter([batch_of([[0], [3], [9], [1]])] * 3), **arguments)
            for row in batch.to_pylist()]  # fmt: skip
    assert [(row["list"], row["pairs"], row["expected"]) for row in rows] == [
        (0, 4, 2 * 2**32), (3, 3, 3 * 2**30), (0, 2, 2**32)
    ]  # fmt: skip


def expectations(lists, cut, probability, starts, first=None):
    batches = batches_of(lists, cut, first)
    work = partial(partial_expectations, entry_probability=probability, list_starts=starts)
    return add_by_key(partials for batch in batches or [batch_of([])] for partials in work(iter([batch])))


@settings(deadline=None)
@given(lists_of_ids, st.integers(0, 30), st.data())
def test_expectations_of_each_list_equal_those_of_its_pairs_alone_and_add_up(lists, cut, data):
    first = data.draw(st.none() | st.lists(first_probabilities, min_size=len(lists), max_size=len(lists)))
    probability = entry_probabilities(np.random.default_rng(1).integers(0, 50, ENTRIES), 7)
    found = expectations(lists, cut, probability, STARTS, first)
    whole = expectations(lists, len(lists), probability, None, first)
    sizes = [size_sums(found.pop(SIZE_BLOCK - place, np.zeros(8, np.int64))) for place in range(STARTS.size - 1)]
    assert tuple(map(sum, zip(*sizes, strict=True))) == size_sums(whole.pop(SIZE_BLOCK))
    assert {block: sums.tolist() for block, sums in found.items()} == {
        block: sums.tolist() for block, sums in whole.items()
    }
    for place, size in enumerate(sizes):
        mine = [number for number, ids in enumerate(lists) if list_of(ids) == place]
        its_first = first and [first[number] for number in mine]
        alone = expectations([lists[number] for number in mine], 0, probability, None, its_first)
        assert size_sums(alone[SIZE_BLOCK]) == size


@given(lists_of_ids)
def test_pairs_of_each_list_are_counted(lists):
    (blocks,) = [add_by_key(pairs_by_list(iter(batches_of(lists, 3)), list_starts=STARTS))]
    expected = Counter(map(list_of, lists))
    assert blocks[0].tolist() == [expected[place] for place in range(STARTS.size - 1)]


def joined(partials, kinds=1):
    """Adds partial sums up as the cluster does for long lists."""
    rows = [row for batch in partials for row in zip(*batch.to_pydict().values(), strict=True)]
    sums = np.zeros((kinds, ENTRIES), np.int64)
    sizes = {}
    for block, numbers in add_blocks(rows):
        if block < 0:
            sizes[block] = numbers.tolist()
        else:
            sums[:, block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE] = numbers.reshape(kinds, -1)
    return sums.tolist(), sizes


LISTS = [[0, 1], [3], *([4 + 7 * number % 4000, 4 + BLOCK_SIZE + number] for number in range(40)), [ENTRIES - 1]]
FIRST = [(None, 1.0, 0.3, 2.0**-40)[number % 4] for number in range(len(LISTS))]


def sums_of_every_kind():
    probability = entry_probabilities(np.random.default_rng(1).integers(0, 50, ENTRIES), 7)
    batches = [batch_of(LISTS[start : start + 5], FIRST[start : start + 5]) for start in range(0, len(LISTS), 5)]
    batches += [batch_of([[2, 3]], [None]), batch_of([[]], [0.5])]
    estimates, sizes = joined(partial_estimates(iter(batches), number_of_entries=ENTRIES), LOW + 1)
    assert not sizes
    return (
        joined(partial_counts(iter(batches), number_of_entries=ENTRIES)),
        estimates,
        joined(partial_expectations(iter(batches), entry_probability=probability, list_starts=STARTS)),
    )


EXPECTED = sums_of_every_kind()


@pytest.mark.usefixtures("long_lists")
def test_long_lists_have_the_same_sums_in_blocks_that_may_repeat():
    assert sums_of_every_kind() == EXPECTED
    partials = list(partial_counts(iter([batch_of(LISTS[:4]), batch_of(LISTS[:4])]), number_of_entries=ENTRIES))
    blocks = [block for batch in partials for block in batch.column("block").to_pylist()]
    assert len(blocks) > len(set(blocks))
    counts, errors = estimates_of(np.array(EXPECTED[1]))
    assert counts.sum() > len(LISTS)
    assert errors.max() > 0


@pytest.mark.usefixtures("long_lists")
def test_nothing_leaves_where_nothing_was_matched():
    assert list(partial_counts(iter([batch_of([])]), number_of_entries=ENTRIES)) == []
    with pytest.raises(ValueError, match=f"list of {ENTRIES} entries"):
        list(partial_counts(iter([batch_of([[ENTRIES]])]), number_of_entries=ENTRIES))


def test_numbers_are_mapped_and_not_copied(tmp_path):
    path = tmp_path / "numbers"
    np.array([0.5, 1.0]).tofile(path)
    mapped = map_numbers(str(path), "<f8")
    assert mapped.tolist() == [0.5, 1.0]
    assert map_numbers(str(path), "<f8") is mapped
    assert not mapped.flags.writeable
    assert type(mapped) is np.ndarray
