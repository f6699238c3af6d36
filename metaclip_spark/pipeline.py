"""The steps in their order, each over what the step before it has stored: extract, match, count, sample."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark import balance
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, digest, result_fields
from metaclip_spark.entries import Metadata, load_summed_counts
from metaclip_spark.errors import InputError, MetadataError
from metaclip_spark.inputs.files import check_pool_files, resolve_archives, resolve_pool
from metaclip_spark.inputs.remote import fetch_options, region_warning, resolve_crawl
from metaclip_spark.reports.entry_tables import entry_table, read_entry_counts
from metaclip_spark.runs.buckets import fix_buckets
from metaclip_spark.runs.ledger import (
    FAILED,
    Ledger,
    check_same_extraction,
    check_unchanged,
    delete_unledgered_waves,
    read_ledger,
)
from metaclip_spark.runs.progress import StepProgress, watch
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.waves import (
    WaveLayout,
    archive_rows,
    check_losses,
    extraction_numbers,
    extraction_settings,
    read_pairs,
    read_rejects,
    run_waves,
)
from metaclip_spark.steps.count import count_entries
from metaclip_spark.steps.deduplicate import deduplicate_pairs
from metaclip_spark.steps.extract import archive_paths, extract_archives, read_pool_files
from metaclip_spark.steps.language_filter import pass_language_gate
from metaclip_spark.steps.match import ShippedAutomaton, match_pairs, ship_automaton
from metaclip_spark.steps.sample import expect, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, expected_sizes, threshold_for_target_pairs
from metaclip_spark.stores.storage import RUN, bucket_folder, manifest_digest, manifest_name
from udfs.pairs.extract import ExtractOptions
from udfs.schemas import CURATED, ENTRY_COUNTS, EXPECTED_KEPT, MATCHED, PAIRS

BUCKET = 0
"""The first bucket: every pool has it."""


def resolve_inputs(config: ExtractConfig) -> list[tuple[str, str]]:
    """Finds and checks the input before Spark starts work.

    Args:
        config: The step's configuration.

    Returns:
        (archive, path).

    Raises:
        InputError: If an input is missing.
        SchemaMismatchError: If a file of --pool lacks a column.
    """
    if config.crawl:
        return resolve_crawl(config, fetch_options(config))
    if config.archives:
        return resolve_archives(config.archives, config.archives_prefix, fetch_options(config))
    paths = resolve_pool(config.pool, fetch_options(config))
    check_pool_files(paths, url_column=config.url_column, text_column=config.text_column, options=fetch_options(config))
    return paths


def check_before_start(config: SampleConfig, metadata: Metadata) -> None:
    """Checks the counts that the user gives, before Spark starts work.

    Args:
        config: The sample step's configuration.
        metadata: The metadata list.

    Raises:
        MetadataError: If a file of --entry-counts is of another list, or they add up to more than a count can be.
    """
    if config.entry_counts:
        load_summed_counts(config.entry_counts, metadata)


def run_extract(run: Run, config: ExtractConfig, paths: list[tuple[str, str]]) -> dict[str, Any]:
    """Extracts the archives that the ledger lacks, and deduplicates the pairs.

    Args:
        run: The run.
        config: The step's configuration.
        paths: (archive, path) from `resolve_inputs`.

    Returns:
        The manifest of the pool.

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
        run.say(warning)
    kept = len(set(ledger.accepted()).difference(archive for archive, _ in paths))
    if kept:
        run.say(f"extract: {kept} archives of earlier runs, which this command does not name, stay in the pool")
    ledger, seconds = _extract_pending(run, config, paths, ledger, buckets)
    extract = _finish_extraction(run, config, ledger, seconds)
    check_losses(ledger, extract["numbers"], config, [archive for archive, _ in paths])
    pool = _deduplicate(run, ledger, extract)
    try:
        check_number(pool["numbers"]["pairs_in"], extract["numbers"]["pairs"], "raw pairs")
    except InputError:
        # No later step may take this pool for one that is whole.
        for bucket in range(run.buckets):
            run.storage.delete(manifest_name("deduplicate", bucket))
        raise
    return pool


