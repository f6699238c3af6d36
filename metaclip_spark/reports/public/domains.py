"""Pairs by the registrable domain of their image and of their page: a table of the report, and its head."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from metaclip_spark.reports.profile import side_by_side
from metaclip_spark.reports.records import Group
from metaclip_spark.runs.run import Run, check_number
from metaclip_spark.steps.exclusion.hosts import host_of
from metaclip_spark.steps.schemas import spark_schema
from metaclip_spark.stores.spark_io import check_committed, table_writer
from udfs.exclusion.registrable_domain import domains_of
from udfs.schemas import DOMAINS

TABLE = "domains"
"""The folder of the table in that of the report."""

IMAGE, PAGE = "image", "page"
"""The sides of a pair that have a domain."""

MOST_LISTED = 50_000
"""Domains of a side that are brought to the driver, at most."""

_GROUPS = pa.schema([("group", pa.string()), ("matched", pa.int64()), ("curated", pa.int64())])


@dataclass(frozen=True)
class Domains:
    """The registrable domains of one side.

    Attributes:
        side: `IMAGE` or `PAGE`.
        domains: How many have matched pairs.
        curated_domains: How many have curated pairs.
        first: Those with curated pairs, most first, at most `MOST_LISTED`.
    """

    side: str
    domains: int
    curated_domains: int
    first: list[Group]


@contextmanager
def counted_hosts(matched: DataFrame, curated: DataFrame, partitions: int) -> Iterator[DataFrame]:
    """Counts the pairs of both tables by the hosts of their images and of their pages, in one pass.

    Args:
        matched: The pairs before the draw.
        curated: Those after it.
        partitions: Into how many partitions the counts are put, at most.

    Yields:
        Columns of `DOMAINS`, with hosts in place of domains, kept on disk while the block lasts; ports are part of
        them, and pages that are not known are left out.
    """
    keyed = side_by_side(
        matched, curated, host_of(F.col("image_url")).alias("image"), host_of(F.col("page_url")).alias("page")
    )
    counts = matched.sparkSession.sql(
        "SELECT if(grouping(image) = 0, image, page) AS domain, if(grouping(image) = 0, 'image', 'page') AS side,"
        " sum(1 - is_curated) AS matched, sum(is_curated) AS curated FROM {pairs}"
        " GROUP BY GROUPING SETS ((image), (page))",
        pairs=keyed,
    )
    # Lists of hosts and the table of domains are made from them. Spark joins no partitions of what it keeps.
    hosts = counts.where(F.col("domain").isNotNull()).coalesce(partitions).persist(StorageLevel.DISK_ONLY)
    try:
        yield hosts
    finally:
        hosts.unpersist()


def write_domains(run: Run, hosts: DataFrame, folder: str) -> None:
    """Writes the pairs by registrable domain into a folder, columns of `DOMAINS`."""
    domains = (
        hosts.mapInArrow(domains_of, spark_schema(DOMAINS))
        .groupBy("domain", "side")
        .agg(_sum("matched"), _sum("curated"))
    )
    writer = table_writer(domains.sortWithinPartitions("domain", "side"), run.storage)
    writer.option("maxRecordsPerFile", run.output.rows_per_file).parquet(run.storage.location(folder))
    check_committed(run.storage, folder)


def read_domains(run: Run, folder: str, pairs: int) -> list[Domains]:
    """Reads the head of what `write_domains` wrote, file by file.

    Args:
        run: The run.
        folder: The folder of the table.
        pairs: Matched pairs of the run.

    Raises:
        InputError: If files were lost.
    """
    sides = {side: _Side() for side in (IMAGE, PAGE)}
    for name in run.storage.data_files(folder):
        rows = pq.ParquetFile(pa.BufferReader(run.storage.read_bytes(name))).read()
        for side, found in sides.items():
            found.add(rows.filter(pc.equal(rows["side"], side)))
    check_number(sides[IMAGE].matched, pairs, "pairs with a domain")
    return [
        Domains(side, found.domains, found.curated_domains, [Group(**row) for row in found.first.to_pylist()])
        for side, found in sides.items()
        if found.domains
    ]


@dataclass
class _Side:
    """What has been read of a side; `first` has the fields of `Group`."""

    domains: int = 0
    curated_domains: int = 0
    matched: int = 0
    first: pa.Table = field(default_factory=_GROUPS.empty_table)

    def add(self, rows: pa.Table) -> None:
        kept = rows.filter(pc.greater(rows["curated"], 0)).select(["domain", "matched", "curated"])
        self.domains += rows.num_rows
        self.curated_domains += kept.num_rows
        self.matched += pc.sum(rows["matched"]).as_py() or 0
        together = pa.concat_tables([self.first, kept.rename_columns(_GROUPS.names)])
        self.first = together.sort_by([("curated", "descending"), ("group", "ascending")]).slice(0, MOST_LISTED)


def _sum(name: str) -> Column:
    return F.sum(name).alias(name)
