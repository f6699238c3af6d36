"""What each threshold would give, without sampling: the table and the curve of `metaclip-spark plan`."""

from fractions import Fraction
from functools import partial

import numpy as np
from msgspec import UnsetType
from numpy.typing import NDArray

from metaclip_spark import balance
from metaclip_spark.config.inspection import PlanConfig
from metaclip_spark.entries import Metadata, load_entry_counts, load_summed_list_counts
from metaclip_spark.errors import ConfigError, InputError, MetadataError, said_of
from metaclip_spark.list_thresholds import EntryLists, ListThresholds
from metaclip_spark.reports.charts import save_chart, size_chart
from metaclip_spark.reports.figures.plan import PlanRow, ThresholdPlan
from metaclip_spark.reports.remarks import first_run_in_words
from metaclip_spark.runs.entry_tables import languages_of, read_counts, read_lists, read_texts
from metaclip_spark.runs.open import open_beside
from metaclip_spark.runs.paths import counts_in_run, is_run_folder
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, EXCLUDE
from metaclip_spark.steps.lists.sizes import anchor_for_target_pairs, sizes_by_anchor, sizes_of_lists
from metaclip_spark.steps.thresholds import check_target_pairs, choose_threshold, expected_sizes, spread_thresholds

POINTS = 30
"""Thresholds of the table that nobody asked for, evenly spaced in logarithm."""


def plan_thresholds(run: Run, config: PlanConfig) -> ThresholdPlan:
    """Computes expected sizes over a run's matched pairs; triggers up to four Spark jobs, and writes nothing.

    Args:
        run: A run whose count step is done.
        config: Which thresholds, and with which counts.

    Returns:
        The table, with the threshold that was asked for by size or tail share.

    Raises:
        InputError: If the run is not counted yet, or no pair was matched.
        ConfigError: If there are fewer matched pairs than wanted, or an option does not go with the run's metadata.
        MetadataError: If the counts are of another metadata list.
    """
    counted = run.manifest(COUNT)
    pairs = counted.numbers.pairs
    if not pairs:
        raise InputError(f"{run.storage.root} has no matched pairs: every threshold would keep none")
    if config.target_pairs is not None:
        check_target_pairs(int(config.target_pairs), pairs)
    matched = run.passed_pairs(counted.config.gate)
    lists = read_lists(run)
    if lists is not None:
        return _plan_of_lists(run, config, lists, counted.config.anchor)
    if config.anchor_language is not None:
        raise ConfigError(
            "--anchor-language is for runs with a folder of metadata lists, and this one has one list: leave it out"
        )
    counts = _counts(run, config, lists)
    chosen = None
    if config.target_pairs is not None or config.tail_share is not None:
        chosen = choose_threshold(counts, matched, tail_share=config.tail_share, target_pairs=config.target_pairs)
    wanted = {*spread_thresholds(int(counts.max()), POINTS), *(int(t) for t in config.thresholds)}
    sizes = expected_sizes(matched, counts, sorted(wanted | ({chosen} if chosen else set())))
    rows = [
        PlanRow(
            threshold_t=threshold,
            expected_size=size.size,
            standard_error=size.standard_error,
            tail_share=balance.tail_share(counts, threshold),
            head_entries_cut=balance.head_entries_cut(counts, threshold),
        )
        for threshold, size in sizes.items()
    ]
    excluded = run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else None
    return ThresholdPlan(pairs=pairs, chosen=chosen, rows=rows, first=first_run_in_words(excluded))