def _extract_pending(
    run: Run, config: ExtractConfig, paths: list[tuple[str, str]], ledger: Ledger, buckets: int
) -> tuple[Ledger, float]:
    done = ledger.accepted()
    pending = [(archive, path) for archive, path in paths if archive not in done]
    if not pending:
        run.say("extract: done before, kept")
        return ledger, 0.0
    run.storage.delete(RUN)
    progress = StepProgress("extract", "archives", total=len(paths), done_before=len(paths) - len(pending))

    def note(entry: dict[str, Any]) -> None:
        progress.done_before += len(entry["archives"])
        numbers = {
            "archives": len(entry["archives"]),
            "archives_failed": sum(row["status"] == FAILED for row in entry["archives"]),
            "pairs": sum(row["pairs"] for row in entry["archives"]),
        }
        progress.pairs += numbers["pairs"]
        words = "{archives:,} archives, {archives_failed} of them failed, {pairs:,} pairs".format(**numbers)
        run.say(f"wave {entry['wave']}: {words}", step="extract", wave=entry["wave"], numbers=numbers)

    layout = WaveLayout(run.output.rows_per_file, buckets)
    with watch(run.spark, run.console, progress):
        ledger = run_waves(run.storage, pending, config, _extractor(run, config), note, layout)
    run.say(f"extract: {len(pending):,} archives, {progress.pairs:,} pairs, {progress.seconds:.1f} s")
    return ledger, progress.seconds


def _extractor(run: Run, config: ExtractConfig) -> Callable[[list[tuple[str, str]]], DataFrame]:
    def extract(paths: list[tuple[str, str]]) -> DataFrame:
        placed = archive_paths(run.spark, paths, config.max_parallel_archives)
        reached = fetch_options(config)
        if config.pool:
            return read_pool_files(
                placed, url_column=config.url_column, text_column=config.text_column, fetch_options=reached
            )
        return extract_archives(placed, _limits(config), reached)

    return extract


def _limits(config: ExtractConfig) -> ExtractOptions:
    return ExtractOptions(max_page_bytes=config.max_page_bytes, page_timeout_seconds=config.page_timeout_seconds)


def _finish_extraction(run: Run, config: ExtractConfig, ledger: Ledger, seconds: float) -> dict[str, Any]:
    before = run.storage.read_json(manifest_name("extract"))
    if before and before["input"] == ledger.digest() and not run.lost_files(before):
        return dict(before)
    run.storage.delete(RUN)
    run.storage.delete(manifest_name("extract"))
    run.write_rows(archive_rows(ledger), "archives")
    rejects = read_rejects(run.spark, run.storage, ledger).coalesce(1)
    run.write(rejects.sortWithinPartitions("archive", "record_offset", "stage", "reason", "example"), "rejects")
    manifest = {
        "step": "extract",
        "config": extraction_settings(config),
        "input": ledger.digest(),
        "numbers": extraction_numbers(ledger),
        "settings": as_dict(config),
        "files": {folder: run.storage.data_files(folder) for folder in ("archives", "rejects")},
        "seconds": round(seconds + (before["seconds"] if before else 0.0), 3),
    }
    run.storage.put_json(manifest_name("extract"), manifest)
    return manifest


def _deduplicate(run: Run, ledger: Ledger, extract: dict[str, Any]) -> dict[str, Any]:
    for bucket in range(run.buckets):
        _deduplicate_bucket(run, ledger, extract, bucket)
    return run.manifest("deduplicate")


def _deduplicate_bucket(run: Run, ledger: Ledger, extract: dict[str, Any], bucket: int) -> None:
    folder = bucket_folder("pool", bucket)

    def work(_progress: StepProgress) -> dict[str, Any]:
        pairs = read_pairs(run.spark, run.storage, ledger, bucket if run.buckets > 1 else None)
        raw = pairs.count()
        if run.buckets == 1:
            check_number(raw, extract["numbers"]["pairs"], "raw pairs")
        run.write(deduplicate_pairs(pairs, run.partitions(raw)), folder)
        distinct = run.read(folder, PAIRS).count()
        return {"pairs_in": raw, "duplicates": raw - distinct, "pairs": distinct}

    run.step(
        "deduplicate",
        config={},
        settings={},
        input_digest=manifest_digest(extract),
        work=work,
        bucket=bucket,
        folders=[folder],
    )


def run_match(run: Run, config: MatchConfig, language: LanguageConfig, metadata: Metadata) -> dict[str, Any]:
    """Matches the pool against the metadata list.

    Args:
        run: The run.
        config: The step's configuration.
        language: Says whether the language columns are filled.
        metadata: The metadata list.

    Returns:
        The manifest of the matched pairs.

    Raises:
        InputError: If there is no pool.
    """
    run.manifest("deduplicate")
    shipped: list[ShippedAutomaton] = []
    for bucket in range(run.buckets):
        _match_bucket(run, config, language, metadata, shipped, bucket)
    return run.manifest("match")


