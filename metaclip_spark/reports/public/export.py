"""A copy of the curated set in a folder of its own, for those who know nothing of runs."""

import logging
from pathlib import Path

from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.errors import ConfigError, InputError, counted
from metaclip_spark.runs.layout import CURATED, resolved_place
from metaclip_spark.runs.open import session_for
from metaclip_spark.runs.paths import table_folders
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import SAMPLE
from metaclip_spark.stores.spark_io import check_committed, prepare_tables, table_writer
from metaclip_spark.stores.storage import JsonObject, Storage
from udfs.schemas import CURATED as CURATED_COLUMNS

MARK = ".metaclip-spark-export.json"
"""Says what an export holds and whether it is whole; readers of Parquet pass over its name."""

log = logging.getLogger(__name__)


def check_export(folder: str, output: OutputConfig) -> None:
    """Refuses a folder that is not empty, or lies in a run or around it, before anything is done.

    With --resume, what an export of the same run has begun there is gone on with.

    Raises:
        ConfigError: If it is one of them.
    """
    storage = Storage(folder)
    session_for(storage, "metaclip-spark", output)
    place, run = resolved_place(folder), resolved_place(output.output)
    if f"{place}/".startswith(f"{run}/") or f"{run}/".startswith(f"{place}/"):
        raise ConfigError(f"--export-curated {folder} and the run {output.output} overlap: give a folder outside of it")
    if isinstance(storage.root, Path) and storage.root.exists() and not storage.root.is_dir():
        raise ConfigError(f"--export-curated {folder} is a file: give an empty folder")
    names = storage.names("")
    if names and not (output.resume and _mark(storage).get("run") == run):
        raise ConfigError(f"--export-curated {folder} holds {names[0]}: give an empty folder")


def export_curated(run: Run, folder: str) -> None:
    """Copies the curated set that counts into a folder that `check_export` has let pass.

    Raises:
        ConfigError: If the folder has been filled since, or holds another curated set of the run.
        InputError: If the run has no curated set, or the copy lacks rows.
    """
    storage = Storage(folder)
    (written,) = table_folders(run.storage, run.state, CURATED)
    rows = run.manifest(SAMPLE).numbers.pairs
    mark: JsonObject = {"run": resolved_place(str(run.storage.root)), CURATED: written.folder}
    found = _mark(storage)
    if found == {**mark, "whole": True} and _rows(storage) == rows:
        log.info(f"export: already done, reused in {folder}")
        return
    names = storage.names("")
    if names and (found.get("run") != mark["run"] or found.get("whole")):
        raise ConfigError(f"--export-curated {folder} holds {names[0]}: give an empty folder")
    # What is to be written is first prepared: without a session nothing is deleted.
    prepare_tables(run.spark, storage, allow_rename_committer=run.output.allow_rename_committer)
    for name in names:
        storage.delete(name)
    storage.put_json(MARK, {**mark, "whole": False})
    with watch(run.spark, StepProgress("export", "partitions")):
        pairs = run.read(CURATED, CURATED_COLUMNS).sortWithinPartitions("pair_id")
        writer = table_writer(pairs, storage).option("maxRecordsPerFile", run.output.rows_per_file)
        writer.mode("append").parquet(storage.location(""))
    check_committed(storage, "")
    copied = _rows(storage)
    if copied != rows:
        raise InputError(
            f"--export-curated {folder} holds {counted(copied, 'pair')} where the run has {rows:,}: files were lost or "
            "added; empty it, and export again"
        )
    storage.put_json(MARK, {**mark, "whole": True})
    log.info(f"export: {counted(rows, 'pair')} in {folder}")


def _mark(storage: Storage) -> JsonObject:
    return storage.read_json(MARK, "empty that folder") or {}


def _rows(storage: Storage) -> int:
    return sum(storage.parquet_rows(storage.data_files("")).values())
