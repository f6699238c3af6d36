"""Tables with one row per entry of the metadata list, which fit on the driver."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metaclip_spark.errors import InputError
from metaclip_spark.runs.run import Run
from udfs.schemas import ENTRY_COUNTS, EXPECTED_KEPT


def entry_table(schema: pa.Schema, *columns: Sequence[Any] | NDArray[Any]) -> pa.Table:
    """Makes a table with one row per entry.

    Args:
        schema: Its columns, entry_id first.
        *columns: The others, in the order of entry_id.

    Returns:
        The table, in the order of entry_id.
    """
    ids = np.arange(len(columns[0]), dtype=np.int32)
    arrays = [pa.array(column, field.type) for column, field in zip((ids, *columns), schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_entry_counts(run: Run, table: str = "entry_counts") -> tuple[list[str], NDArray[np.int64]]:
    """Reads a run's entry counts.

    Args:
        run: The run.
        table: entry_counts, or balance_counts: those that --entry-counts gave.

    Returns:
        The metadata list, and the counts, shape (entries,).
    """
    rows = run.read_rows(table, ENTRY_COUNTS).sort_by("entry_id")
    return rows["entry_text"].to_pylist(), rows["entry_count"].to_numpy()


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
    rows = run.read_rows("expected_kept", EXPECTED_KEPT).sort_by("entry_id")
    if rows.num_rows != number_of_entries:
        raise InputError(
            f"{run.storage.root} has no expected_kept/ for its {number_of_entries} entries: it was sampled by another "
            "version of metaclip-spark; run sample again with --overwrite"
        )
    expected: NDArray[np.float64] = rows["expected_kept"].to_numpy()
    return expected
