"""The sample step: the second pass, which draws each matched pair independently of all others."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from metaclip_spark.balance import ExpectedSize
from metaclip_spark.steps.arrow_udf import make_arrow_udf
from metaclip_spark.steps.entry_blocks import join_blocks, sum_blocks
from metaclip_spark.steps.lists.entry_numbers import send_entry_numbers
from metaclip_spark.steps.schemas import matched_columns, require_columns, spark_schema, with_first_draw
from udfs.arrow import arrow_numbers
from udfs.balancing.draw import pair_draws
from udfs.balancing.expected_kept import SHARE_UNITS, SIZE_BLOCK, partial_expectations, size_sums
from udfs.balancing.sample import chances_of_both_draws, draw_batches, kept_probabilities, sample_batches
from udfs.schemas import CURATED, DRAWN, PARTIAL_COUNTS

_NOTHING = ExpectedSize(pairs=0, expected_units=0, variance_units=0)


def expect(matched: DataFrame, probabilities: NDArray[np.float64]) -> tuple[ExpectedSize, NDArray[np.float64]]:
    """Computes what the draw is expected to keep; triggers a Spark job that reads `entry_ids` only.

    Args:
        matched: Pairs with `entry_ids`, after the language filter; with `first_keep_probability`, the survivors of a
            first draw with the same seed.
        probabilities: Shape (entries,).

    Returns:
        The expected size with its variance, and for each entry how many of its pairs are expected to be kept, shape
        (entries,), exact to 2^-20 per pair. All sums are of integers, so partitioning cannot change them.
    """
    (size,), expected_kept = expect_by_list(matched, probabilities, np.array([0, probabilities.size]))
    return size, expected_kept


def expect_by_list(
    matched: DataFrame, probabilities: NDArray[np.float64], list_starts: NDArray[np.int64]
) -> tuple[list[ExpectedSize], NDArray[np.float64]]:
    """Computes what the draw is expected to keep of each of several metadata lists.

    Args:
        matched: As for `expect`.
        probabilities: Shape (entries,).
        list_starts: Where each list begins among the ids, and the number of all entries: shape (lists + 1,).

    Returns:
        The expected size of each list with its variance; and as `expect` the pairs of each entry.
    """
    columns = matched.select(with_first_draw(matched, ["entry_ids"]))
    with send_entry_numbers(matched.sparkSession, probabilities) as read:

        def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return partial_expectations(iter(batches), entry_probability=read(), list_starts=list_starts)

        blocks = sum_blocks(columns.mapInArrow(sums, spark_schema(PARTIAL_COUNTS)), probabilities.size)
    sizes = [
        ExpectedSize(*size_sums(limbs)) if (limbs := blocks.pop(SIZE_BLOCK - place, None)) is not None else _NOTHING
        for place in range(list_starts.size - 1)
    ]
    return sizes, join_blocks(blocks, probabilities.size) / SHARE_UNITS


def sample_pairs(matched: DataFrame, probabilities: NDArray[np.float64], *, seed: int = 0) -> DataFrame:
    """Keeps each pair with its keep probability (the paper, section 3.3 and its Algorithm 1).

    Args:
        matched: Pairs after the language filter, columns of `udfs.schemas.MATCHED`; or of `ELIGIBLE`, the survivors of
            a first draw with the same seed, of which those are kept that both draws keep.
        probabilities: Shape (entries,), from 0 to 1: min(1, t / count) of each entry.
        seed: From 0 to 2^64 - 1; the draw of a pair depends on nothing but the seed and its pair_id.

    Returns:
        Columns of `udfs.schemas.CURATED`: the kept pairs, with the probability that each had: of both draws together.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = matched_columns(matched)
    read = send_entry_numbers(matched.sparkSession, probabilities).read

    def keep_probability(pair_ids: pa.Array, entry_ids: pa.Array, *first: pa.Array) -> pa.Array:
        return kept_probabilities(pair_ids, entry_ids, *first, entry_probability=read(), seed=seed)

    function = make_arrow_udf(keep_probability, DoubleType())
    if function is not None:
        chance = function(*with_first_draw(pairs, ["pair_id", "entry_ids"]))
        drawn = pairs.withColumn("keep_probability", chance).select(CURATED.names)
        return drawn.where(F.col("keep_probability").isNotNull())

    def sample(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return sample_batches(iter(batches), entry_probability=read(), seed=seed)

    return pairs.mapInArrow(sample, spark_schema(CURATED))


def draw_pairs(matched: DataFrame, probabilities: NDArray[np.float64], *, seed: int = 0) -> DataFrame:
    """Adds to each pair its keep probability and its draw, and keeps all: to look at those that were not kept.

    Args:
        matched: Columns of `udfs.schemas.MATCHED` or `ELIGIBLE`.
        probabilities: Shape (entries,), from 0 to 1.
        seed: From 0 to 2^64 - 1.

    Returns:
        Columns of `udfs.schemas.DRAWN`.

    Raises:
        SchemaMismatchError: If `matched` lacks a column.
    """
    pairs = matched_columns(matched)
    read = send_entry_numbers(matched.sparkSession, probabilities).read

    def keep_probability(entry_ids: pa.Array, *first: pa.Array) -> pa.Array:
        return arrow_numbers(chances_of_both_draws(entry_ids, *first, entry_probability=read()))

    def draw(pair_ids: pa.Array) -> pa.Array:
        return arrow_numbers(pair_draws(pair_ids, seed))

    of_entries, of_pair = make_arrow_udf(keep_probability, DoubleType()), make_arrow_udf(draw, DoubleType())
    if of_entries is not None and of_pair is not None:
        chance = of_entries(*with_first_draw(pairs, ["entry_ids"]))
        return pairs.withColumns({"keep_probability": chance, "draw": of_pair("pair_id")}).select(DRAWN.names)

    def draw_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return draw_batches(iter(batches), entry_probability=read(), seed=seed)

    return pairs.mapInArrow(draw_all, spark_schema(DRAWN))


def group_by_image(curated: DataFrame, partitions: int) -> DataFrame:
    """Collects the curated pairs of each image.

    Args:
        curated: Columns of `udfs.schemas.CURATED`.
        partitions: Number of partitions of the result.

    Returns:
        Columns of `udfs.schemas.CURATED_IMAGES`, one row per image_url. The lists of a row are in the order of pair_id;
        within each partition rows are in the order of their first pair_id, which mixes the hosts: in the order of
        image_url a download would ask one host for many images in a row.

    Raises:
        SchemaMismatchError: If `curated` lacks a column.
    """
    pair = F.struct("pair_id", "alt_text", "keep_probability")
    rows = require_columns(curated, CURATED).repartition(partitions, "image_url")
    images = rows.groupBy("image_url").agg(F.sort_array(F.collect_list(pair)).alias("pairs"))
    return images.select(
        "image_url",
        F.col("pairs.alt_text").alias("texts"),
        F.col("pairs.pair_id").alias("pair_ids"),
        F.col("pairs.keep_probability").alias("keep_probabilities"),
    ).sortWithinPartitions(F.col("pair_ids")[0])
