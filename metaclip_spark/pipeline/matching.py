"""Matching: the pool against the metadata list, bucket by bucket."""

import json
from collections import Counter

import msgspec
from msgspec import UNSET
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from metaclip_spark.config.curation import LanguageConfig, MatchConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.entries import SPACES, Metadata
from metaclip_spark.entries.files import file_digest
from metaclip_spark.errors import ConfigError
from metaclip_spark.runs.records import MatchManifest, MatchNumbers, MatchSettings
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import DEDUPLICATE, EXTRACT, MATCH, Attempt
from metaclip_spark.steps.match import match_lists, match_pairs, routing_of
from udfs.matching.routing import COLUMN, PAGE, TEXT
from udfs.schemas import MATCHED, PAIRS


def run_match(run: Run, config: MatchConfig, language: LanguageConfig, metadata: Metadata) -> MatchManifest:
    """Matches the pool against the metadata list.

    Raises:
        InputError: If there is no pool.
    """
    pool = run.manifest(DEDUPLICATE)
    made_with = match_settings(config, metadata, identified=language.identifies)
    if config.language_from != TEXT and not run.is_done(MATCH, made_with, pool.digest):
        _check_languages_known(run, config)
    with_languages = msgspec.structs.replace(made_with, language_identified=True)
    begun = run.state.begins.get(MATCH.name)
    # Pairs that were matched with languages serve a run that asks for none.
    settings = with_languages if begun and begun[1].config == msgspec.to_builtins(with_languages) else made_with
    begin = run.begin(MATCH, settings, pool.digest)
    for bucket in range(run.buckets):
        _match_bucket(run, config, settings, metadata, bucket, begin)
    return run.manifest(MATCH)


def match_settings(config: MatchConfig, metadata: Metadata, *, identified: bool) -> MatchSettings:
    """Gives what the result of matching depends on; of a single list with the paper's borders no more than ever."""
    settings = MatchSettings(
        metadata_digest=metadata.digest,
        entries=len(metadata),
        language_identified=identified or bool(metadata.lists),
        word_borders=UNSET if metadata.word_borders == SPACES else metadata.word_borders,
    )
    if metadata.lists:
        settings.lists = len(metadata.lists)
        settings.labels = dict(metadata.labels)
        settings.language_from = config.language_from
        settings.min_list_probability = config.min_list_probability
        if config.language_from == PAGE:
            settings.page_language_probability = config.page_language_probability
        if config.language_model is not None:
            settings.language_model = file_digest(config.language_model)
    return settings


def _check_languages_known(run: Run, config: MatchConfig) -> None:
    """Refuses to go by the languages of pages, or of a column, where no pair of the pool has one.

    Raises:
        ConfigError: If none has.
    """
    extracted = run.manifest(EXTRACT).config
    if config.language_from == COLUMN and not isinstance(extracted.language_column, str):
        raise ConfigError(
            f"--language-from column: the pool of {run.storage.root} was read without --language-column, so that its "
            "languages are those of pages: name the column when the pool is read, or give --language-from page or text"
        )
    if run.read_buckets("pool", PAIRS).where(F.col("page_language").isNotNull()).isEmpty():
        advice = (
            f"the column {extracted.language_column} of --language-column is empty; name another when the pool is read"
            if config.language_from == COLUMN
            else "its archives, or the files of --pool, tell of none"
        )
        raise ConfigError(
            f"--language-from {config.language_from}: no pair of the pool of {run.storage.root} has a language: "
            f"{advice}, or give --language-from text"
        )


def _match_lists(
    attempt: Attempt, pairs: DataFrame, config: MatchConfig, metadata: Metadata, before: int
) -> MatchNumbers:
    """Matches the pairs of a bucket against the list of their language."""
    routing = routing_of(
        metadata,
        language_from=config.language_from,
        page_language_probability=config.page_language_probability,
        min_list_probability=config.min_list_probability,
        model_file=config.language_model,
    )
    # Taken up while pairs are written: to count texts by list again would identify every language twice.
    seen, is_pair = Observation(), F.col("texts").isNull()
    of_list = F.when(~is_pair, F.struct("metadata_language", "texts"))
    # As text: Spark 3.5 gives an array that was observed as an object of Java.
    told = match_lists(pairs, metadata, routing, engine=config.engine).observe(
        seen, F.to_json(F.collect_list(of_list)).alias("texts")
    )
    kept = attempt.write(told.where(is_pair).select(MATCHED.names).sortWithinPartitions("pair_id"), "matched")
    texts: Counter[str | None] = Counter()
    for row in json.loads(seen.get["texts"]):
        texts[row.get("metadata_language")] += row["texts"]
    without_list = texts.pop(None, 0)
    return MatchNumbers(
        pairs_in=before,
        unmatched=before - kept - without_list,
        pairs=kept,
        without_list=without_list,
        texts={code: texts[code] for code in sorted(filter(None, texts))},
    )


def _match_bucket(
    run: Run, config: MatchConfig, settings: MatchSettings, metadata: Metadata, bucket: int, begin: int
) -> None:
    pool = run.manifest(DEDUPLICATE, bucket)

    def work(attempt: Attempt) -> MatchNumbers:
        pairs, before = run.read("pool", PAIRS, bucket), pool.numbers.pairs
        if metadata.lists:
            return _match_lists(attempt, pairs, config, metadata, before)
        matched = match_pairs(pairs, metadata, engine=config.engine, identify_language=settings.language_identified)
        kept = attempt.write(matched.sortWithinPartitions("pair_id"), "matched")
        return MatchNumbers(pairs_in=before, unmatched=before - kept, pairs=kept)

    run.do(
        MATCH,
        config=settings,
        settings={**as_dict(config), "identify_language": settings.language_identified},
        input_digest=pool.digest,
        work=work,
        bucket=bucket,
        begin=begin,
    )
