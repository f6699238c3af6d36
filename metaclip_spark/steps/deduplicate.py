"""The deduplicate step: raw pairs to the pool. Part of the method's definition, not an option.

It comes before matching, because the pool is a result of its own: it can be matched against another list without a new
shuffle, and it shows which pairs match nothing.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.steps.schemas import require_columns
from udfs.schemas import PAIRS, SOURCES

_PROVENANCE = ("archive", "record_offset", "image_index", "source_order")


def deduplicate_pairs(pairs: DataFrame, partitions: int) -> DataFrame:
    """Keeps one row of each pair, the same one whatever the order of rows, with the preferences of all its pages.

    Args:
        pairs: Raw pairs, columns of `udfs.schemas.PAIRS`.
        partitions: Number of partitions of the result.

    Returns:
        Columns of `udfs.schemas.PAIRS`, one row per pair_id, sorted by it within each partition. Of duplicates the one
        with the smallest (archive as UTF-8 bytes, record_offset, image_index, source: alt < title < data-image-title)
        is kept; its `page_preferences` are what any of them has, null only where all are null.

    Raises:
        SchemaMismatchError: If `pairs` lacks a column.
    """
    rest = [name for name in PAIRS.names if name not in {"pair_id", "page_preferences", *_PROVENANCE}]
    # As an expression: Spark 3.5's array_position takes no column as its second argument.
    source_order = F.expr(f"array_position(array{SOURCES}, source) as source_order")
    rows = require_columns(pairs, PAIRS).select("*", source_order)
    smallest = F.min(F.struct(*_PROVENANCE, *rest)).alias("smallest")
    preferences = F.bit_or("page_preferences").alias("page_preferences")
    distinct = rows.repartition(partitions, "pair_id").groupBy("pair_id").agg(smallest, preferences)
    return distinct.select(
        *[F.col(name if name in distinct.columns else f"smallest.{name}").alias(name) for name in PAIRS.names]
    ).sortWithinPartitions("pair_id")
