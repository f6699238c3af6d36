"""What a run stores as JSON: one type per file, written and read here only.

Every file names the layout that it was written in. Files without it, and keys that have a default, are of earlier
versions. `UNSET` stands for a key that is not in the file, so that a file's digest stays what it was.
"""

from types import UnionType
from typing import Any, Generic, Self, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.config.fields import digest
from metaclip_spark.errors import InputError
from metaclip_spark.runs.layout import LAYOUT, LOCK, MARKER, REPORT_JSON, RUN
from metaclip_spark.stores.storage import JsonObject, Storage

Number = int | float
"""Numbers that are digested as they were written: 0 stays 0 where it is not 0.0."""


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object whose keys are known."""


class NamedArchives(Record):
    """How many archives have a property, and the names of the first ones."""

    archives: int
    first: list[str]


class ExtractNumbers(Record):
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


class DeduplicateNumbers(Record):
    """Raw pairs, and those that stay; sums over buckets."""

    pairs_in: int
    duplicates: int
    pairs: int


class MatchNumbers(Record):
    """Pairs of the pool, and those with an entry; sums over buckets."""

    pairs_in: int
    unmatched: int
    pairs: int


class CountNumbers(Record):
    """Matched pairs, those that pass the language gate, and their entries."""

    pairs_in: int
    gated_out: int
    pairs: int
    matches: int
    entries: int
    entries_matched: int


class SampleNumbers(Record):
    """Matched pairs, those that were drawn, and the figures of the balance."""

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
    """The language gate: pairs that do not pass are neither counted nor sampled."""

    languages: list[str]
    min_language_probability: Number

    @classmethod
    def of(cls, language: LanguageConfig) -> Self:
        """Takes the gate out of what the user configured."""
        return msgspec.convert(language.gate, cls)


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
    """What sampling depends on; `matched` is the digest of the matched pairs' manifest."""

    sample: Draw
    gate: Gate
    entry_counts_digest: str
    matched: str


Config = TypeVar("Config", bound=Record)
Numbers = TypeVar("Numbers", bound=Record)


class Manifest(Record, Generic[Config, Numbers], kw_only=True):
    """What makes a step's table count.

    Attributes:
        step: The step.
        config: What its result depends on, besides its input.
        input: The digest of the manifest that it was made from; of extraction, the ledger's.
        numbers: What came of it.
        settings: All options of the step.
        files: Folder to the files that were written.
        seconds: How long it took.
        layout: The layout of the file.
    """

    step: str
    config: Config
    input: str
    numbers: Numbers
    settings: JsonObject
    files: dict[str, list[str]] = {}
    seconds: float
    layout: int = LAYOUT

    @property
    def digest(self) -> str:
        """Digests what the result depends on: neither its time nor the names of its files."""
        content = (self.step, self.config, self.input, self.numbers)
        return digest(dict(zip(("step", "config", "input", "numbers"), msgspec.to_builtins(content), strict=True)))


ExtractManifest = Manifest[ExtractionSettings, ExtractNumbers]
DeduplicateManifest = Manifest[NoSettings, DeduplicateNumbers]
MatchManifest = Manifest[MatchSettings, MatchNumbers]
CountManifest = Manifest[CountSettings, CountNumbers]
SampleManifest = Manifest[SampleSettings, SampleNumbers]


class ArchiveSummary(Record):
    """What one attempt at an archive gave: a row of `udfs.schemas.ARCHIVES`."""

    archive: str
    status: str
    size: int
    etag: str
    bytes_read: int
    records: int
    pages: int
    images: int
    images_kept: int
    texts: int
    pairs: int
    rejected: dict[str, int]


class Superseded(Record):
    """An attempt that no longer counts, since its archive has changed and the user accepted that."""

    archive: str
    entry: str
    etag: str


class LedgerEntry(Record):
    """What makes one attempt at a wave count."""

    wave: int
    config: ExtractionSettings
    files: list[str]
    archives: list[ArchiveSummary]
    superseded: list[Superseded] | UnsetType = UNSET
    layout: int = LAYOUT


class BucketNumber(Record):
    """Into how many buckets a run's pool is split."""

    buckets: int
    layout: int = LAYOUT


class FinishedStep(Record):
    """A step as run.json tells of it."""

    digest: str
    input: str
    settings: JsonObject
    numbers: JsonObject
    seconds: float


class RunSummary(Record):
    """The content of run.json, which makes a run finished."""

    status: str
    layout: int
    output: JsonObject
    versions: dict[str, str]
    metadata_digest: str
    steps: dict[str, FinishedStep]
    deviations_from_the_paper: list[str]
    warnings: list[str]


