"""Runs the cells of a grid, and keeps the results of those that are done.

A cell is one training run. Its result is one row in a Parquet file of its own, put whole when the cell is done; a
killed run goes on with the cells that have none.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.clip_benchmark.at_once import Workers
from metaclip_spark.clip_benchmark.settings.grid import Cell
from metaclip_spark.config.fields import check_made_with, digest, in_words
from metaclip_spark.errors import InputError, OutputExistsError, counted
from metaclip_spark.stores.storage import Storage

log = logging.getLogger(__name__)

CELLS_FOLDER = "cells"
NUMBERS_FILE = "benchmark.json"
RESULTS_FILE = "results.parquet"
SETTINGS_FILE = "settings.json"

_POINTS = 100
"""Values of a loss that a row keeps, or somewhat more."""


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    settings: Mapping[str, Any],
    run: Callable[[Cell], Mapping[str, Any]],
    workers: Workers,
    clean_up: Callable[[Cell], None] | None = None,
) -> list[dict[str, Any]]:
    """Runs the cells that are not done, in the order given, and stores a row of each.

    Args:
        cells: What to run.
        folder: Where rows are kept: cells/<name>.parquet, and all of them together in results.parquet.
        settings: What holds for all cells (seeds, steps, data, ...), JSON-ready. They are kept in settings.json, and
            a folder of other settings is refused, so that rows of two settings never meet.
        run: Trains and evaluates one cell; returns what its row holds besides.
        workers: Run the cells.
        clean_up: Called for a cell once its row is stored.

    Returns:
        The rows of these cells.

    Raises:
        OutputExistsError: If the folder holds results of other settings.
    """
    check_settings(folder, settings)
    places = {cell: f"{number} of {len(cells)}" for number, cell in enumerate(cells, 1)}
    run_cell = partial(_run_cell, places, folder, digest(dict(settings)), run, clean_up)
    workers.call_each(run_cell, unfinished(cells, folder), attrgetter("name"))
    rows = read_rows(folder, settings)
    write_rows(rows, folder / RESULTS_FILE)
    of_cell = {row["cell"]: row for row in rows}
    return [of_cell[cell.name] for cell in cells]


def unfinished(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Gives the cells that have no row yet."""
    return [cell for cell in cells if not _path_of(cell.name, folder).exists()]


def take_finished(source: Path, folder: Path, settings: Mapping[str, Any], cells: Sequence[Cell]) -> int:
    """Takes over the rows of cells that an earlier run finished with the same settings.

    Args:
        source: Holds settings.json and results.parquet. Where its settings are others, nothing is taken and one line
            of the log says so.
        folder: Where rows are kept; what it holds already stays.
        settings: What holds for all cells of the folder.
        cells: What is going to be run; other rows are left.

    Returns:
        Rows that were taken.

    Raises:
        InputError: If the source holds no such files, or rows that are not of its settings.
    """
    try:
        before = json.loads((source / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(
            f"--finished-cells {source} holds no readable {SETTINGS_FILE}: give the folder of an earlier run"
        ) from None
    if not isinstance(before, dict):
        raise InputError(f"--finished-cells {source}: its {SETTINGS_FILE} holds no settings")
    if told := in_words(before, settings):
        log.warning(f"no cell is taken from {source}, which was made with other settings ({told})")
        return 0
    rows, wanted = read_results(source), {cell.name for cell in cells}
    if {row["settings_digest"] for row in rows} != {digest(dict(settings))}:
        raise InputError(f"--finished-cells {source}: its rows are not of its {SETTINGS_FILE}")
    taken = 0
    for row in rows:
        path = _path_of(row["cell"], folder)
        if row["cell"] in wanted and not path.exists():
            write_rows([row], path)
            taken += 1
    log.info(f"{counted(taken, 'finished cell')} taken from {source}")
    return taken


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Notes the settings of a new folder of results, or refuses one that was made with others.

    Raises:
        InputError: If its settings.json is damaged.
        OutputExistsError: If its settings, or those of any of its rows, are others.
    """
    path = folder / SETTINGS_FILE
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise InputError(f"{path} is damaged: restore it, or give another --output") from None
        check_made_with(before, settings, folder)
    read_rows(folder, settings)
    Storage(str(folder)).put_json(SETTINGS_FILE, dict(settings))


def read_rows(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reads the rows of all finished cells, in the order of their file names.

    Raises:
        OutputExistsError: If a row was made with other settings.
    """
    wanted = digest(dict(settings))
    rows = []
    for path in sorted((folder / CELLS_FOLDER).glob("*.parquet")):
        row = _row_of(path)
        if row is not None and row["settings_digest"] != wanted:
            raise OutputExistsError(
                f"{path} was made with other settings (steps, data, batch): give another --output, or move it away"
            )
        rows += [] if row is None else [row]
    return rows


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Reads the rows of a finished benchmark.

    Raises:
        InputError: If there is none, or its rows are of several settings.
    """
    path = folder / RESULTS_FILE
    try:
        rows = [{name: _nested(value) for name, value in row.items()} for row in pq.read_table(path).to_pylist()]
    except (pa.ArrowException, OSError, ValueError):
        raise InputError(f"{folder} holds no finished benchmark (no readable {RESULTS_FILE})") from None
    check_one_setting(rows, path)
    return rows


def check_one_setting(rows: Sequence[Mapping[str, Any]], shown: object) -> None:
    """Refuses rows that were made with several settings; messages call them `shown`.

    Raises:
        InputError: If they were.
    """
    settings = {row["settings_digest"] for row in rows}
    if len(settings) > 1:
        raise InputError(f"{shown} mixes rows of {len(settings)} settings: nothing can be compared in it")


def curve_stride(steps: int) -> int:
    """Steps from a value of a loss to the next that a row keeps."""
    return max(1, steps // _POINTS)


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows as a Parquet file, whole or not at all: lists and objects as JSON text, null for what a row lacks."""
    names = dict.fromkeys(name for row in rows for name in row)
    flat = [{name: _flat(row.get(name)) for name in names} for row in rows]
    Storage(str(path.parent)).put_table(path.name, pa.Table.from_pylist(flat))


def _run_cell(
    places: Mapping[Cell, str],
    folder: Path,
    settings_digest: str,
    run: Callable[[Cell], Mapping[str, Any]],
    clean_up: Callable[[Cell], None] | None,
    cell: Cell,
) -> None:
    log.info(f"{places[cell]}: {cell.name}")
    row = {**asdict(cell), "cell": cell.name, "settings_digest": settings_digest, **run(cell)}
    write_rows([row], _path_of(cell.name, folder))
    if clean_up is not None:
        clean_up(cell)


def _path_of(cell: str, folder: Path) -> Path:
    return folder / CELLS_FOLDER / f"{cell}.parquet"


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
