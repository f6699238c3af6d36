"""Balancing: the count of the entries, then the draw of the curated set."""

import logging
import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UnsetType
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark import balance
from metaclip_spark.config.curation import LanguageConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, result_fields
from metaclip_spark.entries import Metadata, load_summed_counts, load_summed_list_counts
from metaclip_spark.errors import ConfigError, MetadataError, percent, said_of
from metaclip_spark.errors import counted as number_of
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.pipeline.first_run import begun_by_rebalance
from metaclip_spark.pipeline.images import write_images
from metaclip_spark.pipeline.lists.thresholds import (
    choose_thresholds,
    read_options,
    thresholds_table,
)
from metaclip_spark.pipeline.refill import Refill
from metaclip_spark.pipeline.removals import check_removals_excluded
from metaclip_spark.reports.profile import read_estimates
from metaclip_spark.runs.entry_tables import (
    digest_of_counts,
    languages_of,
    lists_of,
    read_counts,
    read_lists,
    read_texts,
    with_lists,
)
from metaclip_spark.runs.layout import THRESHOLDS
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
    threshold_in_words,
)
from metaclip_spark.runs.run import Run, check_number, entry_table
from metaclip_spark.runs.step import COUNT, EXCLUDE, MATCH, SAMPLE, Attempt
from metaclip_spark.steps.count import count_entries, estimate_counts, estimate_pairs
from metaclip_spark.steps.lists.sizes import added
from metaclip_spark.steps.sample import expect_by_list, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold
from metaclip_spark.thresholds import check_threshold
from udfs.arrow import numpy_numbers
from udfs.schemas import ENTRY_COUNTS, ESTIMATED_COUNTS, EXPECTED_KEPT

log = logging.getLogger(__name__)


def check_before_start(config: SampleConfig, metadata: Metadata) -> None:
    """Checks the counts and thresholds that the user gives, before Spark starts work."""
    read_options(config, lists_of(metadata), metadata.anchor)
    if config.entry_counts:
        load_given_counts(config, metadata)


def load_given_counts(config: SampleConfig, metadata: Metadata) -> NDArray[np.int64]:
    """Reads and adds up the counts of --entry-counts, of another run what counts there.

    Args:
        config: Names them.
        metadata: The list that they must belong to, or the lists.

    Raises:
        MetadataError: If they cannot be used.
        InputError: If a path leads into a run whose log does not name it.
    """
    lists = lists_of(metadata)
    if lists is not None:
        return _given_list_counts(config, pa.array(metadata.entries, pa.string()), lists, metadata.digest)
    with said_of("--entry-counts"):
        return load_summed_counts([counts_in_run(path) for path in config.entry_counts], metadata)


