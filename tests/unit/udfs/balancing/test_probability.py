import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.balancing.probability import have_certain_entry, keep_probabilities

lists_of_ids = st.lists(st.lists(st.integers(0, 9), max_size=12, unique=True).map(sorted), min_size=1, max_size=30)
probabilities = st.lists(st.floats(1e-12, 1), min_size=10, max_size=10).map(np.array)


@given(lists_of_ids, probabilities)
def test_keep_probability_multiplies_in_the_order_of_the_ids_in_any_batch(ids, entry_probability):
    array = pa.array([*ids, [3]], pa.list_(pa.int32()))
    keep = keep_probabilities(array, entry_probability)
    for place, pair in enumerate(ids):
        lost = 1.0
        for entry_id in pair:
            lost *= 1.0 - entry_probability[entry_id]
        assert keep[place] == 1.0 - lost
        assert keep_probabilities(array[place : place + 1], entry_probability)[0] == keep[place]
    assert ((keep >= 0) & (keep <= 1)).all()


def test_keep_probability_of_certain_and_missing_entries():
    ids = pa.array([[0, 1, 2], [], None, [2], [0]], pa.list_(pa.int32()))
    assert keep_probabilities(ids, np.array([0.3, 1.0, 1e-9])).tolist() == [
        1.0,
        0.0,
        0.0,
        1 - (1 - 1e-9),
        1 - (1 - 0.3),
    ]


def test_a_chance_that_is_rounded_to_1_is_not_certain():
    ids = pa.array([[3], [0, 1], [0, 2], None, [], [1, 2]], pa.list_(pa.int32()))
    probability = np.array([1 - 2**-40, 1 - 2**-40, 1.0, 0.5])
    assert keep_probabilities(ids, probability)[1] == 1
    assert have_certain_entry(ids, probability).tolist() == [False, False, True, False, False, True]
    assert have_certain_entry(ids[2:4], probability).tolist() == [True, False]


@pytest.mark.parametrize("entry_id", [-1, 3])
def test_ids_of_another_list_are_refused(entry_id):
    with pytest.raises(ValueError, match="3 entry probabilities"):
        keep_probabilities(pa.array([[entry_id]], pa.list_(pa.int32())), np.ones(3))


def test_no_pairs():
    assert keep_probabilities(pa.array([], pa.list_(pa.int32())), np.ones(1)).size == 0
