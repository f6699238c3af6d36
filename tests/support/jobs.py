"""Calls the job scripts in this process, and reads what they stored. Used by the tests."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq

from metaclip_spark.commits.entries import Written
from metaclip_spark.commits.state import State
from metaclip_spark.runs.buckets import buckets_of
from metaclip_spark.runs.layout import report_file
from metaclip_spark.runs.open import read_log
from metaclip_spark.stores.storage import Storage

CHECKOUT = Path(__file__).parents[2]
SAMPLE = CHECKOUT / "tests" / "data" / "sample"
METADATA = CHECKOUT / "tests" / "data" / "wordnet_lemmas.txt.gz"
TABLES = ("archives", "rejects", "pool", "matched", "entry_counts", "expected_kept", "curated")

Output = Path | str
"""A run's folder: a path, or the URL of a store that this process can reach."""


def load(script: Path) -> ModuleType:
    """Loads a script as a module of its own."""
    specification = importlib.util.spec_from_file_location(f"job_{script.stem}", script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def call(job: str, *options: object) -> int:
    """Runs a job's main with options."""
    return load(CHECKOUT / "jobs" / f"{job}.py").main([str(option) for option in options])


def state_of(output: Output) -> State:
    """Tells what counts in a run."""
    return read_log(Storage(str(output))).state


def written(output: Output, table: str) -> list[Written]:
    """Gives the folders of a table that count: one per bucket or wave, or one for the whole."""
    state = state_of(output)
    if table == "extracted":
        return [wave.written for wave in state.waves.values()]
    whole = state.written(table)
    parts = [whole] if whole else [state.written(table, bucket) for bucket in range(buckets_of(state) or 1)]
    return [part for part in parts if part]


def folder_of(output: Path, table: str) -> Path:
    """Gives the one folder of a table that does not lie by bucket."""
    (one,) = written(output, table)
    return output / one.folder


def files_of(output: Path, table: str) -> list[Path]:
    """Lists the files of a table that count."""
    return [output / name for part in written(output, table) for name in sorted(part.sizes)]


def rows(output: Output, table: str) -> list[dict]:
    """Reads a table that counts, in the order of its first column; a run of an earlier version is read as it is."""
    storage = Storage(str(output))
    files = [storage.read_bytes(name) for part in written(output, table) for name in sorted(part.sizes)]
    found = [row for file in files for row in pq.ParquetFile(pa.BufferReader(file)).read().to_pylist()]
    return sorted(found, key=lambda row: str(next(iter(row.values()))))


def manifest_of(output: Path, step: str, bucket: int | None = None) -> dict:
    """Reads what a step, or one of its buckets, was made with and from, and what came of it."""
    state = state_of(output)
    return (state.sample if step == "sample" else state.tables[step, bucket]).manifest


def report_of(output: Path) -> dict:
    """Reads a run's report."""
    return json.loads((output / report_file(state_of(output))).read_text())


def run_json(output: Output) -> dict | None:
    """Reads a run's summary; None where there is none."""
    return Storage(str(output)).read_json("run.json")


def content(output: Output) -> dict[str, list[str]]:
    """Gives every table of a run as a sorted list of rows, to compare two runs as sets of rows."""
    return {table: sorted(json.dumps(row, sort_keys=True) for row in rows(output, table)) for table in TABLES}


def content_without_tags(output: Output) -> dict[str, list[str]]:
    """As `content`, for runs whose archives lie in different stores, which have other tags there."""
    return {
        table: sorted(json.dumps({**row, "etag": None}, sort_keys=True) for row in rows(output, table))
        for table in TABLES
    }


def known_before(now, before):
    """Leaves out what records of an earlier version do not have."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {name: known_before(value, before[name]) for name, value in now.items() if name in before}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [known_before(*both) for both in zip(now, before, strict=True)]
    return now
