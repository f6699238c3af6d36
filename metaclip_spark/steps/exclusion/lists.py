"""Block lists on the executors: one file of digests, which the Python workers map into memory; no join of lists."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Lock

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from metaclip_spark.steps.arrow_udf import make_arrow_udf
from udfs.exclusion.digest_table import DigestTable, content_digest, write_tables
from udfs.exclusion.kinds import COLUMNS, REASONS

_LISTED = StructType([StructField("pair_id", StringType()), StructField("reason", StringType())])
_NAMED = StructType([StructField(name, StringType()) for name in ("pair_id", "kind", "digest")])


@dataclass(frozen=True)
class SharedLists:
    """Block lists that each executor has as a file."""

    kinds: tuple[str, ...]
    """The kinds that something is listed of, in the order in which reasons count."""

    file_name: str
    """Its name for `SparkFiles.get`."""

    digest: str
    """Digest of what is listed, which workers compare with the one in the file."""


_shared: dict[tuple[str, str], SharedLists] = {}
_one_at_a_time = Lock()


def share_lists(spark: SparkSession, tables: Mapping[str, DigestTable]) -> SharedLists:
    """Sends block lists to the executors, once per Spark application.

    Args:
        spark: The session.
        tables: Kind -> what is listed, in the order of `udfs.exclusion.kinds.KINDS`.

    Returns:
        The file; the same one for the same lists, so that calling again costs nothing.
    """
    digest = content_digest(tables)
    key = (str(spark.sparkContext.applicationId), digest)
    with _one_at_a_time:
        if key not in _shared:
            listed = {kind: table for kind, table in tables.items() if table.size}
            folder = Path(tempfile.mkdtemp(prefix="metaclip-spark-"))
            # Executors fetch the file from the driver for as long as the session lives.
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            path = folder / f"block-lists-{digest[:16]}"
            write_tables(listed, digest, str(path))
            spark.sparkContext.addFile(str(path))
            _shared[key] = SharedLists(tuple(listed), path.name, digest)
        return _shared[key]


def list_reason(matched: DataFrame, lists: SharedLists, listed_elsewhere: DataFrame | None = None) -> DataFrame:
    """Adds the first reason for which each pair is listed.

    Args:
        matched: Columns of `udfs.schemas.MATCHED`; for lists of images a column `image_hash`, too.
        lists: The lists.
        listed_elsewhere: `pair_id`, each once, and `reason` of pairs that are listed by more than their own columns:
            what `pairs_of_pages` gives, where rules of pages act on any raw occurrence of a pair.

    Returns:
        The same rows, with a column `reason`: one of `udfs.exclusion.kinds.REASONS`, or null.
    """
    wanted = sorted({COLUMNS[kind] for kind in lists.kinds})
    if not wanted:
        return matched.withColumn("reason", F.lit(None).cast(StringType()))
    find = make_arrow_udf(_reasons(lists, wanted), StringType())
    listed = _with_reason(matched, lists, wanted) if find is None else matched.withColumn("reason", find(*wanted))
    return listed if listed_elsewhere is None else _first_of_both(listed, listed_elsewhere)


def pairs_of_pages(extracted: DataFrame, lists: SharedLists) -> DataFrame:
    """Finds the pairs of which at least one raw occurrence stands on a listed page.

    Args:
        extracted: Raw pairs, with the columns `pair_id` and `page_url`.
        lists: The lists.

    Returns:
        Columns `pair_id`, each once, and `reason`: that of a page's domain before that of a page.
    """
    file_name, digest = lists.file_name, lists.digest

    def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.exclusion.block_lists import open_lists, page_occurrences

        return page_occurrences(iter(batches), open_lists(SparkFiles.get(file_name), digest))

    found = extracted.select("pair_id", "page_url").where(F.col("page_url").isNotNull()).mapInArrow(find, _LISTED)
    return first_reasons([found])


def find_named(pairs: DataFrame, lists: SharedLists) -> DataFrame:
    """Finds all listed values that name each pair, where `list_reason` gives the first reason.

    Args:
        pairs: `pair_id` and the columns that the lists' kinds need: `udfs.exclusion.kinds.COLUMNS`.
        lists: The lists.

    Returns:
        Columns of `udfs.exclusion.named_values.NAMED`, of the pairs that are named.
    """
    file_name, digest = lists.file_name, lists.digest

    def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.exclusion.block_lists import open_lists
        from udfs.exclusion.named_values import named_values

        return named_values(iter(batches), open_lists(SparkFiles.get(file_name), digest))

    columns = dict.fromkeys(["pair_id", *(COLUMNS[kind] for kind in lists.kinds)])
    return pairs.select(*columns).mapInArrow(find, _NAMED)


def _reasons(lists: SharedLists, names: list[str]) -> Callable[..., pa.Array]:
    """Makes the function of columns that runs in the workers."""
    # Strings: an object of the driver's class would make each worker import the driver's modules.
    file_name, digest = lists.file_name, lists.digest

    def reasons(*columns: pa.Array) -> pa.Array:
        from udfs.exclusion.block_lists import listed_reasons, open_lists

        return listed_reasons(dict(zip(names, columns, strict=True)), open_lists(SparkFiles.get(file_name), digest))

    return reasons


def _with_reason(matched: DataFrame, lists: SharedLists, columns: list[str]) -> DataFrame:
    """Adds the reasons to whole rows, where Spark has no Arrow column function."""
    file_name, digest = lists.file_name, lists.digest

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from udfs.exclusion.block_lists import listed_reasons, open_lists

        tables = open_lists(SparkFiles.get(file_name), digest)
        for batch in batches:
            reasons = listed_reasons({name: batch.column(name) for name in columns}, tables)
            yield batch.append_column("reason", reasons)

    return matched.mapInArrow(add, StructType([*matched.schema, StructField("reason", StringType())]))


def first_reasons(found: Sequence[DataFrame]) -> DataFrame:
    """Gives each pair once, with the reason that comes first in the order of `REASONS`, of several tables of both."""
    rows = reduce(DataFrame.unionByName, found)
    places = F.create_map(*(F.lit(each) for place, reason in enumerate(REASONS) for each in (reason, place)))
    first = rows.groupBy("pair_id").agg(F.min(places[F.col("reason")]).alias("place"))
    return first.select("pair_id", F.array(*map(F.lit, REASONS))[F.col("place")].alias("reason"))


def _first_of_both(listed: DataFrame, listed_elsewhere: DataFrame) -> DataFrame:
    """Adds reasons that were found elsewhere; the first in the order of `REASONS` counts."""
    others = listed_elsewhere.withColumnRenamed("reason", "other_reason")
    has = [(F.col("reason") == reason) | (F.col("other_reason") == reason) for reason in REASONS]
    first = F.coalesce(*(F.when(condition, reason) for condition, reason in zip(has, REASONS, strict=True)))
    return listed.join(others, "pair_id", "left").withColumn("reason", first).select(*listed.columns)
