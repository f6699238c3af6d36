"""One frozen dataclass per step: validated once, printed, and saved with the output.

A field marked `OPERATIONAL` changes how a run goes but not its result, so it stays out of the configuration digest.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, Overflow
from reprlib import repr as brief
from typing import Any

from metaclip_spark.balance import LARGEST_COUNT, check_threshold
from metaclip_spark.errors import ConfigError
from udfs.matching.engine import ENGINES
from udfs.sources.credentials import without_credentials
from udfs.sources.resume import S3_ACCESS

OPERATIONAL = {"operational": True}
PATH = {"path": True}
"""Marks a field of paths or URLs: on the command line an empty one is refused, and "~" is the home folder."""

PRESETS = {"metaclip-english": ("en",)}
"""Preset name -> languages of its gate (top-1 label, no probability floor)."""

_PAIR_ID = re.compile("[0-9a-f]{32}")
_FACTORS = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}")
LARGEST_BUCKETS = 256
LARGEST_SEED = 2**64 - 1
LONGEST_PAGE_SECONDS = 86_400
MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class OutputConfig:
    """Where a run writes, and what it does about what is there already.

    Attributes:
        output: Folder of the run.
        resume: Go on with the run in the output folder; finished work is kept. Valid on an empty output too.
        overwrite: Delete the run in the output folder first.
        rows_per_file: Rows per Parquet file, at most.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
        allow_rename_committer: Write to S3 even where Spark can only commit by renaming.
        log_format: text, or json: one JSON object per line, with the numbers of each wave and step.
        clean: Abort multipart uploads that killed runs left below the output.
    """

    output: str = field(metadata=PATH)
    resume: bool = field(default=False, metadata=OPERATIONAL)
    overwrite: bool = field(default=False, metadata=OPERATIONAL)
    rows_per_file: int = field(default=1_000_000, metadata=OPERATIONAL)
    s3_packages: bool = field(default=False, metadata=OPERATIONAL)
    allow_rename_committer: bool = field(default=False, metadata=OPERATIONAL)
    clean: bool = field(default=False, metadata=OPERATIONAL)
    log_format: str = field(default="text", metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If an option is out of range or contradicts another.
        """
        if not self.output.strip():
            raise ConfigError("--output is empty: name the run's folder")
        if self.resume and self.overwrite:
            raise ConfigError("--resume keeps the output and --overwrite deletes it: give one of them")
        rows = self.rows_per_file
        _require("rows_per_file", rows, "at least 1 and at most 2^63 - 1", holds=1 <= rows <= LARGEST_COUNT)
        _require("log_format", self.log_format, "text or json", holds=self.log_format in {"text", "json"})


