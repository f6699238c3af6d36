"""Tables with one row per entry of the metadata list, which fit on the driver."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.errors import InputError
from metaclip_spark.run import Run
from metaclip_spark.schemas import spark_schema
from udfs.schemas import ENTRY_COUNTS, EXPECTED_KEPT


def entry_counts_table(spark: SparkSession, entries: Sequence[str], counts: NDArray[np.int64]) -> DataFrame:
    """Makes the table.

    Args:
        spark: The session.
        entries: The metadata list.
        counts: Pairs matched by each entry, shape (entries,).

    Returns:
        Columns of `ENTRY_COUNTS`, in the order of entry_id, in one partition.
    """
    return entry_table(spark, ENTRY_COUNTS, list(entries), counts)


def expected_kept_table(spark: SparkSession, expected: NDArray[np.float64]) -> DataFrame:
    """Makes the table of what the draw is expected to keep of each entry.

    Args:
        spark: The session.
        expected: Shape (entries,).

    Returns:
        Columns of `EXPECTED_KEPT`, in the order of entry_id, in one partition.
    """
    return entry_table(spark, EXPECTED_KEPT, expected)


def entry_table(spark: SparkSession, schema: pa.Schema, *columns: Sequence[Any] | NDArray[Any]) -> DataFrame:
    """Makes a table with one row per entry.

    Args:
        spark: The session.
        schema: Its columns, entry_id first.
        *columns: The others, in the order of entry_id.

    Returns:
        The table, in the order of entry_id, in one partition.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and needed nowhere else

    ids = np.arange(len(columns[0]), dtype=np.int32)
    rows = pd.DataFrame(dict(zip(schema.names, (ids, *columns), strict=True)))
    return spark.createDataFrame(rows, spark_schema(schema)).coalesce(1).sortWithinPartitions("entry_id")


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


def read_expected_kept(run: Run, number_of_entries: int) -> NDArray[np.float64]:
    """Reads what the draw of a run was expected to keep of each entry.

    Args:
        run: A run whose sample step is done.
        number_of_entries: Length of its metadata list.

    Returns:
        Shape (number_of_entries,).

    Raises:
        InputError: If the sample step did not write it.
    """
    rows: Any = run.read("expected_kept", EXPECTED_KEPT).toPandas()
    if len(rows) != number_of_entries:
        raise InputError(
            f"{run.storage.root} has no expected_kept/ for its {number_of_entries} entries: it was sampled by another "
            "version of metaclip-spark; run sample again with --overwrite"
        )
    expected: NDArray[np.float64] = rows.sort_values("entry_id")["expected_kept"].to_numpy(dtype=np.float64)
    return expected
