"""Exclusion: which matched pairs are eligible to be counted and drawn, bucket by bucket."""

from pyspark.sql import functions as F

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.errors import ConfigError, counted
from metaclip_spark.runs.records import ExcludeManifest, ExcludeNumbers, ExcludeSettings, MatchManifest
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.step import EXCLUDE, MATCH, Attempt
from metaclip_spark.steps.exclusion.exclude import REASON, exclude_pairs
from udfs.schemas import ELIGIBLE, EXCLUDED, MATCHED


def run_exclude(run: Run, config: ExcludeConfig) -> MatchManifest | ExcludeManifest:
    """Excludes matched pairs by the rules; a run that never had one goes without this step.

    Returns:
        The manifest of the pairs that are left.

    Raises:
        InputError: If there are no matched pairs.
        ConfigError: If --respect-preferences does not say what becomes of pairs whose preferences were not read.
    """
    matched = run.manifest(MATCH)
    settings = _settings(config)
    if not settings.has_rules and EXCLUDE.name not in run.state.begins:
        return matched
    if not run.is_done(EXCLUDE, settings, matched.digest):
        run.check_open_for_work()
        _check_preferences_known(run, config)
    begin = run.begin(EXCLUDE, settings, matched.digest)
    for bucket in range(run.buckets):
        _exclude_bucket(run, config, settings, matched, bucket, begin)
    return run.manifest(EXCLUDE)


def _settings(config: ExcludeConfig) -> ExcludeSettings:
    settings = ExcludeSettings()
    if config.respect_preferences:
        settings.preferences = list(config.respect_preferences)
    if config.unknown_preferences:
        settings.unknown_preferences = config.unknown_preferences
    return settings


def _check_preferences_known(run: Run, config: ExcludeConfig) -> None:
    """Refuses pairs whose pages' preferences were not read, where nobody has said what becomes of them.

    Raises:
        ConfigError: If there are some.
    """
    if not config.respect_preferences or config.unknown_preferences:
        return
    unknown = run.read_buckets("matched", MATCHED).where(F.col("page_preferences").isNull()).count()
    if unknown:
        raise ConfigError(
            f"--respect-preferences: {counted(unknown, 'matched pair')} of {run.storage.root} came from where "
            "preferences were not read (an earlier version, or --pool without the column page_preferences): say by "
            "--unknown-preferences whether to keep or drop them"
        )


def _exclude_bucket(
    run: Run, config: ExcludeConfig, settings: ExcludeSettings, matched: MatchManifest, bucket: int, begin: int
) -> None:

    def work(attempt: Attempt) -> ExcludeNumbers:
        before = run.manifest(MATCH, bucket).numbers.pairs
        if not settings.has_rules:
            # What the step before has written is what is left.
            return ExcludeNumbers(pairs_in=before, reasons={}, pairs=before)
        judged = exclude_pairs(run.read("matched", MATCHED, bucket), config)
        eligible = judged.where(F.col(REASON).isNull()).select(*ELIGIBLE.names)
        kept = attempt.write(eligible.sortWithinPartitions("pair_id"), "eligible")
        excluded = judged.where(F.col(REASON).isNotNull()).select(*EXCLUDED.names)
        left = attempt.write(excluded.sortWithinPartitions("pair_id"), "excluded")
        check_number(kept + left, before, "matched pairs")
        return ExcludeNumbers(pairs_in=before, reasons=attempt.reasons("excluded"), pairs=kept)

    run.do(
        EXCLUDE,
        config=settings,
        settings=as_dict(config),
        input_digest=matched.digest,
        work=work,
        bucket=bucket,
        begin=begin,
    )
