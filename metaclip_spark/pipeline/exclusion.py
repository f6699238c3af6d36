"""Exclusion: which matched pairs are eligible to be counted and drawn, bucket by bucket."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.config.fields import as_dict
from metaclip_spark.errors import ConfigError, InputError, counted
from metaclip_spark.pipeline.rules import Rules
from metaclip_spark.runs.ledger import ledger_of, lost_attempts
from metaclip_spark.runs.records import ExcludeManifest, ExcludeNumbers, MatchManifest
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.runs.step import EXCLUDE, MATCH, Attempt
from metaclip_spark.runs.waves import read_pairs
from metaclip_spark.steps.exclusion.exclude import REASON, exclude_pairs
from metaclip_spark.steps.exclusion.lists import SharedLists, pairs_of_pages, share_lists
from udfs.schemas import ELIGIBLE, EXCLUDED, MATCHED


def run_exclude(run: Run, rules: Rules) -> MatchManifest | ExcludeManifest:
    """Excludes matched pairs by the rules; a run that never had one goes without this step.

    Returns:
        The manifest of the pairs that are left.

    Raises:
        InputError: If there are no matched pairs.
        ConfigError: If --respect-preferences does not say what becomes of pairs whose preferences were not read.
    """
    matched = run.manifest(MATCH)
    settings = rules.settings
    if not settings.has_rules and EXCLUDE.name not in run.state.begins:
        return matched
    if not run.is_done(EXCLUDE, settings, matched.digest):
        run.check_open_for_work()
        _check_preferences_known(run, rules.config)
        _check_pages_known(run, rules)
    begin = run.begin(EXCLUDE, settings, matched.digest)
    for bucket in range(run.buckets):
        _exclude_bucket(run, rules, matched, bucket, begin)
    return run.manifest(EXCLUDE)


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


def _check_pages_known(run: Run, rules: Rules) -> None:
    """Refuses to compare all pages of a pair with lists where the raw pairs are gone.

    Raises:
        InputError: If they are.
    """
    if not rules.compares_all_pages:
        return
    lost = lost_attempts(run.storage, ledger_of(run.state))
    if lost:
        raise InputError(
            f"lists of pages are compared with every page of a pair, of which {run.storage.root}/extracted/ tells, and "
            f"files of it are gone, such as {lost[0].folder}: restore them, or give --page-rule surviving"
        )


def _listed_pages(run: Run, rules: Rules, lists: SharedLists | None, bucket: int) -> DataFrame | None:
    """Finds the pairs of a bucket with a raw occurrence on a listed page, where that is wanted."""
    if lists is None or not rules.compares_all_pages:
        return None
    part = bucket if run.buckets > 1 else None
    return pairs_of_pages(read_pairs(run.spark, run.storage, ledger_of(run.state), part), lists)


def _exclude_bucket(run: Run, rules: Rules, matched: MatchManifest, bucket: int, begin: int) -> None:
    settings = rules.settings

    def work(attempt: Attempt) -> ExcludeNumbers:
        before = run.manifest(MATCH, bucket).numbers.pairs
        if not settings.has_rules:
            # What the step before has written is what is left.
            return ExcludeNumbers(pairs_in=before, reasons={}, pairs=before)
        lists = share_lists(run.spark, rules.tables) if rules.tables else None
        pages = _listed_pages(run, rules, lists, bucket)
        judged = exclude_pairs(run.read("matched", MATCHED, bucket), rules.config, lists, pages)
        eligible = judged.where(F.col(REASON).isNull()).select(*ELIGIBLE.names)
        kept = attempt.write(eligible.sortWithinPartitions("pair_id"), "eligible")
        excluded = judged.where(F.col(REASON).isNotNull()).select(*EXCLUDED.names)
        left = attempt.write(excluded.sortWithinPartitions("pair_id"), "excluded")
        check_number(kept + left, before, "matched pairs")
        return ExcludeNumbers(pairs_in=before, reasons=attempt.reasons("excluded"), pairs=kept)

    run.do(
        EXCLUDE,
        config=settings,
        settings=as_dict(rules.config),
        input_digest=matched.digest,
        work=work,
        bucket=bucket,
        begin=begin,
    )
