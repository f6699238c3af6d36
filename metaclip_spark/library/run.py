"""A finished run, to look at from a notebook or a service."""

from collections.abc import Sequence
from functools import cached_property
from os import PathLike

import msgspec
from pyspark.sql import DataFrame, SparkSession

from metaclip_spark.config.curation import ExportConfig, OutputConfig
from metaclip_spark.config.fields import path_text, several
from metaclip_spark.config.inspection import ExplainConfig, PlanConfig
from metaclip_spark.entries import Metadata, texts_of
from metaclip_spark.errors import InputError
from metaclip_spark.library.arguments import arguments_named, configurations
from metaclip_spark.library.entry_counts import EntryCounts
from metaclip_spark.library.explanation import Explanation
from metaclip_spark.library.plan import ThresholdPlan
from metaclip_spark.library.report import Comparison, PaperComparison, Report
from metaclip_spark.library.session import activate
from metaclip_spark.pipeline.first_run import metadata_of
from metaclip_spark.reports.compare import check_other, compare_with, compare_with_counts
from metaclip_spark.reports.explain.answer import explain
from metaclip_spark.reports.explain.curation import Curation, read_curation
from metaclip_spark.reports.explain.drawn import drawn_pairs, dropped_pairs
from metaclip_spark.reports.plan import plan_thresholds
from metaclip_spark.reports.public.export import check_export, export_curated
from metaclip_spark.runs import open as stored_runs
from metaclip_spark.runs.entry_tables import read_counts, read_texts
from metaclip_spark.runs.layout import CURATED_IMAGES, REFILL, THRESHOLDS, report_file
from metaclip_spark.runs.paths import shown_path, table_folders
from metaclip_spark.runs.records import read_report, threshold_in_words
from metaclip_spark.runs.run import Run as StoredRun
from metaclip_spark.runs.step import SAMPLE
from udfs.schemas import ARCHIVES, CURATED, PAIRS, REJECTS
from udfs.schemas import CURATED_IMAGES as IMAGE_COLUMNS
from udfs.schemas import THRESHOLDS as THRESHOLDS_OF_LISTS


