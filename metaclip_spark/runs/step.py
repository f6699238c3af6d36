"""The steps of a run as data: their order, what each writes, the records that tell of it; and an attempt at one."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame

from metaclip_spark.commits.entries import Written
from metaclip_spark.commits.files import readable_paths, write_rows, write_to
from metaclip_spark.runs import records
from metaclip_spark.runs.layout import place_of

if TYPE_CHECKING:
    from metaclip_spark.runs.run import Run

Config = TypeVar("Config", bound=records.Record)
Numbers = TypeVar("Numbers", bound=records.Record)


@dataclass(frozen=True)
class Step(Generic[Config, Numbers]):
    """One step, and where it stands in the order.

    Attributes:
        name: As it stands in the log.
        after: The step whose result it reads; None for the first.
        tables: The folders that it writes.
        config: The record of what its result depends on, besides its input.
        numbers: The record of what came of it.
        by_bucket: Whether it is done bucket by bucket.
        optional: Whether a run may go without it: the step after it then reads what the step before it has written.
    """

    name: str
    after: str | None
    tables: tuple[str, ...]
    config: type[Config]
    numbers: type[Numbers]
    by_bucket: bool = False
    optional: bool = False

    def parts(self, buckets: int) -> list[int | None]:
        """Lists the parts in which the step is done: its buckets, or one that is none."""
        return list(range(buckets)) if self.by_bucket else [None]

    @property
    def is_sample(self) -> bool:
        """Whether its tables are a curated set, which later rounds of the steps before it leave alone."""
        return "curated" in self.tables


EXTRACT = Step("extract", None, ("archives", "rejects"), records.ExtractionSettings, records.ExtractNumbers)
DEDUPLICATE = Step("deduplicate", "extract", ("pool",), records.NoSettings, records.DeduplicateNumbers, by_bucket=True)
MATCH = Step("match", "deduplicate", ("matched",), records.MatchSettings, records.MatchNumbers, by_bucket=True)
EXCLUDE = Step(
    "exclude", "match", ("eligible", "excluded"), records.ExcludeSettings, records.ExcludeNumbers,
    by_bucket=True, optional=True,
)  # fmt: skip
COUNT = Step("count", "exclude", ("entry_counts",), records.CountSettings, records.CountNumbers)
SAMPLE = Step(
    "sample",
    "count",
    ("curated", "curated_images", "refill", "expected_kept", "balance_counts", "thresholds"),
    records.SampleSettings,
    records.SampleNumbers,
)

STEPS: dict[str, Step[Any, Any]] = {step.name: step for step in (EXTRACT, DEDUPLICATE, MATCH, EXCLUDE, COUNT, SAMPLE)}
"""Step name to step, in the order of the run."""


def step_before(step: Step[Any, Any], begun: Collection[str]) -> Step[Any, Any] | None:
    """Gives the step whose result a step reads, where those in `begun` have begun; None for the first."""
    before = STEPS.get(step.after or "")
    while before is not None and before.optional and before.name not in begun:
        before = STEPS.get(before.after or "")
    return before


def tables_before(step: str | None) -> list[str]:
    """Lists the tables of the steps before one, which it only reads; None stands for the report, after all."""
    names = list(STEPS)
    return [table for name in names[: names.index(step) if step else None] for table in STEPS[name].tables]


@dataclass
class Attempt:
    """One attempt at the tables of a step, or of one of its buckets.

    Attributes:
        run: The run.
        bucket: The bucket, where the step works by bucket.
        tables: Table to what was written of it.
    """

    run: "Run"
    bucket: int | None = None
    tables: dict[str, Written] = field(default_factory=dict)

    def write(self, rows: DataFrame, table: str) -> int:
        """Writes a table by a Spark job, and gives the rows that are in its files."""
        limit = self.run.output.rows_per_file
        self.tables[table] = write_to(
            self.run.owned,
            rows,
            place_of(table, self.bucket),
            lambda writer: writer.option("maxRecordsPerFile", limit),
        )
        return self.tables[table].rows

    def read(self, table: str) -> DataFrame | None:
        """Reads a table that was written; None where it is empty."""
        paths = readable_paths(self.run.storage, self.tables[table])
        return self.run.spark.read.parquet(*paths) if paths else None

    def reasons(self, table: str) -> dict[str, int]:
        """Counts the rows of a table that was written, by their `reason`, in the order of the names."""
        written = self.read(table)
        if written is None:
            return {}
        rows = written.groupBy("reason").count().collect()
        return dict(sorted((row.reason, row["count"]) for row in rows))

    def write_rows(self, rows: pa.Table, table: str) -> None:
        """Writes a table that the driver holds, without a Spark job."""
        self.tables[table] = write_rows(self.run.owned, rows, place_of(table))
