"""What the report shows beyond the manifests' numbers: Spark aggregates over the tables of a run.

Nothing here brings rows to the driver but a few hundred groups, a few dozen sample pairs, and numbers per entry.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from metaclip_spark import balance
from metaclip_spark.commits.removals import read_registers, removed_tables
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.reports.figures.preferences import preference_groups
from metaclip_spark.reports.figures.rules import removed_ids
from metaclip_spark.reports.records import Coverage, Group, HeadEntry, ListedEntry, Profile
from metaclip_spark.reports.samples import EntrySamples, Shown, sample_pairs_of, unmatched_texts
from metaclip_spark.runs.entry_tables import read_counts, read_lists, read_texts, read_thresholds, with_lists
from metaclip_spark.runs.layout import THRESHOLDS
from metaclip_spark.runs.records import MatchManifest, SampleManifest
from metaclip_spark.runs.run import Run, entry_table, read_expected_kept
from metaclip_spark.runs.step import COUNT
from metaclip_spark.steps.count import count_entries
from metaclip_spark.thresholds import check_threshold
from udfs.arrow import numpy_numbers
from udfs.schemas import CURATED, ENTRY_FIGURES, ESTIMATED_COUNTS, ESTIMATED_FIGURES, MATCHED, PAIRS

LISTED = 20
"""Entries, languages and domains that the report lists."""

TEXT_LENGTHS = (1, 10, 20, 40, 80, 160, 320, 1000)
"""The smallest number of characters of each class of texts."""

MOST_ENTRIES_PER_PAIR = 20
"""Pairs with more matched entries are in one class with those that have so many."""

KEEP_CLASSES = 10


@dataclass(frozen=True)
class Estimates:
    """What goes with entry counts that were estimated from the survivors of another run's draw."""

    errors: NDArray[np.float64]
    """The standard error of each count, in pairs."""

    first_counts: NDArray[np.int64]
    """The counts that the other run balanced with."""


@dataclass(frozen=True)
class EntryFigures:
    """Numbers per metadata entry, in the order of the ids."""

    texts: pa.Array
    """The entries, in Arrow's memory: as strings of Python they would take several times as much."""

    counts: NDArray[np.int64]
    """Pairs of the run that contain the entry."""

    probabilities: NDArray[np.float64]
    """min(1, t / count), where the count is the run's own or the one that --entry-counts gave."""

    expected: NDArray[np.float64]
    """The expected number of curated pairs that contain the entry."""

    kept: NDArray[np.int64]
    """Curated pairs that contain the entry."""

    estimates: Estimates | None = None
    """What goes with the counts, where they are estimates."""

    lists: EntryLists | None = None
    """Where each metadata list begins, where there are several."""

    def language_of(self, entry: int) -> str | UnsetType:
        """Gives the code of the list of an entry, where there are several lists."""
        return UNSET if self.lists is None else self.lists.code_of(entry)


def entry_figures(run: Run, sampled: SampleManifest) -> EntryFigures:
    """Computes each entry's pairs before and after the draw; triggers Spark jobs."""
    texts, counts = read_texts(run), read_counts(run)
    _, probabilities = read_balance(run, sampled, counts)
    expected = read_expected_kept(run, len(texts))
    kept = count_entries(run.read("curated", CURATED), len(texts))
    return EntryFigures(texts, counts, probabilities, expected, kept, read_estimates(run), read_lists(run))


def head_entries(figures: EntryFigures) -> list[HeadEntry]:
    """Gives the most frequent entries."""
    head = np.argsort(-figures.counts, kind="stable")[:LISTED]
    return [
        HeadEntry(
            entry_id=entry,
            entry_text=figures.texts[entry].as_py(),
            entry_count=int(figures.counts[entry]),
            metadata_language=figures.language_of(entry),
        )
        for entry in head.tolist()
    ]


def is_estimated(run: Run) -> bool:
    """Tells whether a run's counts are estimates, since its pairs are the survivors of another run's draw."""
    counted = run.manifest_if_done(COUNT)
    return counted is not None and isinstance(counted.numbers.estimated_pairs, int)


def read_estimates(run: Run) -> Estimates | None:
    """Reads what goes with counts that are estimates; None where they are none."""
    if not is_estimated(run):
        return None
    rows = run.read_rows("entry_counts", ESTIMATED_COUNTS).sort_by("entry_id")
    return Estimates(
        errors=numpy_numbers(rows["entry_count_error"].combine_chunks()),
        first_counts=numpy_numbers(rows["first_entry_count"].combine_chunks()),
    )