@dataclass(frozen=True)
class ExtractConfig:
    """Which pairs come in.

    Attributes:
        archives: WARC, WAT or ARC files, globs, folders, or path lists (*.paths, *.txt, plain or .gz).
        archives_prefix: Put before each relative line of a path list.
        pool: Parquet or JSONL files, globs or folders with pairs that were extracted before, instead of archives.
        url_column: Column of the image's URL in the files of --pool.
        text_column: Column of the alternative text in the files of --pool.
        archives_per_wave: Archives that are committed together: at most so many are redone after a kill.
        waves_at_once: Waves that are extracted side by side: more than one hides the slowest archives of a wave.
        max_rejects: Largest share of bad records (of pages and bad records together) that a run accepts.
        max_failed_archives: Largest number of unreadable archives that a run accepts.
        attempts: How often an archive that cannot be read is tried in one run.
        accept_changed: Extract archives again whose content has changed since, in place of what was extracted before.
        max_parallel_archives: Archives that a wave reads at once, at most; 0 for as many as there are cores.
        buckets: Parts of the pool that are deduplicated and matched one by one, 1 to 256, fixed by the first run into
            an output; 0 chooses by the number of archives.
        s3_access: How archives on S3 are read: signed, anonymous or requester-pays.
        crawl: Read a crawl of Common Crawl, such as CC-MAIN-2024-10, in place of --archives.
        archive_type: Which archives of --crawl: wat or warc.
        limit: Read so many archives of --crawl; 0 for all.
        offset: Leave out so many at the beginning of --crawl's list.
        page_timeout_seconds: Time after which a page is given up (record.parser_timeout).
        max_page_bytes: Size above which a page or a record's body is rejected.
    """

    archives: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    archives_prefix: str = field(default="", metadata=OPERATIONAL | PATH)
    pool: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    url_column: str = "url"
    text_column: str = "text"
    archives_per_wave: int = field(default=1000, metadata=OPERATIONAL)
    waves_at_once: int = field(default=1, metadata=OPERATIONAL)
    max_rejects: float = field(default=0.05, metadata=OPERATIONAL)
    max_failed_archives: int = field(default=0, metadata=OPERATIONAL)
    attempts: int = field(default=3, metadata=OPERATIONAL)
    accept_changed: bool = field(default=False, metadata=OPERATIONAL)
    max_parallel_archives: int = field(default=0, metadata=OPERATIONAL)
    buckets: int = field(default=0, metadata=OPERATIONAL)
    s3_access: str = field(default="signed", metadata=OPERATIONAL)
    crawl: str | None = field(default=None, metadata=OPERATIONAL)
    archive_type: str = field(default="wat", metadata=OPERATIONAL)
    limit: int = field(default=0, metadata=OPERATIONAL)
    offset: int = field(default=0, metadata=OPERATIONAL)
    page_timeout_seconds: float = field(default=60.0, metadata=OPERATIONAL)
    max_page_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If an option is out of range or contradicts another.
        """
        if "" in {*self.archives, *self.pool}:
            raise ConfigError("--archives or --pool holds an empty name: an unset variable in the command?")
        if [bool(self.archives), bool(self.pool), bool(self.crawl)].count(True) != 1:
            raise ConfigError("give the input as either --archives or --pool or --crawl (exactly one of them)")
        if (self.limit or self.offset) and not self.crawl:
            raise ConfigError("--limit and --offset belong to --crawl")
        _require("attempts", self.attempts, f"from 1 to {MOST_ATTEMPTS:,}", holds=1 <= self.attempts <= MOST_ATTEMPTS)
        _require(
            "max_parallel_archives", self.max_parallel_archives, "at least 0", holds=self.max_parallel_archives >= 0
        )
        _require("buckets", self.buckets, "from 1 to 256, or 0", holds=0 <= self.buckets <= LARGEST_BUCKETS)
        _require("s3_access", self.s3_access, f"one of {', '.join(S3_ACCESS)}", holds=self.s3_access in S3_ACCESS)
        _require("archive_type", self.archive_type, "wat or warc", holds=self.archive_type in {"wat", "warc"})
        _require(
            "page_timeout_seconds",
            self.page_timeout_seconds,
            f"above 0 and at most {LONGEST_PAGE_SECONDS:,} (a day)",
            holds=0 < self.page_timeout_seconds <= LONGEST_PAGE_SECONDS,
        )
        _require("limit", self.limit, "at least 0", holds=self.limit >= 0)
        _require("offset", self.offset, "at least 0", holds=self.offset >= 0)
        _require("waves_at_once", self.waves_at_once, "at least 1", holds=self.waves_at_once >= 1)
        _require("archives_per_wave", self.archives_per_wave, "at least 1", holds=self.archives_per_wave >= 1)
        _require("max_rejects", self.max_rejects, "a share from 0 to 1", holds=0 <= self.max_rejects <= 1)
        _require("max_failed_archives", self.max_failed_archives, "at least 0", holds=self.max_failed_archives >= 0)
        _require("max_page_bytes", self.max_page_bytes, "at least 1", holds=self.max_page_bytes >= 1)


@dataclass(frozen=True)
class LanguageConfig:
    """The language gate: which matched pairs are counted and sampled.

    Attributes:
        languages: Keep pairs whose text is in one of these languages (fastText codes, such as en,de).
        min_language_probability: Keep pairs whose language has at least this probability.
        identify_language: Fill the language columns without filtering on them.
        preset: metaclip-english: the language gate of the paper's English pool.
    """

    languages: tuple[str, ...] = ()
    min_language_probability: float = 0.0
    identify_language: bool = False
    preset: str | None = None

    def __post_init__(self) -> None:
        """Checks the values and resolves the preset and `--languages en,de`.

        Raises:
            ConfigError: If an option is out of range or contradicts another.
        """
        languages = tuple(sorted({code.strip().lower() for item in self.languages for code in item.split(",")} - {""}))
        if self.languages and not languages:
            raise ConfigError("--languages names no language: give fastText codes, such as en,de")
        unknown = [code for code in languages if not _LANGUAGE_CODE.fullmatch(code)]
        if unknown:
            raise ConfigError(f"--languages {unknown[0]} is no language code: give fastText codes, such as en,de")
        if self.preset is not None:
            _require("preset", self.preset, f"one of {', '.join(PRESETS)}", holds=self.preset in PRESETS)
            if languages not in {(), PRESETS[self.preset]} or self.min_language_probability:
                raise ConfigError(f"--preset {self.preset} sets the language gate: leave out the other gate options")
            languages = PRESETS[self.preset]
        probability = self.min_language_probability
        _require("min_language_probability", probability, "from 0 to 1", holds=0 <= probability <= 1)
        if self.min_language_probability and not languages:
            raise ConfigError("--min-language-probability needs --languages")
        object.__setattr__(self, "languages", languages)

    @property
    def identifies(self) -> bool:
        """Whether the match step fills the language columns."""
        return bool(self.languages) or self.identify_language

    @property
    def gate(self) -> dict[str, Any]:
        """What count and sample filter on: the same dictionary for both, stored in their manifests."""
        return {"languages": list(self.languages), "min_language_probability": self.min_language_probability}


@dataclass(frozen=True)
class MatchConfig:
    """What texts are matched against, and how.

    Attributes:
        metadata: Metadata list: JSON list or object, plain text (one entry a line) or Parquet; plain, .gz or .zst.
        engine: token (compiled) or pyahocorasick (the reference); both give the same ids.
    """

    metadata: str = field(metadata=OPERATIONAL | PATH)
    engine: str = field(default="token", metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If the engine is unknown.
        """
        _require("engine", self.engine, f"one of {', '.join(ENGINES)}", holds=self.engine in ENGINES)


