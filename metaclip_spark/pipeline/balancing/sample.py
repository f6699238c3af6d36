"""The draw of the curated set."""

import logging
import math
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
from msgspec import UnsetType
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark import balance
from metaclip_spark.config.curation import LanguageConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, result_fields
from metaclip_spark.entries import Metadata
from metaclip_spark.errors import ConfigError, MetadataError, percent
from metaclip_spark.errors import counted as number_of
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.pipeline.balancing.eligible import are_survivors, eligible_manifest
from metaclip_spark.pipeline.balancing.given_counts import counts_to_balance_with, load_given_counts
from metaclip_spark.pipeline.balancing.list_thresholds import (
    GivenThresholds,
    choose_thresholds,
    read_options,
    thresholds_table,
)
from metaclip_spark.pipeline.balancing.refill import Refill
from metaclip_spark.pipeline.images import write_images
from metaclip_spark.pipeline.removals import conclude_pending
from metaclip_spark.reports.figures.rules import why_none_eligible
from metaclip_spark.reports.profile import read_estimates
from metaclip_spark.runs.entry_tables import digest_of_counts, lists_of, read_counts, read_lists, read_texts, with_lists
from metaclip_spark.runs.layout import THRESHOLDS
from metaclip_spark.runs.records import (
    CountManifest,
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
from metaclip_spark.runs.step import COUNT, EXCLUDE, SAMPLE, Attempt
from metaclip_spark.steps.lists.sizes import added
from metaclip_spark.steps.sample import expect_by_list, sample_pairs
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold
from metaclip_spark.thresholds import check_threshold
from udfs.schemas import ENTRY_COUNTS, EXPECTED_KEPT

log = logging.getLogger(__name__)


def check_before_start(config: SampleConfig, metadata: Metadata) -> None:
    """Checks the counts and thresholds that the user gives, before Spark starts work."""
    read_options(config, lists_of(metadata), metadata.anchor)
    if config.entry_counts:
        load_given_counts(config, metadata)


@dataclass(frozen=True, eq=False)
class _Balance:
    """What a draw goes by.

    Attributes:
        eligible: The manifest of the pairs to draw from, before the language filter.
        counted: That of their counts.
        gate: The language filter.
        lists: Where each metadata list begins; None where there is but one.
        options: What the options say of several lists; None where there is but one.
        own_counts: Shape (entries,): the run's own counts.
        counts: Shape (entries,): those to balance with.
        target_pairs: The size that is asked for.
    """

    eligible: MatchManifest | ExcludeManifest
    counted: CountManifest
    gate: Gate
    lists: EntryLists | None
    options: GivenThresholds | None
    own_counts: NDArray[np.int64]
    counts: NDArray[np.int64]
    target_pairs: int | None

    @property
    def is_estimated(self) -> bool:
        """Whether the pairs are the survivors of another run's draw."""
        return are_survivors(self.eligible)

    @property
    def excluded(self) -> ExcludeManifest | None:
        """What rules have excluded; None where there are none."""
        return self.eligible if isinstance(self.eligible.config, ExcludeSettings) else None

    @property
    def anchor(self) -> str | UnsetType:
        """The list whose threshold stands for all, where there are several."""
        return (self.options.anchor if self.options else None) or msgspec.UNSET


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
    given = _read_balance(run, config, language)
    if config.threshold_t is None:
        _check_pairs_left(given, config)
    if given.target_pairs is not None and refill is None:
        check_target_pairs(given.target_pairs, given.counted.numbers.pairs, is_estimated=given.is_estimated)
    made = run.do(
        SAMPLE,
        config=SampleSettings(
            sample=msgspec.convert(result_fields(config), Draw),
            gate=given.gate,
            entry_counts_digest=digest_of_counts(given.counts),
            matched=given.eligible.digest,
            one_row_per_image=config.one_row_per_image or msgspec.UNSET,
            refill_plan=refill is not None or msgspec.UNSET,
            anchor=given.anchor,
            thresholds=(given.options.given_digest if given.options else None) or msgspec.UNSET,
            min_language_pairs=config.min_language_pairs or msgspec.UNSET,
        ),
        settings={**as_dict(config), **as_dict(language)},
        input_digest=given.counted.digest,
        work=partial(_draw, run, config, given, refill),
    )
    conclude_pending(run)
    return made


def _read_balance(run: Run, config: SampleConfig, language: LanguageConfig) -> _Balance:
    """Reads what a draw goes by, and checks that it goes together."""
    counted = run.manifest(COUNT)
    eligible = eligible_manifest(run, language, counted.config.metadata_digest)
    gate = Gate.of(language)
    _check_counts_fit(counted, eligible, gate)
    lists, named = read_lists(run), counted.config.anchor
    options = read_options(config, lists, named if isinstance(named, str) else None)
    own_counts = read_counts(run)
    counts = counts_to_balance_with(run, config, counted, own_counts, lists)
    target = None if config.target_pairs is None else int(config.target_pairs)
    return _Balance(eligible, counted, gate, lists, options, own_counts, counts, target)


def _draw(run: Run, config: SampleConfig, given: _Balance, refill: Refill | None, attempt: Attempt) -> SampleNumbers:
    """Chooses the thresholds, draws the pairs, and writes them and what tells of the draw."""
    passed, counts, pairs = run.passed_pairs(given.gate), given.counts, given.counted.numbers.pairs
    target = given.target_pairs
    chosen = choose_thresholds(given.options, config, passed, counts) if given.options else None
    threshold = math.inf if chosen else _choose(config, passed, counts, target and min(target, pairs))
    limit = chosen.for_each_entry if chosen else threshold
    shown_t = chosen.threshold_t if chosen else "inf" if threshold == math.inf else int(threshold)
    probability = balance.entry_probabilities(counts, limit)
    planned = refill.plan(passed, probability, target_pairs=target, survived=pairs) if refill else None
    starts = given.lists.starts if given.lists else np.array([0, counts.size])
    sizes, expected_kept = expect_by_list(passed, probability, starts)
    expected = added(sizes)
    check_number(expected.pairs, pairs, "matched pairs that pass the filter")
    share, cut = balance.tail_share(counts, limit), balance.head_entries_cut(counts, limit)
    log.info(_announcement(threshold_in_words(shown_t, given.anchor), share, cut, expected))
    drawn = sample_pairs(passed, probability, seed=config.seed)
    kept = attempt.write(drawn.sortWithinPartitions("pair_id"), "curated")
    images = write_images(run, attempt) if config.one_row_per_image else msgspec.UNSET
    written = refill.write(run, attempt, planned) if refill and planned else msgspec.UNSET
    _write_entry_numbers(run, config, given, attempt, expected_kept)
    if chosen:
        attempt.write_rows(thresholds_table(chosen, given.own_counts, sizes, attempt.read("curated")), THRESHOLDS)
    before = given.eligible.numbers.pairs
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
        capped=expected.capped if given.is_estimated else msgspec.UNSET,
        threshold_without_caps=(
            msgspec.UNSET if chosen else _threshold_without_caps(run, counts, threshold, expected.capped)
        ),
        images=images,
        refill=written,
        threshold_of=given.anchor,
        list_tail_share=msgspec.UNSET if chosen is None or chosen.tail_share is None else float(chosen.tail_share),
    )


