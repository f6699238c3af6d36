import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.balancing.draw import pair_draws, splitmix64
from udfs.pairs.rules import pair_id

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