def _given_list_counts(config: SampleConfig, texts: pa.Array, lists: EntryLists, digest: str) -> NDArray[np.int64]:
    with said_of("--entry-counts"):
        sources = [counts_in_run(path) for path in config.entry_counts]
        return load_summed_list_counts(sources, texts, languages_of(lists), digest)


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
        attempt.write_rows(with_lists(table, lists_of(metadata)), "entry_counts")
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
        config=CountSettings(
            gate=gate, metadata_digest=metadata.digest, anchor=metadata.anchor if metadata.anchor else msgspec.UNSET
        ),
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
    lists, named = read_lists(run), counted.config.anchor
    options = read_options(config, lists, named if isinstance(named, str) else None)
    own_counts = read_counts(run)
    counts = _counts_to_balance_with(run, config, counted, own_counts, lists)
    if config.threshold_t is None:
        _check_pairs_left(counted.numbers, config, gate)
    target, pairs = None if config.target_pairs is None else int(config.target_pairs), counted.numbers.pairs
    if target is not None and refill is None:
        check_target_pairs(target, pairs, is_estimated=_is_estimated(eligible))

    def work(attempt: Attempt) -> SampleNumbers:
        passed = run.passed_pairs(gate)
        chosen = choose_thresholds(options, config, passed, counts) if options else None
        threshold = math.inf if chosen else _choose(config, passed, counts, target and min(target, pairs))
        limit = chosen.for_each_entry if chosen else threshold
        shown_t = chosen.threshold_t if chosen else "inf" if threshold == math.inf else int(threshold)
        threshold_of = (options.anchor if options else None) or msgspec.UNSET
        if config.entry_counts:
            rows = entry_table(ENTRY_COUNTS, read_texts(run), counts)
            attempt.write_rows(with_lists(rows, lists), "balance_counts")
        probability = balance.entry_probabilities(counts, limit)
        planned = refill.plan(passed, probability, target_pairs=target, survived=pairs) if refill else None
        starts = lists.starts if lists else np.array([0, counts.size])
        sizes, expected_kept = expect_by_list(passed, probability, starts)
        expected = added(sizes)
        check_number(expected.pairs, counted.numbers.pairs, "matched pairs that pass the filter")
        share, cut = balance.tail_share(counts, limit), balance.head_entries_cut(counts, limit)
        log.info(_announcement(threshold_in_words(shown_t, threshold_of), share, cut, expected))
        drawn = sample_pairs(passed, probability, seed=config.seed)
        kept = attempt.write(drawn.sortWithinPartitions("pair_id"), "curated")
        images = write_images(run, attempt) if config.one_row_per_image else msgspec.UNSET
        written = refill.write(run, attempt, planned) if refill and planned else msgspec.UNSET
        attempt.write_rows(with_lists(entry_table(EXPECTED_KEPT, expected_kept), lists), "expected_kept")
        if chosen:
            attempt.write_rows(thresholds_table(chosen, own_counts, sizes, attempt.read("curated")), THRESHOLDS)
        before = eligible.numbers.pairs
        return SampleNumbers(
            pairs_in=before,
            gated_out=before - expected.pairs,
            not_drawn=expected.pairs - kept,
            pairs=kept,
            threshold_t=shown_t,
            expected_size=expected.size,
            standard_error=expected.standard_error,
            size_bound=balance.size_bound(expected.variance),
            tail_share=share,
            head_entries_cut=cut,
            suspect=not expected.is_plausible(kept),
            capped=expected.capped if _is_estimated(eligible) else msgspec.UNSET,
            threshold_without_caps=(
                msgspec.UNSET if chosen else _threshold_without_caps(run, counts, threshold, expected.capped)
            ),
            images=images,
            refill=written,
            threshold_of=threshold_of,
            list_tail_share=(
                msgspec.UNSET if chosen is None or chosen.tail_share is None else float(chosen.tail_share)
            ),
        )

    return run.do(
        SAMPLE,
        config=SampleSettings(
            sample=msgspec.convert(result_fields(config), Draw),
            gate=gate,
            entry_counts_digest=digest_of_counts(counts),
            matched=eligible.digest,
            one_row_per_image=config.one_row_per_image or msgspec.UNSET,
            refill_plan=refill is not None or msgspec.UNSET,
            anchor=(options.anchor if options else None) or msgspec.UNSET,
            thresholds=(options.given_digest if options else None) or msgspec.UNSET,
            min_language_pairs=config.min_language_pairs or msgspec.UNSET,
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
            f"not {stored[:12]}...): give the same list and --word-borders, or run match again"
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
    run: Run,
    config: SampleConfig,
    counted: CountManifest,
    own_counts: NDArray[np.int64],
    lists: EntryLists | None,
) -> NDArray[np.int64]:
    if not config.entry_counts:
        return own_counts
    texts, metadata_digest = read_texts(run), counted.config.metadata_digest
    if lists is not None:
        return _given_list_counts(config, texts, lists, metadata_digest)
    return load_given_counts(config, Metadata(entries=tuple(texts.to_pylist()), digest=metadata_digest))


def _choose(
    config: SampleConfig, passed: DataFrame, counts: NDArray[np.int64], target_pairs: int | None
) -> int | float:
    """Chooses the one t; what is short of the target is planned for: until then all pairs stay."""
    if config.threshold_t is not None:
        return check_threshold(config.threshold_t)
    return choose_threshold(counts, passed, tail_share=config.tail_share, target_pairs=target_pairs)


def _announcement(threshold: str, share: float, cut: int, expected: balance.ExpectedSize) -> str:
    line = (
        f"sample: {threshold}, expected size {expected.size:,.1f} ± {expected.standard_error:,.1f} "
        f"pairs, tail share {percent(share)}"
    )
    thinned = number_of(cut, "head entry", "head entries")
    return f"{line}, {thinned} thinned" if cut else f"{line} (no entry has more than t pairs, so nothing is thinned)"
