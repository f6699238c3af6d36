"""How many of the pairs that rules have judged are left: by language, by domain, and by head and tail."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from metaclip_spark.reports.figures.survival_records import Survival, SurvivalRow
from metaclip_spark.runs.layout import THRESHOLDS
from metaclip_spark.runs.records import ExcludeManifest
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.steps.exclusion.hosts import host_of
from metaclip_spark.steps.lists.entry_numbers import send_entry_numbers
from metaclip_spark.steps.schemas import spark_schema
from udfs.balancing.probability import have_certain_entry
from udfs.exclusion.kinds import REASONS
from udfs.exclusion.survival import DOMAIN, ENTRIES, LANGUAGE, SIZE, judged_kinds, largest_groups
from udfs.schemas import EXCLUDED, JUDGED

LISTED = {LANGUAGE: 20, DOMAIN: 10, ENTRIES: 3}
"""Groups that are told one by one, at most."""

NAMED = "named by lists or removals"
"""Of these pairs the table of excluded pairs tells neither domain nor entries."""

_ENTRIES = {"0": "with entries above t only", "1": "with an entry that has at most t pairs"}
_NOT_DECLARED, _OTHER_LANGUAGES = "not declared", "other languages"

_COUNTED = """
    SELECT CASE WHEN grouping(language) = 0 THEN 'language' WHEN grouping(domain) = 0 THEN 'domain' ELSE 'entries' END
               AS kind,
           coalesce(language, domain, string(is_certain)) AS value,
           count(*) AS judged{}
    FROM {{judged}} GROUP BY GROUPING SETS ((language), (domain), (is_certain))
