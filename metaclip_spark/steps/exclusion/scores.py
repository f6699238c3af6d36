"""Scores of the user's as a rule: pairs leave for which a condition is not true."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from metaclip_spark.errors import ConfigError, InputError, brief
from metaclip_spark.inputs.downloads import HASH_COLUMNS, URL_COLUMNS
from metaclip_spark.inputs.scores import OPTION, KeepRule, Scores
from metaclip_spark.steps.exclusion.user_tables import with_url_digest
from metaclip_spark.steps.schemas import spark_schema
from udfs.schemas import URL_DIGEST

SCORE_REASON = "score_reason"

_KEY = "scored_key"

_LONGEST_PROBLEM = 200

_NOT_OF_A_ROW = (
    "Current", "Now", "LocalTimestamp", "InputFile", "SparkPartitionID", "MonotonicallyIncreasingID", "SparkVersion",
    "Exists", "InSubquery", "ScalarSubquery", "Python", "Scala", "Hive", "CallMethodViaReflection", "AesEncrypt",
    "VariableReference",
)  # fmt: skip
"""How the names of Spark's expressions begin whose values depend on more than a row, or which run code of others."""


_CLOCK_WORDS = ("now", "today", "tomorrow", "yesterday")
"""Texts that Spark takes for a time of the clock, where it makes a date or a time of a text that is no column's."""

