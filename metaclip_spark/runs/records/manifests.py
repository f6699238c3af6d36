"""What the log and run.json tell of the steps together."""

from typing import Generic, TypeVar

import msgspec

from metaclip_spark.config.fields import digest
from metaclip_spark.runs.records.settings import (
    CountSettings,
    ExcludeSettings,
    ExtractionSettings,
    MatchSettings,
    NoSettings,
    SampleSettings,
)
from metaclip_spark.runs.records.steps import (
    CountNumbers,
    DeduplicateNumbers,
    ExcludeNumbers,
    ExtractNumbers,
    MatchNumbers,
    Record,
    SampleNumbers,
    StepNumbers,
)
from metaclip_spark.stores.storage import JsonObject

Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=StepNumbers)


class Manifest(Record, Generic[Config, Numbers], kw_only=True):
    """What a step's table was made with and from, and what came of it: a part of the log's entry.

    Attributes:
        step: The step.
        config: What its result depends on, besides its input.
        input: The digest of the manifest that it was made from; of extraction, the ledger's.
        numbers: What came of it.
        settings: All options of the step.
        seconds: How long it took.
    """

    step: str
    config: Config
    input: str
    numbers: Numbers
    settings: JsonObject
    seconds: float

    @property
    def digest(self) -> str:
        """Digests what the result depends on: neither its time nor the names of its files."""
        content = (self.step, self.config, self.input, self.numbers)
        return digest(dict(zip(("step", "config", "input", "numbers"), msgspec.to_builtins(content), strict=True)))


ExtractManifest = Manifest[ExtractionSettings, ExtractNumbers]
DeduplicateManifest = Manifest[NoSettings, DeduplicateNumbers]
MatchManifest = Manifest[MatchSettings, MatchNumbers]
ExcludeManifest = Manifest[ExcludeSettings, ExcludeNumbers]
CountManifest = Manifest[CountSettings, CountNumbers]
SampleManifest = Manifest[SampleSettings, SampleNumbers]


class FinishedStep(Record):
    """A step as run.json tells of it."""

    digest: str
    input: str
    settings: JsonObject
    numbers: JsonObject
    seconds: float


class RunSummary(Record):
    """The content of run.json, but for the number of the log's entry that it tells of."""

    status: str
    layout: int
    output: JsonObject
    versions: dict[str, str]
    metadata_digest: str
    steps: dict[str, FinishedStep]
    deviations_from_the_paper: list[str]
    warnings: list[str]
    started: str = ""
    ended: str = ""
    commands: list[JsonObject] = msgspec.field(default_factory=list)
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    checks: list[JsonObject] = msgspec.field(default_factory=list)
