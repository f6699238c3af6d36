"""Matching: the pool against the metadata list, bucket by bucket."""

import msgspec

from metaclip_spark.config.curation import LanguageConfig, MatchConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.entries import Metadata
from metaclip_spark.runs.records import MatchManifest, MatchNumbers, MatchSettings
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import DEDUPLICATE, MATCH, Attempt
from metaclip_spark.steps.match import match_pairs
from udfs.schemas import PAIRS


def run_match(run: Run, config: MatchConfig, language: LanguageConfig, metadata: Metadata) -> MatchManifest:
    """Matches the pool against the metadata list.

    Raises:
        InputError: If there is no pool.
    """
    pool = run.manifest(DEDUPLICATE)
    made_with = MatchSettings(
        metadata_digest=metadata.digest, entries=len(metadata.entries), language_identified=language.identifies
    )
    with_languages = msgspec.structs.replace(made_with, language_identified=True)
    begun = run.state.begins.get(MATCH.name)
    # Pairs that were matched with languages serve a run that asks for none.
    settings = with_languages if begun and begun[1].config == msgspec.to_builtins(with_languages) else made_with
    begin = run.begin(MATCH, settings, pool.digest)
    for bucket in range(run.buckets):
        _match_bucket(run, config, settings, metadata, bucket, begin)
    return run.manifest(MATCH)


def _match_bucket(
    run: Run, config: MatchConfig, settings: MatchSettings, metadata: Metadata, bucket: int, begin: int
) -> None:
    pool = run.manifest(DEDUPLICATE, bucket)

    def work(attempt: Attempt) -> MatchNumbers:
        pairs = run.read("pool", PAIRS, bucket)
        matched = match_pairs(pairs, metadata, engine=config.engine, identify_language=settings.language_identified)
        kept = attempt.write(matched.sortWithinPartitions("pair_id"), "matched")
        before = pool.numbers.pairs
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
