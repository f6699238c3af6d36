"""What else to download so that enough pairs survive: the pairs that a larger threshold would have drawn.

Which entries a pair has is taken to say nothing about its survival.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.errors import ConfigError, counted, percent
from metaclip_spark.steps.lists.entry_numbers import send_entry_numbers
from metaclip_spark.steps.schemas import require_columns, spark_schema
from metaclip_spark.steps.thresholds import expected_sizes, threshold_for_target_pairs
from udfs.arrow import arrow_numbers
from udfs.balancing.count import WEIGHT_UNITS
from udfs.balancing.first_draw import column_of, first_keep_probabilities
from udfs.balancing.probability import keep_probabilities
from udfs.balancing.sample import missing_batches
from udfs.schemas import CURATED, MATCHED

_ASKED_FOR = pa.schema([("pairs", pa.float64())])


def asked_pairs(eligible: DataFrame, probabilities: NDArray[np.float64]) -> int:
    """Estimates how many pairs a second draw would keep if all had been attempted; triggers a Spark job.

    Args:
        eligible: The survivors of a first draw, with `entry_ids` and `first_keep_probability`.
        probabilities: Shape (entries,): those of the second draw.

    Returns:
        The sum of q1/q0 over the survivors, each rounded to a multiple of 2^-16, as a whole number of pairs.
    """
    read = send_entry_numbers(eligible.sparkSession, probabilities).read

    def shares(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keep, first = keep_probabilities(batch.column("entry_ids"), read()), column_of(batch)
            weights = first_keep_probabilities(first)
            asked = keep if weights is None else keep / weights
            yield pa.RecordBatch.from_arrays([arrow_numbers(asked)], schema=_ASKED_FOR)

    rows = eligible.select("entry_ids", "first_keep_probability").mapInArrow(shares, spark_schema(_ASKED_FOR))
    # Of whole numbers, so that the order of the rows cannot change it.
    units = F.round(F.col("pairs") * WEIGHT_UNITS).cast("decimal(38,0)")
    row = rows.agg(F.sum(units).alias("units")).first()
    return 0 if row is None or row.units is None else round(row.units / WEIGHT_UNITS)


def most_survivors(*, drawn: float, pairs: int, attempted: int, survived: int) -> int:
    """Gives how many pairs are expected to survive where all that the first run has matched are attempted.

    Args:
        drawn: The expected size of the first draw.
        pairs: The matched pairs that it drew from.
        attempted: The number of pairs that were attempted so far.
        survived: How many of them are eligible.
    """
    more = (pairs - Fraction(drawn)) * Fraction(survived, attempted) if attempted else Fraction(0)
    return survived + max(0, int(more))


def refill_threshold(
    matched: DataFrame,
    counts: NDArray[np.int64],
    *,
    target_pairs: int,
    drawn: float,
    pairs: int,
    attempted: int,
    survived: int,
) -> int:
    """Finds the smallest threshold of the first draw after whose download enough pairs are expected to survive.

    Args:
        matched: The first run's matched pairs, after the language filter.
        counts: Shape (entries,): the counts that the first run balanced with.
        target_pairs: How many pairs are to survive, more than have so far.
        drawn: The expected size of the first draw.
        pairs: The number of rows of `matched`.
        attempted: The number of pairs that were attempted so far.
        survived: How many of them are eligible.

    Returns:
        A whole number of at least 1: the smallest t for which the survivors, and of what the first draw is expected to
        draw beyond its own t the share that has survived so far, reach the target.

    Raises:
        ConfigError: If all matched pairs together are too few.
    """
    most = most_survivors(drawn=drawn, pairs=pairs, attempted=attempted, survived=survived)
    if target_pairs > most:
        share = f", of which {percent(survived / attempted)} are expected to survive" if attempted else ""
        raise ConfigError(
            f"--refill-plan: {target_pairs:,} pairs are more than the {counted(pairs, 'matched pair')} of the first "
            f"run can give{share}: give at most {most:,}, or extract more archives"
        )
    size = Fraction(drawn) + Fraction((target_pairs - survived) * attempted, survived)
    return threshold_for_target_pairs(partial(expected_sizes, matched, counts), size, int(counts.max()))


def refill_pairs(
    matched: DataFrame, attempted: NDArray[np.float64], wanted: NDArray[np.float64], *, seed: int
) -> DataFrame:
    """Gives the pairs that a larger threshold draws and the first run's did not: q0(t) <= u < q(t').

    Args:
        matched: The first run's matched pairs, after the language filter, columns of `udfs.schemas.MATCHED`.
        attempted: Shape (entries,): the first run's probabilities.
        wanted: Shape (entries,): the probabilities at the larger threshold.
        seed: That of the first run.

    Returns:
        Columns of `udfs.schemas.CURATED`, with the keep probability at the larger threshold. They and the first run's
        curated set are the curated set of the larger threshold.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = require_columns(matched, MATCHED)
    numbers = [send_entry_numbers(matched.sparkSession, each).read for each in (attempted, wanted)]

    def missing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before, after = (read() for read in numbers)
        return missing_batches(iter(batches), attempted_probability=before, entry_probability=after, seed=seed)

    return pairs.mapInArrow(missing, spark_schema(CURATED))