def read_balance(
    run: Run, sampled: SampleManifest, counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives the counts that the sample step balanced with (the run's own or --entry-counts') and the probabilities."""
    balanced = read_counts(run, "balance_counts") if sampled.settings["entry_counts"] else counts
    lists = read_lists(run) if run.state.written(THRESHOLDS) else None
    threshold = lists.for_each_entry(read_thresholds(run, lists)) if lists else None
    if threshold is None:
        return balanced, balance.entry_probabilities(balanced, check_threshold(sampled.numbers.threshold_t))
    return balanced, balance.entry_probabilities(balanced, threshold)


def write_entry_figures(run: Run, figures: EntryFigures, folder: str) -> None:
    """Stores the figures as a table in the report's folder, columns of `ENTRY_FIGURES` or `ESTIMATED_FIGURES`."""
    estimates = figures.estimates
    more = (estimates.errors, estimates.first_counts) if estimates else ()
    schema = ESTIMATED_FIGURES if estimates else ENTRY_FIGURES
    columns = (figures.texts, figures.counts, figures.probabilities, figures.expected, figures.kept, *more)
    table = with_lists(entry_table(schema, *columns), figures.lists)
    run.storage.put_table(f"{folder}/entries/part-00000.zstd.parquet", table)


def profile_run(
    run: Run,
    matched: MatchManifest,
    sampled: SampleManifest,
    figures: EntryFigures,
    pairs: tuple[DataFrame, DataFrame],
    hosts: DataFrame,
) -> Profile:
    """Gathers what the report shows of the tables of a run whose sample step is done.

    Args:
        run: The run.
        matched: The manifest of its match step.
        sampled: The manifest of its sample step.
        figures: Its numbers per entry.
        pairs: The pairs before the draw, and those after it.
        hosts: Both counted by host, as `metaclip_spark.reports.public.domains.counted_hosts` gives them.
    """
    passed, curated = pairs
    rows = _key_rows(passed, curated)
    together = [row for row in rows if row.text_length is not None]
    others = [row for row in rows if row.text_length is None]
    keep: Counter[int] = Counter()
    for row in others:
        if row.keep_class is not None:
            keep[row.keep_class] += row.curated
    domains = [Group(group=row.domain, matched=row.matched, curated=row.curated) for row in _host_rows(hosts)]
    languages = _summed(together, "language")
    numbers = sampled.numbers
    most_cut, most_kept = _largest(figures.counts - figures.kept), _largest(figures.kept)
    sizes = (numbers.pairs_in - numbers.gated_out, numbers.pairs)
    listed = list(dict.fromkeys([*most_cut, *most_kept]))
    not_removed = _leaving_out_removed(run)
    samples = sample_pairs_of(passed, curated, listed, sizes, figures.probabilities, not_removed)
    entries = {entry: _listed(figures, entry, samples.get(entry, EntrySamples([], []))) for entry in listed}
    return Profile(
        languages=sorted(languages, key=lambda row: (-row.matched, str(row.group)))[:LISTED],
        domains=sorted(domains, key=lambda row: (-row.matched, str(row.group)))[:LISTED],
        domains_lost=[
            row
            for row in sorted(domains, key=lambda row: (row.curated - row.matched, str(row.group)))[:LISTED]
            if row.matched > row.curated
        ],
        text_lengths=sorted(_summed(together, "text_length"), key=lambda row: int(row.group)),
        entries_per_pair=sorted(_summed(together, "entries"), key=lambda row: int(row.group)),
        coverage=entry_coverage(figures),
        most_cut=[entries[entry] for entry in most_cut],
        most_kept=[entries[entry] for entry in most_kept],
        keep_probabilities=[keep[place] for place in range(KEEP_CLASSES)] if keep else [],
        unmatched=unmatched_texts(
            run.read_buckets("pool", PAIRS),
            run.read_buckets("matched", MATCHED),
            matched.numbers.pairs_in,
            sum(matched.numbers.reasons.values()),
            not_removed,
        ),
        preferences=preference_groups(run, sampled.config.gate, others),
    )


def entry_coverage(figures: EntryFigures) -> list[Coverage]:
    """Counts entries by their number of pairs (0, 1 to 9, 10 to 99 ...): the tail's coverage."""
    classes = [(0, 0)]
    while classes[-1][1] < figures.counts.max():
        classes.append((classes[-1][1] + 1, 10 * classes[-1][1] + 9))
    return [
        Coverage(
            first=first,
            last=last,
            matched=int(((figures.counts >= first) & (figures.counts <= last)).sum()),
            curated=int(((figures.kept >= first) & (figures.kept <= last)).sum()),
        )
        for first, last in classes
    ]


def _key_rows(matched: DataFrame, curated: DataFrame) -> list[Row]:
    """Counts the pairs of both tables by the keys with few values together, and by probability."""
    classes = F.least(F.floor(F.col("keep_probability") * KEEP_CLASSES), F.lit(KEEP_CLASSES - 1))
    keyed = side_by_side(
        matched.withColumn("keep_class", F.lit(None).cast("bigint")),
        curated.withColumn("keep_class", classes),
        F.coalesce("language", F.lit("not identified")).alias("language"),
        _length_class(F.length("alt_text")).alias("text_length"),
        F.least(F.size("entry_ids"), F.lit(MOST_ENTRIES_PER_PAIR)).alias("entries"),
        F.col("keep_class"),
        F.col("page_preferences"),
    )
    rows: list[Row] = matched.sparkSession.sql(
        "SELECT language, text_length, entries, keep_class, page_preferences,"
        " sum(1 - is_curated) AS matched, sum(is_curated) AS curated FROM {pairs}"
        " GROUP BY GROUPING SETS ((language, text_length, entries), (keep_class, page_preferences))",
        pairs=keyed,
    ).collect()
    return rows


def _host_rows(hosts: DataFrame) -> list[Row]:
    """Gives the hosts of images that have most pairs, or lost most."""
    images = hosts.where(F.col("side") == "image")
    most = images.orderBy(F.desc("matched"), "domain").limit(LISTED)
    lost = images.orderBy(F.desc(F.col("matched") - F.col("curated")), "domain").limit(LISTED)
    # One after the other: the first keeps the hosts, which two at once would both count.
    rows: list[Row] = [*most.collect(), *lost.collect()]
    return list({row.domain: row for row in rows}.values())


def side_by_side(matched: DataFrame, curated: DataFrame, *keys: Column) -> DataFrame:
    """Puts the keys of both tables into one, which tells them apart by `is_curated`."""
    both = [table.select(*keys, F.lit(kept).alias("is_curated")) for table, kept in ((matched, 0), (curated, 1))]
    return both[0].unionByName(both[1])


def _leaving_out_removed(run: Run) -> Shown:
    """Leaves out of pairs those that removals name: where one has only dropped them, they are matched still."""
    if not run.state.removals:
        return lambda pairs: pairs
    tables = removed_tables(read_registers(run.storage, run.state))
    return lambda pairs: pairs.join(removed_ids(run, pairs, tables), "pair_id", "left_anti")


def _summed(rows: Sequence[Row], name: str) -> list[Group]:
    """Adds groups of several keys up to groups of one of them."""
    sums: dict[str | int, Group] = {}
    for row in rows:
        total = sums.setdefault(row[name], Group(group=row[name], matched=0, curated=0))
        total.matched += row.matched
        total.curated += row.curated
    return list(sums.values())


def _length_class(length: Column) -> Column:
    """Gives the smallest length of the class that a length lies in."""
    classes = F.lit(TEXT_LENGTHS[0])
    for smallest in TEXT_LENGTHS[1:]:
        classes = F.when(length >= smallest, smallest).otherwise(classes)
    return classes


def _largest(numbers: NDArray[np.int64]) -> list[int]:
    return [int(entry) for entry in np.argsort(-numbers, kind="stable")[:LISTED] if numbers[entry]]


def _listed(figures: EntryFigures, entry: int, samples: EntrySamples) -> ListedEntry:
    estimates = figures.estimates
    return ListedEntry(
        entry_id=entry,
        entry_text=figures.texts[entry].as_py(),
        entry_count=int(figures.counts[entry]),
        entry_probability=float(figures.probabilities[entry]),
        expected_kept=float(figures.expected[entry]),
        kept=int(figures.kept[entry]),
        entry_count_error=float(estimates.errors[entry]) if estimates else UNSET,
        first_entry_count=int(estimates.first_counts[entry]) if estimates else UNSET,
        pairs=samples.kept,
        dropped=samples.dropped,
        metadata_language=figures.language_of(entry),
    )
