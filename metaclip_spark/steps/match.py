"""The match step: the pool against the metadata automaton."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.config.fields import check_engine
from metaclip_spark.entries import OTHER, Metadata, as_metadata
from metaclip_spark.errors import MetadataError
from metaclip_spark.steps.arrow_udf import make_arrow_udf
from metaclip_spark.steps.automaton import AutomatonFile, broadcast_automaton, share_file
from metaclip_spark.steps.schemas import require_columns, spark_schema
from udfs.matching.routing import TEXT, Routing
from udfs.schemas import LIST_MATCHES, MATCHED, PAIRS

_UNKNOWN = ("language", "language_probability", "metadata_language")
"""What is null with a single list, where no language is identified."""

_TYPES = {field.name: field.dataType for field in spark_schema(MATCHED)}


def match_pairs(
    pool: DataFrame,
    metadata: Metadata,
    *,
    engine: str = "token",
    identify_language: bool = False,
    routing: Routing | None = None,
) -> DataFrame:
    """Finds the metadata entries in each alternative text and keeps the pairs that have one (the paper, section 3.1).

    Sends the automaton to the executors at the first call for a list.

    Args:
        pool: Distinct pairs, columns of `udfs.schemas.PAIRS`.
        metadata: The metadata list.
        engine: token or pyahocorasick; both find the same entries.
        identify_language: Whether to fill the language columns, which are null otherwise; with one list per language
            they are always filled.
        routing: With one list per language, which one each text is matched against; None for that of its language.

    Returns:
        Columns of `udfs.schemas.MATCHED`; `entry_ids` are sorted and distinct.

    Raises:
        SchemaMismatchError: If `pool` lacks a column.
    """
    if metadata.lists:
        routed = match_lists(pool, metadata, routing or routing_of(metadata), engine=engine)
        return routed.where(F.col("texts").isNull()).select(MATCHED.names)
    pairs = require_columns(pool, PAIRS)
    automaton = broadcast_automaton(pool.sparkSession, metadata, engine)
    entry_ids = None if identify_language else make_arrow_udf(_entry_ids(automaton), _TYPES["entry_ids"])
    if entry_ids is None:
        return _match_rows(pairs, automaton, identify_language=identify_language)
    matched = pairs.withColumn("entry_ids", entry_ids("alt_text")).where(F.size("entry_ids") > 0)
    unknown = {name: F.lit(None).cast(_TYPES[name]) for name in _UNKNOWN}
    return matched.withColumns(unknown).select(MATCHED.names)


def routing_of(
    metadata: Metadata,
    *,
    language_from: str = TEXT,
    page_language_probability: float = 0.0,
    min_list_probability: float = 0.0,
    model_file: str | None = None,
) -> Routing:
    """Says how texts find one of several lists; arguments as `udfs.matching.routing.Routing` has them."""
    lists, other = lists_of_labels(metadata.labels, [each.code for each in metadata.lists])
    return Routing(lists, other, language_from, page_language_probability, min_list_probability, model_file)


def lists_of_labels(labels: Mapping[str, str], codes: Collection[str]) -> tuple[dict[str, str | None], str | None]:
    """Gives the list of each known label, None where that is `other` and there is none, and the list `other`."""
    lists = {label: code if code in codes else None for label, code in labels.items()}
    return lists, OTHER if OTHER in codes else None


def match_lists(pool: DataFrame, metadata: Metadata, routing: Routing, *, engine: str = "token") -> DataFrame:
    """Finds in each alternative text the metadata entries of its language's list.

    Args:
        pool: Distinct pairs, columns of `udfs.schemas.PAIRS`.
        metadata: Several lists.
        routing: Which one each text is matched against; its model is a file of the driver.
        engine: token or pyahocorasick; both find the same entries.

    Returns:
        Columns of `udfs.schemas.LIST_MATCHES`: pairs with an entry, and rows that tell how many texts each list had.

    Raises:
        SchemaMismatchError: If `pool` lacks a column.
    """
    pairs = require_columns(pool, PAIRS)
    automaton = broadcast_automaton(pool.sparkSession, metadata, engine)
    file_name, digest = automaton.file_name, automaton.metadata_digest
    model = routing.model_file and share_file(pool.sparkSession, routing.model_file)

    def match(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.matching.match import match_list_batches

        here = replace(routing, model_file=model and SparkFiles.get(model))
        return match_list_batches(
            iter(batches), engine=engine, path=SparkFiles.get(file_name), metadata_digest=digest, routing=here
        )

    return pairs.mapInArrow(match, spark_schema(LIST_MATCHES))


def entry_ids_udf(
    metadata: Metadata | str | PathLike[str] | Sequence[str], *, engine: str = "token"
) -> Callable[[Column | str], Column]:
    """Makes the metadata automaton a column function, for a DataFrame of one's own.

    Sends the automaton to the executors of the active session at the first call for a list. Spark 4.1 and newer call
    the function with Arrow arrays, Spark 3.5 with pandas series.

    Args:
        metadata: The metadata list, its file, or its entries.
        engine: token or pyahocorasick; both find the same entries.

    Returns:
        From a column of strings, or its name, a column `array<int>`: the sorted, distinct ids of the entries in each
        text, empty where there is none or the text is null.

    Raises:
        ConfigError: If there is no such engine.
        MetadataError: If `metadata` is not a metadata list, or the list cannot be used.
        PySparkRuntimeError: If there is no active Spark session.

    Example:
        >>> from metaclip_spark import Metadata, entry_ids_udf, open_run
        >>> spark = open_run("demo-output").spark
        >>> texts = spark.createDataFrame([("a dog in New York",), ("hotdog",)], ["text"])
        >>> find = entry_ids_udf(Metadata.from_entries(["dog", "New York"]))
        >>> [row.entry_ids for row in texts.withColumn("entry_ids", find("text")).collect()]
        [[0, 1], []]
    """
    check_engine(engine)
    known = as_metadata(metadata)
    if known.lists:
        raise MetadataError("entry_ids_udf takes a single list: match_pairs knows which list a text's language has")
    find = _entry_ids(broadcast_automaton(SparkSession.active(), known, engine))
    return make_arrow_udf(find, _TYPES["entry_ids"]) or _pandas_udf(find)


def _entry_ids(automaton: AutomatonFile) -> Callable[[pa.Array], pa.Array]:
    """Makes the function that runs in the workers."""
    # Strings: an object of the driver's class would make each worker import the driver's modules, boto3 among them.
    engine, file_name, digest = automaton.engine, automaton.file_name, automaton.metadata_digest

    def entry_ids(texts: pa.Array) -> pa.Array:
        from udfs.matching.match import match_texts

        return match_texts(texts, engine=engine, path=SparkFiles.get(file_name), metadata_digest=digest)

    return entry_ids


def _pandas_udf(find: Callable[[pa.Array], pa.Array]) -> Callable[[Column | str], Column]:
    """Makes a column function on Spark 3.5."""
    import pandas as pd
    from pyspark.sql.pandas.functions import pandas_udf

    def entry_ids(texts: pd.Series) -> pd.Series:
        return find(pa.Array.from_pandas(texts)).to_pandas()

    make: Any = pandas_udf
    made: Callable[[Column | str], Column] = make(entry_ids, _TYPES["entry_ids"]).asNondeterministic()
    return made


def _match_rows(pairs: DataFrame, automaton: AutomatonFile, *, identify_language: bool) -> DataFrame:
    """Matches whole rows: where Spark has no Arrow column function, or each text's language is wanted as well."""
    from udfs.matching.match import match_batches

    engine, file_name, digest = automaton.engine, automaton.file_name, automaton.metadata_digest

    def match(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        path = SparkFiles.get(file_name)
        return match_batches(
            iter(batches), engine=engine, path=path, metadata_digest=digest, identify_language=identify_language
        )

    return pairs.mapInArrow(match, spark_schema(MATCHED))
