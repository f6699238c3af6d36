"""How many pairs declare each preference: before the rules of a run, and in the curated set."""

from collections.abc import Callable, Sequence
from functools import partial

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from metaclip_spark.reports.records import ANY_PREFERENCE, NOT_READ, Group
from metaclip_spark.runs.records import Gate
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXCLUDE
from udfs.preferences import PREFERENCES
from udfs.schemas import MATCHED


def preference_groups(run: Run, gate: Gate, drawn: Sequence[Row]) -> list[Group]:
    """Counts the pairs with each preference, with any, and those of which none was read; a pair may have several.

    Args:
        run: The run.
        gate: Its language filter.
        drawn: The numbers of `matched` pairs to draw from, and of `curated` ones, by their `page_preferences`.

    Returns:
        Of each, the pairs before rules and language filter, as the rules have judged them, and the curated ones.
    """
    judged, curated = _judged(run, gate, drawn), named_preferences(drawn, "curated")
    return [Group(group=name, matched=judged[name], curated=number) for name, number in curated.items()]


def rows_by_preferences(pairs: DataFrame) -> list[Row]:
    """Counts `pairs` by their `page_preferences`; triggers a Spark job."""
    return pairs.groupBy("page_preferences").agg(F.count(F.lit(1)).alias("pairs")).collect()


def named_preferences(rows: Sequence[Row], number: str) -> dict[str, int]:
    """Adds up a number of rows with `page_preferences` by the name of each preference."""
    chosen: dict[str, Callable[[int | None], bool]] = {
        **{name: partial(_has_bit, bit) for bit, name in enumerate(PREFERENCES)},
        ANY_PREFERENCE: bool,
        NOT_READ: lambda bits: bits is None,
    }
    return {name: sum(row[number] for row in rows if is_of(row.page_preferences)) for name, is_of in chosen.items()}


def _judged(run: Run, gate: Gate, drawn: Sequence[Row]) -> dict[str, int]:
    if EXCLUDE.name in run.state.begins:
        told = run.manifest(EXCLUDE).numbers.preferences
        if isinstance(told, dict):
            return told
    if gate.languages or run.has_table("eligible"):
        return named_preferences(rows_by_preferences(run.read_buckets("matched", MATCHED)), "pairs")
    # Nothing has left before the draw.
    return named_preferences(drawn, "matched")


def _has_bit(bit: int, bits: int | None) -> bool:
    return bool((bits or 0) >> bit & 1)