def _plan_of_lists(run: Run, config: PlanConfig, lists: EntryLists, anchor: str | UnsetType) -> ThresholdPlan:
    """Plans with several metadata lists: thresholds are the anchor's, sizes those of all lists together.

    Raises:
        ConfigError: If there is no anchor, or no pair matched an entry of it.
        MetadataError: If the counts are of other metadata lists.
    """
    counted = run.manifest(COUNT)
    matched, counts = run.passed_pairs(counted.config.gate), _counts(run, config, lists)
    named = anchor if isinstance(anchor, str) else None
    rule = ListThresholds(lists, counts, _anchor_of(lists, counts, config.anchor_language or named))
    evaluate = partial(sizes_of_lists, matched, counts, lists)
    chosen = None
    if config.target_pairs is not None:
        chosen = anchor_for_target_pairs(rule, evaluate, int(config.target_pairs))
    elif config.tail_share is not None:
        chosen = rule.shares[rule.anchor_place].threshold(Fraction(str(config.tail_share)))
    wanted = {*spread_thresholds(rule.largest_anchor_threshold, POINTS), *(int(t) for t in config.thresholds)}
    sizes = sizes_by_anchor(rule, evaluate, sorted(wanted | ({chosen} if chosen else set())))
    rows = [
        PlanRow(
            threshold_t=threshold,
            expected_size=size.size,
            standard_error=size.standard_error,
            tail_share=rule.tail_share(rule.anchor_place, threshold),
            head_entries_cut=balance.head_entries_cut(counts, lists.for_each_entry(rule.at_anchor(threshold))),
        )
        for threshold, size in sizes.items()
    ]
    excluded = run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else None
    return ThresholdPlan(pairs=counted.numbers.pairs, chosen=chosen, rows=rows, first=first_run_in_words(excluded))


def _anchor_of(lists: EntryLists, counts: NDArray[np.int64], code: str | None) -> str:
    """Refuses an anchor that has no thresholds to look at.

    Raises:
        ConfigError: If there is none, no list has its code, or no pair matched an entry of it.
    """
    if code is None:
        raise ConfigError("the metadata folder of the run names no anchor, whose t is planned: give --anchor-language")
    lists.check_code(code, "--anchor-language")
    if not lists.part(counts, lists.codes.index(code)).any():
        raise ConfigError(
            f"no match of the anchor's list {code} is counted, so that no t has a tail share there: give "
            "--anchor-language with a list that has matches"
        )
    return code


def plan_lines(plan: ThresholdPlan) -> list[str]:
    """Puts a plan into plain text: a table in which the chosen threshold is marked."""
    lines = [
        f"{plan.pairs:,} eligible pairs of {plan.first}" if plan.first else f"{plan.pairs:,} matched pairs",
        "",
        f"{'t':>15}  {'expected size':>17}  {'± standard error':>17}  {'tail share':>10}  {'entries cut':>11}",
    ]
    for row in plan.rows:
        line = (
            f"{row.threshold_t:>15,}  {row.expected_size:>17,.1f}  {row.standard_error:>17,.1f}  "
            f"{row.tail_share:>10.2%}  {row.head_entries_cut:>11,}"
        )
        notes = ["<- chosen"] if row.threshold_t == plan.chosen else []
        if not row.head_entries_cut:
            notes.append("no entry has more than t pairs, so nothing is thinned")
        lines.append("  ".join([line, *notes]))
    return lines


def save_curve(plan: ThresholdPlan, path: str) -> None:
    """Writes the curve of expected size against t to a path that ends in .png or .svg."""
    save_chart(size_chart(plan.rows, plan.chosen), path)


def _counts(run: Run, config: PlanConfig, lists: EntryLists | None) -> NDArray[np.int64]:
    """Gives the counts to plan with: the run's own, or those of --at-counts."""
    if not config.at_counts:
        return read_counts(run)
    digest = run.manifest(COUNT).config.metadata_digest
    if is_run_folder(config.at_counts):
        return _counts_beside(run, config.at_counts, digest)
    texts = read_texts(run)
    with said_of("--at-counts"):
        source = counts_in_run(config.at_counts)
        if lists is None:
            return load_entry_counts(source, Metadata(tuple(texts.to_pylist()), digest))
        return load_summed_list_counts([source], texts, languages_of(lists), digest)


def _counts_beside(run: Run, path: str, metadata_digest: str) -> NDArray[np.int64]:
    """Reads the counts of another run.

    Raises:
        MetadataError: If it was matched with another metadata list.
    """
    other = open_beside(run, path)
    stored = other.manifest(COUNT).config.metadata_digest
    if stored != metadata_digest:
        raise MetadataError(
            f"--at-counts {other.storage.root} was matched with another metadata list (digest {stored[:12]}..., not "
            f"{metadata_digest[:12]}...): give counts of the same list"
        )
    return read_counts(other)
