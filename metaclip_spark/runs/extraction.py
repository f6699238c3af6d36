"""The extract step: the waves that are still to be done, and what is written from all of them."""

import logging
from collections.abc import Callable

from pyspark.sql import DataFrame

from metaclip_spark.commits.entries import Wave
from metaclip_spark.commits.files import lost_files, tidy
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.errors import counted
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options
from metaclip_spark.runs.layout import place_of, wave_place
from metaclip_spark.runs.ledger import FAILED, ledger_of
from metaclip_spark.runs.progress import StepProgress, described, watch
from metaclip_spark.runs.records import ExtractionSettings, ExtractManifest, Manifest
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXTRACT, Attempt
from metaclip_spark.runs.waves import (
    WaveLayout,
    archive_rows,
    extraction_numbers,
    read_rejects,
    run_waves,
)
from metaclip_spark.steps.extract import archive_paths, extract_archives, read_pool_files
from udfs.pairs import ExtractOptions

log = logging.getLogger(__name__)


def extract_pending(run: Run, config: ExtractConfig, paths: list[ArchivePath], buckets: int) -> float:
    """Extracts the archives that no wave holds yet; returns the seconds that it took."""
    done = ledger_of(run.state).accepted()
    pending = [each for each in paths if each[0] not in done]
    if not pending:
        log.info("extract: already done, reused", extra={"step": "extract", "event": "reused"})
        return 0.0
    _begin(run, config, buckets)
    progress = StepProgress("extract", "archives", total=len(paths), done_before=len(paths) - len(pending))

    waves, planned = 0, -(-len(pending) // config.archives_per_wave)

    def note(wave: Wave) -> None:
        progress.done_before += len(wave.archives)
        numbers = {
            "archives": len(wave.archives),
            "archives_failed": sum(summary.status == FAILED for summary in wave.archives),
            "pairs": sum(summary.pairs for summary in wave.archives),
        }
        progress.pairs += numbers["pairs"]
        nonlocal waves
        waves += 1
        of = f"wave {waves:,} of {planned:,}" if waves <= planned else f"another try, wave {waves - planned:,}"
        words = f"{of}: {counted(numbers['archives'], 'archive')}, {numbers['archives_failed'] or 'none'} failed, "
        told = {"event": "wave", "step": "extract", "wave": wave.wave, "numbers": numbers}
        log.info(words + counted(numbers["pairs"], "pair"), extra=told)

    tidy(run.owned, wave_place())
    layout = WaveLayout(run.output.rows_per_file, buckets)
    with watch(run.spark, progress):
        run_waves(run.owned, pending, config, extractor(run, config), note, layout)
    words = f"extract: {counted(len(pending), 'archive')}, {counted(progress.pairs, 'pair')}, {progress.seconds:.1f} s"
    numbers = {"archives": len(pending), "pairs": progress.pairs}
    told = {"event": "done", "step": "extract", "seconds": round(progress.seconds, 3), "numbers": numbers}
    log.info(words, extra=told)
    return progress.seconds


def _begin(run: Run, config: ExtractConfig, buckets: int) -> int:
    """Begins the round of extraction, which all waves of a run belong to: its pool counts until it is made anew."""
    return run.begin(EXTRACT, ExtractionSettings.of(config), "", buckets=buckets)


def extractor(run: Run, config: ExtractConfig) -> Callable[[list[ArchivePath]], DataFrame]:
    """Gives the function that makes the rows of some archives, or of files with pairs, not yet computed."""
    options = fetch_options(config)
    limits = ExtractOptions(
        max_page_bytes=config.max_page_bytes,
        page_timeout_seconds=config.page_timeout_seconds,
        preference_agents=config.preference_agent,
    )

    def extract(paths: list[ArchivePath]) -> DataFrame:
        placed = archive_paths(run.spark, paths, config.max_parallel_archives)
        if config.pool:
            return read_pool_files(
                placed,
                url_column=config.url_column,
                text_column=config.text_column,
                language_column=config.language_column,
                fetch_options=options,
            )
        return extract_archives(placed, limits, options)

    return extract


def finish_extraction(run: Run, config: ExtractConfig, seconds: float) -> ExtractManifest:
    """Writes archives and rejects from the waves that count, unless they are of these waves already."""
    ledger = ledger_of(run.state)
    before, entry = run.manifest_if_done(EXTRACT), run.entry(EXTRACT)
    if before and entry and before.input == ledger.digest() and not lost_files(run.storage, entry):
        return before
    begin = _begin(run, config, run.buckets)
    for table in EXTRACT.tables:
        tidy(run.owned, place_of(table))
    attempt = Attempt(run)
    attempt.write_rows(archive_rows(ledger), "archives")
    rejects = read_rejects(run.spark, run.storage, ledger).coalesce(1)
    with described(run.spark, EXTRACT.name, "rejects"):
        attempt.write(rejects.sortWithinPartitions("archive", "record_offset", "stage", "reason", "example"), "rejects")
    manifest: ExtractManifest = Manifest(
        step=EXTRACT.name,
        config=ExtractionSettings.of(config),
        input=ledger.digest(),
        numbers=extraction_numbers(ledger),
        settings=as_dict(config),
        seconds=round(seconds + (before.seconds if before else 0.0), 3),
    )
    run.commit(EXTRACT, manifest, attempt, begin)
    return manifest
