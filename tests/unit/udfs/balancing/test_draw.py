import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.balancing.draw import keep_probabilities, pair_draws, splitmix64
from udfs.pairs.text import pair_id

MASK = 2**64 - 1


def splitmix64_in_python(number):
    mixed = (number + 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return mixed ^ (mixed >> 31)


def test_vectors_of_the_method():
    assert splitmix64(np.zeros(1, np.uint64))[0] == 0xE220A8397B1DCDAF
    ids = pa.array([pair_id("https://example.org/a.jpg", "a dog"), pair_id("https://example.org/b.png", "東京 tower")])
    assert pair_draws(ids, 0)[0] == 0.2188273979795643
    assert pair_draws(ids, 3)[1] == 0.3201229339337036


@given(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=20), st.integers(0, MASK))
def test_draws_are_the_formula_and_ignore_batches(numbers, seed):
    hexadecimal = [f"{number:032x}" for number in numbers]
    mixed = [splitmix64_in_python(splitmix64_in_python(seed) ^ (number >> 64)) for number in numbers]
    draws = pair_draws(pa.array(hexadecimal), seed)
    assert draws.tolist() == [(number >> 11) * 2.0**-53 for number in mixed]
    assert ((draws >= 0) & (draws < 1)).all()
    whole = pa.array([None, *hexadecimal, None], pa.string())
    for place, draw in enumerate(draws):
        assert pair_draws(whole[place + 1 : place + 2], seed)[0] == draw


@pytest.mark.parametrize("bad", ["", "0" * 31, "0" * 33, "G" + "0" * 31, "A" + "0" * 31, "0" * 31 + "g", None])
def test_malformed_pair_ids_are_refused(bad):
    with pytest.raises(ValueError, match="pair_id"):
        pair_draws(pa.array(["0" * 32, bad], pa.string()), 0)


def test_two_wrong_lengths_that_add_up_are_refused():
    with pytest.raises(ValueError, match="32 hex digits"):
        pair_draws(pa.array(["0" * 31, "0" * 33]), 0)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        pair_draws(pa.array(["0" * 32]), seed)


def test_no_pairs():
    assert pair_draws(pa.array([], pa.string()), 0).size == 0
    assert keep_probabilities(pa.array([], pa.list_(pa.int32())), np.ones(1)).size == 0


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


@pytest.mark.parametrize("entry_id", [-1, 3])
def test_ids_of_another_list_are_refused(entry_id):
    with pytest.raises(ValueError, match="3 entry probabilities"):
        keep_probabilities(pa.array([[entry_id]], pa.list_(pa.int32())), np.ones(3))
