"""The steps over the survivors of a first draw, against the oracle, in any partitioning and on both ways of Spark."""

import math

import numpy as np
import pytest
from pyspark.sql import functions as F

from metaclip_spark.balance import entry_probabilities
from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.steps.count import count_entries, estimate_counts
from metaclip_spark.steps.refill import asked_pairs, most_survivors, refill_pairs, refill_threshold
from metaclip_spark.steps.sample import draw_pairs, expect, sample_pairs
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.steps.thresholds import choose_threshold, expected_sizes
from tests.support import oracle
from udfs.balancing.entry_blocks import BLOCK_SIZE
from udfs.pairs.rules import pair_id
from udfs.schemas import CURATED, ELIGIBLE, MATCHED

PAIRS = 1_500
ENTRIES = ["often", *(f"entry {number}" for number in range(BLOCK_SIZE + 20))]
FIRST_T, SECOND_T, SEED = 60, 25, 3


def row_of(number: int) -> oracle.Row:
    ids = {1 + number % 3} | ({0} if number % 4 else set())
    if number % 10 == 0:
        ids.add(4 + number * number % (len(ENTRIES) - 4))
    return dict.fromkeys(MATCHED.names) | {
        "pair_id": pair_id("https://example.org/", str(number)),
        "entry_ids": sorted(ids),
    }


ROWS = [row_of(number) for number in range(PAIRS)]
FIRST_COUNTS = oracle.count(ROWS, ENTRIES)
ATTEMPTED = oracle.keep(ROWS, FIRST_COUNTS, FIRST_T, SEED)
SURVIVORS = [
    dict.fromkeys(MATCHED.names) | {"pair_id": row["pair_id"], "entry_ids": row["entry_ids"],
                                    "first_keep_probability": row["keep_probability"]}
    for number, row in enumerate(ATTEMPTED) if number % 4
]  # fmt: skip


def table_of(spark, rows, schema):
    return spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], spark_schema(schema))


@pytest.fixture(scope="module")
def eligible(spark):
    return table_of(spark, SURVIVORS, ELIGIBLE).repartition(3).cache()


@pytest.fixture(scope="module")
def matched(spark):
    return table_of(spark, ROWS, MATCHED).cache()


def curated_rows(table):
    assert table.columns == CURATED.names
    return {row.pair_id: row.keep_probability for row in table.collect()}


@pytest.mark.parametrize("partitions", [1, 7])
def test_estimates_equal_the_oracles(eligible, partitions):
    estimates = estimate_counts(eligible.repartition(partitions), len(ENTRIES))
    counts, errors = oracle.estimated_count(SURVIVORS, ENTRIES)
    assert estimates.counts.tolist() == counts
    assert estimates.errors**2 == pytest.approx(np.square(errors), abs=len(SURVIVORS) * 2.0**-20)
    assert counts[0] > 2 * sum(0 in row["entry_ids"] for row in SURVIVORS)


def test_without_a_first_draw_estimates_are_the_counts(matched):
    counts = count_entries(matched, len(ENTRIES)).tolist()
    with_nulls = matched.withColumn("first_keep_probability", F.lit(None).cast("double"))
    for table in (matched, with_nulls):
        estimates = estimate_counts(table, len(ENTRIES))
        assert estimates.counts.tolist() == counts
        assert not estimates.errors.any()
    probability = entry_probabilities(np.array(counts), SECOND_T)
    assert sample_pairs(with_nulls, probability, seed=SEED).schema == sample_pairs(matched, probability).schema
    assert curated_rows(sample_pairs(with_nulls, probability, seed=SEED)) == curated_rows(
        sample_pairs(matched, probability, seed=SEED)
    )
    (size, kept), (plain_size, plain_kept) = expect(with_nulls, probability), expect(matched, probability)
    assert (size, kept.tolist()) == (plain_size, plain_kept.tolist())
    assert estimate_counts(matched.limit(0), 3).counts.tolist() == [0, 0, 0]
    assert estimate_counts(with_nulls.limit(0), 3).counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize("arrow_functions", [True, False])
def test_both_draws_keep_what_the_oracle_keeps(eligible, monkeypatch, arrow_functions):
    if not arrow_functions:
        monkeypatch.setattr(F, "arrow_udf", None, raising=False)
    counts, _ = oracle.estimated_count(SURVIVORS, ENTRIES)
    probability = entry_probabilities(np.array(counts), SECOND_T)
    expected = oracle.keep_again(SURVIVORS, counts, SECOND_T, SEED)
    kept = curated_rows(sample_pairs(eligible, probability, seed=SEED))
    assert kept == pytest.approx({row["pair_id"]: row["keep_probability"] for row in expected}, rel=1e-12)
    assert 0 < len(kept) < len(SURVIVORS)
    drawn = draw_pairs(eligible, probability, seed=SEED)
    assert {row.pair_id: row.keep_probability for row in drawn.where("draw < keep_probability").collect()} == kept
    assert drawn.count() == len(SURVIVORS)
    assert curated_rows(sample_pairs(eligible.repartition(5), probability, seed=SEED)) == kept


