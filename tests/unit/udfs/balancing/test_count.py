from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.counting import add_by_key
from udfs.balancing import count
from udfs.balancing.count import partial_counts
from udfs.balancing.entry_blocks import BLOCK_SIZE, add_counts, block_and_counts, partial_batch
from udfs.schemas import PARTIAL_COUNTS

SCHEMA = pa.schema([("entry_ids", pa.list_(pa.int32()))])
NUMBER = 2 * BLOCK_SIZE + 7


def batch_of(lists):
    return pa.RecordBatch.from_arrays([pa.array(lists, SCHEMA.field(0).type)], schema=SCHEMA)


def contents(batches):
    found = {}
    for batch in batches:
        assert batch.schema == PARTIAL_COUNTS
        found.update(zip(batch.column("block").to_pylist(), batch.column("counts").to_pylist(), strict=True))
    return found


def blocks_of(batches, number=NUMBER):
    return contents(partial_counts(iter(batches), number_of_entries=number))


def whole(blocks, number=NUMBER):
    counts = np.zeros(number, np.int64)
    for block, content in blocks.items():
        values = np.frombuffer(content, "<i8")
        counts[block * BLOCK_SIZE :][: values.size] = values
    return counts


lists_of_ids = st.lists(st.lists(st.integers(0, NUMBER - 1), max_size=5, unique=True), max_size=30)


@settings(deadline=None)
@given(lists_of_ids, st.lists(st.integers(0, 30), max_size=4).map(sorted))
def test_counts_add_over_any_split(lists, cuts):
    expected = Counter(entry_id for ids in lists for entry_id in ids)
    parts = [lists[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(lists)], strict=True)]
    assert dict(enumerate(whole(blocks_of(map(batch_of, parts))))) == {
        place: expected[place] for place in range(NUMBER)
    }
    partials = [batch for part in parts for batch in partial_counts(iter([batch_of(part)]), number_of_entries=NUMBER)]
    for order in (partials, partials[::-1]):
        assert (whole(add_by_key(order)) == whole(blocks_of([batch_of(lists)]))).all()


def test_only_blocks_with_counts_travel():
    blocks = blocks_of([batch_of([[0, BLOCK_SIZE - 1], None, [NUMBER - 1]])])
    assert {block: len(content) for block, content in blocks.items()} == {0: 8 * BLOCK_SIZE, 2: 8 * 7}
    assert blocks_of([batch_of([[], None])]) == {}
    assert blocks_of([]) == {}


def test_buffered_ids_are_counted_once(monkeypatch):
    monkeypatch.setattr(count, "_BUFFERED_IDS", 3)
    assert whole(blocks_of([batch_of([[1, 2]])] * 5, 3), 3).tolist() == [0, 5, 5]


def test_a_slice_counts_only_itself():
    assert whole(blocks_of([batch_of([[0], [1], [2]])[1:2]], 3), 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize("entry_id", [-1, 3])
def test_ids_of_another_list_are_refused(entry_id):
    with pytest.raises(ValueError, match="list of 3 entries"):
        blocks_of([batch_of([[entry_id]])], 3)


def test_a_null_among_the_ids_is_no_entry():
    with pytest.raises(ValueError, match="null"):
        blocks_of([batch_of([[1, None]])], 3)


def test_no_partials_give_no_sum():
    assert add_by_key([]) == {}


def test_counts_of_two_lists_are_not_added():
    partials = [partial_batch({3: np.zeros(size, np.int64)}) for size in (1, 2)]
    with pytest.raises(ValueError, match="8 and 16 bytes"):
        add_by_key(partials)


def test_large_counts_stay_exact():
    partials = [partial_batch({0: np.array([number], np.int64)}) for number in (2**62, 2**62 - 1)]
    assert add_by_key(partials)[0].tolist() == [2**63 - 1]


@pytest.mark.parametrize("more", [1, 2**63 - 1])
def test_a_sum_beyond_64_bits_is_refused(more):
    with pytest.raises(OverflowError, match=r"exceed 2\^63 - 1"):
        add_counts(np.array([5, 2**63 - 1], np.int64), np.array([0, more], np.int64))


def test_counts_are_added_in_place_and_never_in_the_bytes_that_they_came_from():
    content = np.array([1, 2], "<i8").tobytes()
    for received in (content, bytearray(content)):
        block, counts = block_and_counts((7, received))
        assert add_counts(counts, counts.copy()) is counts
        assert (block, counts.tolist()) == (7, [2, 4])
        assert bytes(received) == content
