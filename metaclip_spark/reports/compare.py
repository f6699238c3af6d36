"""Two runs, or a run and a file of entry counts, side by side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metaclip_spark.balance import exact_sum
from metaclip_spark.entries import entries_of_counts, load_entry_counts
from metaclip_spark.errors import said_of
from metaclip_spark.reports.records import ComparedFigure, Comparison, MissingEntries, Move, Report
from metaclip_spark.runs.layout import report_file
from metaclip_spark.runs.open import check_finished, open_beside, read_log
from metaclip_spark.runs.paths import counts_in_run, is_run_folder
from metaclip_spark.runs.records import read_report
from metaclip_spark.runs.run import Run, read_entry_counts
from metaclip_spark.stores.storage import Storage
from udfs.sources.credentials import without_credentials

LISTED_MOVES = 20
LISTED_MISSING = 10

_FIGURES = {
    "matches": "{:,}",
    "matches_per_matched_pair": "{:.2f}",
    "entries": "{:,}",
    "entries_never_matched": "{:,}",
    "tail_share": "{:.2%}",
    "head_entries_cut": "{:,}",
    "expected_size": "{:,.1f}",
    "real_size": "{:,}",
}

Counts = NDArray[np.int64]


def read_count_file(path: str) -> tuple[list[str], Counts]:
    """Reads a file of entry counts of any metadata list, or a table of them in a run.

    Raises:
        MetadataError: If it is missing, has another form, or its counts are no whole numbers.
        InputError: If it lies in a run whose log does not name it.
    """
    source = counts_in_run(path)
    metadata = entries_of_counts(source)
    return list(metadata.entries), load_entry_counts(source, metadata)


def check_other(path: str) -> None:
    """Refuses what the report cannot be compared with, before Spark starts work.

    Raises:
        InputError: If it is a run that is unfinished or from another version.
        MetadataError: If it is no file of entry counts.
    """
    with said_of("--against"):
        if is_run_folder(path):
            storage = Storage(path)
            log = read_log(storage)
            check_finished(storage, log)
            read_report(storage, report_file(log.state), Report)
        else:
            read_count_file(path)


def compare_with(run: Run, report: Report, path: str, texts: Sequence[str], counts: Counts) -> Comparison:
    """Compares a run with another one (its folder), or with a file of entry counts."""
    if not is_run_folder(path):
        return compare_counts(texts, counts, *read_count_file(path), name=without_credentials(path))
    other = open_beside(run, path)
    other_report = read_report(other.storage, report_file(other.state), Report)
    figures = [
        ComparedFigure(
            figure=name.replace("real", "actual").replace("_", " "),
            this=form.format(getattr(report, name)),
            other=form.format(getattr(other_report, name)),
        )
        for name, form in _FIGURES.items()
        if other_report
    ]
    threshold = other_report.threshold_t if other_report else "–"
    thresholds = ComparedFigure(figure="threshold t", this=report.threshold_t, other=threshold)
    return compare_counts(texts, counts, *read_entry_counts(other), name=path, runs=[thresholds, *figures])


def compare_counts(
    texts: Sequence[str],
    counts: Counts,
    other_texts: Sequence[str],
    other_counts: Counts,
    *,
    name: str = "",
    runs: Sequence[ComparedFigure] = (),
) -> Comparison:
    """Compares two sets of entry counts by the entries' texts.

    Args:
        texts: A metadata list.
        counts: Its counts.
        other_texts: Another list, or the same.
        other_counts: Its counts.
        name: What the other counts are called.
        runs: Figures of two runs.

    Returns:
        Entries in both, Spearman's rank correlation of their counts, entries that one lacks, and the entries whose
        share of all matches differs most.
    """
    there = {text: place for place, text in enumerate(other_texts)}
    here = set(texts)
    shared = [(place, there[text]) for place, text in enumerate(texts) if text in there]
    ours = counts[[place for place, _ in shared]] if shared else np.empty(0, np.int64)
    theirs = other_counts[[place for _, place in shared]] if shared else np.empty(0, np.int64)
    only_here = [place for place, text in enumerate(texts) if text not in there]
    only_there = [place for place, text in enumerate(other_texts) if text not in here]
    return Comparison(
        name=name,
        runs=list(runs),
        sentence=_sentence(len(shared), len(texts), len(other_texts)),
        shared=len(shared),
        rank_correlation=rank_correlation(ours, theirs),
        missing_there=_missing(texts, counts, only_here),
        missing_here=_missing(other_texts, other_counts, only_there),
        moves=_moves([texts[place] for place, _ in shared], ours, theirs),
    )


def rank_correlation(first: Counts, second: Counts) -> float | None:
    """Computes Spearman's rank correlation of n counts each; None where either does not vary."""
    ranks = [_mean_ranks(counts) for counts in (first, second)]
    centred = [rank - rank.mean() for rank in ranks if rank.size]
    if not centred or any(not part.any() for part in centred):
        return None
    return float((centred[0] * centred[1]).sum() / np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))


def _mean_ranks(counts: Counts) -> NDArray[np.float64]:
    """Ranks counts, the largest first from 1."""
    _, groups, sizes = np.unique(-counts, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    means: NDArray[np.float64] = (last - (sizes - 1) / 2)[groups]
    return means


def _sentence(shared: int, here: int, there: int) -> str:
    if not shared:
        return (
            "The two have no metadata entry in common: the counts belong to another metadata list, so there is nothing "
            "to compare."
        )
    if shared < here or shared < there:
        return (
            f"The metadata lists differ: {shared:,} entries are in both, of {here:,} here and {there:,} there. Ranks "
            "and moves are of the shared ones."
        )
    return ""


def _missing(texts: Sequence[str], counts: Counts, places: list[int]) -> MissingEntries:
    frequent = sorted(places, key=lambda place: (-int(counts[place]), place))[:LISTED_MISSING]
    return MissingEntries(entries=len(places), first=[texts[place] for place in frequent])


def _moves(texts: list[str], ours: Counts, theirs: Counts) -> list[Move]:
    shares = [counts / float(max(1, exact_sum(counts))) for counts in (ours, theirs)]
    if not texts:
        return []
    difference = np.abs(shares[0] - shares[1])
    ranks = [_mean_ranks(ours), _mean_ranks(theirs)]
    return [
        Move(
            entry_text=texts[place],
            count_here=int(ours[place]),
            count_there=int(theirs[place]),
            rank_here=float(ranks[0][place]),
            rank_there=float(ranks[1][place]),
            share_here=float(shares[0][place]),
            share_there=float(shares[1][place]),
        )
        for place in np.argsort(-difference, kind="stable")[:LISTED_MOVES]
        if difference[place] > 0
    ]
