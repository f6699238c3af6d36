"""The steps in their order, each over what the step before it has stored: extract, match, count, sample."""

import logging
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from metaclip_spark import balance
from metaclip_spark.commits.entries import Attempt as DroppedAttempt
from metaclip_spark.commits.entries import Drop
from metaclip_spark.commits.files import lost_files
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, digest, result_fields
from metaclip_spark.entries import Metadata, load_summed_counts
from metaclip_spark.errors import ConfigError, InputError, MetadataError, percent, said_of
from metaclip_spark.errors import counted as number_of
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options, region_warning
from metaclip_spark.runs.buckets import choose_buckets
from metaclip_spark.runs.extraction import extract_pending, finish_extraction
from metaclip_spark.runs.ledger import Ledger, changed_attempts, check_same_extraction, ledger_of, lost_attempts
from metaclip_spark.runs.paths import counts_in_run
from metaclip_spark.runs.progress import described
from metaclip_spark.runs.records import (
    CountManifest,
    CountNumbers,
    CountSettings,
    DeduplicateManifest,
    DeduplicateNumbers,
    Draw,
    ExtractManifest,
    Gate,
    MatchManifest,
    MatchNumbers,
    MatchSettings,
    NoSettings,
    SampleManifest,
    SampleNumbers,
    SampleSettings,
)
from metaclip_spark.runs.run import Attempt, Run, check_number, entry_table, read_entry_counts
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, MATCH, SAMPLE
from metaclip_spark.runs.waves import check_losses, extraction_settings, read_pairs, recorded_pairs
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.deduplicate import deduplicate_pairs
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.steps.sample import expect, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold
from metaclip_spark.thresholds import check_threshold
from udfs.schemas import ENTRY_COUNTS, EXPECTED_KEPT, MATCHED, PAIRS, REJECTS

log = logging.getLogger(__name__)


def check_before_start(config: SampleConfig, metadata: Metadata) -> None:
    """Checks the counts that the user gives, before Spark starts work."""
    if config.entry_counts:
        load_given_counts(config, metadata)


def load_given_counts(config: SampleConfig, metadata: Metadata) -> NDArray[np.int64]:
    """Reads and adds up the counts of --entry-counts, of another run what counts there.

    Raises:
        MetadataError: If they cannot be used.
        InputError: If a path leads into a run whose log does not name it.
    """
    with said_of("--entry-counts"):
        return load_summed_counts([counts_in_run(path) for path in config.entry_counts], metadata)


def run_extract(run: Run, config: ExtractConfig, paths: list[ArchivePath]) -> DeduplicateManifest:
    """Extracts the archives that the ledger lacks, and deduplicates the pairs.

    Raises:
        ConfigError: If the ledger was made with other settings, or an archive has changed since.
        TooManyRejectsError: If more was lost than the limits say.
        InputError: If rows of the extraction were lost since.
    """
    buckets = choose_buckets(run.state, config.buckets, len(paths), run.storage.root)
    check_same_extraction(run.state, extraction_settings(config), run.storage.root)
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


def run_match(run: Run, config: MatchConfig, language: LanguageConfig, metadata: Metadata) -> MatchManifest:
    """Matches the pool against the metadata list.

    Raises:
        InputError: If there is no pool.
    """
    pool = run.manifest(DEDUPLICATE)
    made_with = MatchSettings(
        metadata_digest=metadata.digest, entries=len(metadata.entries), language_identified=language.identifies
    )
    with_languages = msgspec.structs.replace(made_with, language_identified=True)
    begun = run.state.begins.get(MATCH.name)
    # Pairs that were matched with languages serve a run that asks for none.
    settings = with_languages if begun and begun[1].config == msgspec.to_builtins(with_languages) else made_with
    begin = run.begin(MATCH, settings, pool.digest)
    for bucket in range(run.buckets):
        _match_bucket(run, config, settings, metadata, bucket, begin)
    return run.manifest(MATCH)


def _match_bucket(
    run: Run, config: MatchConfig, settings: MatchSettings, metadata: Metadata, bucket: int, begin: int
) -> None:
    pool = run.manifest(DEDUPLICATE, bucket)

    def work(attempt: Attempt) -> MatchNumbers:
        pairs = run.read("pool", PAIRS, bucket)
        matched = match_pairs(pairs, metadata, engine=config.engine, identify_language=settings.language_identified)
        kept = attempt.write(matched.sortWithinPartitions("pair_id"), "matched")
        before = pool.numbers.pairs
        return MatchNumbers(pairs_in=before, unmatched=before - kept, pairs=kept)

    run.do(
        MATCH,
        config=settings,
        settings={**as_dict(config), "identify_language": settings.language_identified},
        input_digest=pool.digest,
        work=work,
        bucket=bucket,
        begin=begin,
    )


def run_count(run: Run, language: LanguageConfig, metadata: Metadata) -> CountManifest:
    """Counts the entries of the matched pairs that pass the language filter.

    Raises:
        InputError: If there are no matched pairs.
        MetadataError: If they were matched with another metadata list, or without the languages that the filter needs.
    """
    matched = _matched_manifest(run, language, metadata.digest)
    gate = Gate.of(language)

    def work(attempt: Attempt) -> CountNumbers:
        passed = run.matched(gate)
        counts = count_entries(passed, len(metadata.entries))
        attempt.write_rows(entry_table(ENTRY_COUNTS, metadata.entries, counts), "entry_counts")
        before = matched.numbers.pairs
        check_number(run.read_buckets("matched", MATCHED).count(), before, "matched pairs")
        after = passed.count() if gate.languages else before
        return CountNumbers(
            pairs_in=before,
            gated_out=before - after,
            pairs=after,
            matches=int(counts.sum()),
            entries=len(counts),
            entries_matched=int(np.count_nonzero(counts)),
        )

    return run.do(
        COUNT,
        config=CountSettings(gate=gate, metadata_digest=metadata.digest),
        settings=as_dict(language),
        input_digest=matched.digest,
        work=work,
    )


