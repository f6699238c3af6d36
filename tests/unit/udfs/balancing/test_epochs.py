import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark import ConfigError, keeps_in_epoch
from tests.unit.udfs.balancing.test_draw import splitmix64_in_python
from udfs.balancing.draw import pair_draws
from udfs.balancing.epochs import epoch_draws, epoch_seed
from udfs.balancing.sample import kept_probabilities

MASK = 2**64 - 1
IDS = [f"{splitmix64_in_python(number):016x}{number:016x}" for number in range(20_000)]


def test_epoch_0_keeps_the_curated_set():
    entry_ids = pa.array([[number % 3] for number in range(len(IDS))], pa.list_(pa.int32()))
    probability = np.array([1.0, 0.3, 0.01])
    for seed in (0, 7, MASK):
        curated = kept_probabilities(pa.array(IDS), entry_ids, entry_probability=probability, seed=seed)
        keep = probability[np.arange(len(IDS)) % 3]
        assert keeps_in_epoch(IDS, keep, seed, 0).tolist() == curated.is_valid().to_pylist()


def test_each_epoch_draws_anew_and_alike_often():
    kept = np.array([keeps_in_epoch(IDS, np.full(len(IDS), 0.25), 3, epoch) for epoch in range(6)])
    # 4.5 standard errors of a share of a quarter.
    assert np.abs(kept.mean(axis=1) - 0.25).max() < 0.014
    together = np.corrcoef(kept)
    assert np.abs(together[~np.eye(6, dtype=bool)]).max() < 0.035
    # A pair is in as many epochs as independent draws say.
    often = np.bincount(kept.sum(axis=0), minlength=7) / len(IDS)
    assert np.abs(often - [0.178, 0.356, 0.297, 0.132, 0.033, 0.004, 0.0002]).max() < 0.015


@given(st.integers(0, MASK), st.integers(1, MASK))
def test_the_seed_of_an_epoch_is_the_formula(seed, epoch):
    assert epoch_seed(seed, 0) == seed
    assert epoch_seed(seed, epoch) == splitmix64_in_python(splitmix64_in_python(seed) ^ epoch)
    ids = pa.array(IDS[:5])
    assert (epoch_draws(ids, seed, epoch) == pair_draws(ids, epoch_seed(seed, epoch))).all()


def test_probabilities_of_nought_and_one_are_certain_in_every_epoch():
    for epoch in (0, 1, 10**6):
        assert not keeps_in_epoch(IDS, np.zeros(len(IDS)), 0, epoch).any()
        assert keeps_in_epoch(IDS, np.ones(len(IDS)), 0, epoch).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((["0" * 32], [0.1, 0.2], 0, 0), "pass one number for each of pair_ids"),
        ((["0" * 31], [0.1], 0, 0), "32 hex digits"),
        ((["0" * 32], [1.5], 0, 0), "numbers from 0 to 1"),
        ((["0" * 32], [float("nan")], 0, 0), "numbers from 0 to 1"),
        ((["0" * 32], [0.1], 2**64, 0), "the seed 18446744073709551616 is outside"),
        ((["0" * 32], [0.1], 0, -1), "the epoch -1 is outside"),
    ],
)
def test_what_cannot_be_drawn_with_is_named(given, message):
    with pytest.raises(ConfigError, match=message):
        keeps_in_epoch(*given)
