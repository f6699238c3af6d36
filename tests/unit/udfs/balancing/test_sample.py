import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import ExpectedSize, entry_probabilities
from tests.support.counting import add_by_key
from udfs.balancing.draw import pair_draws
from udfs.balancing.entry_blocks import partial_batch
from udfs.balancing.expected_kept import SIZE_BLOCK, partial_expectations, size_sums
from udfs.balancing.probability import PROBABILITY_UNITS, keep_probabilities
from udfs.balancing.sample import sample_batches
from udfs.pairs.rules import pair_id
from udfs.schemas import CURATED, MATCHED

COUNTS = np.array([0, 1, 5, 20, 300, 4_000])


def matched_batch(lists):
    rows = [
        {
            **dict.fromkeys(MATCHED.names),
            "pair_id": pair_id("https://example.org/", str(place)),
            "image_url": "https://example.org/",
            "alt_text": str(place),
            "entry_ids": ids,
        }
        for place, ids in enumerate(lists)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=MATCHED)


def kept(batches, threshold, seed=0):
    found = list(sample_batches(iter(batches), entry_probability=entry_probabilities(COUNTS, threshold), seed=seed))
    assert all(batch.schema == CURATED and batch.num_rows for batch in found)
    return [row for batch in found for row in batch.to_pylist()]


lists_of_ids = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted), max_size=40)


@settings(deadline=None)
@given(lists_of_ids, st.integers(0, 2**64 - 1), st.lists(st.integers(0, 40), max_size=3).map(sorted))
def test_the_sample_ignores_batches_and_order(lists, seed, cuts):
    batch = matched_batch(lists)
    expected = kept([batch], 10, seed)
    parts = [batch[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(lists)], strict=True)]
    assert kept(parts, 10, seed) == expected
    backwards = batch.take(pa.array(range(len(lists) - 1, -1, -1), pa.int64()))
    assert kept([backwards], 10, seed) == expected[::-1]


@settings(deadline=None)
@given(lists_of_ids, st.integers(0, 2**64 - 1), st.integers(1, 5_000), st.integers(0, 5_000))
def test_a_larger_threshold_drops_no_pair_and_infinity_keeps_all(lists, seed, threshold, more):
    batch = matched_batch(lists)
    ids = [{row["pair_id"] for row in kept([batch], limit, seed)} for limit in (threshold, threshold + more, math.inf)]
    assert ids[0] <= ids[1] <= ids[2]
    assert len(ids[2]) == len(lists)


def test_kept_rows_carry_all_columns_and_their_probability():
    batch = matched_batch([[4], [5], [1, 5], [3, 4]] * 50)
    probability = entry_probabilities(COUNTS, 100)
    keep = keep_probabilities(batch.column("entry_ids"), probability)
    draws = pair_draws(batch.column("pair_id"), 7)
    expected = [
        row | {"keep_probability": chance}
        for row, chance, draw in zip(batch.to_pylist(), keep.tolist(), draws, strict=True)
        if draw < chance
    ]
    assert 50 < len(expected) < 200
    assert kept([batch], 100, 7) == expected


def test_a_draw_that_equals_the_keep_probability_keeps_no_pair_and_one_just_below_it_all():
    batch = matched_batch([[place] for place in range(200)])
    draws = pair_draws(batch.column("pair_id"), 7)
    # Draws are whole multiples of 2^-53, of which 1 - (1 - p) loses none.
    assert (keep_probabilities(batch.column("entry_ids"), draws) == draws).all()
    assert list(sample_batches(iter([batch]), entry_probability=draws, seed=7)) == []
    (all_kept,) = sample_batches(iter([batch]), entry_probability=draws + 2.0**-53, seed=7)
    assert all_kept.column("pair_id") == batch.column("pair_id")


def test_entries_below_the_threshold_keep_everything():
    assert len(kept([matched_batch([[0], [1], [2, 5]] * 20)], 5)) == 60


def added_sizes(partials) -> np.ndarray:
    return add_by_key(partials)[SIZE_BLOCK]


def expected(parts, probability) -> ExpectedSize:
    """The expected size from partitions of batches, added up over all."""
    partials = [
        partial for batch in parts for partial in partial_expectations(iter([batch]), entry_probability=probability)
    ]
    return ExpectedSize(*size_sums(added_sizes(partials)))


def test_sums_beyond_64_bits_stay_exact():
    (sums,) = partial_expectations(iter([matched_batch([[0]])]), entry_probability=np.ones(len(COUNTS)))
    for _ in range(40):
        sums = partial_batch(add_by_key([sums, sums]))
    assert size_sums(added_sizes([sums])) == (2**40, 2**72, 0, 0)


@settings(deadline=None)
@given(lists_of_ids, st.lists(st.integers(0, 40), max_size=3).map(sorted))
def test_size_sums_are_integers_that_add_up(lists, cuts):
    batch = matched_batch(lists)
    probability = entry_probabilities(COUNTS, 10)
    parts = [batch[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(lists)], strict=True)]
    size = expected(parts, probability)
    keep = keep_probabilities(batch.column("entry_ids"), probability)
    assert size.pairs == len(lists)
    assert size.expected_units == sum(round(chance * PROBABILITY_UNITS) for chance in keep.tolist())
    assert size.variance_units == sum(round(chance * (1 - chance) * PROBABILITY_UNITS) for chance in keep.tolist())


def test_the_expected_size_foretells_the_real_one():
    generator = np.random.default_rng(1)
    lists = [sorted(set(generator.integers(2, 6, size=2).tolist())) for _ in range(20_000)]
    batch = matched_batch(lists)
    size = expected([batch], entry_probabilities(COUNTS, 3))
    real = len(kept([batch], 3, 11))
    assert abs(real - size.size) < 4 * size.standard_error
    assert size.is_plausible(real)
    assert not size.is_plausible(real + 2_000)