def run_sample(run: Run, config: SampleConfig, language: LanguageConfig) -> SampleManifest:
    """Draws the curated set.

    Raises:
        InputError: If there are no matched pairs or counts.
        MetadataError: If the counts were made with another list, filter or input than the matched pairs.
    """
    counted = run.manifest(COUNT)
    matched = _matched_manifest(run, language, counted.config.metadata_digest)
    gate = Gate.of(language)
    _check_counts_fit(counted, matched, gate)
    entries, counts = _counts_to_balance_with(run, config, counted)
    if config.threshold_t is None:
        _check_pairs_left(counted.numbers, config, gate)
    if config.target_pairs is not None:
        check_target_pairs(int(config.target_pairs), counted.numbers.pairs)

    def work(attempt: Attempt) -> SampleNumbers:
        passed = run.matched(gate)
        threshold = (
            check_threshold(config.threshold_t)
            if config.threshold_t is not None
            else choose_threshold(counts, passed, tail_share=config.tail_share, target_pairs=config.target_pairs)
        )
        if config.entry_counts:
            attempt.write_rows(entry_table(ENTRY_COUNTS, entries, counts), "balance_counts")
        probability = balance.entry_probabilities(counts, threshold)
        expected, expected_kept = expect(passed, probability)
        check_number(expected.pairs, counted.numbers.pairs, "matched pairs that pass the filter")
        log.info(_announcement(counts, threshold, expected))
        drawn = sample_pairs(passed, probability, seed=config.seed)
        kept = attempt.write(drawn.sortWithinPartitions("pair_id"), "curated")
        attempt.write_rows(entry_table(EXPECTED_KEPT, expected_kept), "expected_kept")
        before = matched.numbers.pairs
        return SampleNumbers(
            pairs_in=before,
            gated_out=before - expected.pairs,
            not_drawn=expected.pairs - kept,
            pairs=kept,
            threshold_t="inf" if threshold == float("inf") else int(threshold),
            expected_size=expected.size,
            standard_error=expected.standard_error,
            size_bound=balance.size_bound(expected.variance),
            tail_share=balance.tail_share(counts, threshold),
            head_entries_cut=balance.head_entries_cut(counts, threshold),
            suspect=not expected.is_plausible(kept),
        )

    return run.do(
        SAMPLE,
        config=SampleSettings(
            sample=msgspec.convert(result_fields(config), Draw),
            gate=gate,
            entry_counts_digest=digest(counts.tolist()),
            matched=matched.digest,
        ),
        settings={**as_dict(config), **as_dict(language)},
        input_digest=counted.digest,
        work=work,
    )


def _check_pairs_left(numbers: CountNumbers, config: SampleConfig, gate: Gate) -> None:
    """Refuses to choose t where there is nothing to choose it from.

    Raises:
        ConfigError: If no pair was matched, or the language filter has removed all.
    """
    if numbers.pairs:
        return
    option = "--target-pairs" if config.tail_share is None else "--tail-share"
    if not numbers.pairs_in:
        raise ConfigError(
            f"{option} has nothing to choose t from: no pair matched any metadata entry; check that the list fits the "
            "texts"
        )
    raise ConfigError(
        f"{option} has nothing to choose t from: no pair is left after the language filter ({numbers.pairs_in:,} "
        f"matched, {numbers.gated_out:,} removed by --languages {','.join(gate.languages)})"
    )


def _matched_manifest(run: Run, language: LanguageConfig, metadata_digest: str) -> MatchManifest:
    matched = run.manifest(MATCH)
    stored = matched.config.metadata_digest
    if stored != metadata_digest:
        raise MetadataError(
            f"--metadata is another list than {run.storage.root} was matched with (digest {metadata_digest[:12]}..., "
            f"not {stored[:12]}...): give the same list, or run match again"
        )
    if language.languages and not matched.config.language_identified:
        raise MetadataError(
            "--languages needs the languages of the matched pairs: run match again with --identify-language"
        )
    return matched


def _check_counts_fit(counted: CountManifest, matched: MatchManifest, gate: Gate) -> None:
    if counted.input != matched.digest:
        raise MetadataError("the entry counts are not of these matched pairs: run count again")
    if counted.config.gate != gate:
        before, now = map(msgspec.to_builtins, (counted.config.gate, gate))
        raise MetadataError(
            f"--languages: the entry counts were made with the filter {before}, not {now}: give the same filter, or "
            "run count again"
        )


def _counts_to_balance_with(
    run: Run, config: SampleConfig, counted: CountManifest
) -> tuple[list[str], NDArray[np.int64]]:
    entries, counts = read_entry_counts(run)
    if not config.entry_counts:
        return entries, counts
    metadata = Metadata(entries=tuple(entries), digest=counted.config.metadata_digest)
    return entries, load_given_counts(config, metadata)


def _announcement(counts: NDArray[np.int64], threshold: int | float, expected: balance.ExpectedSize) -> str:
    cut = balance.head_entries_cut(counts, threshold)
    line = (
        f"sample: t = {threshold:,}, expected size {expected.size:,.1f} ± {expected.standard_error:,.1f} pairs, "
        f"tail share {percent(balance.tail_share(counts, threshold))}"
    )
    thinned = number_of(cut, "head entry", "head entries")
    return f"{line}, {thinned} thinned" if cut else f"{line} (no entry has more than t pairs, so nothing is thinned)"
