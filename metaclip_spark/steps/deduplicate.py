"""The pool: distinct pairs. Deduplication is part of the method's definition, not an option.

Measured over 5 million raw pairs, five of each, half of which match (`tests/benchmarks/bench_settings.py`): matching
first and removing duplicates then would take 13 s where this order takes 19 s, and 80 bytes of a raw pair would cross
the shuffle for 125. The pool comes first, because it is a result of its own: it is matched against another list without
a new shuffle, and tells of pairs that match nothing. (With several buckets, raw pairs have crossed the shuffle once
before, when they were extracted.) Ids as bytes save a tenth of what is shuffled and no time; without
adaptive execution it takes 1.17 times as long.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.steps.schemas import require_columns
from udfs.schemas import PAIRS, SOURCES

_PROVENANCE = ("archive", "record_offset", "image_index", "source_order")


def deduplicate_pairs(pairs: DataFrame, partitions: int) -> DataFrame:
    """Keeps one row of each pair, whatever the order of rows.

    Args:
        pairs: Raw pairs, columns of `PAIRS`.
        partitions: Number of partitions of the result.

    Returns:
        Columns of `PAIRS`, one row per pair_id, sorted by it within each partition. The provenance that survives is
        the smallest by (archive as UTF-8 bytes, record_offset, image_index, alt < title < data-image-title): a total
        order, taken with min over a struct.

    Raises:
        SchemaMismatchError: If `pairs` lacks a column.
    """
    rest = [name for name in PAIRS.names if name not in {"pair_id", *_PROVENANCE}]
    # As an expression: Spark 3.5's array_position takes no column as its second argument.
    source_order = F.expr(f"array_position(array{SOURCES}, source) as source_order")
    rows = require_columns(pairs, PAIRS).select("*", source_order)
    smallest = F.min(F.struct(*_PROVENANCE, *rest)).alias("smallest")
    distinct = rows.repartition(partitions, "pair_id").groupBy("pair_id").agg(smallest)
    return distinct.select(
        "pair_id", *[F.col(f"smallest.{name}").alias(name) for name in PAIRS.names if name != "pair_id"]
    ).sortWithinPartitions("pair_id")