def _write_entry_numbers(
    run: Run, config: SampleConfig, given: _Balance, attempt: Attempt, expected_kept: NDArray[np.float64]
) -> None:
    """Writes the expected numbers of each entry and, where they are not the run's own, the counts."""
    if config.entry_counts:
        rows = entry_table(ENTRY_COUNTS, read_texts(run), given.counts)
        attempt.write_rows(with_lists(rows, given.lists), "balance_counts")
    attempt.write_rows(with_lists(entry_table(EXPECTED_KEPT, expected_kept), given.lists), "expected_kept")


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


def _check_pairs_left(given: _Balance, config: SampleConfig) -> None:
    """Refuses to choose t where there is nothing to choose it from.

    Raises:
        ConfigError: If no pair was matched, or rules or the language filter have removed all.
    """
    numbers, excluded = given.counted.numbers, given.excluded
    if numbers.pairs:
        return
    option = "--target-pairs" if config.tail_share is None else "--tail-share"
    if why := why_none_eligible(excluded):
        raise ConfigError(f"{option} has nothing to choose t from: {why}")
    if not numbers.pairs_in:
        raise ConfigError(
            f"{option} has nothing to choose t from: no pair matched any metadata entry; check that the list fits the "
            "texts"
        )
    raise ConfigError(
        f"{option} has nothing to choose t from: no pair is left after the language filter ({numbers.pairs_in:,} "
        f"{'eligible' if excluded else 'matched'}, {numbers.gated_out:,} removed by --languages "
        f"{','.join(given.gate.languages)})"
    )


def _check_counts_fit(counted: CountManifest, eligible: MatchManifest | ExcludeManifest, gate: Gate) -> None:
    if counted.input != eligible.digest:
        raise MetadataError("the entry counts are not of these matched pairs: run count again")
    if counted.config.gate != gate:
        before, now = map(msgspec.to_builtins, (counted.config.gate, gate))
        raise MetadataError(
            f"--languages: the entry counts were made with the filter {before}, not {now}: give the same filter, or "
            "run count again"
        )


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
