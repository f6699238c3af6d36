"""The match step: the pool against the metadata automaton, which is shipped once to each executor."""

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.entries import Metadata
from metaclip_spark.steps.arrow_udf import arrow_function
from metaclip_spark.steps.schemas import require_columns, spark_schema
from udfs.matching.entries import write_entries
from udfs.matching.match import match_batches, match_texts
from udfs.matching.token_automaton import build_token_tables, write_token_tables
from udfs.schemas import MATCHED, PAIRS


@dataclass(frozen=True)
class ShippedAutomaton:
    """A metadata automaton that each executor has as a file.

    Attributes:
        engine: token or pyahocorasick.
        file_name: Name of the file among Spark's files.
        metadata_digest: Digest of the metadata list; workers check it in the file.
    """

    engine: str
    file_name: str
    metadata_digest: str


def ship_automaton(spark: SparkSession, metadata: Metadata, engine: str) -> ShippedAutomaton:
    """Builds an engine's file on the driver and hands it to each executor once, whose workers map it.

    Args:
        spark: The session.
        metadata: The metadata list.
        engine: token (its tables are shipped) or pyahocorasick (the list is shipped, each worker builds from it).

    Returns:
        What the workers need to load it.
    """
    folder = Path(tempfile.mkdtemp(prefix="metaclip-spark-"))
    # Executors fetch the file from the driver for as long as the session lives.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"metadata-{metadata.digest[:16]}.{engine}"
    if engine == "token":
        write_token_tables(build_token_tables(metadata.entries, metadata.digest), str(path))
    else:
        write_entries(metadata.entries, metadata.digest, str(path))
    spark.sparkContext.addFile(str(path))
    return ShippedAutomaton(engine=engine, file_name=path.name, metadata_digest=metadata.digest)


def match_pairs(pool: DataFrame, automaton: ShippedAutomaton, *, identify_language: bool) -> DataFrame:
    """Finds the metadata entries in each text and keeps the pairs that have one.

    Args:
        pool: Distinct pairs, columns of `PAIRS`.
        automaton: What `ship_automaton` returned.
        identify_language: Whether to fill the language columns (of matched pairs only: same result, less cost).

    Returns:
        Columns of `MATCHED`.

    Raises:
        SchemaMismatchError: If `pool` lacks a column.
    """
    pairs = require_columns(pool, PAIRS)
    # Strings: an object of the driver's class would make each worker import the driver's modules, boto3 among them.
    engine, file_name, digest = automaton.engine, automaton.file_name, automaton.metadata_digest
    matched = None if identify_language else _match_texts(pairs, engine, file_name, digest)
    if matched is not None:
        return matched

    def match(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        path = SparkFiles.get(file_name)
        return match_batches(
            iter(batches), engine=engine, path=path, metadata_digest=digest, identify_language=identify_language
        )

    return pairs.mapInArrow(match, spark_schema(MATCHED))


def _match_texts(pairs: DataFrame, engine: str, file_name: str, digest: str) -> DataFrame | None:
    """Sends the texts alone to Python and takes their entry ids back, where Spark can (`arrow_functions`)."""

    def entry_ids(texts: pa.Array) -> pa.Array:
        return match_texts(texts, engine=engine, path=SparkFiles.get(file_name), metadata_digest=digest)

    types = {field.name: field.dataType for field in spark_schema(MATCHED)}
    function = arrow_function(entry_ids, types["entry_ids"])
    if function is None:
        return None
    matched = pairs.withColumn("entry_ids", function("alt_text")).where(F.size("entry_ids") > 0)
    unknown = {name: F.lit(None).cast(types[name]) for name in ("language", "language_probability")}
    return matched.withColumns(unknown).select(MATCHED.names)
