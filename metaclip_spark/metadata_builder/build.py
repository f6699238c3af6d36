"""Builds the metadata list: numbers, WordNet names, and Wikipedia's unigrams, bigrams and titles.

Source: "Demystifying CLIP Data", table 1 and section 3.1. Per source: candidates are counted over the cluster and
filtered there; only those that reach the thresholds come to the driver.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.commits.log import Log
from metaclip_spark.commits.owner import Applicant, Owner, owning
from metaclip_spark.config.fields import as_dict as config_as_dict
from metaclip_spark.config.metadata import MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.errors import ConfigError, MetadataError, OutputExistsError
from metaclip_spark.metadata_builder.entry_list import (
    LIST_FILE,
    NUMBERS,
    BuiltMetadata,
    Candidate,
    SourceReport,
    as_dict,
    digest_of,
    write_list,
)
from metaclip_spark.metadata_builder.selection import ListRule, add_bigrams, add_candidates, add_counted
from metaclip_spark.metadata_builder.wiki_dumps import (
    dropped_prefixes,
    file_name,
    find_files,
    of_one_wiki,
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
from metaclip_spark.metadata_builder.wordnet_tab import OPTION as WORDNET_LEMMAS
from metaclip_spark.metadata_builder.wordnet_tab import read_wordnet_lemmas
from metaclip_spark.runs.layout_1 import take_lock_1
from metaclip_spark.stores.spark_io import check_committed, prepare_compression, prepare_tables, table_writer
from metaclip_spark.stores.storage import Storage
from udfs.sources import FetchOptions, environment_options, size_of_archive
from udfs.wikipedia.articles import ArticleRules
from udfs.wikipedia.page_views import HOURLY, ViewRules
from udfs.wikipedia.words import ICU_PACKAGE, has_icu, lacks_spaces

WORD_COUNTS_FOLDER = "word_counts"
LOG_FOLDER = "build_log"
TITLE_VIEWS_FOLDER = "title_views"
"""Sums that a later build may read as ready counts."""

_REJECTS_KEPT = 100
_LOSSES = ("dump.", "index.", "page.unfinished", "page.broken_xml", "page.parser_", "line.unfinished", "line.too_large")
"""Reasons in the tally that the user should look at."""


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
    thresholds = thresholds.filled(sources.language)
    require_icu(sources)
    with taking(storage, "metaclip-spark build-metadata") as owner:
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


@contextmanager
def taking(storage: Storage, applicant: str) -> Iterator[Owner]:
    """Takes a folder for one build, and waits for or refuses another one.

    Raises:
        OutputExistsError: If another build writes to it.
    """
    # Beside the list, which is no run.
    place = Storage(f"{storage.root}/{LOG_FOLDER}")
    log = Log(place)
    log.read_all()
    with owning(log, place, Applicant(applicant), wait=True, check=lambda _: take_lock_1(storage)) as owner:
        yield owner


def _built(
    spark: SparkSession,
    sources: MetadataSources,
    thresholds: MetadataThresholds,
    storage: Storage,
    check: Callable[[], None],
) -> BuiltMetadata:
    built = BuiltMetadata(check=check)
    options = environment_options(sources.s3_access)
    rule = ListRule(thresholds, sources.language)
    if rule.takes_shares:
        least = rule.least("bigram_count")
        built.notes.append(
            f"--min-bigram-count {least} is no part of the published rule, whose PMI ranks words met once"
        )
    _add_names(sources, rule, options, built)
    _check_files(sources, options)
    words = _words(spark, sources, options, storage, built)
    views = _views(spark, sources, rule, options, storage, built)
    if words is not None:
        unigrams = words.where("kind = 'unigram'")
        add_counted(unigrams, "unigram", rule, built)
        if sources.articles or sources.bigram_counts:
            add_bigrams(words.where("kind = 'bigram'"), unigrams, rule, built)
        words.unpersist()
    if views is not None:
        add_counted(views, "title", rule, built)
        views.unpersist()
    _check_not_empty(built)
    return built


def require_icu(sources: MetadataSources) -> None:
    """Refuses a language whose words ICU finds, where it is not installed.

    Raises:
        ConfigError: If it is not; the message names the extra.
    """
    if sources.articles and lacks_spaces(sources.language) and not has_icu():
        raise ConfigError(
            f"--language {sources.language} needs the package {ICU_PACKAGE}, which finds words where no spaces stand "
            f"between them: pip install '.[worldwide]' here, and {ICU_PACKAGE} for the executors' Python"
        )


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
            files = find_files(option, items, options)
            is_ready = option == "--title-views"
            refuse_unreadable(option, of_one_wiki(files, sources.wiki) if is_ready else files, options)


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
            language=sources.language,
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
    rule: ListRule,
    options: FetchOptions,
    storage: Storage,
    built: BuiltMetadata,
) -> DataFrame | None:
    if sources.title_views:
        return read_ready_counts(
            spark, _ready_files("title", sources.title_views, options, built, sources.wiki), options
        )
    if not sources.pageviews:
        return None
    files = find_files("--pageviews", sources.pageviews, options)
    _note_inputs(built, files, options)
    rows = [(name, path, page_view_format(file_name(name))) for name, path in files]
    if any(form != HOURLY for _, _, form in rows):
        built.notes.append("--min-hourly-views does not apply to complete (monthly or daily) dumps of page views")
    rules = ViewRules(sources.wiki, sources.include_mobile, rule.least("hourly_views"))
    counts = _stored(count_title_views(spark, rows, rules, options), storage, TITLE_VIEWS_FOLDER, built)
    _warn_of_empty([name for name, _ in files], "lines", "fetch it again", built)
    return counts


def _ready_files(
    kind: str, items: Sequence[str], options: FetchOptions, built: BuiltMetadata, wiki: str = ""
) -> list[tuple[str, str, str]]:
    files = find_files("--title-views" if kind == "title" else f"--{kind}-counts", items, options)
    if kind == "title":
        files = of_one_wiki(files, wiki)
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


def _add_names(sources: MetadataSources, rule: ListRule, options: FetchOptions, built: BuiltMetadata) -> None:
    add_candidates([Candidate(number) for number in NUMBERS], SourceReport("number", seen=len(NUMBERS)), rule, built)
    if sources.wordnet:
        wordnet = read_wordnet(sources.wordnet, sources.wordnet_names, options)
        built.facts |= {"wordnet_version": wordnet.version, "wordnet_synsets": wordnet.synsets}
        report = SourceReport("wordnet", seen=len(wordnet.names))
        add_candidates([Candidate(name) for name in wordnet.names], report, rule, built)
    if sources.wordnet_lemmas:
        found = read_wordnet_lemmas(sources.wordnet_lemmas, sources.language, options)
        _note_inputs(built, find_files(WORDNET_LEMMAS, sources.wordnet_lemmas, options), options)
        built.facts |= {"lemmas": len(found.lemmas), "synsets_with_lemmas": found.synsets}
        built.tally |= found.tally
        report = SourceReport("wordnet", seen=len(found.lemmas))
        add_candidates([Candidate(lemma) for lemma in found.lemmas], report, rule, built)


def _check_not_empty(built: BuiltMetadata) -> None:
    if all(report.source == "number" or not report.kept for report in built.reports):
        raise MetadataError(
            f"the list is empty but for the numbers: {'; '.join(built.warnings) or 'no source gives an entry'}"
        )