class Run:
    """A finished run: its tables as DataFrames, its numbers, and questions about them.

    Made by `curate` and `open_run`; nothing here writes to the run's folder.

    Attributes:
        path: The run's folder.
        spark: The session that reads it.

    Example:
        >>> from metaclip_spark import open_run
        >>> run = open_run("demo-output")
        >>> run
        Run('...demo-output', 3,268 curated pairs at t = 20)
        >>> run.curated.columns[-2:]
        ['entry_ids', 'keep_probability']
        >>> run.entry_counts
        EntryCounts(86,654 entries, 12,643 matches)
    """

    def __init__(self, stored: StoredRun) -> None:
        """Takes a run that is open for reading."""
        self._stored = stored
        self._report: Report | None = None
        self._entry_counts: EntryCounts | None = None

    @property
    def path(self) -> str:
        """The run's folder."""
        return str(self._stored.storage.root)

    @property
    def spark(self) -> SparkSession:
        """The session that reads it; started by the first use of it where none was active.

        Raises:
            ConfigError: If it must be started and there is no Java 17 or newer.
        """
        return self._stored.spark

    @property
    def archives(self) -> DataFrame:
        """One row per archive: its state, and what was read, found and rejected."""
        return self._stored.read("archives", ARCHIVES)

    @property
    def rejects(self) -> DataFrame:
        """One row per rejected archive or record, and the first few rejected images and texts per reason."""
        return self._stored.read("rejects", REJECTS)

    @property
    def pool(self) -> DataFrame:
        """Distinct pairs, before matching."""
        return self._stored.read_buckets("pool", PAIRS)

    @property
    def matched(self) -> DataFrame:
        """Pairs of the pool with at least one metadata entry, each with its `keep_probability` and its `draw`.

        A pair whose draw is below its keep probability is curated. Both are null where a rule or the language
        filter drops it.
        """
        return drawn_pairs(self._stored, self._curation).drop("reason")

    @property
    def dropped(self) -> DataFrame:
        """Matched pairs that are not curated, with the `reason`: of a rule, `language_gate`, `not_drawn` or a removal.

        Example:
            >>> from metaclip_spark import open_run
            >>> run = open_run("demo-output")
            >>> run.dropped.groupBy("reason").count().show()
            +---------+-----+
            |   reason|count|
            +---------+-----+
            |not_drawn| 1517|
            +---------+-----+
            <BLANKLINE>
            >>> dog = run.metadata.entries.index("dog")
            >>> run.dropped.where(f"array_contains(entry_ids, {dog})").count()
            61
            >>> run.matched.count() == run.curated.count() + run.dropped.count()
            True
        """
        return dropped_pairs(self._stored, self._curation)

    @cached_property
    def _curation(self) -> Curation:
        return read_curation(self._stored)

    @property
    def curated(self) -> DataFrame:
        """The curated pairs, with the probability that each had of being kept."""
        return self._stored.read("curated", CURATED)

    @property
    def curated_images(self) -> DataFrame:
        """The curated pairs with one row per image: its URL, and the lists of its texts and pairs.

        Raises:
            InputError: If the run was sampled without `one_row_per_image`.
        """
        table_folders(self._stored.storage, self._stored.state, CURATED_IMAGES)
        return self._stored.read(CURATED_IMAGES, IMAGE_COLUMNS)

    @property
    def refill(self) -> DataFrame:
        """What else of the run that this one began with is to be downloaded; columns as those of the curated pairs.

        Raises:
            InputError: If the run was made without `refill_plan`.
        """
        table_folders(self._stored.storage, self._stored.state, REFILL)
        return self._stored.read(REFILL, CURATED)

    @property
    def thresholds(self) -> DataFrame:
        """With a folder of metadata lists, one row for each: its threshold, tail share, pairs, and how many were kept.

        Raises:
            InputError: If the run has a single list.
        """
        table_folders(self._stored.storage, self._stored.state, THRESHOLDS)
        return self._stored.read(THRESHOLDS, THRESHOLDS_OF_LISTS)

    @property
    def curated_path(self) -> str:
        """The folder of the curated pairs, for other programs: Parquet files, and nothing of earlier draws."""
        (written,) = table_folders(self._stored.storage, self._stored.state, "curated")
        return shown_path(self._stored.storage, written.folder)

    def export_curated(self, folder: str | PathLike[str]) -> str:
        """Copies the curated pairs into a folder of their own; runs a Spark job.

        Args:
            folder: An empty folder apart from the run's, on this machine or in a store.

        Returns:
            The folder.

        Raises:
            ConfigError: If the folder is not empty, or lies in the run's or around it.
            InputError: If the copy lacks rows.

        Example:
            >>> from metaclip_spark import open_run
            >>> folder = open_run("demo-output").export_curated("curated-for-training")
            >>> import pyarrow.dataset
            >>> pyarrow.dataset.dataset(folder).count_rows()
            3268
        """
        path = path_text(folder)
        with arguments_named(ExportConfig, OutputConfig):
            check_export(path, self._stored.output)
            export_curated(self._stored, path)
        return path

    @property
    def entry_counts(self) -> EntryCounts:
        """In how many matched pairs each entry occurs, without those that rules or the language filter leave out.

        After a `rebalance` that attempted only curated pairs the numbers are estimates.
        """
        if self._entry_counts is None:
            self._entry_counts = EntryCounts(self.metadata.entries, read_counts(self._stored))
        return self._entry_counts

    @property
    def metadata(self) -> Metadata:
        """The metadata list that the pool was matched with; with a folder of lists all of them."""
        return metadata_of(self._stored)

    @property
    def report(self) -> Report:
        """The run's numbers as one document.

        Raises:
            InputError: If its file is gone.
        """
        if self._report is None:
            self._report = read_report(self._stored.storage, report_file(self._stored.state), Report)
        if self._report is None:
            raise InputError(f"{self.path} has no report: run metaclip-spark report on that folder again")
        return self._report

    def explain(
        self,
        *,
        pair_id: str | None = None,
        url: str | None = None,
        text: str | None = None,
        entry: str | None = None,
        dropped: bool = False,
        limit: int = 20,
        archive: str | None = None,
    ) -> Explanation:
        """Tells why pairs are in the curated set, or at which step they left; runs Spark jobs.

        Args:
            pair_id: A pair's 32 hex digits.
            url: An image's URL: explains every pair of it.
            text: An alternative text: explains what it would match, and its pairs where there are any.
            entry: A metadata entry: explains its pairs. With a folder of lists CODE:ENTRY names that of one list.
            dropped: Of the entry's pairs, only those that are not curated.
            limit: The most pairs that are explained, from 1 to 1,000, sorted by pair_id.
            archive: The archive that a missing pair should have come from.

        Returns:
            The explanation; `print` it.

        Raises:
            ConfigError: If not exactly one of `pair_id`, `url`, `text` and `entry` is given, the id is not one, or the
                metadata list has no such entry.

        Example:
            >>> from metaclip_spark import open_run
            >>> explanation = open_run("demo-output").explain(text="a dog in the snow")
            >>> [entry.entry_text for entry in explanation.text.entries]
            ['a', 'dog', 'in', 'snow']
            >>> open_run("demo-output").explain(entry="dog", dropped=True, limit=1).entry.dropped
            {'not_drawn': 61}
        """
        given = {
            "run": self.path,
            "pair_id": pair_id,
            "url": url,
            "text": text,
            "entry": entry,
            "dropped": dropped,
            "limit": limit,
            "archive": archive,
        }
        with arguments_named(ExplainConfig):
            (question,) = configurations("explain", given, ExplainConfig)
            answer = explain(self._stored, question)
        threshold = self._stored.manifest(SAMPLE).numbers.threshold_t
        return Explanation(**msgspec.structs.asdict(answer), threshold_t=threshold)

    def plan(
        self,
        *,
        thresholds: int | str | Sequence[int | str] = (),
        tail_share: float | None = None,
        target_pairs: int | str | None = None,
        at_counts: str | PathLike[str] | None = None,
        anchor_language: str | None = None,
    ) -> ThresholdPlan:
        """Computes which size each threshold t would give, without sampling; runs up to four Spark jobs.

        Args:
            thresholds: Further thresholds for the table, or a single one.
            tail_share: Find and mark the t whose tail has this share of all matches, between 0 and 1 (the paper: 0.06).
            target_pairs: Find and mark the smallest t whose expected size reaches this many pairs, such as "10M".
            at_counts: Balance with another run's counts (its folder) or with a file of entry counts.
            anchor_language: With a folder of metadata lists, the language whose t the table has, and whose tail share
                `tail_share` is; None for the one that the folder names.

        Returns:
            The plan: `chosen`, `rows`, `to_pandas()`, `plot()`.

        Raises:
            ConfigError: If both `tail_share` and `target_pairs` are given, a value is out of range, or there are fewer
                matched pairs than wanted.
            InputError: If the run has no matched pairs.
            MetadataError: If the counts are of another metadata list.

        Example:
            >>> from metaclip_spark import open_run
            >>> open_run("demo-output").plan(target_pairs=2).chosen
            1
        """
        given = {
            "run": self.path,
            "thresholds": tuple(map(str, several(thresholds))),
            "tail_share": tail_share,
            "target_pairs": target_pairs,
            "at_counts": at_counts,
            "anchor_language": anchor_language,
        }
        with arguments_named(PlanConfig):
            (question,) = configurations("plan", given, PlanConfig)
            return ThresholdPlan(**msgspec.structs.asdict(plan_thresholds(self._stored, question)))

    def compare(self, other: "Run | EntryCounts | str | PathLike[str]") -> Comparison:
        """Compares the entry counts with those of another run, or of any other pool.

        Args:
            other: A run, its folder, entry counts, or a file of entry counts (JSON or Parquet).

        Returns:
            The comparison: figures of both, rank correlation, entries that one lacks, entries that moved most.

        Raises:
            InputError: If `other` is a run that is unfinished or from another version.
            MetadataError: If `other` is not a file of entry counts.

        Example:
            >>> from metaclip_spark import open_run
            >>> run = open_run("demo-output")
            >>> run.compare(run).rank_correlation
            1.0
        """
        texts, counts = read_texts(self._stored), read_counts(self._stored)
        if isinstance(other, EntryCounts):
            compared = compare_with_counts(self._stored, texts, counts, texts_of(other.entries), other.counts)
        else:
            path = other.path if isinstance(other, Run) else path_text(other)
            with arguments_named(OutputConfig):
                check_other(path)
                compared = compare_with(self._stored, self.report, path, texts, counts)
        return Comparison(**msgspec.structs.asdict(compared))

    def compare_with_paper(self) -> PaperComparison:
        """Puts the paper's facts about its pool of 1.6 billion English texts beside this run's.

        Returns:
            The comparison, which says whether it is valid: it is for 500,000 entries and English texts only.

        Raises:
            ConfigError: If the run has several metadata lists.
        """
        languages = self._stored.manifest(SAMPLE).config.gate.languages
        return PaperComparison(self.report, self.entry_counts, languages)

    def __repr__(self) -> str:
        """Folder and size."""
        report = self.report
        threshold = threshold_in_words(report.threshold_t, report.threshold_of)
        return f"Run({self.path!r}, {report.real_size:,} curated pairs at {threshold})"


def open_run(path: str | PathLike[str], spark: SparkSession | None = None) -> Run:
    """Opens a finished run to look at it; nothing is written.

    Args:
        path: The run's folder, on this machine or in a store: the `output` of `curate`, or --output of the job.
        spark: The session; None takes the active one, or starts a local one once a table is read, for a folder that
            Hadoop alone reaches at once.

    Returns:
        The run.

    Raises:
        InputError: If the folder is not a run, the run is unfinished, or another version wrote it.
        ConfigError: If a session must be started and there is no Java 17 or newer.

    Example:
        >>> from metaclip_spark import open_run
        >>> run = open_run("demo-output")
        >>> run.pool.count() > run.matched.count() > run.curated.count()
        True
    """
    with arguments_named(OutputConfig):
        activate(spark)
        return Run(stored_runs.open_run(path_text(path), name="library"))
