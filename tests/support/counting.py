"""Adding up partial counts without Spark, and counting in SQL: the cross-checks of `reduceByKey`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from udfs.balancing.entry_blocks import add_counts, block_and_counts


def add_by_key(batches):
    """Block -> its sums, over batches of `PARTIAL_COUNTS`."""
    sums = {}
    for batch in batches:
        rows = zip(batch.column("block").to_pylist(), batch.column("counts").to_pylist(), strict=True)
        for block, counts in map(block_and_counts, rows):
            sums[block] = add_counts(sums[block], counts) if block in sums else counts
    return sums


def count_entries_in_sql(matched: DataFrame) -> DataFrame:
    """Counts entries with explode and groupBy: columns entry_id and entry_count, no row for an entry never met."""
    exploded = matched.select(F.explode("entry_ids").alias("entry_id"))
    return exploded.groupBy("entry_id").agg(F.count("*").alias("entry_count"))