_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_TIME_LITERAL = re.compile(
    rf"""\b(?:date|timestamp(?:_ltz|_ntz)?|time){_GAP}r?(?P<quote>['"])(?P<value>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)
    |'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|--[^\n]*|/\*.*?\*/""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""A date or a time as SQL writes it, with what stands in its quotes; or a text, a name or a comment without a value."""


class ScoreTally(NamedTuple):
    """What the scores say, whatever pairs there are.

    Attributes:
        rows: Rows with a key.
        without_key: Rows without one, which count for nothing.
        kept: Name of a rule -> rows for which it is true.
    """

    rows: int
    without_key: int
    kept: dict[str, int]


def columns_of_rules(spark: SparkSession, scores: Scores, rules: Sequence[KeepRule]) -> list[str]:
    """Checks rules, and gives the columns of the scores that they and the key need.

    Args:
        spark: The session.
        scores: The files.
        rules: The rules.

    Returns:
        The names, in the table's order.

    Raises:
        ConfigError: If a rule cannot be parsed, has a column that is not there, is no condition, or may have another
            value for the same row of scores.
    """
    empty = spark.createDataFrame([], spark_schema(scores.table.schema))
    needed = {scores.key}
    for rule in rules:
        with _problems_told(rule, scores):
            plan = empty.select(F.expr(rule.expression).alias("kept"))
        kind = plan.schema["kept"].dataType
        if not isinstance(kind, BooleanType):
            raise ConfigError(f"{rule.shown} is {kind.simpleString()}: give a condition, such as 'safe: nsfw < 0.2'")
        analyzed = plan._jdf.queryExecution().analyzed()
        _check_row_by_row(spark, analyzed, rule)
        needed |= {str(column.name()) for column in _items(analyzed.references().toSeq())}
    return [name for name in scores.table.schema.names if name in needed]


@contextmanager
def _problems_told(rule: KeepRule, scores: Scores) -> Iterator[None]:
    """Puts what Spark says of a rule into one line.

    Raises:
        ConfigError: If Spark says something.
    """
    try:
        yield
    except PySparkException as error:
        raise ConfigError(
            f"{rule.shown} cannot be used ({_first_line(error)}); the columns of {OPTION} are "
            f"{', '.join(scores.table.schema.names)}"
        ) from None


def _first_line(error: Exception) -> str:
    line = " ".join(next((line for line in str(error).splitlines() if line.strip()), "").split())
    return line.partition(" SQLSTATE")[0][:_LONGEST_PROBLEM]


def _check_row_by_row(spark: SparkSession, plan: Any, rule: KeepRule) -> None:
    """Refuses an expression that more than the row of scores decides.

    Raises:
        ConfigError: If it is one.
    """
    # Such as to_date, which is a cast of a text.
    replaced = _jvm(spark).org.apache.spark.sql.catalyst.optimizer.ReplaceExpressions.apply(plan)
    roots = [*_items(plan.expressions()), *_items(replaced.expressions())]
    strange = next((name for name in map(_name, _all_of(roots)) if name.startswith(_NOT_OF_A_ROW)), None)
    strange = strange or _clock_word(rule.expression, roots)
    if strange is None and not all(root.deterministic() for root in roots):
        strange = "a random number or the like"
    if strange is not None:
        raise ConfigError(
            f"{rule.shown} is not decided by the row of scores alone ({strange}): leave out random numbers, the time, "
            "queries and functions of your own"
        )
    # What needs other rows is in a node between the condition and the table.
    if plan.nodeName() != "Project" or any(child.children().size() for child in _items(plan.children())):
        raise ConfigError(f"{rule.shown} is not a condition of one row: leave out sums and the like over several rows")


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm


def _items(sequence: Any) -> list[Any]:
    """Gives the items of a Scala sequence."""
    return [sequence.apply(place) for place in range(sequence.size())]


def _all_of(expressions: Iterable[Any]) -> Iterator[Any]:
    """Yields expressions, and those within them."""
    for each in expressions:
        yield each
        yield from _all_of(_items(each.children()))


def _name(expression: Any) -> str:
    return str(expression.getClass().getSimpleName())


def _clock_word(text: str, roots: Sequence[Any]) -> str | None:
    """Finds a text that Spark takes for a time of the clock: a date as SQL writes it, or a constant made one."""
    written = [found["value"] for found in _TIME_LITERAL.finditer(text) if found["value"] is not None]
    # The parser has put the time in their place: a plain date or time begins with a digit or a sign.
    words = [f"'{value.strip()}'" for value in written if not re.match(r"\s*(?:epoch|[\d+-])", value, re.IGNORECASE)]
    casts = [each for each in _all_of(roots) if _name(each) in {"Cast", "AnsiCast"}]
    for cast in casts:
        given, made = (str(each.dataType().typeName()) for each in (cast.child(), cast))
        if given.startswith("string") and made.startswith(("date", "timestamp")) and cast.child().foldable():
            value = str(cast.child().eval(None)).strip().lower()
            words += [f"'{value}'"] if value.startswith(_CLOCK_WORDS) else []
    return words[0] if words else None


def tally_scores(table: DataFrame, key: str, rules: Sequence[KeepRule]) -> ScoreTally:
    """Counts scores, and looks for keys that are there twice, by one job.

    Args:
        table: The key, and the columns of the rules.
        key: The column that says whose scores they are.
        rules: The rules.

    Returns:
        The numbers.

    Raises:
        InputError: If a key is there twice.
        ConfigError: If a rule fails on a row, such as by a division by zero.
    """
    kept = [F.sum(_is_true(rule).cast("long")).alias(f"kept_{rule.name}") for rule in rules]
    alike = table.withColumn(key, F.lower(key)) if key in HASH_COLUMNS else table
    of_key = alike.groupBy(key).agg(F.count(F.lit(1)).alias("rows"), *kept)
    has_key = F.col(key).isNotNull()
    sums = [F.sum(F.when(has_key, F.col(f"kept_{rule.name}"))).alias(f"kept_{rule.name}") for rule in rules]
    total = of_key.agg(
        F.sum(F.when(has_key, F.col("rows"))).alias("rows"),
        F.sum(F.when(~has_key, F.col("rows"))).alias("without_key"),
        F.min(F.when(has_key & (F.col("rows") > 1), F.col(key))).alias("twice"),
        *sums,
    )
    try:
        found = total.collect()[0]
    except PySparkException as error:
        shown = ", ".join(rule.shown for rule in rules)
        raise ConfigError(f"{shown} fails on a row of {OPTION} ({_first_line(error)}): use try_ functions") from None
    if found.twice is not None:
        raise InputError(f"{OPTION}: the {key} {brief(found.twice)} is there twice: give each one row")
    return ScoreTally(
        found.rows or 0, found.without_key or 0, {rule.name: found[f"kept_{rule.name}"] or 0 for rule in rules}
    )


def score_reasons(
    pairs: DataFrame, table: DataFrame, key: str, rules: Sequence[KeepRule], *, keep_unscored: bool
) -> DataFrame:
    """Adds the first rule by which each pair's scores exclude it.

    Args:
        pairs: Columns `pair_id`, `image_url` and `image_hash`, of which that of the key counts, and any others.
        table: The key, and the columns of the rules.
        key: The column that says whose scores they are: pair_id, the image's URL or its hash. URLs are compared by
            their keys, as those of downloads are, so that one image may have several rows; each of them must be good.
        rules: The rules, at least one; the first that is not true counts, and null is not true.
        keep_unscored: Whether pairs without scores stay; else they leave by the first rule.

    Returns:
        The same rows, with `score_reason`: `filter.<name>`, or null.
    """
    own = "pair_id" if key == "pair_id" else URL_DIGEST if key in URL_COLUMNS else "image_hash"
    keyed = with_url_digest(pairs) if own == URL_DIGEST else pairs
    failed = F.coalesce(*(F.when(~_is_true(rule), F.lit(place)) for place, rule in enumerate(rules)))
    scored = (
        _by_key(table, key)
        .where(F.col(_KEY).isNotNull())
        .groupBy(_KEY)
        .agg(F.coalesce(F.min(failed), F.lit(len(rules))).alias("failed"))
    )
    reasons = [F.when(F.col("failed") == place, F.lit(rule.reason)) for place, rule in enumerate(rules)]
    unscored = [] if keep_unscored else [F.when(F.col("failed").isNull(), F.lit(rules[0].reason))]
    joined = keyed.join(scored, F.col(own) == F.col(_KEY), "left")
    return joined.select(*map(F.col, pairs.columns), F.coalesce(*unscored, *reasons).alias(SCORE_REASON))


def _by_key(table: DataFrame, key: str) -> DataFrame:
    """Adds what pairs are known by to scores, written as pairs and downloads have it."""
    if key in URL_COLUMNS:
        return with_url_digest(table, key).withColumnRenamed(URL_DIGEST, _KEY)
    return table.withColumn(_KEY, F.lower(key) if key in HASH_COLUMNS else F.col(key))


def _is_true(rule: KeepRule) -> Column:
    return F.coalesce(F.expr(rule.expression), F.expr("false"))
