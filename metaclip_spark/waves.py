"""Extraction in waves: each attempt writes to a folder of its own and counts once its ledger entry is put."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that every Spark reader knows

from metaclip_spark.config import ExtractConfig
from metaclip_spark.errors import TooManyRejectsError
from metaclip_spark.ledger import Ledger, read_ledger, wave_folder
from metaclip_spark.schemas import require_columns, spark_schema
from metaclip_spark.storage import LEDGER, Storage
from udfs.schemas import ARCHIVES, EXTRACTED, PAIRS, REJECTS

NORMAL_REASON = "record.skipped_"
"""Records that hold no page by their nature (requests, redirects, PDF ...): counted, but no rejects."""

_NUMBERS = [field.name for field in ARCHIVES if field.name not in {"archive", "status", "size", "etag", "rejected"}]


def extract_wave(
    storage: Storage, wave: int, extracted: DataFrame, settings: dict[str, Any], rows_per_file: int
) -> dict[str, Any]:
    """Writes one attempt at one wave and makes it count.

    Args:
        storage: The run, whose lock the caller holds.
        wave: The wave's number.
        extracted: Columns of `EXTRACTED`, not yet computed.
        settings: Result fields of the extraction's configuration.
        rows_per_file: Rows per Parquet file, at most.

    Returns:
        The ledger entry.
    """
    name = f"{wave:05d}-{secrets.token_hex(4)}"
    folder = wave_folder(name)
    writer = extracted.write.mode("errorifexists").partitionBy("kind").option("maxRecordsPerFile", rows_per_file)
    writer.parquet(storage.location(folder))
    entry = {
        "wave": wave,
        "config": settings,
        "files": storage.data_files(folder),
        "archives": _archive_rows(extracted.sparkSession, storage, f"{folder}/kind=archive"),
    }
    storage.put_json(f"{LEDGER}/{name}.json", entry)
    return entry


def waves_of(pending: list[tuple[str, str]], archives_per_wave: int) -> Iterator[list[tuple[str, str]]]:
    """Cuts the pending archives into waves.

    Args:
        pending: (archive, path).
        archives_per_wave: Largest size of a wave.

    Yields:
        Consecutive parts.
    """
    for start in range(0, len(pending), archives_per_wave):
        yield pending[start : start + archives_per_wave]


def run_waves(
    storage: Storage,
    pending: list[tuple[str, str]],
    config: ExtractConfig,
    extract: Callable[[list[tuple[str, str]]], DataFrame],
    committed: Callable[[dict[str, Any]], None],
    rows_per_file: int,
) -> Ledger:
    """Extracts the archives that the ledger lacks, wave by wave.

    Args:
        storage: The run, whose lock the caller holds.
        pending: (archive, path) of archives to extract.
        config: The step's configuration.
        extract: Gives the rows of some archives, not yet computed.
        committed: Called with each ledger entry once it is put.
        rows_per_file: Rows per Parquet file, at most.

    Returns:
        The ledger when all waves are in.
    """
    settings = extraction_settings(config)
    first = read_ledger(storage).next_wave()
    for wave, paths in enumerate(waves_of(pending, config.archives_per_wave), start=first):
        committed(extract_wave(storage, wave, extract(paths), settings, rows_per_file))
    return read_ledger(storage)


def extraction_settings(config: ExtractConfig) -> dict[str, Any]:
    """Gives what an extraction's result depends on, besides the archives.

    Args:
        config: The step's configuration.

    Returns:
        Field name -> value.
    """
    of_archives = {"max_page_bytes": config.max_page_bytes}
    of_pool = {"url_column": config.url_column, "text_column": config.text_column}
    return {"input": "pool", **of_pool} if config.pool else {"input": "archives", **of_archives}


def read_pairs(spark: SparkSession, storage: Storage, ledger: Ledger) -> DataFrame:
    """Reads the raw pairs that count.

    Args:
        spark: The session.
        storage: The run.
        ledger: Its ledger.

    Returns:
        Columns of `PAIRS`, without the rows of archives that failed or that a later entry repeats.
    """
    return _read_rows(spark, storage, ledger, "pair", PAIRS)


def read_rejects(spark: SparkSession, storage: Storage, ledger: Ledger) -> DataFrame:
    """Reads the rejects of each archive's accepted attempt or, where all failed, of its last one.

    Args:
        spark: The session.
        storage: The run.
        ledger: Its ledger.

    Returns:
        Columns of `REJECTS`.
    """
    return _read_rows(spark, storage, ledger, "reject", REJECTS)


def archive_rows(spark: SparkSession, ledger: Ledger) -> DataFrame:
    """Gives the row of each archive: of its accepted attempt or, where all failed, of its last one.

    Args:
        spark: The session.
        ledger: The run's ledger.

    Returns:
        Columns of `ARCHIVES`, in UTF-8 order of archive, in one partition.
    """
    attempts = {**ledger.failed(), **ledger.accepted()}
    rows = [attempts[archive][1] for archive in sorted(attempts, key=str.encode)]
    return spark.createDataFrame(
        [tuple(row[name] for name in ARCHIVES.names) for row in rows], spark_schema(ARCHIVES)
    ).coalesce(1)


def _read_rows(spark: SparkSession, storage: Storage, ledger: Ledger, kind: str, schema: pa.Schema) -> DataFrame:
    files = [storage.location(file) for file in ledger.files(kind)]
    if not files:
        return spark.createDataFrame([], spark_schema(schema))
    based = spark.read.schema(spark_schema(EXTRACTED)).option("basePath", storage.location("extracted"))
    rows = based.parquet(*files).withColumn("wave", F.col("wave").cast("string"))
    counted = ledger.accepted() if kind == "pair" else {**ledger.failed(), **ledger.accepted()}
    superseded = ledger.superseded(counted)
    if superseded:
        named = spark.createDataFrame(superseded, "superseded_wave string, superseded_archive string")
        same = (F.col("wave") == F.col("superseded_wave")) & (F.col("archive") == F.col("superseded_archive"))
        rows = rows.join(F.broadcast(named), same, "left_anti")
    return require_columns(rows, schema)


def extraction_numbers(ledger: Ledger) -> dict[str, Any]:
    """Adds up the accepted archives.

    Args:
        ledger: The ledger of a run.

    Returns:
        Number of archives by status, sums of the columns of `ARCHIVES`, `rejected` by reason, and `empty_archives`.
    """
    rows = [row for _, row in ledger.accepted().values()]
    rejected: dict[str, int] = {}
    for row in rows:
        for reason, count in row["rejected"].items():
            rejected[reason] = rejected.get(reason, 0) + count
    statuses = [row["status"] for row in rows]
    return {
        "archives": len(rows) + len(ledger.failed()),
        "archives_ok": statuses.count("ok"),
        "archives_damaged": statuses.count("damaged"),
        "archives_failed": len(ledger.failed()),
        "archives_empty": sum(row["size"] == 0 for row in rows),
        **{name: sum(row[name] for row in rows) for name in _NUMBERS},
        "rejected": dict(sorted(rejected.items())),
    }


def check_losses(ledger: Ledger, numbers: dict[str, Any], config: ExtractConfig) -> None:
    """Stops a run that lost more than its user allows.

    Args:
        ledger: The ledger of the run.
        numbers: What `extraction_numbers` returned.
        config: The step's configuration.

    Raises:
        TooManyRejectsError: If more archives failed, or a larger share of records is bad, than the limits say.
    """
    failed = list(ledger.failed())
    if len(failed) > config.max_failed_archives:
        raise TooManyRejectsError(
            f"{len(failed)} archives could not be read (limit {config.max_failed_archives}), first {failed[0]}: see "
            "rejects/; --resume tries them again, --max-failed-archives goes on without them"
        )
    bad = {
        reason: count
        for reason, count in numbers["rejected"].items()
        if reason.startswith("record.") and not reason.startswith(NORMAL_REASON)
    }
    records = numbers["pages"] + sum(bad.values())
    share = sum(bad.values()) / records if records else 0.0
    if share > config.max_rejects:
        most = max(bad, key=lambda reason: (bad[reason], reason))
        raise TooManyRejectsError(
            f"{share:.1%} of {records:,} records are bad (limit {config.max_rejects:.1%}), most often {most} "
            f"({bad[most]:,}): see rejects/; --resume with a larger --max-rejects goes on"
        )


def _archive_rows(spark: SparkSession, storage: Storage, folder: str) -> list[dict[str, Any]]:
    rows = spark.read.schema(spark_schema(EXTRACTED)).parquet(storage.location(folder)).select(*ARCHIVES.names)
    found = [row.asDict() for row in rows.collect()]
    for row in found:
        row["rejected"] = dict(sorted((row["rejected"] or {}).items()))
    return sorted(found, key=lambda row: row["archive"].encode())
