"""What a run tells of its steps, in its log and its reports: one type each, written and read here only.

Keys that have a default were not told by earlier versions. `UNSET` stands for a key that is not in the file, so that a
digest stays what it was.
"""

from types import UnionType
from typing import Any, Generic, Self, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.config.fields import digest
from metaclip_spark.errors import InputError, counted
from metaclip_spark.stores.storage import JsonObject, Storage

REPORT_LAYOUT = 1
"""The version of a report. A change that an older reader would misread raises it."""

RESTORE = "restore it, or use --overwrite to start anew"
"""The advice on a file of a run that is not whole."""

REPORT_AGAIN = "run metaclip-spark report on that folder again"
"""The advice on a report that is not whole."""

Number = int | float
"""Numbers that are digested as they were written: 0 stays 0 where it is not 0.0."""


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object whose keys are known."""


class StepNumbers(Record):
    """What came of a step."""

    def in_words(self) -> str:
        """For the log: each number and its name."""
        told = msgspec.to_builtins(self).items()
        return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in told if isinstance(number, int))


class NamedArchives(Record):
    """How many archives have a property, and the names of the first ones."""

    archives: int
    first: list[str]


class ExtractNumbers(StepNumbers):
    """The accepted archives added up."""

    archives: int
    archives_ok: int
    archives_damaged: int
    archives_failed: int
    archives_empty: int
    bytes_read: int
    records: int
    pages: int
    images: int
    images_kept: int
    texts: int
    pairs: int
    rejected: dict[str, int]
    without_pages: NamedArchives | UnsetType = UNSET
    with_unknown_records: NamedArchives | UnsetType = UNSET


class DeduplicateNumbers(StepNumbers):
    """Raw pairs, and those that stay; sums over buckets."""

    pairs_in: int
    duplicates: int
    pairs: int

    def in_words(self) -> str:
        """For the log."""
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} ({counted(self.duplicates, 'duplicate')})"


class MatchNumbers(StepNumbers):
    """Pairs of the pool, and those with an entry; sums over buckets."""

    pairs_in: int
    unmatched: int
    pairs: int

    def in_words(self) -> str:
        """For the log."""
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} ({self.unmatched:,} without an entry)"


class ExcludeNumbers(StepNumbers):
    """Matched pairs, those that a rule excludes by reason, and those that stay; sums over buckets."""

    pairs_in: int
    reasons: dict[str, int]
    pairs: int

    def in_words(self) -> str:
        """For the log."""
        told = ", ".join(f"{number:,} {reason}" for reason, number in self.reasons.items())
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} ({told or 'none excluded'})"


class CountNumbers(StepNumbers):
    """Eligible pairs, those that pass the language filter, and their entries."""

    pairs_in: int
    gated_out: int
    pairs: int
    matches: int
    entries: int
    entries_matched: int

    def in_words(self) -> str:
        """For the log."""
        entries = counted(self.entries, "entry", "entries")
        removed = f", {self.gated_out:,} removed by the language filter" if self.gated_out else ""
        matches = counted(self.matches, "match", "matches")
        return f"{counted(self.pairs, 'pair')} with {matches} of {self.entries_matched:,} of {entries}{removed}"


class SampleNumbers(StepNumbers):
    """Eligible pairs, those that were drawn, and the figures of the balance."""

    pairs_in: int
    gated_out: int
    not_drawn: int
    pairs: int
    threshold_t: int | str
    expected_size: Number
    standard_error: Number
    size_bound: Number
    tail_share: Number
    head_entries_cut: int
    suspect: bool

    def in_words(self) -> str:
        """For the log."""
        threshold = self.threshold_t if isinstance(self.threshold_t, str) else f"{self.threshold_t:,}"
        removed = f"; {self.gated_out:,} removed by the language filter" if self.gated_out else ""
        thinned = counted(self.head_entries_cut, "head entry", "head entries")
        return f"kept {self.pairs:,} of {counted(self.pairs_in, 'pair')} (t = {threshold}, {thinned} thinned{removed})"


class NoSettings(Record):
    """A step whose result depends on its input alone."""


class ExtractionSettings(Record):
    """What extraction depends on: of archives the size of a page, of a given pool its columns."""

    input: str
    url_column: str | UnsetType = UNSET
    text_column: str | UnsetType = UNSET
    max_page_bytes: int | UnsetType = UNSET


class MatchSettings(Record):
    """What matching depends on."""

    metadata_digest: str
    entries: int
    language_identified: bool


class Gate(Record):
    """The language filter: pairs that do not pass are neither counted nor sampled."""

    languages: list[str]
    min_language_probability: Number

    @classmethod
    def of(cls, language: LanguageConfig) -> Self:
        """Takes the filter out of what the user configured."""
        return msgspec.convert(language.gate, cls)


class ExcludeSettings(Record):
    """The rules that exclude matched pairs; of a rule that is not given, nothing is told.

    Attributes:
        lists: Digest of what is listed.
        page_rule: Whether lists of pages are compared with any page of a pair, or with the surviving one.
        preferences: What pages may ask for so that their pairs leave.
        unknown_preferences: Whether pairs stay whose pages' preferences were not read.
    """

    lists: str | UnsetType = UNSET
    page_rule: str | UnsetType = UNSET
    preferences: list[str] | UnsetType = UNSET
    unknown_preferences: str | UnsetType = UNSET

    @property
    def has_rules(self) -> bool:
        """Whether any pair could leave."""
        return bool(msgspec.to_builtins(self))


class CountSettings(Record):
    """What counting depends on."""

    gate: Gate
    metadata_digest: str


class Draw(Record):
    """How the threshold was chosen, and the seed of the draws."""

    threshold_t: Number | str | None
    tail_share: Number | None
    target_pairs: int | None
    seed: int


class SampleSettings(Record):
    """What sampling depends on; `matched` is the digest of the manifest of the pairs that are drawn from."""

    sample: Draw
    gate: Gate
    entry_counts_digest: str
    matched: str


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


UNKNOWN_KEY = "unknown field"
"""What an error says of a key that a record does not have."""

Kind = TypeVar("Kind", bound=msgspec.Struct)


def put_record(storage: Storage, name: str, record: msgspec.Struct) -> None:
    """Puts a record whole or not at all, over one that is there."""
    storage.put_json(name, msgspec.to_builtins(record))


def read_report(storage: Storage, name: str, kind: type[Kind]) -> Kind | None:
    """Reads the record of a report; None where there is none.

    Raises:
        InputError: If it was written in another layout, or is not what this version writes.
    """
    found = storage.read_json(name, REPORT_AGAIN)
    if found is None:
        return None
    shown = f"{storage.root}/{name}"
    layout = found.get("layout", REPORT_LAYOUT)
    if layout != REPORT_LAYOUT:
        raise InputError(
            f"{shown} was written by another version of metaclip-spark in layout {layout}; this version reads layout "
            f"{REPORT_LAYOUT}: use that version, or {REPORT_AGAIN}"
        )
    return known(found, kind, shown, REPORT_AGAIN)


def manifest_of(told: JsonObject, config: type[Config], numbers: type[Numbers], shown: str) -> Any:
    """Takes what an entry tells of a step as a `Manifest[config, numbers]`.

    Args:
        told: The manifest as JSON.
        config: The record of the step's settings.
        numbers: The record of its numbers.
        shown: What messages call it.

    Raises:
        InputError: If it is no manifest of the step, or lacks numbers, which another version did not count.
    """
    counted = told.get("numbers")
    missing = _wrong_keys(counted, numbers, missing_only=True) if isinstance(counted, dict) else []
    if missing and isinstance(told.get("step"), str):
        raise InputError(
            f"the manifest of the step '{told['step']}' lacks {', '.join(missing)}: it was done by another version of "
            "metaclip-spark; run the step again with --overwrite"
        )
    return known(told, Manifest[config, numbers], shown, RESTORE)  # type: ignore[valid-type]


def known(found: JsonObject, kind: type[Kind], shown: str, advice: str) -> Kind:
    """Takes a JSON object as a record; messages call it `shown` and end in `advice`.

    Raises:
        InputError: If it lacks a key, or is not one.
    """
    wrong = _wrong_keys(found, kind)
    if wrong:
        raise InputError(f"{shown} lacks {', '.join(wrong)}, or has another kind of it: {advice}")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        if UNKNOWN_KEY in str(error):
            advice = f"use the version that wrote it, or {advice}"
        raise InputError(f"{shown} is not what this version of metaclip-spark writes ({error}): {advice}") from None


def _wrong_keys(found: JsonObject, kind: type[msgspec.Struct], *, missing_only: bool = False) -> list[str]:
    """Names the keys that a JSON object must have and lacks, or holds another kind of value at."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if field.required
        and (field.encode_name not in found or not (missing_only or _is_of(found[field.encode_name], field.type)))
    ]


def _is_of(value: object, declared: Any) -> bool:
    """Looks at the outermost type only."""
    origin = get_origin(declared) or declared
    if origin is UnionType or not isinstance(origin, type):
        return any(_is_of(value, each) for each in get_args(declared)) if get_args(declared) else True
    if issubclass(origin, msgspec.Struct):
        return isinstance(value, dict)
    if isinstance(value, bool):
        return origin is bool
    return isinstance(value, int | float) if origin is float else isinstance(value, origin)
