"""Balancing: the count of the entries, then the draw of the curated set."""

import logging
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UnsetType
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark import balance
from metaclip_spark.config.curation import LanguageConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, digest, result_fields
from metaclip_spark.entries import Metadata, load_summed_counts
from metaclip_spark.errors import ConfigError, MetadataError, percent, said_of
from metaclip_spark.errors import counted as number_of
from metaclip_spark.pipeline.first_run import begun_by_rebalance
from metaclip_spark.pipeline.images import write_images
from metaclip_spark.pipeline.refill import Refill
from metaclip_spark.pipeline.removals import check_removals_excluded
from metaclip_spark.reports.profile import read_estimates
from metaclip_spark.runs.paths import counts_in_run
from metaclip_spark.runs.records import (
    CountManifest,
    CountNumbers,
    CountSettings,
    Draw,
    ExcludeManifest,
    ExcludeSettings,
    FirstDraw,
    Gate,
    MatchManifest,
    SampleManifest,
    SampleNumbers,
    SampleSettings,
)
from metaclip_spark.runs.run import Run, check_number, entry_table, read_entry_counts
from metaclip_spark.runs.step import COUNT, EXCLUDE, MATCH, SAMPLE, Attempt
from metaclip_spark.steps.count import count_entries, estimate_counts, estimate_pairs
from metaclip_spark.steps.sample import expect, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold
from metaclip_spark.thresholds import check_threshold
from udfs.arrow import numpy_numbers
from udfs.schemas import ENTRY_COUNTS, ESTIMATED_COUNTS, EXPECTED_KEPT

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


def run_count(
    run: Run, language: LanguageConfig, metadata: Metadata, first_counts: NDArray[np.int64] | None = None
) -> CountManifest:
    """Counts the entries of the eligible pairs that pass the language filter.

    Args:
        run: The run.
        language: The language filter.
        metadata: The list that the pairs were matched with.
        first_counts: Where the pairs are the survivors of another run's draw, the counts that it balanced with.

    Raises:
        InputError: If there are no matched pairs.
        ConfigError: If the pairs are another run's survivors, and `first_counts` is None.
        MetadataError: If they were matched with another metadata list, or without the languages that the filter needs.
    """
    eligible = _eligible_manifest(run, language, metadata.digest)
    gate = Gate.of(language)

    def work(attempt: Attempt) -> CountNumbers:
        passed = run.passed_pairs(gate)
        table = _count_table(run, passed, metadata.entries, first_counts, is_estimated=_is_estimated(eligible))
        counts = numpy_numbers(table["entry_count"].combine_chunks())
        attempt.write_rows(table, "entry_counts")
        before = eligible.numbers.pairs
        check_number(run.eligible().count(), before, "matched pairs")
        after = passed.count() if gate.languages else before
        return CountNumbers(
            pairs_in=before,
            gated_out=before - after,
            pairs=after,
            matches=int(counts.sum()),
            entries=len(counts),
            entries_matched=int(np.count_nonzero(counts)),
            estimated_pairs=estimate_pairs(passed) if _is_estimated(eligible) else msgspec.UNSET,
        )

    return run.do(
        COUNT,
        config=CountSettings(gate=gate, metadata_digest=metadata.digest),
        settings=as_dict(language),
        input_digest=eligible.digest,
        work=work,
    )


def _is_estimated(eligible: MatchManifest | ExcludeManifest) -> bool:
    return isinstance(eligible.config, ExcludeSettings) and eligible.config.is_estimated


def _count_table(
    run: Run,
    passed: DataFrame,
    entries: Sequence[str],
    first_counts: NDArray[np.int64] | None,
    *,
    is_estimated: bool,
) -> pa.Table:
    """Counts entries; where a first draw has thinned the pairs, estimates what the counts were without it."""
    if not is_estimated:
        return entry_table(ENTRY_COUNTS, entries, count_entries(passed, len(entries)))
    if first_counts is None:
        raise ConfigError(begun_by_rebalance(run))
    estimates = estimate_counts(passed, len(entries))
    return entry_table(ESTIMATED_COUNTS, entries, estimates.counts, estimates.errors, first_counts)


