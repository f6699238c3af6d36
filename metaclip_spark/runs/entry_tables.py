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
    """Makes a table with one row per entry: entry_id, then the given columns in the order of entry_id."""
    ids = np.arange(len(columns[0]), dtype=np.int32)
    arrays = [pa.array(column, field.type) for column, field in zip((ids, *columns), schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_entry_counts(run: Run, table: str = "entry_counts") -> tuple[list[str], NDArray[np.int64]]:
    """Reads the metadata list and its counts; `balance_counts` holds those that --entry-counts gave."""
    rows = run.read_rows(table, ENTRY_COUNTS).sort_by("entry_id")
    return rows["entry_text"].to_pylist(), rows["entry_count"].to_numpy()


def read_expected_kept(run: Run, number_of_entries: int) -> NDArray[np.float64]:
    """Reads how many pairs of each entry the draw was expected to keep, shape (number_of_entries,).

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