@dataclass(frozen=True)
class SampleConfig:
    """How the matched pairs are balanced.

    Attributes:
        threshold_t: Entry count above which an entry's pairs are thinned out: an integer of at least 1, or inf.
        tail_share: Choose t so that the entries below it have this share of all matches (the paper's pool: 0.06).
        target_pairs: Choose the smallest t whose expected size reaches this many pairs, such as 10M.
        seed: Seed of the draws, from 0 to 2^64 - 1.
        entry_counts: Balance with these counts instead of the run's own: JSON objects entry -> count, or other runs'
            entry_counts. Several, of disjoint pools, are added up.
    """

    threshold_t: int | float | str | None = None
    tail_share: float | None = None
    target_pairs: int | str | None = None
    seed: int = 0
    entry_counts: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If an option is out of range or contradicts another.
        """
        if [self.threshold_t, self.tail_share, self.target_pairs].count(None) != 2:  # noqa: PLR2004 - one of three
            raise ConfigError("choose t by exactly one of --threshold-t, --tail-share and --target-pairs")
        if self.threshold_t is not None:
            object.__setattr__(self, "threshold_t", check_threshold(self.threshold_t))
        if self.tail_share is not None:
            _require("tail_share", self.tail_share, "a share between 0 and 1", holds=0 < self.tail_share < 1)
        if self.target_pairs is not None:
            object.__setattr__(self, "target_pairs", check_target(self.target_pairs))
        _require("seed", self.seed, "from 0 to 2^64 - 1", holds=0 <= self.seed <= LARGEST_SEED)


@dataclass(frozen=True)
class ReportConfig:
    """What the report shows beside the run itself.

    Attributes:
        against: Compare with another finished run (its folder) or with entry counts (a JSON object entry -> count, or
            Parquet).
    """

    against: str | None = field(default=None, metadata=OPERATIONAL | PATH)


@dataclass(frozen=True)
class PlanConfig:
    """Which thresholds to look at.

    Attributes:
        run: Folder of a run whose pairs are counted; nothing is written to it.
        thresholds: Further thresholds for the table.
        tail_share: Find and mark the t whose entries below it have this share of all matches.
        target_pairs: Find and mark the smallest t whose expected size reaches this many pairs, such as 10M.
        at_counts: Balance with another run's counts (its folder) or with a file of entry counts.
        curve: Where to write the curve of expected size against t: a path that ends in .png or .svg.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
    """

    run: str = field(metadata=PATH)
    thresholds: tuple[str, ...] = ()
    tail_share: float | None = None
    target_pairs: int | str | None = None
    at_counts: str | None = field(default=None, metadata=PATH)
    curve: str | None = field(default=None, metadata=PATH)
    s3_packages: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If an option is out of range or contradicts another.
        """
        if self.tail_share is not None and self.target_pairs is not None:
            raise ConfigError("choose t by at most one of --tail-share and --target-pairs")
        if self.tail_share is not None:
            _require("tail_share", self.tail_share, "a share between 0 and 1", holds=0 < self.tail_share < 1)
        if self.target_pairs is not None:
            object.__setattr__(self, "target_pairs", check_target(self.target_pairs))
        finite = [t for given in self.thresholds if (t := check_threshold(given)) != float("inf")]
        object.__setattr__(self, "thresholds", tuple(finite))