"""


def survival_of(run: Run, excluded: ExcludeManifest | None, probabilities: NDArray[np.float64]) -> Survival | UnsetType:
    """Counts what rules have judged and left; triggers a Spark job that reads a few columns.

    Args:
        run: The run.
        excluded: The manifest of its exclude step; None where it went without.
        probabilities: Shape (entries,): those of the draw.

    Returns:
        The numbers; UNSET where no pair was excluded, or the table of excluded pairs tells but the reasons, as earlier
        versions have written it.

    Raises:
        InputError: If files were lost.
    """
    if excluded is None or not excluded.numbers.reasons:
        return UNSET
    numbers = excluded.numbers
    whole = SurvivalRow(group="", judged=numbers.pairs_in, left=numbers.pairs, reasons=numbers.reasons)
    found = _groups(run, [*whole.reasons], probabilities)
    named = [_row(NAMED, row, whole, is_class=True) for row in found[ENTRIES] if row.value is None]
    if any(reason not in REASONS for row in named for reason in row.reasons):
        return UNSET
    entries = {row.value: row for row in found[ENTRIES]}
    survival = Survival(
        languages=_languages(found[LANGUAGE], whole),
        domains=[*_domains(found, whole), *named],
        entries=[
            *(
                _row(words, entries[value], whole, is_class=True)
                for value, words in _ENTRIES.items()
                if value in entries
            ),
            *named,
        ],
    )
    for rows in (survival.languages, survival.domains, survival.entries):
        check_number(sum(row.judged for row in rows), whole.judged, "pairs that the rules have judged")
    return survival


def _groups(run: Run, reasons: Sequence[str], probabilities: NDArray[np.float64]) -> dict[str, list[Row]]:
    """Counts the pairs that the rules have judged by what they have in common: the largest groups of each kind."""
    with send_entry_numbers(run.spark, probabilities) as read:

        def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return judged_kinds(batches, partial(have_certain_entry, entry_probability=read()))

        place = F.coalesce(*(F.when(F.col("reason") == reason, place) for place, reason in enumerate(reasons)))
        judged = _judged(run).mapInArrow(find, spark_schema(JUDGED)).withColumn("place", place)
        groups = run.spark.sql(_COUNTED.format(_sums(reasons)), judged=judged)
        told = StructType([*groups.schema, StructField("groups", LongType())])
        rows = groups.mapInArrow(partial(largest_groups, listed=LISTED), told).collect()
    return {kind: [row for row in rows if row.kind == kind] for kind in (*LISTED, SIZE)}


def _sums(reasons: Sequence[str]) -> str:
    return "".join(f", count_if(place = {place}) AS reason_{place}" for place in range(len(reasons)))


def _judged(run: Run) -> DataFrame:
    """Gives of the pairs that the rules have judged what tells their kinds and, of excluded ones, the reason."""
    language = F.col("metadata_language" if run.state.written(THRESHOLDS) else "page_language").alias("language")
    host, no_reason = host_of(F.col("image_url")).alias("image_host"), F.lit(None).cast("string").alias("reason")
    left = run.eligible().select(language, host, "entry_ids", no_reason)
    excluded = run.read_buckets("excluded", EXCLUDED)
    return left.unionByName(excluded.select(language, "image_host", "entry_ids", "reason"))


def _languages(found: Sequence[Row], whole: SurvivalRow) -> list[SurvivalRow]:
    """Tells the largest languages, and the others together."""
    rows = [
        _row(_NOT_DECLARED if row.value is None else row.value, row, whole, is_class=row.value is None)
        for row in _largest(found, LANGUAGE)
    ]
    others = _without(whole, rows)
    return [*rows, msgspec.structs.replace(others, group=_OTHER_LANGUAGES, is_class=True)] if others.judged else rows


def _domains(found: Mapping[str, Sequence[Row]], whole: SurvivalRow) -> list[SurvivalRow]:
    """Tells the largest domains, and the others by their size."""
    listed = [_row(row.value, row, whole) for row in _largest(found[DOMAIN], DOMAIN)]
    others = []
    for digits in sorted({int(row.value) for row in found[SIZE]}, reverse=True):
        of_size = [row for row in found[SIZE] if int(row.value) == digits]
        alone = [row for row in listed if len(str(row.judged)) == digits]
        domains = sum(row.groups for row in of_size) - len(alone)
        if domains:
            name = f"other domains of {10 ** (digits - 1):,} to {10**digits - 1:,} pairs"
            rest = _without(_added([_row(name, row, whole, is_class=True) for row in of_size]), alone)
            others.append(msgspec.structs.replace(rest, domains=domains))
    return [*listed, *others]


def _largest(found: Sequence[Row], kind: str) -> list[Row]:
    return sorted(found, key=lambda row: (-row.judged, row.value is None, row.value or ""))[: LISTED[kind]]


def _row(group: str, counted: Row, whole: SurvivalRow, *, is_class: bool = False) -> SurvivalRow:
    reasons = {reason: counted[f"reason_{number}"] for number, reason in enumerate(whole.reasons)}
    left = counted.judged - sum(reasons.values())
    return SurvivalRow(group=group, judged=counted.judged, left=left, reasons=_occurring(reasons), is_class=is_class)


def _added(rows: Sequence[SurvivalRow]) -> SurvivalRow:
    """Adds rows of one class up."""
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons.update(row.reasons)
    judged, left = sum(row.judged for row in rows), sum(row.left for row in rows)
    return msgspec.structs.replace(rows[0], judged=judged, left=left, reasons=dict(reasons))


def _without(whole: SurvivalRow, parts: Sequence[SurvivalRow]) -> SurvivalRow:
    """Takes parts out of a whole."""
    if not parts:
        return whole
    gone = _added(parts)
    reasons = {reason: number - gone.reasons.get(reason, 0) for reason, number in whole.reasons.items()}
    return msgspec.structs.replace(
        whole, judged=whole.judged - gone.judged, left=whole.left - gone.left, reasons=_occurring(reasons)
    )


def _occurring(reasons: Mapping[str, int]) -> dict[str, int]:
    return {reason: number for reason, number in reasons.items() if number}
