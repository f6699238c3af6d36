"""Extraction, then deduplication: from archives to the pool."""

import logging
from functools import partial

from pyspark.sql import functions as F

from metaclip_spark.commits.entries import Attempt as DroppedAttempt
from metaclip_spark.commits.entries import Drop
from metaclip_spark.commits.files import lost_files
from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.errors import InputError
from metaclip_spark.errors import counted as number_of
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options, region_warning
from metaclip_spark.pipeline.first_run import check_own_pairs
from metaclip_spark.runs.buckets import choose_buckets
from metaclip_spark.runs.extraction import extract_pending, finish_extraction
from metaclip_spark.runs.ledger import Ledger, changed_attempts, check_same_extraction, ledger_of, lost_attempts
from metaclip_spark.runs.progress import described
from metaclip_spark.runs.records import (
    DeduplicateManifest,
    DeduplicateNumbers,
    ExtractionSettings,
    ExtractManifest,
    NoSettings,
)
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.step import DEDUPLICATE, Attempt
from metaclip_spark.runs.waves import check_losses, read_pairs, recorded_pairs
from metaclip_spark.steps.deduplicate import deduplicate_pairs
from udfs.schemas import REJECTS

log = logging.getLogger(__name__)


def run_extract(run: Run, config: ExtractConfig, paths: list[ArchivePath]) -> DeduplicateManifest:
    """Extracts the archives that the ledger lacks, and deduplicates the pairs.

    Raises:
        ConfigError: If the ledger was made with other settings, or an archive has changed since.
        TooManyRejectsError: If more was lost than the limits say.
        InputError: If rows of the extraction were lost since.
    """
    check_own_pairs(run)
    buckets = choose_buckets(run.state, config.buckets, len(paths), run.storage.root)
    check_same_extraction(run.state, ExtractionSettings.of(config), run.storage.root)
    if {archive for archive, _ in paths}.difference(ledger_of(run.state).accepted()):
        # Whoever may not extract these need not look at the others, one request each.
        run.check_open_for_work()
    changed = changed_attempts(ledger_of(run.state), paths, options=fetch_options(config), accept=config.accept_changed)
    _drop(run, changed, "the archive has changed")
    if warning := region_warning(paths):
        log.warning(warning)
    ledger = ledger_of(run.state)
    named = {archive for archive, _ in paths}
    if named.difference(ledger.accepted(), ledger.failed()) or not _is_deduplicated(run):
        # The rows of all waves are still to be read.
        _drop_lost(run, ledger, named)
    kept = len(set(ledger_of(run.state).accepted()).difference(archive for archive, _ in paths))
    if kept:
        log.info(f"extract: {number_of(kept, 'archive')} of earlier runs, not named by this command, stay in the pool")
    seconds = extract_pending(run, config, paths, buckets)
    extract = finish_extraction(run, config, seconds)
    ledger = ledger_of(run.state)
    check_losses(ledger, extract.numbers, config, [archive for archive, _ in paths], partial(_example_of, run))
    return deduplicate(run, extract)


def deduplicate(run: Run, extract: ExtractManifest) -> DeduplicateManifest:
    """Deduplicates the raw pairs that count.

    Raises:
        InputError: If rows of the extraction were lost.
    """
    ledger = ledger_of(run.state)
    begin = run.begin(DEDUPLICATE, NoSettings(), extract.digest)
    is_new = any(run.entry(DEDUPLICATE, bucket) is None for bucket in range(run.buckets))
    if is_new and (lost := lost_attempts(run.storage, ledger)):
        raise InputError(
            f"files of {number_of(len({each.folder for each in lost}), 'wave')} are gone from {run.storage.root}, "
            f"such as {lost[0].folder}: run this again with --resume, which extracts the archives again"
        )
    for bucket in range(run.buckets):
        _deduplicate_bucket(run, ledger, extract, bucket, begin)
    pool = run.manifest(DEDUPLICATE)
    check_number(pool.numbers.pairs_in, extract.numbers.pairs, "raw pairs")
    return pool


def _example_of(run: Run, archive: str) -> str:
    """Reads what extraction has kept of an archive that could not be read."""
    rejects = run.read("rejects", REJECTS).where((F.col("archive") == archive) & (F.col("stage") == "archive"))
    with described(run.spark, "extract", "rejects"):
        row = rejects.select("example").first()
    return " ".join(row.example.split()) if row is not None and row.example else ""


def _drop_lost(run: Run, ledger: Ledger, named: set[str]) -> None:
    """Takes waves whose files are gone out of the count, so that their archives are extracted again.

    Raises:
        InputError: If an archive of theirs is not named, so that nothing could take the place of its pairs.
    """
    lost = lost_attempts(run.storage, ledger)
    if not lost:
        return
    folders = {attempt.folder for attempt in lost}
    unnamed = sorted({attempt.archive for attempt in lost}.difference(named))
    if unnamed:
        raise InputError(
            f"files of {number_of(len(folders), 'wave')} are gone from {run.storage.root}, with pairs of "
            f"{number_of(len(unnamed), 'archive')} not named by this command, such as {unnamed[0]}: name all of "
            "them, or restore the files"
        )
    log.warning(f"extract: files of {number_of(len(folders), 'wave')} are gone: extracted again")
    _drop(run, lost, "its files are gone")


def _drop(run: Run, attempts: tuple[DroppedAttempt, ...], reason: str) -> None:
    if attempts:
        run.owned.commit(Drop(owner=run.owned.nonce, attempts=attempts, reason=reason))


def _is_deduplicated(run: Run) -> bool:
    entries = [run.entry(DEDUPLICATE, bucket) for bucket in range(run.buckets)]
    return all(entry is not None and not lost_files(run.storage, entry) for entry in entries)


def _deduplicate_bucket(run: Run, ledger: Ledger, extract: ExtractManifest, bucket: int, begin: int) -> None:
    def work(attempt: Attempt) -> DeduplicateNumbers:
        part = bucket if run.buckets > 1 else None
        pairs = read_pairs(run.spark, run.storage, ledger, part)
        recorded = recorded_pairs(ledger, part)
        raw = pairs.count() if recorded is None else recorded
        if run.buckets == 1:
            check_number(raw, extract.numbers.pairs, "raw pairs")
        distinct = attempt.write(deduplicate_pairs(pairs, run.partitions(raw)), "pool")
        return DeduplicateNumbers(pairs_in=raw, duplicates=raw - distinct, pairs=distinct)

    run.do(
        DEDUPLICATE,
        config=NoSettings(),
        settings={},
        input_digest=extract.digest,
        work=work,
        bucket=bucket,
        begin=begin,
    )