@dataclass(frozen=True)
class ExplainConfig:
    """Which pair to explain.

    Attributes:
        run: Folder of a finished run; nothing is written to it.
        pair_id: A pair's 32 hex digits.
        url: An image's URL: explains every pair of it.
        text: A raw alternative text: explains what it would match, and its pairs where there are any.
        archive: The archive that a pair should have come from: says what extraction left out there.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
    """

    run: str = field(metadata=PATH)
    pair_id: str | None = None
    url: str | None = None
    text: str | None = None
    archive: str | None = None
    s3_packages: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: If not exactly one pair is named, or the pair_id is none.
        """
        if [self.pair_id, self.url, self.text].count(None) != 2:  # noqa: PLR2004 - one of three
            raise ConfigError("say what to explain by exactly one of --pair-id, --url and --text")
        if self.pair_id is not None:
            _require("pair_id", self.pair_id, "32 hex digits 0-9 and a-f", holds=bool(_PAIR_ID.fullmatch(self.pair_id)))


def check_target(value: object) -> int:
    """Reads a number of pairs as the user gave it.

    Args:
        value: A whole number from 1 to 2^63 - 1; as a number or as text ("10M", "10_000_000", "1e6", "1.5k").

    Returns:
        The number.

    Raises:
        ConfigError: If it is anything else.
    """
    text = str(value).strip()
    factor = _FACTORS.get(text[-1:].upper(), 1)
    try:
        number = Decimal(text[:-1] if factor > 1 else text) * factor
    except InvalidOperation:
        number = Decimal("NaN")
    except Overflow:
        number = Decimal("Infinity")
    if not number.is_nan() and number > LARGEST_COUNT:
        raise ConfigError(
            f"--target-pairs is {brief(value)}: it must be at most 2^63 - 1, more than any pool, such as 10M"
        )
    whole = number.is_finite() and number >= 1 and number == number.to_integral_value()
    _require("target_pairs", value, "a whole number of at least 1, such as 10M", holds=whole)
    return int(number)


def as_dict(config: Any) -> dict[str, Any]:
    """Gives a configuration as JSON-ready values.

    Args:
        config: An instance of one of this module's classes.

    Returns:
        Field name -> value; an infinite threshold as "inf"; URLs without the credentials that they may hold.
    """
    return {name: _json_ready(value) for name, value in dataclasses.asdict(config).items()}


def result_fields(config: Any) -> dict[str, Any]:
    """Gives the fields that change results: all but the operational ones.

    Args:
        config: An instance of one of this module's classes.

    Returns:
        Field name -> value, JSON-ready.
    """
    operational = {item.name for item in dataclasses.fields(config) if item.metadata.get("operational")}
    return {name: value for name, value in as_dict(config).items() if name not in operational}


def digest(content: Any) -> str:
    """Digests JSON-ready content.

    Args:
        content: Anything that the json module writes.

    Returns:
        The sha256 of its canonical JSON (sorted keys, compact, UTF-8), in hex.
    """
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _json_ready(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, str):
        return without_credentials(value)
    return "inf" if value == float("inf") else value


def _require(name: str, value: Any, limit: str, *, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"--{name.replace('_', '-')} is {value!r}: it must be {limit}")