def test_the_expectation_and_the_solver_know_what_was_attempted(eligible):
    counts, _ = oracle.estimated_count(SURVIVORS, ENTRIES)
    size, _ = expect(eligible, entry_probabilities(np.array(counts), SECOND_T))
    expected, variance, capped = oracle.expected_again(SURVIVORS, counts, SECOND_T)
    assert (size.size, size.variance) == (pytest.approx(expected), pytest.approx(variance))
    assert (size.pairs, size.capped) == (len(SURVIVORS), capped)
    assert size.is_plausible(len(oracle.keep_again(SURVIVORS, counts, SECOND_T, SEED)))
    (one,) = expected_sizes(eligible, np.array(counts), [SECOND_T]).values()
    assert (one.expected_units, one.variance_units) == (size.expected_units, size.variance_units)
    target = math.floor(expected)
    found = choose_threshold(np.array(counts), eligible, tail_share=None, target_pairs=target)
    assert oracle.expected_again(SURVIVORS, counts, found)[0] >= target
    assert oracle.expected_again(SURVIVORS, counts, found - 1)[0] < target
    assert expect(eligible, entry_probabilities(np.array(counts), 10 * FIRST_T))[0].capped > 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [(2.0**-41, "as small as .*larger t"), (-1.0, "as small as"), (1.5, "as large as"), (math.nan, "nan")],
)
def test_a_first_chance_out_of_range_is_one_line(eligible, bad, why):
    wrong = eligible.limit(2).withColumn("first_keep_probability", F.lit(bad))
    with pytest.raises(InputError, match=f"first_keep_probability is {why}" if "as" in why else why):
        estimate_counts(wrong, len(ENTRIES))


def test_a_refill_makes_the_curated_set_of_the_larger_threshold(matched):
    survived, target = len(SURVIVORS), 600
    drawn = oracle.expected_size(ROWS, FIRST_COUNTS, FIRST_T)
    so_far = {"drawn": drawn, "pairs": PAIRS, "attempted": len(ATTEMPTED), "survived": survived}
    threshold = refill_threshold(matched, np.array(FIRST_COUNTS), target_pairs=target, **so_far)
    share = survived / len(ATTEMPTED)

    def survivors(t):
        return survived + (oracle.expected_size(ROWS, FIRST_COUNTS, t) - drawn) * share

    assert survivors(threshold) >= target > survivors(threshold - 1)
    assert threshold > FIRST_T
    assert refill_threshold(matched, np.array(FIRST_COUNTS), target_pairs=survived + 1, **so_far) == FIRST_T + 1
    most = most_survivors(**so_far)
    assert most == int(survived + (PAIRS - drawn) * share)
    assert refill_threshold(matched, np.array(FIRST_COUNTS), target_pairs=most, **so_far) <= max(FIRST_COUNTS)
    before, after = (entry_probabilities(np.array(FIRST_COUNTS), t) for t in (FIRST_T, threshold))
    missing = curated_rows(refill_pairs(matched, before, after, seed=SEED))
    whole = {row["pair_id"]: row["keep_probability"] for row in oracle.keep(ROWS, FIRST_COUNTS, threshold, SEED)}
    assert missing.keys() == whole.keys() - {row["pair_id"] for row in ATTEMPTED}
    assert missing == pytest.approx({key: whole[key] for key in missing}, rel=1e-12)


@pytest.mark.parametrize(("attempted", "survived", "most"), [(400, 300, "1,125"), (400, 0, "0"), (0, 0, "0")])
def test_a_refill_that_the_first_run_cannot_give_is_refused(matched, attempted, survived, most):
    so_far = {"drawn": float(attempted), "pairs": PAIRS, "attempted": attempted, "survived": survived}
    with pytest.raises(ConfigError, match=f"1,200 pairs are more than the 1,500 matched pairs .*give at most {most}"):
        refill_threshold(matched, np.array(FIRST_COUNTS), target_pairs=1_200, **so_far)


def test_what_a_threshold_asks_for_is_estimated_from_the_survivors(eligible):
    counts, _ = oracle.estimated_count(SURVIVORS, ENTRIES)
    for threshold in (SECOND_T, 10 * FIRST_T):
        probability = entry_probabilities(np.array(counts), threshold)
        asked = [oracle.keep_probability(row["entry_ids"], counts, threshold) for row in SURVIVORS]
        whole = sum(chance / row["first_keep_probability"] for chance, row in zip(asked, SURVIVORS, strict=True))
        assert asked_pairs(eligible, probability) == pytest.approx(whole, abs=0.51)
    assert asked_pairs(eligible.limit(0), probability) == 0
