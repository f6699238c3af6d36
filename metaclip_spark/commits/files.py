"""The folders of attempts: written, checked before they count, read by name, deleted once they cannot count."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, DataFrameWriter, Observation
from pyspark.sql import functions as F

from metaclip_spark.commits.attempts import garbage, lies_in_attempt, number_of
from metaclip_spark.commits.entries import UNKNOWN, FileWritten, Sample, Table, Written
from metaclip_spark.commits.owner import Owner
from metaclip_spark.errors import InputError
from metaclip_spark.stores.spark_io import check_committed, table_writer
from metaclip_spark.stores.storage import Storage

log = logging.getLogger(__name__)

SECONDS_UNTIL_COUNTED = 300.0
"""How long Spark's listeners may be behind its jobs."""

_PREFIXES = ("-", "=")
"""How a place ends that is the beginning of names, not a folder."""


def write_to(
    owner: Owner, rows: DataFrame, place: str, settings: Callable[[DataFrameWriter], DataFrameWriter]
) -> Written:
    """Writes rows below a place, with settings of the writer, and checks that the files hold what the job has counted.

    Raises:
        InputError: If files were lost twice.
        ConfigError: If another committer wrote it than was asked for.
    """
    expected, written = None, Written("", ())
    for _ in range(2):
        folder = owner.new_folder(place)
        # What is read back says nothing of a file that was lost.
        counted = Observation()
        observed = rows.observe(counted, F.count(F.lit(1)).alias("rows"))
        writer = settings(table_writer(observed, owner.storage))
        writer.mode("errorifexists").parquet(owner.storage.location(folder))
        check_committed(owner.storage, folder)
        expected = _rows_of(counted)
        try:
            written = look_at(owner.storage, folder)
        except InputError as error:
            log.warning(str(error))
            written = Written(folder, ())
            continue
        if written.rows == expected:
            return written
        log.warning(f"{owner.storage.root}/{folder}: {written.rows} rows are in its files, {expected} were written")
    if expected is None:
        raise InputError(
            f"Spark did not tell how many rows it wrote to {owner.storage.root}/{folder}: raise "
            "spark.scheduler.listenerbus.eventqueue.capacity, and run again with --resume"
        )
    names = ", ".join(file.name for file in written.files[:3])
    raise InputError(
        f"{owner.storage.root}/{folder} holds {written.rows:,} rows where {expected:,} were written, twice (its files: "
        f"{names} ...): the store loses files; check it, and run again with --resume"
    )


def _rows_of(counted: Observation) -> int | None:
    """Gives what the writing job has counted; None where Spark has lost the event that tells it."""
    found: list[int | None] = []

    def wait() -> None:
        found.append(counted.get.get("rows"))

    # Spark waits for the event without end.
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(SECONDS_UNTIL_COUNTED)
    return found[0] if found else None


def look_at(storage: Storage, folder: str) -> Written:
    """Lists the files of a folder with their sizes and, by their footers, their rows."""
    sizes = storage.data_files(folder)
    rows = storage.parquet_rows(sizes)
    cut = len(folder) + 1
    return Written(folder, tuple(FileWritten(name[cut:], size, rows[name]) for name, size in sizes.items()))


def write_rows(owner: Owner, rows: pa.Table, place: str) -> Written:
    """Puts one file below a place, where the driver has all rows."""
    folder = owner.new_folder(place)
    name = f"part-00000-{uuid.uuid4()}.zstd.parquet"
    owner.storage.put_table(f"{folder}/{name}", rows)
    size = owner.storage.data_files(folder).get(f"{folder}/{name}", 0)
    return Written(folder, (FileWritten(name, size, rows.num_rows),))


def read_rows(storage: Storage, written: Written | None, schema: pa.Schema) -> pa.Table:
    """Reads a table that fits on the driver, file by file; empty where there is no file."""
    files = [pa.BufferReader(storage.read_bytes(name)) for name in (written.sizes if written else ())]
    # pq.read_table, cast and empty_table would import pandas.
    tables = [pq.ParquetFile(file).read(columns=schema.names) for file in files]
    cast = [rows if rows.schema.equals(schema) else rows.cast(schema) for rows in tables]
    return pa.concat_tables(cast) if cast else schema.empty_table()


def lost_files(storage: Storage, entry: Table | Sample) -> list[str]:
    """Lists a step's files that are gone or changed, and files in its folders that it did not write."""
    return sorted(file for written in entry.tables.values() for file in lost_of(storage, written))


def lost_of(storage: Storage, written: Written) -> list[str]:
    """Lists the files of one folder that are gone or changed, and those that are there and that it does not name."""
    there = storage.data_files(written.folder)
    if _is_of_layout_1(written):
        there = {file: size for file, size in there.items() if not lies_in_attempt(file)}
    named = written.sizes
    changed = [file for file in named if file in there and named[file] not in {there[file], UNKNOWN}]
    return sorted({*changed, *set(named).symmetric_difference(there)})


def readable_paths(storage: Storage, written: Written) -> list[str]:
    """Gives what Spark reads of a folder: the folder or, where attempts may lie below it, its files."""
    if not written.files:
        return []
    if _is_of_layout_1(written):
        return [storage.location(file) for file in written.sizes]
    return [storage.location(written.folder)]


def _is_of_layout_1(written: Written) -> bool:
    return not number_of(written.folder)


def tidy(owner: Owner, place: str, *, samples: int = 1) -> None:
    """Deletes the attempts at a place that cannot count any more, and their uploads; `samples` curated sets stay."""
    parent, _, prefix = place.rpartition("/") if place.endswith(_PREFIXES) else (place, "", "")
    names = owner.storage.names(parent)
    found = [f"{parent}/{name}".removeprefix("/") for name in names if name.startswith(prefix) or f"{name}-" == prefix]
    found += [place] if place in owner.state.named else []
    stale = garbage_of(owner, found, samples=samples)
    for folder in stale:
        delete_attempt(owner.storage, folder)
    if stale and owner.storage.uploads:
        owner.storage.uploads.abort_uploads_below(stale)


def garbage_of(owner: Owner, folders: Iterable[str], *, samples: int = 1) -> list[str]:
    """Lists the folders that cannot count any more by the owner's log."""
    counting = owner.state.counting_folders(samples=samples)
    return garbage(folders, counting=counting, named=owner.state.named, opened=owner.opened)


def delete_attempt(storage: Storage, folder: str) -> None:
    """Deletes the folder of an attempt; of layout 1 only its own files, since attempts may lie below it."""
    if number_of(folder) is not None:
        storage.delete(folder)
        return
    for file in storage.files(folder):
        if not lies_in_attempt(file):
            storage.delete(file)
