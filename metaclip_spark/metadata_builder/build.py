"""Builds the metadata list: numbers, WordNet names, and Wikipedia's unigrams, bigrams and titles.

Source: "Demystifying CLIP Data", table 1 and section 3.1. Per source: candidates are counted over the cluster and
filtered there; only those that reach the thresholds come to the driver.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, owning
from metaclip_spark.config.fields import as_dict as config_as_dict
from metaclip_spark.config.metadata import MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.errors import ConfigError, MetadataError, OutputExistsError, counted
from metaclip_spark.metadata_builder.bigram_pmi import pmi_of_ratio, reaches_pmi, score_bigrams
from metaclip_spark.metadata_builder.entry_list import (
    BORDER_HALF,
    LIST_FILE,
    NUMBERS,
    Candidate,
    Entry,
    SourceReport,
    add_source,
    as_dict,
    digest_of,
    write_list,
)
from metaclip_spark.metadata_builder.wiki_dumps import (
    dropped_prefixes,
    file_name,
    find_files,
    page_view_format,
    plan_article_dumps,
    refuse_unreadable,
)
from metaclip_spark.metadata_builder.word_counts import (
    count_article_words,
    count_title_views,
    read_ready_counts,
    refuse_large_sums,
)
from metaclip_spark.metadata_builder.wordnet import read_wordnet
from metaclip_spark.runs.layout_1 import take_lock_1
from metaclip_spark.stores.spark_io import check_committed, prepare_compression, prepare_tables, table_writer
from metaclip_spark.stores.storage import Storage
from udfs.sources import FetchOptions, environment_options, size_of_archive
from udfs.wikipedia.articles import ArticleRules
from udfs.wikipedia.page_views import HOURLY, ViewRules

MOST_CANDIDATES = 5_000_000
"""Candidates of one source that may come to the driver: ten times the paper's whole list."""

WORD_COUNTS_FOLDER = "word_counts"
LOG_FOLDER = "build_log"
TITLE_VIEWS_FOLDER = "title_views"
"""Sums that a later build may read as ready counts."""

_REJECTS_KEPT = 100
_LOSSES = ("dump.", "index.", "page.unfinished", "page.broken_xml", "page.parser_", "line.unfinished", "line.too_large")
"""Reasons in the tally that the user should look at."""

Strength = Callable[[float], float]


