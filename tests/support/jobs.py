"""Calls the job scripts in this process, and reads what they stored. Used by the tests."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq

CHECKOUT = Path(__file__).parents[2]
SAMPLE = CHECKOUT / "tests" / "data" / "sample"
METADATA = CHECKOUT / "tests" / "data" / "wordnet_lemmas.txt.gz"


def load(script: Path) -> ModuleType:
    """Loads a script as a module of its own."""
    specification = importlib.util.spec_from_file_location(f"job_{script.stem}", script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def call(job: str, *options: object) -> int:
    """Runs a job's main with options."""
    return load(CHECKOUT / "jobs" / f"{job}.py").main([str(option) for option in options])


def rows(output: Path, table: str) -> list[dict]:
    """Reads a stored table in the order of its first column."""
    files = [path for path in sorted((output / table).rglob("*.parquet")) if path.name[0] not in "._"]
    found = [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(found, key=lambda row: str(next(iter(row.values()))))


def run_json(output: Path) -> dict:
    """Reads a run's summary."""
    return json.loads((output / "run.json").read_text())


def content(output: Path) -> dict[str, list[str]]:
    """Gives every table of a run as a sorted list of rows, to compare two runs as sets of rows."""
    tables = ("archives", "rejects", "pool", "matched", "entry_counts", "curated")
    return {table: sorted(json.dumps(row, sort_keys=True) for row in rows(output, table)) for table in tables}