def _match_bucket(
    run: Run,
    config: MatchConfig,
    language: LanguageConfig,
    metadata: Metadata,
    shipped: list[ShippedAutomaton],
    bucket: int,
) -> None:
    pool = run.manifest("deduplicate", bucket)
    folder = bucket_folder("matched", bucket)

    def work(_progress: StepProgress) -> dict[str, Any]:
        if not shipped:
            shipped.append(ship_automaton(run.spark, metadata, config.engine))
        pairs = run.read(bucket_folder("pool", bucket), PAIRS)
        matched = match_pairs(pairs, shipped[0], identify_language=language.identifies)
        run.write(matched.sortWithinPartitions("pair_id"), folder)
        kept = run.read(folder, MATCHED).count()
        before = pool["numbers"]["pairs"]
        check_number(pairs.count(), before, "pairs of the pool")
        return {"pairs_in": before, "unmatched": before - kept, "pairs": kept}

    made_with: dict[str, Any] = {
        "metadata_digest": metadata.digest,
        "entries": len(metadata.entries),
        "language_identified": language.identifies,
    }
    before = run.storage.read_json(manifest_name("match", bucket))
    if before and before["config"] == {**made_with, "language_identified": True}:
        # Pairs that were matched with languages serve a run that asks for none.
        made_with = before["config"]
    run.step(
        "match",
        config=made_with,
        settings={**as_dict(config), "identify_language": language.identifies},
        input_digest=manifest_digest(pool),
        work=work,
        folders=[folder],
        bucket=bucket,
    )


def run_count(run: Run, language: LanguageConfig, metadata: Metadata) -> dict[str, Any]:
    """Counts the entries of the matched pairs that pass the language gate.

    Args:
        run: The run.
        language: The gate.
        metadata: The metadata list.

    Returns:
        The manifest of the counts.

    Raises:
        InputError: If there are no matched pairs.
        MetadataError: If they were matched with another metadata list.
        ConfigError: If the gate needs language columns that match did not fill.
    """
    matched = _matched_manifest(run, language, metadata.digest)

    def work(_progress: StepProgress) -> dict[str, Any]:
        passed = passed_pairs(run, language)
        counts = count_entries(passed, len(metadata.entries))
        run.write_rows(entry_table(ENTRY_COUNTS, metadata.entries, counts), "entry_counts")
        before, after = matched["numbers"]["pairs"], passed.count()
        read = run.read_buckets("matched", MATCHED).count() if language.languages else after
        check_number(read, before, "matched pairs")
        return {
            "pairs_in": before,
            "gated_out": before - after,
            "pairs": after,
            "matches": int(counts.sum()),
            "entries": len(counts),
            "entries_matched": int(np.count_nonzero(counts)),
        }

    return run.step(
        "count",
        config={"gate": language.gate, "metadata_digest": metadata.digest},
        settings=as_dict(language),
        input_digest=manifest_digest(matched),
        work=work,
        folders=["entry_counts"],
    )


def run_sample(run: Run, config: SampleConfig, language: LanguageConfig) -> dict[str, Any]:
    """Draws the curated set.

    Args:
        run: The run.
        config: The step's configuration.
        language: The gate, the same that the counts were made with.

    Returns:
        The manifest of the curated set.

    Raises:
        InputError: If there are no matched pairs or counts.
        MetadataError: If the counts were made with another list, gate or input than the matched pairs.
    """
    counted = run.manifest("count")
    matched = _matched_manifest(run, language, counted["config"]["metadata_digest"])
    _check_counts_fit(counted, matched, language)
    entries, counts = _counts_to_balance_with(run, config, counted)
    if config.target_pairs is not None:
        check_target_pairs(int(config.target_pairs), counted["numbers"]["pairs"])

    def work(_progress: StepProgress) -> dict[str, Any]:
        passed = passed_pairs(run, language)
        threshold = choose_threshold(config, counts, passed)
        run.storage.delete("balance_counts")
        if config.entry_counts:
            run.write_rows(entry_table(ENTRY_COUNTS, entries, counts), "balance_counts")
        probability = balance.entry_probabilities(counts, threshold)
        expected, expected_kept = expect(passed, probability)
        check_number(expected.pairs, counted["numbers"]["pairs"], "matched pairs that pass the gate")
        numbers = _sample_numbers(counts, threshold, expected)
        run.say(_announcement(numbers))
        run.write(sample_pairs(passed, probability, config.seed).sortWithinPartitions("pair_id"), "curated")
        run.write_rows(entry_table(EXPECTED_KEPT, expected_kept), "expected_kept")
        kept = run.read("curated", CURATED).count()
        before = matched["numbers"]["pairs"]
        return {
            "pairs_in": before,
            "gated_out": before - expected.pairs,
            "not_drawn": expected.pairs - kept,
            "pairs": kept,
            **numbers,
            "suspect": not expected.is_plausible(kept),
        }

    return run.step(
        "sample",
        config={
            "sample": result_fields(config),
            "gate": language.gate,
            "entry_counts_digest": digest(counts.tolist()),
            "matched": manifest_digest(matched),
        },
        settings={**as_dict(config), **as_dict(language)},
        input_digest=manifest_digest(counted),
        work=work,
        folders=["curated", "expected_kept"],
    )


