"""What else to download so that enough pairs survive: the pairs that a larger threshold would have drawn."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark.errors import ConfigError, counted, percent
from metaclip_spark.steps.schemas import require_columns, spark_schema
from metaclip_spark.steps.thresholds import expected_sizes, threshold_for_target_pairs
from udfs.balancing.sample import missing_batches
from udfs.schemas import CURATED, MATCHED


def refill_threshold(
    matched: DataFrame, counts: NDArray[np.int64], *, target_pairs: int, pairs: int, attempted: int, survived: int
) -> int:
    """Finds the smallest threshold of the first draw after whose download enough pairs are expected to survive.

    Which entries a pair has is taken to say nothing about its survival.

    Args:
        matched: The first run's matched pairs, after the language filter.
        counts: Shape (entries,): the counts that the first run balanced with.
        target_pairs: How many pairs are to survive.
        pairs: The number of rows of `matched`.
        attempted: The number of pairs that were attempted so far.
        survived: How many of them are eligible.

    Returns:
        A whole number of at least 1: the smallest t for which the expected size of the first draw, times the share that
        has survived so far, reaches the target. At or below the first run's t nothing is missing.

    Raises:
        ConfigError: If all matched pairs together are too few.
    """
    most = pairs * survived // attempted if attempted else 0
    if target_pairs > most:
        share = f", of which {percent(survived / attempted)} are expected to survive" if attempted else ""
        raise ConfigError(
            f"--refill-plan: {target_pairs:,} pairs are more than the {counted(pairs, 'matched pair')} of the first "
            f"run can give{share}: give at most {most:,}, or extract more archives"
        )
    drawn = Fraction(target_pairs * attempted, survived)
    return threshold_for_target_pairs(partial(expected_sizes, matched, counts), drawn, int(counts.max()))


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
    broadcast = matched.sparkSession.sparkContext.broadcast((attempted, wanted))

    def missing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before, after = broadcast.value
        return missing_batches(iter(batches), attempted_probability=before, entry_probability=after, seed=seed)

    return pairs.mapInArrow(missing, spark_schema(CURATED))
