"""The table of entry counts, which fits on the driver: one row per entry of the metadata list."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.run import Run
from metaclip_spark.schemas import spark_schema
from udfs.schemas import ENTRY_COUNTS


def entry_counts_table(spark: SparkSession, entries: Sequence[str], counts: NDArray[np.int64]) -> DataFrame:
    """Makes the table.

    Args:
        spark: The session.
        entries: The metadata list.
        counts: Pairs matched by each entry, shape (entries,).

    Returns:
        Columns of `ENTRY_COUNTS`, in the order of entry_id, in one partition.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed nowhere else

    rows = pd.DataFrame(
        {
            "entry_id": np.arange(len(counts), dtype=np.int32),
            "entry_text": list(entries),
            "entry_count": counts,
        }
    )
    return spark.createDataFrame(rows, spark_schema(ENTRY_COUNTS)).coalesce(1).sortWithinPartitions("entry_id")


def read_entry_counts(run: Run, table: str = "entry_counts") -> tuple[list[str], NDArray[np.int64]]:
    """Reads a run's entry counts onto the driver.

    Args:
        run: The run.
        table: entry_counts, or balance_counts: those that --entry-counts gave.

    Returns:
        The metadata list, and the counts, shape (entries,).
    """
    rows: Any = run.read(table, ENTRY_COUNTS).toPandas()
    rows = rows.sort_values("entry_id")
    return rows["entry_text"].tolist(), rows["entry_count"].to_numpy(dtype=np.int64)
