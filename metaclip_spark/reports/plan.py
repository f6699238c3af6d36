"""What each threshold would give, without sampling: the table and the curve of jobs/plan_threshold.py."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from metaclip_spark import balance
from metaclip_spark.config.curation import LanguageConfig, PlanConfig
from metaclip_spark.entries import Metadata, load_entry_counts
from metaclip_spark.errors import InputError, MetadataError
from metaclip_spark.pipeline import passed_pairs
from metaclip_spark.reports.charts import save_chart, size_chart
from metaclip_spark.reports.entry_tables import read_entry_counts
from metaclip_spark.runs.open import is_run, open_beside
from metaclip_spark.runs.run import Run
from metaclip_spark.steps.thresholds import (
    check_target_pairs,
    expected_sizes,
    spread_thresholds,
    threshold_for_target_pairs,
)
from metaclip_spark.stores.storage import Storage

POINTS = 30
"""Thresholds of the table that nobody asked for, evenly spaced in logarithm."""


def plan_thresholds(run: Run, config: PlanConfig) -> dict[str, Any]:
    """Computes expected sizes over a run's matched pairs; triggers up to four Spark jobs, and writes nothing.

    Args:
        run: A run whose count step is done.
        config: Which thresholds, and with which counts.

    Returns:
        `pairs` (matched pairs that pass the gate), `chosen` (the threshold that was asked for by size or tail share, or
        None), and `rows`, ascending in t: threshold_t, expected_size, standard_error, tail_share, head_entries_cut.

    Raises:
        InputError: If the run is not counted yet, or no pair was matched.
        ConfigError: If there are fewer matched pairs than wanted.
        MetadataError: If the counts are of another metadata list.
    """
    counted = run.manifest("count")
    pairs = counted["numbers"]["pairs"]
    if not pairs:
        raise InputError(f"{run.storage.root} has no matched pairs, so that every threshold keeps none")
    if config.target_pairs is not None:
        check_target_pairs(int(config.target_pairs), pairs)
    gate = counted["config"]["gate"]
    matched = passed_pairs(run, LanguageConfig(tuple(gate["languages"]), gate["min_language_probability"]))
    counts = _counts(run, config, counted["config"]["metadata_digest"])
    chosen = _chosen(config, matched, counts)
    wanted = {*spread_thresholds(int(counts.max()), POINTS), *(int(t) for t in config.thresholds)}
    sizes = expected_sizes(matched, counts, sorted(wanted | ({chosen} if chosen else set())))
    return {
        "pairs": pairs,
        "chosen": chosen,
        "rows": [
            {
                "threshold_t": threshold,
                "expected_size": size.size,
                "standard_error": size.standard_error,
                "tail_share": balance.tail_share(counts, threshold),
                "head_entries_cut": balance.head_entries_cut(counts, threshold),
            }
            for threshold, size in sizes.items()
        ],
    }


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """Puts a plan into plain text.

    Args:
        plan: What `plan_thresholds` returned.

    Returns:
        Lines of a table; the chosen threshold is marked.
    """
    lines = [
        f"{plan['pairs']:,} matched pairs",
        "",
        f"{'t':>15}  {'expected size':>17}  {'+- standard error':>17}  {'tail share':>10}  {'entries cut':>11}",
    ]
    for row in plan["rows"]:
        line = (
            f"{row['threshold_t']:>15,}  {row['expected_size']:>17,.1f}  {row['standard_error']:>17,.1f}  "
            f"{row['tail_share']:>10.2%}  {row['head_entries_cut']:>11,}"
        )
        notes = ["<- chosen"] if row["threshold_t"] == plan["chosen"] else []
        if not row["head_entries_cut"]:
            notes.append("no entry exceeds t: nothing is balanced")
        lines.append("  ".join([line, *notes]))
    return lines


def save_curve(plan: dict[str, Any], path: str) -> None:
    """Writes the curve of expected size against t.

    Args:
        plan: What `plan_thresholds` returned.
        path: A path that ends in .png or .svg.

    Raises:
        ConfigError: If it cannot be written.
    """
    save_chart(size_chart(plan["rows"], plan["chosen"]), path)


def _chosen(config: PlanConfig, matched: DataFrame, counts: NDArray[np.int64]) -> int | None:
    if config.target_pairs is not None:
        evaluate = partial(expected_sizes, matched, counts)
        return threshold_for_target_pairs(evaluate, int(config.target_pairs), int(counts.max()))
    if config.tail_share is not None:
        return balance.threshold_for_tail_share(counts, config.tail_share)
    return None


def _counts(run: Run, config: PlanConfig, metadata_digest: str) -> NDArray[np.int64]:
    entries, counts = read_entry_counts(run)
    if not config.at_counts:
        return counts
    metadata = Metadata(entries=tuple(entries), digest=metadata_digest)
    if not is_run(Storage(config.at_counts)):
        return load_entry_counts(config.at_counts, metadata)
    other = open_beside(run, config.at_counts)
    stored = other.manifest("count")["config"]["metadata_digest"]
    if stored != metadata_digest:
        raise MetadataError(
            f"the counts of {other.storage.root} are of the metadata list {stored}, but {run.storage.root} was matched "
            f"with {metadata_digest}: give counts of the same list"
        )
    return read_entry_counts(other)[1]