def _matched_manifest(run: Run, language: LanguageConfig, metadata_digest: str) -> dict[str, Any]:
    matched = run.manifest("match")
    stored = matched["config"]["metadata_digest"]
    if stored != metadata_digest:
        raise MetadataError(
            f"the pairs in {run.storage.root} were matched with the metadata list {stored}, not with "
            f"{metadata_digest}: give the same list, or run match again"
        )
    if language.languages and not matched["config"]["language_identified"]:
        raise MetadataError(
            "the matched pairs have no languages, which --languages filters by: run match with --identify-language"
        )
    return matched


def _check_counts_fit(counted: dict[str, Any], matched: dict[str, Any], language: LanguageConfig) -> None:
    if counted["input"] != manifest_digest(matched):
        raise MetadataError("the entry counts are not of these matched pairs: run count again")
    if counted["config"]["gate"] != language.gate:
        raise MetadataError(
            f"the entry counts were made with the language gate {counted['config']['gate']}, not with "
            f"{language.gate}: give the same gate, or run count again"
        )


def passed_pairs(run: Run, language: LanguageConfig) -> DataFrame:
    """Reads the matched pairs that count and sample work with.

    Args:
        run: The run.
        language: The gate.

    Returns:
        Columns of `MATCHED`.
    """
    matched = run.read_buckets("matched", MATCHED)
    return pass_language_gate(
        matched, languages=language.languages, min_language_probability=language.min_language_probability
    )


def _counts_to_balance_with(
    run: Run, config: SampleConfig, counted: dict[str, Any]
) -> tuple[list[str], NDArray[np.int64]]:
    entries, counts = read_entry_counts(run)
    if not config.entry_counts:
        return entries, counts
    metadata = Metadata(entries=tuple(entries), digest=counted["config"]["metadata_digest"])
    return entries, load_summed_counts(config.entry_counts, metadata)


def choose_threshold(config: SampleConfig, counts: NDArray[np.int64], passed: DataFrame) -> int | float:
    """Resolves the one option that chooses t.

    Args:
        config: The sample step's configuration.
        counts: The counts to balance with.
        passed: The matched pairs that pass the language gate; `target_pairs` reads them up to three times.

    Returns:
        A whole number of at least 1, or infinity.

    Raises:
        ConfigError: If no entry was matched, so that no t has a tail share.
    """
    if config.target_pairs is not None:
        evaluate = partial(expected_sizes, passed, counts)
        return threshold_for_target_pairs(evaluate, int(config.target_pairs), int(counts.max()))
    if config.tail_share is not None:
        return balance.threshold_for_tail_share(counts, config.tail_share)
    return balance.check_threshold(config.threshold_t)


def _sample_numbers(
    counts: NDArray[np.int64], threshold: int | float, expected: balance.ExpectedSize
) -> dict[str, Any]:
    return {
        "threshold_t": "inf" if threshold == float("inf") else int(threshold),
        "expected_size": expected.size,
        "standard_error": expected.standard_error,
        "size_bound": balance.size_bound(expected.variance),
        "tail_share": balance.tail_share(counts, threshold),
        "head_entries_cut": balance.head_entries_cut(counts, threshold),
    }


def _announcement(numbers: dict[str, Any]) -> str:
    line = (
        f"sample: t = {numbers['threshold_t']}, expected size {numbers['expected_size']:,.1f} "
        f"± {numbers['standard_error']:,.1f} pairs, tail share {numbers['tail_share']:.1%}, "
        f"{numbers['head_entries_cut']:,} head entries cut"
    )
    return line if numbers["head_entries_cut"] else f"{line} (no entry exceeds t: nothing is balanced)"
