"""Exclusion: which matched pairs are eligible to be counted and drawn, bucket by bucket."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property, partial

import msgspec
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metaclip_spark.commits.entries import NAMED_PAIRS, Removal, Table
from metaclip_spark.commits.removals import read_registers, removed_tables
from metaclip_spark.config.fields import as_dict
from metaclip_spark.errors import ConfigError, InputError, counted
from metaclip_spark.inputs.downloads import DownloadTally, check_tally
from metaclip_spark.pipeline.first_run import FirstRun, check_own_pairs
from metaclip_spark.pipeline.removals import check_hash_told, judged_digest, untouched_buckets
from metaclip_spark.pipeline.rules import Rules
from metaclip_spark.reports.figures.preferences import named_preferences, rows_by_preferences
from metaclip_spark.reports.figures.rules import why_none_eligible
from metaclip_spark.runs.buckets import is_in_bucket
from metaclip_spark.runs.ledger import ledger_of, lost_attempts
from metaclip_spark.runs.records import ExcludeManifest, ExcludeNumbers, ExcludeSettings, MatchManifest
from metaclip_spark.runs.run import SMALLEST_PARTITION_ROWS, Run, check_number
from metaclip_spark.runs.step import EXCLUDE, MATCH, Attempt
from metaclip_spark.runs.waves import read_pairs
from metaclip_spark.steps.exclusion.downloaded import IMAGE_HASH, duplicate_images, pair_downloads, tally_downloads
from metaclip_spark.steps.exclusion.exclude import (
    REASON,
    Evidence,
    before_duplicates,
    eligible_pairs,
    excluded_pairs,
)
from metaclip_spark.steps.exclusion.lists import first_reasons, pairs_of_pages, share_lists
from metaclip_spark.steps.exclusion.scores import columns_of_rules, tally_scores
from metaclip_spark.steps.exclusion.user_tables import read_user_table, rows_digest
from metaclip_spark.stores.storage import JsonObject
from udfs.exclusion.kinds import PAGE_KINDS, reason_of
from udfs.schemas import MATCHED, REMOVED_PAIRS
from udfs.sources import environment_options

log = logging.getLogger(__name__)

_ELSEWHERE = (*PAGE_KINDS, "image")
"""Kinds of lists that name a pair by more than its own columns."""


def run_exclude(run: Run, rules: Rules, first: FirstRun | None = None) -> MatchManifest | ExcludeManifest:
    """Excludes matched pairs by the rules and the run's removals; a run that never had any goes without this step.

    Args:
        run: The run.
        rules: The rules.
        first: The run whose pairs are judged in place of its own matched ones.

    Returns:
        The manifest of the pairs that are left.

    Raises:
        InputError: If there are no matched pairs, or raw pairs are wanted and gone.
        ConfigError: If the run began with the pairs of another one and `first` is None, or --respect-preferences does
            not say what becomes of pairs whose preferences were not read.
    """
    if first is None:
        check_own_pairs(run)
    matched = run.manifest(MATCH)
    judging = Judging(run, first, with_removals(rules, run, first))
    try:
        return _exclude(run, judging, matched)
    finally:
        judging.release()


def with_removals(rules: Rules, run: Run, first: FirstRun | None) -> Rules:
    """Adds what was removed for ever from the run, and from the one that it begins with."""
    before = {} if first is None else removed_tables(read_registers(first.run.storage, first.run.state))
    return replace(rules, removed=removed_tables(read_registers(run.storage, run.state)), removed_before=before)


def _exclude(run: Run, judging: "Judging", matched: MatchManifest) -> MatchManifest | ExcludeManifest:
    settings = judging.settings
    if not settings.has_rules and EXCLUDE.name not in run.state.begins:
        return matched
    unchanged: dict[int, Table] = {}
    if not run.is_done(EXCLUDE, settings, matched.digest):
        run.check_open_for_work()
        judging.check_preferences_known()
        judging.check_pages_known()
        judging.check_images_known()
        judging.check_tables()
        unchanged = untouched_buckets(run, settings, judging.options, matched, judging.digest)
    begin = run.begin(EXCLUDE, settings, matched.digest)
    for bucket in range(run.buckets):
        if bucket in unchanged and run.entry(EXCLUDE, bucket) is None:
            run.owned.commit(msgspec.structs.replace(unchanged[bucket], owner=run.owned.nonce, begin=begin))
        run.do(
            EXCLUDE,
            config=settings,
            settings=judging.options,
            input_digest=matched.digest,
            work=partial(judging.judge if settings.has_rules else judging.pass_all, bucket),
            bucket=bucket,
            begin=begin,
        )
    made = run.manifest(EXCLUDE)
    if why := why_none_eligible(made):
        log.warning(f"no pair is eligible: {why}")
    return made


@dataclass(frozen=True)
class Judging:
    """The pairs of a run, or of the first run that it begins with, before the rules."""

    run: Run
    first: FirstRun | None
    rules: Rules

    @cached_property
    def settings(self) -> ExcludeSettings:
        """What the result depends on, the content of the tables among it."""
        settings = msgspec.structs.replace(self.rules.settings)
        if self.first is not None:
            settings.first_draw = self.first.draw
        if self.downloads is not None:
            settings.downloaded = rows_digest(self.downloads)
        if self.scores is not None:
            settings.scores = rows_digest(self.scores)
        return settings

    @property
    def options(self) -> JsonObject:
        """All options, with the run that has the pairs where it is another one."""
        return {**as_dict(self.rules.config), **(as_dict(self.first.config) if self.first else {})}

    @cached_property
    def downloads(self) -> DataFrame | None:
        """What was downloaded."""
        found = self.rules.downloads
        return None if found is None else read_user_table(self.run.spark, found.table, environment_options())

    @cached_property
    def scores(self) -> DataFrame | None:
        """The scores, with the columns that conditions need.

        Raises:
            ConfigError: If a condition cannot be used.
        """
        found = self.rules.scores
        if found is None:
            return None
        names = columns_of_rules(self.run.spark, found, self.rules.keep)
        scores = read_user_table(self.run.spark, found.table.select(names), environment_options())
        return scores.persist(StorageLevel.DISK_ONLY)

    @property
    def source(self) -> Run:
        """The run that has the pairs."""
        return self.run if self.first is None else self.first.run

    @property
    def digest(self) -> str:
        """The digest of the pairs."""
        return self.run.manifest(MATCH).digest if self.first is None else self.first.draw.digest

    def pairs(self, bucket: int | None = None) -> DataFrame:
        """Gives the pairs of a bucket, or all."""
        if self.first is not None:
            return self.first.pairs(bucket)
        return self.run.read_buckets("matched", MATCHED, bucket)

    def check_preferences_known(self) -> None:
        """Refuses pairs whose pages' preferences were not read, where nobody has said what becomes of them.

        Raises:
            ConfigError: If there are some.
        """
        config = self.rules.config
        if not config.respect_preferences or config.unknown_preferences:
            return
        unknown = self.pairs().where(F.col("page_preferences").isNull()).count()
        if unknown:
            raise ConfigError(
                f"--respect-preferences: {counted(unknown, 'matched pair')} of {self.source.storage.root} came from "
                "where preferences were not read (an earlier version, or --pool without the column page_preferences): "
                "say by --unknown-preferences whether to keep or drop them"
            )

    def check_pages_known(self) -> None:
        """Refuses to compare all pages of a pair with lists where the raw pairs are gone.

        Raises:
            InputError: If they are.
        """
        if self._compares_raw_pairs:
            of_lists = any(kind in self.rules.blocked for kind in PAGE_KINDS)
            self.check_raw_pairs(f"restore them{', or give --page-rule surviving' if of_lists else ''}")

    def check_images_known(self) -> None:
        """Refuses pairs of which nothing tells whether they have an image that was removed.

        Raises:
            ConfigError: If there are some.
        """
        told = self.rules.downloads.hash_name if self.rules.downloads else None
        for run, removals in self._compared_now:
            check_hash_told(run, removals, told, "give")

    def check_raw_pairs(self, advice: str) -> None:
        """Refuses to go by all pages of a pair where the raw pairs are gone.

        Raises:
            InputError: If they are.
        """
        source = self.source
        lost = lost_attempts(source.storage, ledger_of(source.state))
        if lost:
            raise InputError(
                f"lists of pages are compared with every page of a pair, of which {source.storage.root}/extracted/ "
                f"tells, and files of it are gone, such as {lost[0].folder}: {advice}"
            )

    def pass_all(self, bucket: int, _attempt: Attempt) -> ExcludeNumbers:
        """Excludes nothing: what the step before has written is what is left."""
        pairs = self.run.manifest(MATCH, bucket).numbers.pairs
        return ExcludeNumbers(pairs_in=pairs, reasons={}, pairs=pairs)

    def check_tables(self) -> None:
        """Counts what the tables tell, and refuses those that cannot be of this run.

        Raises:
            InputError: If most of a download belongs to no pair, or scores have a key twice.
        """
        if self.tally is not None:
            check_tally(self.tally)
        if self.scores is None or self.rules.scores is None:
            return
        found = tally_scores(self.scores, self.rules.scores.key, self.rules.keep)
        for name, kept in found.kept.items():
            if not kept:
                log.warning(f"--keep-where {name} is true for none of {counted(found.rows, 'row')} of --scores")

    @cached_property
    def tally(self) -> DownloadTally | None:
        """What a download has to do with the pairs, where one is known."""
        found = self.rules.downloads
        if found is None or self.downloads is None:
            return None
        return tally_downloads(self.pairs(), self.downloads, found.key)

    def judge(self, bucket: int, attempt: Attempt) -> ExcludeNumbers:
        """Writes the eligible pairs of a bucket, and the others with their reasons."""
        pairs = self.pairs(bucket)
        declared = None if self.first is None else rows_by_preferences(pairs)
        if declared is not None and self.settings.is_estimated:
            before = sum(row.pairs for row in declared)
        else:
            before = self.run.manifest(MATCH, bucket).numbers.pairs
        excluded = excluded_pairs(pairs, self.rules.config, self.evidence(bucket), self._duplicates)
        left = attempt.write(excluded.sortWithinPartitions("pair_id"), "excluded")
        if left or self.first is not None:
            # Few pairs are excluded as a rule: to leave them out costs less than to judge whole rows.
            eligible = eligible_pairs(pairs, attempt.read("excluded"))
            kept = attempt.write(eligible.sortWithinPartitions("pair_id"), "eligible")
        else:
            # Without a table of its own, matched is read in its place.
            kept = before
        check_number(kept + left, before, "pairs before the rules")
        if self.first is not None:
            self.first.check_unchanged()
        numbers = ExcludeNumbers(
            pairs_in=before,
            reasons=attempt.reasons("excluded"),
            pairs=kept,
            preferences=msgspec.UNSET if declared is None else named_preferences(declared, "pairs"),
        )
        return (
            numbers
            if bucket or self.tally is None
            else msgspec.structs.replace(
                numbers,
                download_rows=self.tally.rows,
                download_unknown=self.tally.unknown,
                download_errors=self.tally.failed,
            )
        )

    @cached_property
    def _duplicates(self) -> DataFrame | None:
        """The pairs whose image another one has, too: of all buckets, since equal images lie in any."""
        alike = self.rules.config.deduplicate_images
        if alike == "off":
            return None
        judged = before_duplicates(self.pairs(), self.rules.config, self.evidence(None))
        stay = judged.where(F.col(REASON).isNull())
        return self._kept(duplicate_images(stay, alike))

    @cached_property
    def _downloaded(self) -> DataFrame | None:
        """What became of the images of all pairs, found once: every bucket takes its part."""
        found = self.rules.downloads
        if found is None or self.downloads is None:
            return None
        return self._kept(pair_downloads(self.pairs(), self.downloads, found.key))

    def _kept(self, rows: DataFrame) -> DataFrame:
        """Keeps rows of pairs on the executors' disks, in no more parts than so many pairs are worth."""
        pairs = self.source.manifest(MATCH).numbers.pairs
        return rows.coalesce(max(1, -(-pairs // SMALLEST_PARTITION_ROWS))).persist(StorageLevel.DISK_ONLY)

    def release(self) -> None:
        """Lets go of what was kept on the executors' disks."""
        for name in ("_duplicates", "_downloaded", "scores"):
            kept = self.__dict__.get(name)
            if kept is not None:
                kept.unpersist()

    def _downloaded_in(self, bucket: int | None) -> DataFrame | None:
        if self._downloaded is None or bucket is None:
            return self._downloaded
        return self._downloaded.where(is_in_bucket(bucket, self.run.buckets))

    def evidence(self, bucket: int | None) -> Evidence:
        """Gives what the rules go by, of the pairs of a bucket or of all."""
        lists = share_lists(self.run.spark, self.rules.tables) if self.rules.tables else None
        scores = self.rules.scores
        return Evidence(
            lists=lists,
            listed_elsewhere=self._listed_elsewhere(bucket),
            downloaded=self._downloaded_in(bucket),
            scores=self.scores,
            score_key="" if scores is None else scores.key,
            keep=self.rules.keep,
        )

    @property
    def _runs(self) -> list[Run]:
        """The runs whose removals count."""
        return [self.run] if self.first is None else [self.run, self.first.run]

    @property
    def _compares_raw_pairs(self) -> bool:
        """Whether every page of a pair is to be looked at: not where removals have named all pairs that there are."""
        if not self.rules.every_page:
            return False
        if self.rules.config.page_rule == "any" and any(kind in self.rules.blocked for kind in PAGE_KINDS):
            return True
        removals = [removal for _, of_run in self._compared_now for removal in of_run]
        return any(not removal.values.keys().isdisjoint(PAGE_KINDS) for removal in removals)

    @property
    def _compared_now(self) -> list[tuple[Run, list[Removal]]]:
        """The removals of each run that have not named all of these pairs that there are to name."""
        compared = [(run, self.digest if run is self.run else judged_digest(run)) for run in self._runs]
        return [
            (run, [removal for removal in run.state.removals.values() if removal.input != digest])
            for run, digest in compared
        ]

    def _listed_elsewhere(self, bucket: int | None) -> DataFrame | None:
        """Finds the pairs of a bucket that are listed by what they are not told of: raw pages, or images of a download.

        What a removal has named once stays named, also where that can no longer be seen.
        """
        found = []
        if self._compares_raw_pairs:
            found.append(pairs_of_pages(self.raw_pairs(bucket), share_lists(self.run.spark, self.rules.every_page)))
        folders = [
            (run, removal.tables[NAMED_PAIRS])
            for run in self._runs
            for removal in run.state.removals.values()
            if NAMED_PAIRS in removal.tables and not removal.values.keys().isdisjoint(_ELSEWHERE)
        ]
        for run, written in folders:
            named = run.read_written([written], REMOVED_PAIRS).select("pair_id", "reason")
            of_bucket = named if bucket is None else named.where(is_in_bucket(bucket, self.run.buckets))
            found.append(of_bucket.where(F.col("reason").isin([reason_of(kind) for kind in _ELSEWHERE])))
        return first_reasons(found) if found else None

    def raw_pairs(self, bucket: int | None = None) -> DataFrame:
        """Gives the raw pairs that the pool was made of, of a bucket or all."""
        source, part = self.source, bucket if self.source.buckets > 1 else None
        return read_pairs(source.spark, source.storage, ledger_of(source.state), part)

    def with_hashes(self, pairs: DataFrame) -> DataFrame:
        """Adds the hash of their images to pairs, null where it is not known."""
        return pairs.join(self.image_hashes(pairs), "pair_id", "left")

    def image_hashes(self, pairs: DataFrame) -> DataFrame:
        """Gives `pair_id` and the hash of the image, of pairs whose image a download tells of.

        Raises:
            ConfigError: If the rules have no download.
        """
        found = self.rules.downloads
        if found is None or self.downloads is None:
            raise ConfigError("hashes of images are wanted, and no --downloaded tells any: give it")
        return pair_downloads(pairs, self.downloads, found.key).select("pair_id", IMAGE_HASH)