@dataclass
class BuiltMetadata:
    """A built list and how it came about.

    Attributes:
        entries: The list, by text, in its order.
        reports: One per source that was given.
        tally: What was seen and left out, by file.
        rejects: The first few rejected pages by reason.
        facts: Version and number of synsets of WordNet, number of tokens.
        inputs: Name and size of every file read.
        notes: What the user should know.
        warnings: What the user should look at.
        check: Called before each change to the output; raises where another build has taken it.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    reports: list[SourceReport] = field(default_factory=list)
    tally: dict[str, dict[str, int]] = field(default_factory=dict)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, str | int] = field(default_factory=dict)
    inputs: list[dict[str, str | int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    check: Callable[[], None] = lambda: None


def build_metadata(
    spark: SparkSession, sources: MetadataSources, thresholds: MetadataThresholds, output: MetadataOutput
) -> BuiltMetadata:
    """Builds the list and writes it. Triggers Spark jobs.

    The same inputs and thresholds give the same bytes, however the input is partitioned.

    Args:
        spark: The session that counts.
        sources: Where entries come from.
        thresholds: Which candidates become entries.
        output: Where the list goes.

    Raises:
        OutputExistsError: If the output holds a list and may not be overwritten, or another build writes to it.
        MetadataError: If no source gives an entry.
    """
    storage = Storage(output.output)
    # Beside the list, which is no run.
    place = Storage(f"{output.output.rstrip('/')}/{LOG_FOLDER}")
    log = Log(place)
    log.read_all()
    applicant = Applicant("metaclip-spark build-metadata")
    with owning(log, place, applicant, wait=True, check=lambda _: take_lock_1(storage)) as owner:
        if LIST_FILE in storage.names("") and not output.overwrite:
            raise OutputExistsError(f"{storage.root} holds a metadata list: give another --output, or --overwrite")
        if sources.articles or sources.pageviews:
            prepare_compression(spark)
            prepare_tables(spark, storage, allow_rename_committer=output.allow_rename_committer)
        # What is written keeps its names, so that a driver that was paused must not put older content there.
        built = _built(spark, sources, thresholds, storage, owner.check)
        description = describe(built, sources, thresholds)
        write_list(storage, list(built.entries.values()), description, owner.check)
    return built


def _built(
    spark: SparkSession,
    sources: MetadataSources,
    thresholds: MetadataThresholds,
    storage: Storage,
    check: Callable[[], None],
) -> BuiltMetadata:
    built = BuiltMetadata(check=check)
    options = environment_options(sources.s3_access)
    _add_names(sources, thresholds, options, built)
    _check_files(sources, options)
    words = _words(spark, sources, options, storage, built)
    views = _views(spark, sources, thresholds, options, storage, built)
    if words is not None:
        unigrams = words.where("kind = 'unigram'")
        _add_counted(unigrams, "unigram", thresholds, built)
        if sources.articles or sources.bigram_counts:
            _add_bigrams(words.where("kind = 'bigram'"), unigrams, thresholds, built)
        words.unpersist()
    if views is not None:
        _add_counted(views, "title", thresholds, built)
        views.unpersist()
    _check_not_empty(built)
    return built


def describe(built: BuiltMetadata, sources: MetadataSources, thresholds: MetadataThresholds) -> dict[str, Any]:
    """What metadata.run.json says, which holds neither time nor machine."""
    return {
        "entries": len(built.entries),
        "digest": digest_of(built.entries),
        "sources": config_as_dict(sources),
        "thresholds": config_as_dict(thresholds),
        "facts": built.facts,
        "inputs": built.inputs,
        "reports": [as_dict(report) for report in built.reports],
        "tally": built.tally,
        "rejects": built.rejects,
        "notes": built.notes,
        "warnings": built.warnings,
    }


def _check_files(sources: MetadataSources, options: FetchOptions) -> None:
    """Looks at every file before hours of counting."""
    for option, items in (
        ("--articles", sources.articles),
        ("--pageviews", sources.pageviews),
        ("--unigram-counts", sources.unigram_counts),
        ("--bigram-counts", sources.bigram_counts),
        ("--title-views", sources.title_views),
    ):
        if items:
            refuse_unreadable(option, find_files(option, items, options), options)


def _words(
    spark: SparkSession, sources: MetadataSources, options: FetchOptions, storage: Storage, built: BuiltMetadata
) -> DataFrame | None:
    """Counts words and stores the counts, so that a dump is parsed once, or reads ready counts."""
    if sources.articles:
        parts, notes = plan_article_dumps(sources.articles, options)
        built.notes += notes
        dumps = list(dict.fromkeys((part.dump, part.path) for part in parts))
        _note_inputs(built, dumps, options)
        rules = ArticleRules(
            dropped_prefixes=dropped_prefixes([path for _, path in dumps], options),
            disambiguation_templates=frozenset(name.lower() for name in sources.disambiguation_templates),
        )
        counts = _stored(count_article_words(spark, parts, rules, options), storage, WORD_COUNTS_FOLDER, built)
        _warn_of_empty([name for name, _ in dumps], "pages", "is it an article dump (*-pages-articles*.xml)?", built)
        return counts
    if not sources.unigram_counts:
        return None
    files = _ready_files("unigram", sources.unigram_counts, options, built)
    if sources.bigram_counts:
        files += _ready_files("bigram", sources.bigram_counts, options, built)
    return read_ready_counts(spark, files, options)


def _views(
    spark: SparkSession,
    sources: MetadataSources,
    thresholds: MetadataThresholds,
    options: FetchOptions,
    storage: Storage,
    built: BuiltMetadata,
) -> DataFrame | None:
    if sources.title_views:
        return read_ready_counts(spark, _ready_files("title", sources.title_views, options, built), options)
    if not sources.pageviews:
        return None
    files = find_files("--pageviews", sources.pageviews, options)
    _note_inputs(built, files, options)
    rows = [(name, path, page_view_format(file_name(name))) for name, path in files]
    if any(form != HOURLY for _, _, form in rows):
        built.notes.append("--min-hourly-views does not apply to complete (monthly or daily) dumps of page views")
    rules = ViewRules(sources.wiki_language, sources.include_mobile, thresholds.min_hourly_views)
    counts = _stored(count_title_views(spark, rows, rules, options), storage, TITLE_VIEWS_FOLDER, built)
    _warn_of_empty([name for name, _ in files], "lines", "fetch it again", built)
    return counts


def _ready_files(
    kind: str, items: Sequence[str], options: FetchOptions, built: BuiltMetadata
) -> list[tuple[str, str, str]]:
    files = find_files("--title-views" if kind == "title" else f"--{kind}-counts", items, options)
    _note_inputs(built, files, options)
    return [(name, path, kind) for name, path in files]


def _stored(counts: DataFrame, storage: Storage, folder: str, built: BuiltMetadata) -> DataFrame:
    """Writes counts, takes the tally out of them, and reads them back."""
    location = storage.location(folder)
    built.check()
    storage.delete(folder)
    built.check()
    table_writer(counts, storage).mode("overwrite").partitionBy("kind").parquet(location)
    check_committed(storage, folder)
    schema = "word string, next_word string, count bigint, kind string"
    stored = counts.sparkSession.read.schema(schema).parquet(location)
    refuse_large_sums(stored, folder)
    for row in stored.where("kind = 'tally'").orderBy("next_word", "word").collect():
        built.tally.setdefault(row["next_word"], {})[row["word"]] = row["count"]
        if row["word"].startswith(_LOSSES):
            built.warnings.append(f"{row['next_word']}: {row['count']} {row['word']}")
    rejects = stored.where("kind = 'reject'").orderBy("word", "next_word").limit(_REJECTS_KEPT)
    built.rejects += [(row["word"], row["next_word"]) for row in rejects.collect()]
    return stored


def _warn_of_empty(names: Sequence[str], unit: str, advice: str, built: BuiltMetadata) -> None:
    built.warnings += [f"{name} gives no {unit}: {advice}" for name in names if not built.tally.get(name, {}).get(unit)]


def _note_inputs(built: BuiltMetadata, files: Sequence[tuple[str, str]], options: FetchOptions) -> None:
    built.inputs += [{"name": name, "bytes": size_of_archive(path, options)} for name, path in files]


def _add_names(
    sources: MetadataSources, thresholds: MetadataThresholds, options: FetchOptions, built: BuiltMetadata
) -> None:
    _add([Candidate(number) for number in NUMBERS], SourceReport("number", seen=len(NUMBERS)), 0, thresholds, built)
    if sources.wordnet:
        wordnet = read_wordnet(sources.wordnet, sources.wordnet_names, options)
        built.facts |= {"wordnet_version": wordnet.version, "wordnet_synsets": wordnet.synsets}
        report = SourceReport("wordnet", seen=len(wordnet.names))
        _add([Candidate(name) for name in wordnet.names], report, 0, thresholds, built)


def _add(
    candidates: list[Candidate], report: SourceReport, budget: int, thresholds: MetadataThresholds, built: BuiltMetadata
) -> None:
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


def _add_counted(
    counts: DataFrame, source: Literal["unigram", "title"], thresholds: MetadataThresholds, built: BuiltMetadata
) -> None:
    """Adds unigrams by count, or titles by views."""
    is_title = source == "title"
    least = thresholds.min_title_views if is_title else thresholds.min_unigram_count
    budget = thresholds.title_budget if is_title else thresholds.unigram_budget
    table = counts.where(f"kind = '{source}'").select(F.col("word").alias("text"), F.col("count").alias("strength"))
    report = SourceReport(source, measure="views" if is_title else "count")
    candidates = _reached(table, F.col("strength") >= least, budget, thresholds, built, report, float)
    _add(candidates, report, budget, thresholds, built)
    _warn_of_nothing(report, f"--min-{'title-views' if is_title else 'unigram-count'} {least}", built)


def _add_bigrams(bigrams: DataFrame, unigrams: DataFrame, thresholds: MetadataThresholds, built: BuiltMetadata) -> None:
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
    _add(candidates, report, thresholds.bigram_budget, thresholds, built)
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


def _check_not_empty(built: BuiltMetadata) -> None:
    if all(report.source == "number" or not report.kept for report in built.reports):
        raise MetadataError(
            f"the list is empty but for the numbers: {'; '.join(built.warnings) or 'no source gives an entry'}"
        )
