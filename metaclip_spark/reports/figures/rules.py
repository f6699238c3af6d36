"""What rules, downloads and removals have to do with a run."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from metaclip_spark.commits.entries import Removal
from metaclip_spark.commits.removals import named_folders
from metaclip_spark.errors import counted
from metaclip_spark.reports.pages.reasons import FILTER, meaning_of
from metaclip_spark.reports.records import DownloadFigures, FailedDownloads, RemovalFigures, RunsBefore
from metaclip_spark.runs.records import ExcludeManifest, RemovalNumbers
from metaclip_spark.runs.run import Run
from metaclip_spark.steps.exclusion.lists import find_named, share_lists
from udfs.exclusion.digest_table import DigestTable
from udfs.schemas import REMOVED_PAIRS


def removed_ids(run: Run, pairs: DataFrame, tables: Mapping[str, DigestTable]) -> DataFrame:
    """Gives pair_ids, some more than once: what removals have named, and of some pairs what they would name now.

    Args:
        run: The run.
        pairs: Pairs with the columns of `udfs.exclusion.kinds.COLUMNS`.
        tables: What its removals list, by kind; images, of which those columns do not tell, are not looked for.
    """
    ids = named_ids(run)
    of_columns = {kind: table for kind, table in tables.items() if kind != "image"}
    if not of_columns:
        return ids
    return ids.unionByName(find_named(pairs, share_lists(run.spark, of_columns)).select("pair_id"))


def named_ids(run: Run) -> DataFrame:
    """Gives the pair_ids, some more than once, that removals had named when they were registered."""
    return run.read_written(named_folders(run.state.removals.values()), REMOVED_PAIRS).select("pair_id")


def removal_figures(removals: Mapping[int, Removal]) -> list[RemovalFigures]:
    """Gives the numbers of each removal of a run, by its number in the log, in their order."""
    return [_removal_figures(number, removal) for number, removal in sorted(removals.items())]


def _removal_figures(number: int, removal: Removal) -> RemovalFigures:
    values, matched, curated = (sum(each.values()) for each in (removal.values, removal.matched, removal.curated))
    is_counted = bool(removal.matched and removal.input)
    return RemovalFigures(
        number=number, at=removal.at, values=values, matched=matched if is_counted else None, curated=curated
    )


def runs_before(excluded: ExcludeManifest | None) -> RunsBefore | None:
    """Gives what the runs that a run began with had left out before; None where its pairs are its own."""
    if excluded is None or not excluded.config.runs_before:
        return None
    config = excluded.config
    removals = [draw.removals for draw in config.runs_before if isinstance(draw.removals, RemovalNumbers)]
    preferences = [draw.preferences for draw in config.draws_before if isinstance(draw.preferences, list)]
    return RunsBefore(
        preferences=list(dict.fromkeys(name for names in preferences for name in names)),
        removals=sum(each.removals for each in removals),
        values=sum(each.values for each in removals),
        curated=sum(each.curated for each in removals),
    )


def why_none_eligible(excluded: ExcludeManifest | None) -> str:
    """Says why rules have left no pair, naming the reason by which most left; empty where there is another cause."""
    if excluded is None or excluded.numbers.pairs:
        return ""
    numbers = excluded.numbers
    if not numbers.reasons:
        return "the curated set of the run that it began with is empty" if excluded.config.is_estimated else ""
    reason, number = max(numbers.reasons.items(), key=lambda each: each[1])
    meaning = f" ({meaning_of(reason)})" if meaning_of(reason) else ""
    told = f"rules exclude all {counted(numbers.pairs_in, 'pair')}, {number:,} by {reason}{meaning}"
    if reason.startswith(FILTER) and excluded.config.unscored != "keep":
        told += "; a pair without a row in --scores leaves, too: check that they are of these pairs"
    return told


def download_figures(excluded: ExcludeManifest | None) -> DownloadFigures | None:
    """Gives what a download has to do with a run; None where none is told."""
    if excluded is None or not excluded.numbers.download_rows:
        return None
    numbers = excluded.numbers
    failed = [FailedDownloads(error=error, pairs=pairs) for error, pairs in numbers.download_errors.items()]
    return DownloadFigures(rows=numbers.download_rows, unknown=numbers.download_unknown, failed=failed)
