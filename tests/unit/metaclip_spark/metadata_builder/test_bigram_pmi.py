"""PMI of bigrams, compared with its threshold in whole numbers."""

import math
import random
from fractions import Fraction

import pytest

from metaclip_spark.errors import InputError
from metaclip_spark.metadata_builder.bigram_pmi import power_of_two, reaches_pmi, score_bigrams


@pytest.mark.parametrize("min_pmi", [30.0, 2.5, -3.0, 59.5, 0.0])
def test_pmi_is_compared_exactly(spark, min_pmi):
    total = 2**42
    generator = random.Random(7)
    rows = [(1, 1, 1), (total, total, total), (3, 2**31, 3)]
    for _ in range(40):
        first, second = (generator.randrange(1, 2 ** generator.randrange(1, 42)) for _ in range(2))
        rows.append((generator.randint(1, min(first, second)), first, second))
    table = spark.createDataFrame(rows, "pair_count long, first_count long, second_count long")
    found = {tuple(row)[:3]: row["holds"] for row in table.withColumn("holds", reaches_pmi(min_pmi, total)).collect()}
    power = power_of_two(min_pmi)
    assert abs(math.log2(power) - min_pmi) < 1e-9
    assert found == {(pair, first, second): pair * total >= power * first * second for pair, first, second in rows}


def test_a_pair_at_the_threshold_is_kept(spark):
    table = spark.createDataFrame([(1, 1, 1)], "pair_count long, first_count long, second_count long")
    for total, holds in ((2**30, True), (2**30 - 1, False)):
        assert table.select(reaches_pmi(30.0, total).alias("holds")).first()["holds"] is holds
    assert power_of_two(-2.0) == Fraction(1, 4)
    with pytest.raises(InputError, match="add up to"):
        reaches_pmi(30.0, 2**50)


def test_a_pair_is_scored_with_its_own_words(spark):
    words = spark.createDataFrame([("a", 4), ("b", 2)], "word string, count long")
    pairs = spark.createDataFrame([("a", "b", 2), ("b", "a", 1)], "word string, next_word string, count long")
    found = {row["text"]: row["ratio"] for row in score_bigrams(pairs, words).collect()}
    assert found == {"a b": 2 / 8, "b a": 1 / 8}
