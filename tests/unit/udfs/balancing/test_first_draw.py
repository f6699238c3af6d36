"""Balancing the survivors of a first draw agrees with the oracle, and on average with what all pairs would give."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaclip_spark.balance import (
    ExpectedSize,
    entry_probabilities,
    threshold_for_tail_share,
    threshold_without_caps,
)
from metaclip_spark.steps.thresholds import threshold_for_target_pairs
from tests.support import oracle
from tests.support.counting import add_by_key
from udfs.balancing.count import FRACTION, LOW, WHOLE, estimates_of, partial_counts, partial_estimates
from udfs.balancing.draw import pair_draws
from udfs.balancing.entry_blocks import BLOCK_SIZE
from udfs.balancing.expected_kept import SIZE_BLOCK, partial_expectations, size_sums
from udfs.balancing.expected_sizes import expected_sizes_batches
from udfs.balancing.first_draw import SMALLEST_FIRST
from udfs.balancing.probability import PROBABILITY_UNITS, keep_probabilities
from udfs.balancing.sample import draw_batches, missing_batches, sample_batches
from udfs.pairs.rules import pair_id
from udfs.schemas import DRAWN, ELIGIBLE, MATCHED

ENTRIES = [f"entry {number}" for number in range(6)]
SEEDS = 2_000


def rows_of(lists):
    return [
        dict.fromkeys(MATCHED.names) | {"pair_id": pair_id("https://example.org/", str(place)), "entry_ids": ids}
        for place, ids in enumerate(lists)
    ]


def batch_of(rows):
    whole = [{"first_keep_probability": None} | row for row in rows]
    return pa.RecordBatch.from_pylist(whole, schema=ELIGIBLE)


def first_draw(lists, threshold, seed):
    """Rows that a run keeps, ready to be drawn again."""
    rows = rows_of(lists)
    kept = oracle.keep(rows, oracle.count(rows, ENTRIES), threshold, seed)
    return [row | {"first_keep_probability": row.pop("keep_probability")} for row in kept]


def kept_of(batches, counts, threshold, seed):
    probability = entry_probabilities(np.array(counts), threshold)
    found = sample_batches(iter(batches), entry_probability=probability, seed=seed)
    return [row for batch in found for row in batch.to_pylist()]


def sums_of(parts):
    """The sums of estimates over partitions of one batch each, added up by key."""
    partials = [batch for part in parts for batch in partial_estimates(iter([part]), number_of_entries=len(ENTRIES))]
    sums = np.zeros((LOW + 1, len(ENTRIES)), np.int64)
    for block, numbers in add_by_key(partials).items():
        sums[:, block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE] = numbers.reshape(LOW + 1, -1)
    return sums


def estimated(parts):
    return estimates_of(sums_of(parts))


def expected_of(batch, counts, threshold):
    probability = entry_probabilities(np.array(counts), threshold)
    sums = add_by_key(partial_expectations(iter([batch]), entry_probability=probability))
    return ExpectedSize(*size_sums(sums[SIZE_BLOCK])), sums.get(0, np.zeros(len(ENTRIES)))


def sizes_of(batch, counts, thresholds):
    found = expected_sizes_batches(iter([batch]), counts=np.array(counts), thresholds=thresholds)
    rows = [row for part in found for row in part.to_pylist()]
    return {row["threshold_t"]: ExpectedSize(row["pairs"], row["expected"], row["variance"]) for row in rows}


chances = st.floats(SMALLEST_FIRST, 1.0) | st.sampled_from([None, 1.0, 0.5, 1 - 2**-53, SMALLEST_FIRST])
id_lists = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted)
pools = st.lists(id_lists, max_size=40)
weighted_pools = st.lists(st.tuples(id_lists, chances), max_size=30)
thresholds = st.integers(1, 12)
seeds = st.integers(0, 2**64 - 1)


def weighted_rows(pool):
    rows = rows_of([ids for ids, _ in pool])
    return [row | {"first_keep_probability": first} for row, (_, first) in zip(rows, pool, strict=True)]


@settings(deadline=None)
@given(weighted_pools, st.lists(st.integers(0, 30), max_size=3).map(sorted))
def test_estimates_are_exact_sums_in_any_partitioning(pool, cuts):
    rows = weighted_rows(pool)
    batch = batch_of(rows)
    parts = [batch[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    counts, errors = estimated(parts)
    expected, standard_errors = oracle.estimated_count(rows, ENTRIES)
    assert counts.tolist() == expected
    # A pair's variance is summed in units of 2^-20.
    assert errors**2 == pytest.approx(np.square(standard_errors), rel=1e-12, abs=len(rows) * 2.0**-20)
    weights = [sum(round(2**16 / (first or 1.0)) for ids, first in pool if entry in ids) for entry in range(6)]
    sums = sums_of(parts).tolist()
    assert [whole * 2**16 + rest for whole, rest in zip(sums[WHOLE], sums[FRACTION], strict=True)] == weights
    whole_counts, whole_errors = estimated([batch])
    assert (counts.tolist(), errors.tolist()) == (whole_counts.tolist(), whole_errors.tolist())


@settings(deadline=None)
@given(weighted_pools.map(lambda pool: [(ids, first) for ids, first in pool if (first or 1) > 1e-4]))
def test_estimates_are_the_sums_of_the_inverse_chances(pool):
    counts, _ = estimated([batch_of(weighted_rows(pool))])
    for entry, count in enumerate(counts.tolist()):
        exact = sum((1 / Fraction(first or 1) for ids, first in pool if entry in ids), Fraction(0))
        assert abs(count - exact) <= Fraction(1, 2) + len(pool) * Fraction(1, 2**17)


def test_sums_beyond_64_bits_stay_exact():
    smallest = rows_of([[0]] * 1000)
    counts, errors = estimated([batch_of([row | {"first_keep_probability": SMALLEST_FIRST} for row in smallest])] * 300)
    assert counts.tolist() == [300_000 * 2**40, 0, 0, 0, 0, 0]
    assert errors[0] == math.sqrt(300_000) * 2**20 * math.sqrt(2**40 - 1)


@pytest.mark.parametrize("every", [1.0, None])
def test_where_all_pairs_were_attempted_nothing_changes(every):
    generator = np.random.default_rng(0)
    rows = rows_of([sorted(set(generator.integers(0, 6, 3).tolist())) for _ in range(500)])
    batch = batch_of([row | {"first_keep_probability": every} for row in rows])
    plain = batch.select(MATCHED.names)
    (partial,) = partial_counts(iter([plain]), number_of_entries=6)
    counts, errors = estimated([batch])
    assert counts.tolist() == np.frombuffer(partial.column("counts")[0].as_py(), "<i8").tolist()
    assert errors.tolist() == [0.0] * 6
    probability = entry_probabilities(counts, 40)

    def bytes_of(work, given):
        return [part.serialize().to_pybytes() for part in work(iter([given]), entry_probability=probability)]

    for work in (partial_expectations, lambda batches, **kept: sample_batches(batches, seed=1, **kept),
                 lambda batches, **kept: draw_batches(batches, seed=1, **kept)):  # fmt: skip
        assert bytes_of(work, batch) == bytes_of(work, plain)
    assert sizes_of(batch, counts, list(range(1, 300))) == sizes_of(plain, counts, list(range(1, 300)))


@settings(deadline=None)
@given(pools, thresholds, thresholds, seeds, st.data())
def test_the_second_draw_keeps_the_survivors_below_their_new_chance(lists, threshold, again, seed, data):
    attempted = first_draw(lists, threshold, seed)
    survives = data.draw(st.lists(st.booleans(), min_size=len(attempted), max_size=len(attempted)))
    survivors = [row for row, alive in zip(attempted, survives, strict=True) if alive]
    counts, _ = oracle.estimated_count(survivors, ENTRIES)
    batch = batch_of(survivors)
    kept = kept_of([batch], counts or [0], again, seed)
    expected = oracle.keep_again(survivors, counts, again, seed)
    assert [row["pair_id"] for row in kept] == [row["pair_id"] for row in expected]
    assert [row["keep_probability"] for row in kept] == pytest.approx(
        [row["keep_probability"] for row in expected], rel=1e-14
    )
    chance = keep_probabilities(batch.column("entry_ids"), entry_probabilities(np.array(counts), again))
    below = pair_draws(batch.column("pair_id"), seed) < chance
    assert [row["pair_id"] for row in kept] == batch.column("pair_id").filter(pa.array(below)).to_pylist()
    cut = len(survivors) // 2
    assert kept_of([batch[cut:], batch[:cut]], counts, again, seed) == kept_of([batch[cut:]], counts, again, seed) + (
        kept_of([batch[:cut]], counts, again, seed)
    )


@settings(deadline=None)
@given(weighted_pools, st.lists(st.integers(0, 3_000), min_size=6, max_size=6), st.integers(1, 3_500))
def test_the_expectation_is_the_sum_of_the_survivors_shares(pool, counts, threshold):
    rows = weighted_rows(pool)
    size, of_entries = expected_of(batch_of(rows), counts, threshold)
    expected, variance, _ = oracle.expected_again(rows, counts, threshold)
    assert size.pairs == len(rows)
    assert size.size == pytest.approx(expected, abs=1e-6)
    assert size.variance == pytest.approx(variance, abs=1e-6)
    chance = [oracle.keep_probability(row["entry_ids"], counts, threshold) for row in rows]
    first = [row["first_keep_probability"] or 1.0 for row in rows]
    surely = sum(q1 > q0 * (1 + 1e-12) for q1, q0 in zip(chance, first, strict=True))
    perhaps = sum(q1 > q0 * (1 - 1e-12) for q1, q0 in zip(chance, first, strict=True))
    assert surely <= size.capped <= perhaps
    for entry, units in enumerate(of_entries[: len(ENTRIES)]):
        share = [min(1, q1 / q0) for row, q1, q0 in zip(rows, chance, first, strict=True) if entry in row["entry_ids"]]
        assert units / 2**20 == pytest.approx(sum(share), abs=1e-4)


@settings(deadline=None)
@given(
    weighted_pools,
    st.lists(st.integers(0, 3_000), min_size=6, max_size=6),
    st.lists(st.integers(1, 3_500), min_size=2, max_size=8, unique=True).map(sorted),
)
def test_many_thresholds_in_one_pass_equal_one_by_one_to_the_unit_and_never_fall(pool, counts, several):
    batch = batch_of(weighted_rows(pool))
    found = sizes_of(batch, counts, several)
    for threshold, size in found.items():
        one, _ = expected_of(batch, counts, threshold)
        assert (size.expected_units, size.variance_units) == (one.expected_units, one.variance_units)
    units = [size.expected_units for size in found.values()]
    assert units == sorted(units)


@settings(deadline=None)
@given(weighted_pools.filter(bool), st.lists(st.integers(0, 3_000), min_size=6, max_size=6), st.data())
def test_the_solver_finds_the_smallest_threshold_over_survivors(pool, counts, data):
    target = data.draw(st.integers(1, len(pool)))
    batch = batch_of(weighted_rows(pool))
    found = threshold_for_target_pairs(lambda wanted: sizes_of(batch, counts, wanted), target, max(counts))
    enough = [t for t, size in sizes_of(batch, counts, list(range(1, max(1, *counts) + 1))).items()
              if size.expected_units >= target * PROBABILITY_UNITS]  # fmt: skip
    assert found == min(enough)


def test_the_expectation_is_what_draws_give_on_average():
    """The survivors of each seed are others, so that what is kept is compared with what was expected of them."""
    generator = np.random.default_rng(3)
    lists = [sorted({0, *generator.integers(0, 6, 2).tolist()}) for _ in range(120)]
    left, deviation, variance = 0, 0.0, 0.0
    for seed in range(300):
        survivors = first_draw(lists, 20, seed)[::2]
        counts, _ = oracle.estimated_count(survivors, ENTRIES)
        size, _ = expected_of(batch_of(survivors), counts, 6)
        left += len(kept_of([batch_of(survivors)], counts, 6, seed))
        deviation, variance = deviation + size.size, variance + size.variance
    assert left > 2_000
    # The estimated counts depend on which pairs were attempted, not on where below q0 their draws lie.
    assert abs(left - deviation) < 4 * math.sqrt(variance)


def test_estimates_are_right_on_average_over_the_first_draw():
    generator = np.random.default_rng(5)
    lists = [sorted({*(generator.random(3) ** 3 * 6).astype(int).tolist()}) for _ in range(150)]
    rows = rows_of(lists)
    dead = {row["pair_id"] for row in rows[::4]}
    ids = pa.array([row["pair_id"] for row in rows])
    counts = np.array(oracle.count(rows, ENTRIES))
    truth = np.array(oracle.count([row for row in rows if row["pair_id"] not in dead], ENTRIES))
    probability = keep_probabilities(pa.array(lists, pa.list_(pa.int32())), entry_probabilities(counts, 12))
    alive = np.array([row["pair_id"] not in dead for row in rows])
    whole = batch_of([row | {"first_keep_probability": q0} for row, q0 in zip(rows, probability.tolist(), strict=True)])
    found, variances = np.empty((SEEDS, len(ENTRIES))), np.zeros(len(ENTRIES))
    for seed in range(SEEDS):
        survivors = whole.filter(pa.array(alive & (pair_draws(ids, seed) < probability)))
        found[seed], errors = estimated([survivors])
        variances += errors**2
    spread = found.std(axis=0) / math.sqrt(SEEDS)
    assert (found.std(axis=0) > 1).sum() >= 3
    # An entry whose pairs are all certain has no spread.
    assert (np.abs(found.mean(axis=0) - truth) <= 4 * spread + 1e-9).all()
    assert np.sqrt(variances / SEEDS) == pytest.approx(found.std(axis=0), rel=0.1, abs=0.3)


@settings(deadline=None)
@given(pools.filter(bool), thresholds, seeds)
def test_where_nothing_was_lost_a_threshold_without_caps_gives_the_first_curated_set(lists, threshold, seed):
    attempted = first_draw(lists, threshold, seed)
    first_counts = np.array(oracle.count(rows_of(lists), ENTRIES))
    counts, _ = oracle.estimated_count(attempted, ENTRIES)
    # An estimate above the count makes the chance smaller at the same t: t must rise by as much.
    risen = max((math.ceil(threshold * now / first) for now, first in zip(counts, first_counts, strict=True) if first),
                default=1)  # fmt: skip
    for again in (max(threshold, risen), math.inf):
        kept = kept_of([batch_of(attempted)], counts, again, seed)
        assert [row["pair_id"] for row in kept] == [row["pair_id"] for row in attempted]
        assert [row["keep_probability"] for row in kept] == [
            pytest.approx(row["first_keep_probability"]) for row in attempted
        ]


@settings(deadline=None)
@given(pools.filter(bool), thresholds, thresholds, st.sets(st.integers(0, 40)))
def test_no_pair_is_capped_where_the_first_threshold_was_large_enough(lists, threshold, again, dead):
    rows = rows_of(lists)
    counts = np.array(oracle.count([row for place, row in enumerate(rows) if place not in dead], ENTRIES))
    first_counts = np.array(oracle.count(rows, ENTRIES))
    enough = threshold_without_caps(first_counts, counts, again)
    alive = [ids for place, ids in enumerate(lists) if place not in dead]

    def capped(first_threshold):
        chance = keep_probabilities(
            pa.array(alive, pa.list_(pa.int32())), entry_probabilities(first_counts, first_threshold)
        )
        survivors = [
            row | {"first_keep_probability": q0} for row, q0 in zip(rows_of(alive), chance.tolist(), strict=True)
        ]
        return expected_of(batch_of(survivors), counts, again)[0].capped

    assert capped(enough) == capped(max(enough, threshold)) == 0
    if enough > 1 and all(len(ids) == 1 for ids in alive):
        assert capped(enough - 1) > 0


def test_a_threshold_without_caps_is_that_of_the_entry_which_lost_most():
    first, now = np.array([100, 90, 8, 5_000, 0]), np.array([30, 60, 3, 0, 0])
    # The head entry needs 100 * 7 / 30, the tail entry all of its eight pairs, and of the lost entry nothing is asked.
    assert threshold_without_caps(first, now, 7) == 24
    assert threshold_without_caps(first[2:], now[2:], 7) == 8
    assert threshold_without_caps(first[3:], now[3:], 7) == 1


@settings(deadline=None)
@given(pools, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)), thresholds, seeds)
def test_removing_more_drops_no_eligible_curated_pair(lists, removed, more, threshold, seed):
    rows = rows_of(lists)

    def curated(gone):
        eligible = [row for place, row in enumerate(rows) if place not in gone]
        counts = oracle.count(eligible, ENTRIES)
        return {row["pair_id"] for row in kept_of([batch_of(eligible)], counts, threshold, seed)}

    lost = {row["pair_id"] for place, row in enumerate(rows) if place in more}
    assert curated(removed) - lost <= curated(removed | more)


@settings(deadline=None)
@given(pools, thresholds, thresholds, seeds)
def test_what_a_larger_threshold_misses_makes_its_curated_set(lists, threshold, more, seed):
    rows = rows_of(lists)
    counts = oracle.count(rows, ENTRIES)
    smaller, larger = sorted((threshold, more))
    batch = batch_of(rows).select(MATCHED.names)
    found = missing_batches(
        iter([batch]),
        attempted_probability=entry_probabilities(np.array(counts), smaller),
        entry_probability=entry_probabilities(np.array(counts), larger),
        seed=seed,
    )
    missing = [row for part in found for row in part.to_pylist()]
    whole = {row["pair_id"]: row for row in kept_of([batch], counts, larger, seed)}
    before = {row["pair_id"] for row in kept_of([batch], counts, smaller, seed)}
    assert {row["pair_id"]: row for row in missing} == {key: row for key, row in whole.items() if key not in before}


@pytest.mark.parametrize("bad", [0.0, -0.5, 1.5, math.nan, SMALLEST_FIRST / 2])
def test_a_first_chance_outside_its_range_is_refused(bad):
    batch = batch_of([rows_of([[1]])[0] | {"first_keep_probability": bad}])
    probability = np.ones(6)
    for work in (
        lambda: list(partial_estimates(iter([batch]), number_of_entries=6)),
        lambda: list(partial_expectations(iter([batch]), entry_probability=probability)),
        lambda: list(sample_batches(iter([batch]), entry_probability=probability, seed=0)),
        lambda: list(expected_sizes_batches(iter([batch]), counts=np.ones(6, np.int64), thresholds=[1])),
    ):
        with pytest.raises(ValueError, match=r"must lie between 2\^-40 and 1"):
            work()


def test_drawn_rows_show_the_chance_of_both_draws():
    batch = batch_of([row | {"first_keep_probability": 0.25} for row in rows_of([[0], [1]])])
    (drawn,) = draw_batches(iter([batch]), entry_probability=np.array([0.1, 0.9]), seed=0)
    assert drawn.schema == DRAWN
    assert drawn.column("keep_probability").to_pylist() == [pytest.approx(0.1), 0.25]


def test_the_tail_share_is_that_of_the_estimates():
    survivors = [row | {"first_keep_probability": 0.01} for row in rows_of([[0]])] + rows_of([[1], [1]])
    counts, _ = oracle.estimated_count([{"first_keep_probability": None} | row for row in survivors], ENTRIES)
    assert counts[:2] == [100, 2]
    assert threshold_for_tail_share(np.array(counts), 0.02) == 3