class LockHolder(msgspec.Struct, kw_only=True):
    """Who holds a run's lock. Any field may be missing: of a lock that no run wrote nothing is known."""

    owner: str | None = None
    host: str | None = None
    pid: int | None = None
    nonce: str | None = None
    heartbeat: float | None = None


_RESTORE = "restore it, or use --overwrite to start anew"
_REPORT_AGAIN = "run report_curation on that folder again"
_UNKNOWN_KEY = "unknown field"
_ADVICE = {LOCK: "delete it if no run works there", RUN: _REPORT_AGAIN, REPORT_JSON: _REPORT_AGAIN}

Kind = TypeVar("Kind", bound=msgspec.Struct)


def put_record(storage: Storage, name: str, record: msgspec.Struct) -> None:
    """Puts a record whole or not at all, over one that is there."""
    storage.put_json(name, msgspec.to_builtins(record))


def read_object(storage: Storage, name: str) -> JsonObject | None:
    """Reads any of a run's files; None where there is none."""
    return storage.read_json(name, _ADVICE.get(name, _RESTORE))


def read_record(storage: Storage, name: str, kind: type[Kind]) -> Kind | None:
    """Reads a record; None where there is none.

    Raises:
        InputError: If it was written in another layout, or is not what this version writes.
    """
    found = read_object(storage, name)
    if found is None:
        return None
    check_layout(storage, name, found)
    wrong = _wrong_keys(found, kind)
    if wrong:
        raise InputError(
            f"{storage.root}/{name} lacks {', '.join(wrong)}, or has another kind of it: {_ADVICE.get(name, _RESTORE)}"
        )
    return _converted(storage, name, found, kind)


def read_manifest(storage: Storage, name: str, config: type[Config], numbers: type[Numbers]) -> Any:
    """Reads a step's manifest as a `Manifest[config, numbers]`; None where the step is not done.

    Raises:
        InputError: As `read_record`, or if it lacks numbers, which another version did not count.
    """
    found = read_object(storage, name)
    if not found:
        # A manifest without content says of its step what no manifest says.
        return None
    check_layout(storage, name, found)
    told = found.get("numbers")
    missing = _wrong_keys(told, numbers, missing_only=True) if isinstance(told, dict) else []
    if missing and isinstance(found.get("step"), str):
        raise InputError(
            f"the manifest of the step '{found['step']}' lacks {', '.join(missing)}: it was done by another version of "
            "metaclip-spark; run the step again with --overwrite"
        )
    return read_record(storage, name, Manifest[config, numbers])  # type: ignore[valid-type]


def read_ledger_entry(storage: Storage, name: str) -> LedgerEntry:
    """Reads one file of the ledger.

    Raises:
        InputError: If it was written in another layout, or is no ledger entry.
    """
    found = read_object(storage, name) or {}
    check_layout(storage, name, found)
    lacks = ", ".join(_wrong_keys(found, LedgerEntry))
    try:
        return msgspec.convert(found, LedgerEntry)
    except msgspec.ValidationError as error:
        if not lacks and _UNKNOWN_KEY in str(error):
            return _converted(storage, name, found, LedgerEntry)
    raise InputError(
        f"{storage.root}/{name} is no ledger entry (it lacks {lacks or 'what its archives gave'}): restore it, or "
        "delete it, and --resume extracts its archives again"
    )


def _converted(storage: Storage, name: str, found: JsonObject, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        advice = _ADVICE.get(name, _RESTORE)
        if _UNKNOWN_KEY in str(error):
            advice = f"use the version that wrote it, or {advice}"
        raise InputError(
            f"{storage.root}/{name} is not what this version of metaclip-spark writes ({error}): {advice}"
        ) from None


def check_layout(storage: Storage, name: str, found: JsonObject) -> None:
    """Refuses a file that another version wrote in a layout that this one may misread.

    Raises:
        InputError: If it names another layout.
    """
    layout = found.get("layout", "unknown" if name == RUN else LAYOUT)
    if layout == LAYOUT:
        return
    versions = found.get("versions")
    version = versions.get("metaclip-spark") if isinstance(versions, dict) else None
    by = f"metaclip-spark {version}" if version else "another version of metaclip-spark"
    whole = storage.root if name in {RUN, MARKER} else f"{storage.root}/{name}"
    again = f", or {_REPORT_AGAIN}" if name in {RUN, REPORT_JSON} else ""
    raise InputError(
        f"{whole} was written by {by} in layout {layout}; this version reads layout {LAYOUT}: use that version{again}"
    )


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
