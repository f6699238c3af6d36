"""Which candidates of a source become entries: those that reach its threshold, the strongest first."""

from collections.abc import Callable
from typing import Any, Literal

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.config.metadata import MetadataThresholds
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.metadata_builder.bigram_pmi import pmi_of_ratio, reaches_pmi, score_bigrams
from metaclip_spark.metadata_builder.entry_list import BORDER_HALF, BuiltMetadata, Candidate, SourceReport, add_source

MOST_CANDIDATES = 5_000_000
"""Candidates of one source that may come to the driver: ten times the paper's whole list."""

Strength = Callable[[float], float]


def add_candidates(
    candidates: list[Candidate], report: SourceReport, budget: int, thresholds: MetadataThresholds, built: BuiltMetadata
) -> None:
    """Puts a source's candidates at the end of the list, within its budget and `max_entries`, with their report."""
    room = [budget] if budget else []
    if thresholds.max_entries:
        room.append(max(0, thresholds.max_entries - len(built.entries)))
    report.reached = max(report.reached, len(candidates))
    add_source(built.entries, candidates, report, min(room) if room else None)
    report.over_budget += report.reached - len(candidates)
    built.reports.append(report)
    if thresholds.max_entries and report.over_budget and report.source != "title":
        built.warnings.append(
            f"--max-entries {thresholds.max_entries} or a budget left out {report.over_budget} candidates of the "
            f"source {report.source}"
        )


def add_counted(
    counts: DataFrame, source: Literal["unigram", "title"], thresholds: MetadataThresholds, built: BuiltMetadata
) -> None:
    """Adds unigrams by count, or titles by views."""
    is_title = source == "title"
    least = thresholds.min_title_views if is_title else thresholds.min_unigram_count
    budget = thresholds.title_budget if is_title else thresholds.unigram_budget
    table = counts.where(f"kind = '{source}'").select(F.col("word").alias("text"), F.col("count").alias("strength"))
    report = SourceReport(source, measure="views" if is_title else "count")
    candidates = _reached(table, F.col("strength") >= least, budget, thresholds, built, report, float)
    add_candidates(candidates, report, budget, thresholds, built)
    _warn_of_nothing(report, f"--min-{'title-views' if is_title else 'unigram-count'} {least}", built)


def add_bigrams(bigrams: DataFrame, unigrams: DataFrame, thresholds: MetadataThresholds, built: BuiltMetadata) -> None:
    """Adds bigrams by their PMI."""
    total = int(unigrams.agg(F.sum(F.col("count").cast("decimal(38,0)"))).first()[0] or 0)  # type: ignore[index]
    built.facts["tokens"] = total
    scored = score_bigrams(bigrams, unigrams).withColumn("strength", F.col("ratio"))
    report = SourceReport("bigram", measure="PMI in bits")
    condition = reaches_pmi(thresholds.min_pmi, total) & (F.col("pair_count") >= thresholds.min_bigram_count)
    scored = scored.persist(StorageLevel.DISK_ONLY)
    try:
        candidates = _reached(
            scored, condition, thresholds.bigram_budget, thresholds, built, report, lambda x: pmi_of_ratio(x, total)
        )
    finally:
        scored.unpersist()
    given = bigrams.where("count > 0").count()
    if given > report.seen:
        built.warnings.append(
            f"{given - report.seen:,} of {counted(given, 'bigram')} left out: a word of each is not a unigram, or "
            "rarer than the bigram; give counts of one text"
        )
    add_candidates(candidates, report, thresholds.bigram_budget, thresholds, built)
    options = f"--min-pmi {thresholds.min_pmi:g} and --min-bigram-count {thresholds.min_bigram_count}"
    _warn_of_nothing(report, options, built)


def _reached(
    table: DataFrame,
    condition: Column,
    budget: int,
    thresholds: MetadataThresholds,
    built: BuiltMetadata,
    report: SourceReport,
    strength_of: Strength,
) -> list[Candidate]:
    """Collects the candidates that reach the thresholds, strongest first, and fills in the report of the others."""
    split = table.withColumn("reached", condition)
    numbers = split.agg(F.count("*").alias("seen"), F.count_if("reached").alias("reached")).first()
    assert numbers is not None
    report.seen, report.reached = numbers["seen"], numbers["reached"]
    order = (F.col("strength").desc(), F.col("text"))
    highest = split.orderBy(*order).select("text", "strength").first()
    report.highest = None if highest is None else (highest["text"], strength_of(highest["strength"]))
    missed = split.where(~F.col("reached")).orderBy(*order).select("text", "strength").limit(BORDER_HALF).collect()
    report.border = [(row["text"], strength_of(row["strength"]), False) for row in missed]
    wanted = split.where("reached").select("text", "strength")
    limits = [limit for limit in (budget, thresholds.max_entries) if limit]
    # Candidates that earlier sources gave do not count against a budget.
    most = min([min(limits) + len(built.entries)] if limits else [report.reached], default=0)
    if min(most, report.reached) > MOST_CANDIDATES:
        raise ConfigError(
            f"{report.reached} candidates of the source {report.source} reach the thresholds, more than the "
            f"{MOST_CANDIDATES} that the driver takes: raise its threshold or give a budget"
        )
    if limits:
        wanted = wanted.orderBy(*order).limit(most)
    # Through pandas, since its Arrow transfer takes a tenth of the memory that rows do.
    collected: Any = wanted.toPandas()
    rows = sorted(zip(collected["text"], collected["strength"], strict=True), key=lambda row: (-row[1], row[0]))
    return [Candidate(text, strength_of(strength)) for text, strength in rows]


def _warn_of_nothing(report: SourceReport, options: str, built: BuiltMetadata) -> None:
    if report.reached:
        return
    reason = "it holds no candidate"
    if report.highest is not None:
        text, strength = report.highest
        reason = f"the highest {report.measure} seen is {strength:.6g} ({text!r}); lower the threshold"
    built.warnings.append(f"the source {report.source} gives nothing with {options}: {reason}")
