"""The steps in their order, each over what the step before it has stored: extract, match, count, sample."""

import logging

import msgspec
import numpy as np
from numpy.typing import NDArray

from metaclip_spark import balance
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, digest, result_fields
from metaclip_spark.entries import Metadata, load_summed_counts
from metaclip_spark.errors import InputError, MetadataError
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.remote import fetch_options, region_warning
from metaclip_spark.runs.buckets import fix_buckets
from metaclip_spark.runs.entry_tables import entry_table, read_entry_counts
from metaclip_spark.runs.extraction import extract_pending, finish_extraction
from metaclip_spark.runs.layout import bucket_folder
from metaclip_spark.runs.ledger import (
    Ledger,
    check_same_extraction,
    check_unchanged,
    delete_unledgered_waves,
    read_ledger,
)
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
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.step import COUNT, DEDUPLICATE, MATCH, SAMPLE
from metaclip_spark.runs.waves import check_losses, extraction_settings, read_pairs
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.deduplicate import deduplicate_pairs
from metaclip_spark.steps.match import match_pairs
from metaclip_spark.steps.sample import expect, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold
from udfs.schemas import CURATED, ENTRY_COUNTS, EXPECTED_KEPT, MATCHED, PAIRS

log = logging.getLogger(__name__)


def check_before_start(config: SampleConfig, metadata: Metadata) -> None:
    """Checks the counts that the user gives, before Spark starts work."""
    if config.entry_counts:
        load_summed_counts(config.entry_counts, metadata)


def run_extract(run: Run, config: ExtractConfig, paths: list[ArchivePath]) -> DeduplicateManifest:
    """Extracts the archives that the ledger lacks, and deduplicates the pairs.

    Raises:
        ConfigError: If the ledger was made with other settings, or an archive has changed since.
        TooManyRejectsError: If more was lost than the limits say.
        InputError: If rows of the extraction were lost since.
    """
    buckets = fix_buckets(run.storage, config.buckets, len(paths))
    ledger = read_ledger(run.storage)
    check_same_extraction(ledger, extraction_settings(config))
    ledger = check_unchanged(run.storage, ledger, paths, options=fetch_options(config), accept=config.accept_changed)
    delete_unledgered_waves(run.storage, ledger)
    if warning := region_warning(paths):
        log.warning(warning)
    kept = len(set(ledger.accepted()).difference(archive for archive, _ in paths))
    if kept:
        log.info(f"extract: {kept} archives of earlier runs, which this command does not name, stay in the pool")
    ledger, seconds = extract_pending(run, config, paths, ledger, buckets)
    extract = finish_extraction(run, config, ledger, seconds)
    check_losses(ledger, extract.numbers, config, [archive for archive, _ in paths])
    for bucket in range(run.buckets):
        _deduplicate_bucket(run, ledger, extract, bucket)
    pool = run.manifest(DEDUPLICATE)
    try:
        check_number(pool.numbers.pairs_in, extract.numbers.pairs, "raw pairs")
    except InputError:
        # No later step may take this pool for one that is whole.
        for name in DEDUPLICATE.manifest_names(range(run.buckets)):
            run.storage.delete(name)
        raise
    return pool


def _deduplicate_bucket(run: Run, ledger: Ledger, extract: ExtractManifest, bucket: int) -> None:
    folder = bucket_folder("pool", bucket)

    def work() -> DeduplicateNumbers:
        pairs = read_pairs(run.spark, run.storage, ledger, bucket if run.buckets > 1 else None)
        raw = pairs.count()
        if run.buckets == 1:
            check_number(raw, extract.numbers.pairs, "raw pairs")
        run.write(deduplicate_pairs(pairs, run.partitions(raw)), folder)
        distinct = run.read(folder, PAIRS).count()
        return DeduplicateNumbers(pairs_in=raw, duplicates=raw - distinct, pairs=distinct)

    run.do(DEDUPLICATE, config=NoSettings(), settings={}, input_digest=extract.digest, work=work, bucket=bucket)


def run_match(run: Run, config: MatchConfig, language: LanguageConfig, metadata: Metadata) -> MatchManifest:
    """Matches the pool against the metadata list.

    Raises:
        InputError: If there is no pool.
    """
    run.manifest(DEDUPLICATE)
    for bucket in range(run.buckets):
        _match_bucket(run, config, language, metadata, bucket)
    return run.manifest(MATCH)


