"""The steps of a run as data: their order, what each writes, and the records that tell of it."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from metaclip_spark.runs import records

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
    """

    name: str
    after: str | None
    tables: tuple[str, ...]
    config: type[Config]
    numbers: type[Numbers]
    by_bucket: bool = False

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
COUNT = Step("count", "match", ("entry_counts",), records.CountSettings, records.CountNumbers)
SAMPLE = Step(
    "sample", "count", ("curated", "expected_kept", "balance_counts"), records.SampleSettings, records.SampleNumbers
)  # fmt: skip

STEPS: dict[str, Step[Any, Any]] = {step.name: step for step in (EXTRACT, DEDUPLICATE, MATCH, COUNT, SAMPLE)}
"""Step name to step, in the order of the run."""


def tables_before(step: str | None) -> list[str]:
    """Lists the tables of the steps before one, which it only reads; None stands for the report, after all."""
    names = list(STEPS)
    return [table for name in names[: names.index(step) if step else None] for table in STEPS[name].tables]
