"""The steps of a run as data: their order, what each writes, and the records that tell of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from metaclip_spark.runs import records
from metaclip_spark.runs.layout import bucket_folder, manifest_name

Config = TypeVar("Config", bound=records.Record)
Numbers = TypeVar("Numbers", bound=records.Record)


@dataclass(frozen=True)
class Step(Generic[Config, Numbers]):
    """One step, and where it stands in the order.

    Attributes:
        name: As it stands in the manifest's name.
        after: The step whose result it reads; None for the first.
        tables: The folders that it writes.
        config: The record of what its result depends on, besides its input.
        numbers: The record of what came of it.
        by_bucket: Whether it is done bucket by bucket, with one manifest each.
    """

    name: str
    after: str | None
    tables: tuple[str, ...]
    config: type[Config]
    numbers: type[Numbers]
    by_bucket: bool = False

    def folders(self, bucket: int | None) -> list[str]:
        """Names what the step writes, for one bucket where it works by bucket."""
        return [table if bucket is None else bucket_folder(table, bucket) for table in self.tables]

    def manifest_names(self, buckets: Iterable[int]) -> list[str]:
        """Names the step's manifests: one, or one per bucket."""
        return [manifest_name(self.name, each) for each in buckets] if self.by_bucket else [manifest_name(self.name)]


EXTRACT = Step("extract", None, ("archives", "rejects"), records.ExtractionSettings, records.ExtractNumbers)
DEDUPLICATE = Step("deduplicate", "extract", ("pool",), records.NoSettings, records.DeduplicateNumbers, by_bucket=True)
MATCH = Step("match", "deduplicate", ("matched",), records.MatchSettings, records.MatchNumbers, by_bucket=True)
COUNT = Step("count", "match", ("entry_counts",), records.CountSettings, records.CountNumbers)
SAMPLE = Step("sample", "count", ("curated", "expected_kept"), records.SampleSettings, records.SampleNumbers)

STEPS: dict[str, Step[Any, Any]] = {step.name: step for step in (EXTRACT, DEDUPLICATE, MATCH, COUNT, SAMPLE)}
"""Step name to step, in the order of the run."""
