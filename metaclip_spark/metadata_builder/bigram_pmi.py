"""Pointwise mutual information of bigrams, compared with its threshold in integers."""

import math
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.errors import InputError
from udfs.wikipedia.words import BREAK_CHARACTERS

LARGEST_TOTAL = 2**43
"""Sum of all unigram counts up to which all products fit 38 digits; English Wikipedia has some 2 ** 32 words."""

_FRACTION_BITS = 32
_WIDE = "decimal(38,0)"


def power_of_two(exponent: float) -> Fraction:
    """2 to a power as a fraction that integers can be compared with.

    Args:
        exponent: Bits, from -40 to 60.

    Returns:
        Exactly 2 ** exponent for a whole exponent; for another the next multiple of 2 ** -32 above it, less than
        4e-10 bits off for exponents from 0 on.
    """
    if float(exponent).is_integer():
        return Fraction(2) ** int(exponent)
    with localcontext() as context:
        context.prec = 60
        scaled = Decimal(2) ** (Decimal(exponent) + _FRACTION_BITS)
        return Fraction(int(scaled.to_integral_value(ROUND_CEILING)), 2**_FRACTION_BITS)


def between_words(*, without_spaces: bool) -> Column:
    """What stands between the words of a bigram: a space, or nothing where neither side is written with spaces."""
    if not without_spaces:
        return F.lit(" ")
    are_joined = F.col("word").rlike(f"[{BREAK_CHARACTERS}]$") & F.col("next_word").rlike(f"^[{BREAK_CHARACTERS}]")
    return F.when(are_joined, "").otherwise(" ")


def score_bigrams(bigrams: DataFrame, unigrams: DataFrame, between: Column | None = None) -> DataFrame:
    """Puts the counts of its words beside each bigram's.

    Args:
        bigrams: Columns word, next_word, count.
        unigrams: Columns word, count.
        between: What stands between the words; a space where it is not given.

    Returns:
        Columns text (the bigram), pair_count, first_count, second_count, and ratio = pair_count / (first_count x
        second_count), which orders as PMI does and is the same IEEE number everywhere. Bigrams that occur more often
        than one of their words (in ready count files that do not belong together) are left out.
    """
    first = unigrams.select("word", F.col("count").alias("first_count"))
    second = unigrams.select(F.col("word").alias("next_word"), F.col("count").alias("second_count"))
    pairs = bigrams.where("count > 0").select("word", "next_word", F.col("count").alias("pair_count"))
    return (
        pairs.join(first, "word")
        .join(second, "next_word")
        .where("pair_count <= first_count and pair_count <= second_count")
        .select(
            F.concat("word", F.lit(" ") if between is None else between, "next_word").alias("text"),
            "pair_count",
            "first_count",
            "second_count",
            (F.col("pair_count") / (F.col("first_count").cast("double") * F.col("second_count"))).alias("ratio"),
        )
    )


def reaches_pmi(min_pmi: float, total: int) -> Column:
    """Tells whether a scored bigram's PMI is at least a threshold: count x total >= 2 ** min_pmi x first x second.

    The products are decimals of 38 digits. What cannot hold is ruled out first (a bigram occurs at most as often as
    each of its words), so that no product exceeds total squared times 2 ** 40.

    Args:
        min_pmi: The threshold, in bits, inclusive.
        total: The sum of all unigram counts, as in NLTK's PMI.

    Returns:
        A condition on the columns of `score_bigrams`.

    Raises:
        InputError: If the total is above `LARGEST_TOTAL`.
    """
    if total > LARGEST_TOTAL:
        raise InputError(f"the unigram counts add up to {total}, above {LARGEST_TOTAL}: check the count files")
    power = power_of_two(min_pmi)
    total_side, threshold = total * power.denominator, power.numerator
    return F.when(
        F.col("first_count") <= min(total_side // threshold, total),
        _product(F.col("pair_count"), _wide(total_side))
        >= _product(F.col("first_count"), _wide(threshold), F.col("second_count")),
    ).otherwise(F.expr("false"))


def _wide(number: int) -> Column:
    # As text, since the bridge to Java carries whole numbers of 64 bits only.
    return F.expr(f"cast('{number}' as {_WIDE})")


def _product(*factors: Column) -> Column:
    product = factors[0].cast(_WIDE)
    for factor in factors[1:]:
        product = (product * factor.cast(_WIDE)).cast(_WIDE)
    return product


def pmi_of_ratio(ratio: float, total: int) -> float:
    """A bigram's PMI in bits for reports, rounded so that the machine's mathematics library does not show."""
    return round(math.log2(ratio) + math.log2(total), 9)
