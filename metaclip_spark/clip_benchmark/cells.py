"""Runs the cells of a grid, and keeps the results of those that are done.

A cell is one training run. Its result is one row in a Parquet file of its own, put whole when the cell is done; a
killed run goes on with the cells that have none.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.clip_benchmark.settings.grid import Cell
from metaclip_spark.config.fields import digest
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.stores.storage import Storage

log = logging.getLogger(__name__)

CELLS_FOLDER = "cells"
RESULTS_FILE = "results.parquet"


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    settings: Mapping[str, Any],
    run: Callable[[Cell], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Runs the cells that are not done, in the order given, and stores a row of each.

    Args:
        cells: What to run.
        folder: Where rows are kept: cells/<name>.parquet, and those of these settings together in results.parquet.
        settings: What holds for all cells (steps, data, ...), JSON-ready. A cell that was run with other settings is
            refused, and its row is never mixed with these.
        run: Trains and evaluates one cell; returns what its row holds besides.

    Returns:
        The rows of these cells.

    Raises:
        OutputExistsError: If a cell was run with other settings.
    """
    rows = []
    settings_digest = digest(dict(settings))
    for index, cell in enumerate(cells):
        path = folder / CELLS_FOLDER / f"{cell.name}.parquet"
        row = _row_of(path)
        if row is None:
            log.info(f"{index + 1} of {len(cells)}: {cell.name}")
            row = {**asdict(cell), "cell": cell.name, "settings_digest": settings_digest, **run(cell)}
            write_rows([row], path)
        elif row["settings_digest"] != settings_digest:
            raise OutputExistsError(
                f"{path} was made with other settings (steps, data, batch): give another --output, or the same ones"
            )
        rows.append(row)
    write_rows(read_rows(folder, settings), folder / RESULTS_FILE)
    return rows


def read_rows(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reads the rows of all finished cells that were made with these settings, in the order of their file names."""
    rows = (_row_of(path) for path in sorted((folder / CELLS_FOLDER).glob("*.parquet")))
    wanted = digest(dict(settings))
    return [row for row in rows if row is not None and row["settings_digest"] == wanted]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows as a Parquet file, whole or not at all: lists and objects as JSON text, null for what a row lacks."""
    names = dict.fromkeys(name for row in rows for name in row)
    flat = [{name: _flat(row.get(name)) for name in names} for row in rows]
    Storage(str(path.parent)).put_table(path.name, pa.Table.from_pylist(flat))


def _row_of(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        (row,) = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        raise InputError(f"{path} is not the row of a finished cell: delete it, and the cell runs again") from None
    return {name: _nested(value) for name, value in row.items()}


def _flat(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value


def _nested(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value
