"""Which candidates of a source become entries: those that reach its threshold, the strongest first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.config.fields import option_of
from metaclip_spark.config.metadata import MetadataThresholds
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.metadata_builder.bigram_pmi import (
    between_words,
    pmi_of_ratio,
    reaches_pmi,
    score_bigrams,
)
from metaclip_spark.metadata_builder.entry_list import (
    BORDER_HALF,
    BuiltMetadata,
    Candidate,
    SourceReport,
    add_source,
    is_dropped,
    is_dropped_worldwide,
)
from udfs.wikipedia.words import lacks_spaces

MOST_CANDIDATES = 5_000_000
"""Candidates of one source that may come to the driver: ten times the paper's whole list."""

_SHARES = {"unigram": 10, "title": 76}
_BIGRAMS_PER_UNIGRAMS = 40
"""MetaCLIP 2's shares, in percent: of the candidates that reach the threshold, and of the unigrams that were kept."""

Strength = Callable[[float], float]


@dataclass(frozen=True)
class ListRule:
    """The rule by which the list of a language is made.

    Attributes:
        thresholds: All of them filled in.
        language: The language's code.
    """

    thresholds: MetadataThresholds
    language: str

    @property
    def takes_shares(self) -> bool:
        """Whether shares of the candidates bound the list."""
        return self.thresholds.takes_shares(self.language)

    def percent_of(self, source: str) -> int | None:
        """The share of a source's candidates that may be entries; None for all."""
        return _SHARES.get(source) if self.takes_shares else None

    def least(self, quantity: str) -> int:
        """The threshold of a quantity, such as `title_views`."""
        return int(getattr(self.thresholds, f"min_{quantity}"))

    def budget_of(self, source: str, built: BuiltMetadata) -> int | None:
        """Most entries of a source; None is no limit."""
        given = int(getattr(self.thresholds, f"{source}_budget", 0))
        if source != "bigram" or not self.takes_shares:
            return given or None
        unigrams = sum(report.kept for report in built.reports if report.source == "unigram")
        share = unigrams * _BIGRAMS_PER_UNIGRAMS // 100
        return min(given, share) if given else share

    def is_dropped(self, text: str) -> bool:
        """Whether a candidate cannot be an entry."""
        return is_dropped_worldwide(text) if self.takes_shares else is_dropped(text)


def add_candidates(candidates: list[Candidate], report: SourceReport, rule: ListRule, built: BuiltMetadata) -> None:
    """Puts a source's candidates at the end of the list, within its budget and `max_entries`, with their report."""
    budget, max_entries = rule.budget_of(report.source, built), rule.thresholds.max_entries
    room = [budget] if budget is not None else []
    if max_entries:
        room.append(max(0, max_entries - len(built.entries)))
    report.reached = max(report.reached, len(candidates))
    add_source(built.entries, candidates, report, min(room) if room else None, rule.is_dropped)
    report.over_budget += report.reached - len(candidates)
    built.reports.append(report)
    if max_entries and report.over_budget and report.source != "title":
        built.warnings.append(
            f"--max-entries {max_entries} or a budget left out {report.over_budget} candidates of the "
            f"source {report.source}"
        )


def add_counted(counts: DataFrame, source: Literal["unigram", "title"], rule: ListRule, built: BuiltMetadata) -> None:
    """Adds unigrams by count, or titles by views."""
    is_title = source == "title"
    quantity = "title_views" if is_title else "unigram_count"
    least = rule.least(quantity)
    table = counts.where(f"kind = '{source}'").select(F.col("word").alias("text"), F.col("count").alias("strength"))
    report = SourceReport(source, measure="views" if is_title else "count")
    candidates = _reached(table, F.col("strength") >= least, rule, built, report, float)
    add_candidates(candidates, report, rule, built)
    _warn_of_nothing(report, f"{option_of(f'min_{quantity}')} {least}", built)


def add_bigrams(bigrams: DataFrame, unigrams: DataFrame, rule: ListRule, built: BuiltMetadata) -> None:
    """Adds bigrams by their PMI."""
    total = int(unigrams.agg(F.sum(F.col("count").cast("decimal(38,0)"))).first()[0] or 0)  # type: ignore[index]
    built.facts["tokens"] = total
    between = between_words(without_spaces=lacks_spaces(rule.language))
    scored = score_bigrams(bigrams, unigrams, between).withColumn("strength", F.col("ratio"))
    report = SourceReport("bigram", measure="PMI in bits")
    condition = F.col("pair_count") >= rule.least("bigram_count")
    min_pmi = rule.thresholds.min_pmi
    if isinstance(min_pmi, int | float):
        condition &= reaches_pmi(min_pmi, total)
    scored = scored.persist(StorageLevel.DISK_ONLY)
    try:
        candidates = _reached(scored, condition, rule, built, report, lambda x: pmi_of_ratio(x, total))
    finally:
        scored.unpersist()
    given = bigrams.where("count > 0").count()
    if given > report.seen:
        built.warnings.append(
            f"{given - report.seen:,} of {counted(given, 'bigram')} left out: a word of each is not a unigram, or "
            "rarer than the bigram; give counts of one text"
        )
    add_candidates(candidates, report, rule, built)
    shown = f"{min_pmi:g}" if isinstance(min_pmi, int | float) else min_pmi
    _warn_of_nothing(report, f"--min-pmi {shown} and --min-bigram-count {rule.least('bigram_count')}", built)


def _reached(
    table: DataFrame,
    condition: Column,
    rule: ListRule,
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
    wanted = split.where("reached").select("text", "strength")
    missed = split.where(~F.col("reached"))
    percent = rule.percent_of(report.source)
    bounds = (rule.budget_of(report.source, built), rule.thresholds.max_entries or None)
    limits = [bound for bound in bounds if bound is not None]
    # Candidates that earlier sources gave do not count against a budget.
    most = min([min(limits) + len(built.entries)] if limits else [report.reached], default=0)
    if percent is not None:
        # Whoever misses the share misses a threshold that only the candidates themselves tell.
        missed = split.orderBy(F.col("reached").desc(), *order).offset(report.reached * percent // 100)
        report.reached = report.reached * percent // 100
        most = min(most, report.reached)
    border = missed.orderBy(*order).select("text", "strength").limit(BORDER_HALF).collect()
    report.border = [(row["text"], strength_of(row["strength"]), False) for row in border]
    if min(most, report.reached) > MOST_CANDIDATES:
        raise ConfigError(
            f"{report.reached} candidates of the source {report.source} reach the thresholds, more than the "
            f"{MOST_CANDIDATES} that the driver takes: raise its threshold or give a budget"
        )
    if limits or percent is not None:
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