def run_sample(
    run: Run, config: SampleConfig, language: LanguageConfig, refill: Refill | None = None
) -> SampleManifest:
    """Draws the curated set.

    Args:
        run: The run.
        config: How it is drawn.
        language: The language filter, that of the count step.
        refill: Where it is asked for, what a plan of what else to download goes by.

    Raises:
        ConfigError: If more pairs are wanted than there are.
        InputError: If there are no matched pairs or counts.
        MetadataError: If the counts were made with another list, filter or input than the matched pairs.
    """
    counted = run.manifest(COUNT)
    eligible = _eligible_manifest(run, language, counted.config.metadata_digest)
    gate = Gate.of(language)
    _check_counts_fit(counted, eligible, gate)
    entries, counts = _counts_to_balance_with(run, config, counted)
    if config.threshold_t is None:
        _check_pairs_left(counted.numbers, config, gate)
    target, pairs = None if config.target_pairs is None else int(config.target_pairs), counted.numbers.pairs
    if target is not None and refill is None:
        check_target_pairs(target, pairs, is_estimated=_is_estimated(eligible))

    def work(attempt: Attempt) -> SampleNumbers:
        passed = run.passed_pairs(gate)
        threshold = (
            check_threshold(config.threshold_t)
            if config.threshold_t is not None
            # What is short of the target is planned for: until then all pairs stay.
            else choose_threshold(
                counts, passed, tail_share=config.tail_share, target_pairs=target and min(target, pairs)
            )
        )
        if config.entry_counts:
            attempt.write_rows(entry_table(ENTRY_COUNTS, entries, counts), "balance_counts")
        probability = balance.entry_probabilities(counts, threshold)
        planned = refill.plan(passed, probability, target_pairs=target, survived=pairs) if refill else None
        expected, expected_kept = expect(passed, probability)
        check_number(expected.pairs, counted.numbers.pairs, "matched pairs that pass the filter")
        log.info(_announcement(counts, threshold, expected))
        drawn = sample_pairs(passed, probability, seed=config.seed)
        kept = attempt.write(drawn.sortWithinPartitions("pair_id"), "curated")
        images = write_images(run, attempt) if config.one_row_per_image else msgspec.UNSET
        written = refill.write(run, attempt, planned) if refill and planned else msgspec.UNSET
        attempt.write_rows(entry_table(EXPECTED_KEPT, expected_kept), "expected_kept")
        before = eligible.numbers.pairs
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
            capped=expected.capped if _is_estimated(eligible) else msgspec.UNSET,
            threshold_without_caps=_threshold_without_caps(run, counts, threshold, expected.capped),
            images=images,
            refill=written,
        )

    return run.do(
        SAMPLE,
        config=SampleSettings(
            sample=msgspec.convert(result_fields(config), Draw),
            gate=gate,
            entry_counts_digest=digest(counts.tolist()),
            matched=eligible.digest,
            one_row_per_image=config.one_row_per_image or msgspec.UNSET,
            refill_plan=refill is not None or msgspec.UNSET,
        ),
        settings={**as_dict(config), **as_dict(language)},
        input_digest=counted.digest,
        work=work,
    )


def _threshold_without_caps(run: Run, counts: NDArray[np.int64], threshold: float, capped: int) -> int | UnsetType:
    """Gives the threshold of the first draw that would have attempted all that this one asks for.

    None can help where the first run began with the survivors of another draw, which has left pairs out as well.
    """
    estimates = read_estimates(run) if capped else None
    first = run.manifest(EXCLUDE).config.first_draw if estimates else None
    if estimates is None or not isinstance(first, FirstDraw):
        return msgspec.UNSET
    enough = balance.threshold_without_caps(estimates.first_counts, counts, threshold)
    return enough if enough > float(first.threshold_t) else msgspec.UNSET


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


def _eligible_manifest(run: Run, language: LanguageConfig, metadata_digest: str) -> MatchManifest | ExcludeManifest:
    """Gives the manifest of the pairs to balance: of the eligible ones, of all matched ones where there is no rule."""
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
    eligible = run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else matched
    check_removals_excluded(run, eligible)
    return eligible


def _check_counts_fit(counted: CountManifest, eligible: MatchManifest | ExcludeManifest, gate: Gate) -> None:
    if counted.input != eligible.digest:
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
