"""Two runs, or a run and a file of entry counts, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from metaclip_spark.balance import exact_sum
from metaclip_spark.config.fields import differing
from metaclip_spark.entries import read_any_counts
from metaclip_spark.errors import counted, said_of
from metaclip_spark.reports.records import ComparedFigure, Comparison, MissingEntries, Move, Overlap, Report
from metaclip_spark.runs.entry_tables import languages_of, read_counts, read_lists, read_texts
from metaclip_spark.runs.layout import CURATED as CURATED_TABLE
from metaclip_spark.runs.layout import report_file
from metaclip_spark.runs.open import check_finished, open_beside, read_log
from metaclip_spark.runs.paths import counts_in_run, is_run_folder
from metaclip_spark.runs.records import read_report
from metaclip_spark.runs.run import Run
from metaclip_spark.stores.storage import JsonObject, Storage
from udfs.schemas import CURATED
from udfs.sources.credentials import without_credentials

LISTED_MOVES = 20
LISTED_MISSING = 10
_LONG_TEXT = pa.large_string()

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


class NamedCounts(NamedTuple):
    """Entry counts with the name of each entry: its text, after the code of its list where there are several lists."""

    names: pa.Array
    counts: Counts
    has_lists: bool


def read_count_file(path: str) -> NamedCounts:
    """Reads a file of entry counts of any metadata list or lists, or a table of them in a run.

    Raises:
        MetadataError: If it is missing, has another form, or its counts are no whole numbers.
        InputError: If it lies in a run whose log does not name it.
    """
    texts, codes, counts = read_any_counts(counts_in_run(path))
    return NamedCounts(texts if codes is None else _with_codes(codes, texts), counts, codes is not None)


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


def compare_with(run: Run, report: Report, path: str, texts: pa.Array, counts: Counts) -> Comparison:
    """Compares a run with another one (its folder), or with a file of entry counts."""
    ours = _named(run, texts, counts)
    if not is_run_folder(path):
        return compare_named(ours, read_count_file(path), without_credentials(path))
    other = open_beside(run, path)
    other_report = read_report(other.storage, report_file(other.state), Report)
    theirs = _named(other, read_texts(other), read_counts(other))
    comparison = compare_named(ours, theirs, path, _figures(report, other_report) if other_report else ())
    settings = _differing_settings(report.settings, other_report.settings) if other_report else []
    return msgspec.structs.replace(comparison, settings=settings, curated=_overlap(run, other))


def compare_with_counts(
    run: Run, texts: pa.Array, counts: Counts, other_texts: pa.Array, other_counts: Counts
) -> Comparison:
    """Compares a run with counts that do not say which list an entry is of: the same lists place by place."""
    plain = NamedCounts(texts, counts, has_lists=False)
    ours = plain if texts.equals(other_texts) else _named(run, texts, counts)
    return compare_named(ours, NamedCounts(other_texts, other_counts, has_lists=False), "entry counts")


def _named(run: Run, texts: pa.Array, counts: Counts) -> NamedCounts:
    lists = read_lists(run)
    if lists is None:
        return NamedCounts(texts, counts, has_lists=False)
    return NamedCounts(_with_codes(languages_of(lists), texts), counts, has_lists=True)


def _with_codes(codes: pa.Array, texts: pa.Array) -> pa.Array:
    """Names entries by the code of their list, too: more than one list may have the same text."""
    # With the codes they may be more text than 32-bit offsets reach.
    codes, texts = codes.cast(_LONG_TEXT), texts.cast(_LONG_TEXT)
    return pc.binary_join_element_wise(codes, texts, pa.scalar(":", _LONG_TEXT))


def compare_named(ours: NamedCounts, theirs: NamedCounts, name: str, runs: Sequence[ComparedFigure] = ()) -> Comparison:
    """Compares counts of two sides, which may have several metadata lists; one sentence says if one alone has."""
    compared = compare_counts(ours.names, ours.counts, theirs.names, theirs.counts, name=name, runs=runs)
    if ours.has_lists == theirs.has_lists:
        return compared
    one_sided = (
        f"Only {'this run' if ours.has_lists else 'the other'} has several metadata lists, so entries cannot be "
        "compared: give a run or counts of the same kind."
    )
    return msgspec.structs.replace(compared, sentence=one_sided)


def _figures(report: Report, other: Report) -> list[ComparedFigure]:
    """Puts the figures of two reports side by side, with their differences."""
    of_both = [
        f"{each.threshold_t} for {each.threshold_of}" if each.threshold_of else each.threshold_t
        for each in (report, other)
    ]
    thresholds = ComparedFigure(figure="threshold t", this=of_both[0], other=of_both[1])
    figures = [
        ComparedFigure(
            figure=name.replace("real", "actual").replace("_", " "),
            this=form.format(getattr(report, name)),
            other=form.format(getattr(other, name)),
            difference=form.replace(":", ":+").format(getattr(report, name) - getattr(other, name)),
        )
        for name, form in _FIGURES.items()
    ]
    return [thresholds, *figures]


def _differing_settings(ours: Mapping[str, JsonObject], theirs: Mapping[str, JsonObject]) -> list[ComparedFigure]:
    """Names the settings of the steps that differ; an earlier version does not tell of an option that it lacks."""
    here, there = (
        {f"{step}: {name}": value for step, settings in report.items() for name, value in settings.items()}
        for report in (ours, theirs)
    )
    figures = [
        ComparedFigure(figure=name, this=_shown(here.get(name)), other=_shown(there.get(name)))
        for name in differing(here, there)
    ]
    return [figure for figure in figures if figure.this != figure.other]


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _overlap(run: Run, other: Run) -> Overlap:
    """Counts the pairs that both curated sets have, and those of one alone; triggers a Spark job."""
    ours, theirs = (each.read(CURATED_TABLE, CURATED).select("pair_id") for each in (run, other))
    sides = ours.withColumn("here", F.lit(1)).join(theirs.withColumn("there", F.lit(1)), "pair_id", "full")
    row = sides.agg(*(F.count(name).alias(name) for name in ("here", "there", "pair_id"))).collect()[0]
    both = row.here + row.there - row.pair_id
    return Overlap(both=both, only_this=row.here - both, only_other=row.there - both)


def compare_counts(
    texts: pa.Array,
    counts: Counts,
    other_texts: pa.Array,
    other_counts: Counts,
    *,
    name: str = "",
    runs: Sequence[ComparedFigure] = (),
) -> Comparison:
    """Compares two sets of entry counts by the entries' texts.

    Args:
        texts: A metadata list, strings, shape (entries,).
        counts: Its counts, shape (entries,).
        other_texts: Another list, or the same, strings, shape (other entries,).
        other_counts: Its counts, shape (other entries,).
        name: What the other counts are called.
        runs: Figures of two runs.

    The text of an entry may stand in several metadata lists: then the same lists are compared place by place.

    Returns:
        Entries in both, Spearman's rank correlation of their counts, entries that one lacks, and the entries whose
        share of all matches differs most.
    """
    here, there = _shared_places(texts, other_texts)
    ours, theirs = counts[here], other_counts[there]
    return Comparison(
        name=name,
        runs=list(runs),
        sentence=_sentence(ours.size, len(texts), len(other_texts)),
        shared=ours.size,
        rank_correlation=rank_correlation(ours, theirs),
        missing_there=_missing(texts, counts, here),
        missing_here=_missing(other_texts, other_counts, there),
        moves=_moves(texts, np.arange(len(texts))[here], ours, theirs),
    )


_Places = NDArray[np.int64] | slice


def _shared_places(texts: pa.Array, other_texts: pa.Array) -> tuple[_Places, _Places]:
    """Finds where the entries that both have stand in each: everywhere where they are the same."""
    if texts.type != other_texts.type:
        texts, other_texts = texts.cast(_LONG_TEXT), other_texts.cast(_LONG_TEXT)
    if texts.equals(other_texts):
        return slice(None), slice(None)
    there = pc.index_in(texts, value_set=other_texts)
    return np.flatnonzero(there.is_valid().to_numpy(zero_copy_only=False)), there.drop_null().to_numpy()


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
            f"The metadata lists differ: {counted(shared, 'entry is', 'entries are')} in both, of {here:,} here and "
            f"{there:,} there. Ranks and moves are of the shared ones."
        )
    return ""


def _missing(texts: pa.Array, counts: Counts, shared: _Places) -> MissingEntries:
    is_missing = np.ones(len(texts), bool)
    is_missing[shared] = False
    places = np.flatnonzero(is_missing)
    frequent = places[np.argsort(-counts[places], kind="stable")[:LISTED_MISSING]]
    return MissingEntries(entries=places.size, first=texts.take(pa.array(frequent)).to_pylist())


def _moves(texts: pa.Array, places: NDArray[np.int64], ours: Counts, theirs: Counts) -> list[Move]:
    """Lists the entries at some places whose share of all matches differs most."""
    shares = [counts / float(max(1, exact_sum(counts))) for counts in (ours, theirs)]
    if not places.size:
        return []
    difference = np.abs(shares[0] - shares[1])
    ranks = [_mean_ranks(ours), _mean_ranks(theirs)]
    return [
        Move(
            entry_text=texts[int(places[place])].as_py(),
            count_here=int(ours[place]),
            count_there=int(theirs[place]),
            rank_here=float(ranks[0][place]),
            rank_there=float(ranks[1][place]),
            share_here=float(shares[0][place]),
            share_there=float(shares[1][place]),
        )
        for place in np.argsort(-difference, kind="stable")[:LISTED_MOVES]
        if difference[place] > 0 and ours[place] != theirs[place]
    ]
