"""The extract step: the waves that are still to be done, and what is written from all of them."""

import logging
from collections.abc import Callable

from pyspark.sql import DataFrame

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options
from metaclip_spark.runs.layout import RUN
from metaclip_spark.runs.ledger import FAILED, Ledger
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.records import ExtractManifest, LedgerEntry
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXTRACT
from metaclip_spark.runs.waves import (
    WaveLayout,
    archive_rows,
    extraction_numbers,
    extraction_settings,
    read_rejects,
    run_waves,
)
from metaclip_spark.steps.extract import archive_paths, extract_archives, read_pool_files
from udfs.pairs.extract import ExtractOptions

log = logging.getLogger(__name__)


def extract_pending(
    run: Run, config: ExtractConfig, paths: list[ArchivePath], ledger: Ledger, buckets: int
) -> tuple[Ledger, float]:
    """Extracts the archives that the ledger lacks; returns the ledger and the seconds that it took."""
    done = ledger.accepted()
    pending = [each for each in paths if each[0] not in done]
    if not pending:
        log.info("extract: done before, kept")
        return ledger, 0.0
    run.storage.delete(RUN)
    progress = StepProgress("extract", "archives", total=len(paths), done_before=len(paths) - len(pending))

    def note(entry: LedgerEntry) -> None:
        progress.done_before += len(entry.archives)
        numbers = {
            "archives": len(entry.archives),
            "archives_failed": sum(summary.status == FAILED for summary in entry.archives),
            "pairs": sum(summary.pairs for summary in entry.archives),
        }
        progress.pairs += numbers["pairs"]
        words = "{archives:,} archives, {archives_failed} of them failed, {pairs:,} pairs".format(**numbers)
        log.info(f"wave {entry.wave}: {words}", extra={"step": "extract", "wave": entry.wave, "numbers": numbers})

    layout = WaveLayout(run.output.rows_per_file, buckets)
    with watch(run.spark, progress):
        ledger = run_waves(run.storage, pending, config, _extractor(run, config), note, layout)
    log.info(f"extract: {len(pending):,} archives, {progress.pairs:,} pairs, {progress.seconds:.1f} s")
    return ledger, progress.seconds


def _extractor(run: Run, config: ExtractConfig) -> Callable[[list[ArchivePath]], DataFrame]:
    options = fetch_options(config)
    limits = ExtractOptions(max_page_bytes=config.max_page_bytes, page_timeout_seconds=config.page_timeout_seconds)

    def extract(paths: list[ArchivePath]) -> DataFrame:
        placed = archive_paths(run.spark, paths, config.max_parallel_archives)
        if config.pool:
            columns = {"url_column": config.url_column, "text_column": config.text_column}
            return read_pool_files(placed, **columns, fetch_options=options)
        return extract_archives(placed, limits, options)

    return extract


def finish_extraction(run: Run, config: ExtractConfig, ledger: Ledger, seconds: float) -> ExtractManifest:
    """Writes archives/ and rejects/ from the ledgered waves, unless they are of this ledger already."""
    before = run.manifest_if_done(EXTRACT)
    if before and before.input == ledger.digest() and not run.lost_files(before):
        return before
    run.undo(EXTRACT)
    run.write_rows(archive_rows(ledger), "archives")
    rejects = read_rejects(run.spark, run.storage, ledger).coalesce(1)
    run.write(rejects.sortWithinPartitions("archive", "record_offset", "stage", "reason", "example"), "rejects")
    return run.commit(
        EXTRACT,
        extraction_settings(config),
        extraction_numbers(ledger),
        settings=as_dict(config),
        input_digest=ledger.digest(),
        seconds=round(seconds + (before.seconds if before else 0.0), 3),
    )