def _match_bucket(
    run: Run,
    config: MatchConfig,
    language: LanguageConfig,
    metadata: Metadata,
    bucket: int,
) -> None:
    pool = run.manifest(DEDUPLICATE, bucket)
    folder = bucket_folder("matched", bucket)

    def work() -> MatchNumbers:
        pairs = run.read(bucket_folder("pool", bucket), PAIRS)
        matched = match_pairs(pairs, metadata, engine=config.engine, identify_language=language.identifies)
        run.write(matched.sortWithinPartitions("pair_id"), folder)
        kept = run.read(folder, MATCHED).count()
        before = pool.numbers.pairs
        check_number(pairs.count(), before, "pairs of the pool")
        return MatchNumbers(pairs_in=before, unmatched=before - kept, pairs=kept)

    made_with = MatchSettings(
        metadata_digest=metadata.digest, entries=len(metadata.entries), language_identified=language.identifies
    )
    with_languages = msgspec.structs.replace(made_with, language_identified=True)
    before = run.manifest_if_done(MATCH, bucket)
    run.do(
        MATCH,
        # Pairs that were matched with languages serve a run that asks for none.
        config=with_languages if before and before.config == with_languages else made_with,
        settings={**as_dict(config), "identify_language": language.identifies},
        input_digest=pool.digest,
        work=work,
        bucket=bucket,
    )


def run_count(run: Run, language: LanguageConfig, metadata: Metadata) -> CountManifest:
    """Counts the entries of the matched pairs that pass the language gate.

    Raises:
        InputError: If there are no matched pairs.
        MetadataError: If they were matched with another metadata list, or without the languages that the gate needs.
    """
    matched = _matched_manifest(run, language, metadata.digest)
    gate = Gate.of(language)

    def work() -> CountNumbers:
        passed = run.matched(gate)
        counts = count_entries(passed, len(metadata.entries))
        run.write_rows(entry_table(ENTRY_COUNTS, metadata.entries, counts), "entry_counts")
        before, after = matched.numbers.pairs, passed.count()
        read = run.read_buckets("matched", MATCHED).count() if gate.languages else after
        check_number(read, before, "matched pairs")
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
        MetadataError: If the counts were made with another list, gate or input than the matched pairs.
    """
    counted = run.manifest(COUNT)
    matched = _matched_manifest(run, language, counted.config.metadata_digest)
    gate = Gate.of(language)
    _check_counts_fit(counted, matched, gate)
    entries, counts = _counts_to_balance_with(run, config, counted)
    if config.target_pairs is not None:
        check_target_pairs(int(config.target_pairs), counted.numbers.pairs)

    def work() -> SampleNumbers:
        passed = run.matched(gate)
        threshold = (
            balance.check_threshold(config.threshold_t)
            if config.threshold_t is not None
            else choose_threshold(counts, passed, tail_share=config.tail_share, target_pairs=config.target_pairs)
        )
        run.storage.delete("balance_counts")
        if config.entry_counts:
            run.write_rows(entry_table(ENTRY_COUNTS, entries, counts), "balance_counts")
        probability = balance.entry_probabilities(counts, threshold)
        expected, expected_kept = expect(passed, probability)
        check_number(expected.pairs, counted.numbers.pairs, "matched pairs that pass the gate")
        log.info(_announcement(counts, threshold, expected))
        run.write(sample_pairs(passed, probability, seed=config.seed).sortWithinPartitions("pair_id"), "curated")
        run.write_rows(entry_table(EXPECTED_KEPT, expected_kept), "expected_kept")
        kept = run.read("curated", CURATED).count()
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


def _matched_manifest(run: Run, language: LanguageConfig, metadata_digest: str) -> MatchManifest:
    matched = run.manifest(MATCH)
    stored = matched.config.metadata_digest
    if stored != metadata_digest:
        raise MetadataError(
            f"the pairs in {run.storage.root} were matched with the metadata list {stored}, not with "
            f"{metadata_digest}: give the same list, or run match again"
        )
    if language.languages and not matched.config.language_identified:
        raise MetadataError(
            "the matched pairs have no languages, which --languages filters by: run match with --identify-language"
        )
    return matched


def _check_counts_fit(counted: CountManifest, matched: MatchManifest, gate: Gate) -> None:
    if counted.input != matched.digest:
        raise MetadataError("the entry counts are not of these matched pairs: run count again")
    if counted.config.gate != gate:
        before, now = map(msgspec.to_builtins, (counted.config.gate, gate))
        raise MetadataError(
            f"the entry counts were made with the language gate {before}, not with {now}: give the same gate, or run "
            "count again"
        )


def _counts_to_balance_with(
    run: Run, config: SampleConfig, counted: CountManifest
) -> tuple[list[str], NDArray[np.int64]]:
    entries, counts = read_entry_counts(run)
    if not config.entry_counts:
        return entries, counts
    metadata = Metadata(entries=tuple(entries), digest=counted.config.metadata_digest)
    return entries, load_summed_counts(config.entry_counts, metadata)


def _announcement(counts: NDArray[np.int64], threshold: int | float, expected: balance.ExpectedSize) -> str:
    cut = balance.head_entries_cut(counts, threshold)
    line = (
        f"sample: t = {threshold}, expected size {expected.size:,.1f} ± {expected.standard_error:,.1f} pairs, "
        f"tail share {balance.tail_share(counts, threshold):.1%}, {cut:,} head entries cut"
    )
    return line if cut else f"{line} (no entry exceeds t: nothing is balanced)"
