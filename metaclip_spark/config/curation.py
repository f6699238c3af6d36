"""One frozen dataclass per step: checked once, printed, and saved with the output."""

from dataclasses import dataclass, field
from typing import Any, Literal

from metaclip_spark.config.fields import (
    BY_ITSELF,
    OPERATIONAL,
    PATH,
    Attempts,
    Buckets,
    ClosedUnitInterval,
    Count,
    Engine,
    NonNegativeInt,
    OpenUnitInterval,
    PageSeconds,
    PositiveInt,
    S3Access,
    Seed,
    check_types,
    option_of,
)
from metaclip_spark.config.languages import LANGUAGES, suggestion_for
from metaclip_spark.errors import ConfigError, brief
from metaclip_spark.preference_agents import check_agents
from metaclip_spark.thresholds import check_target, check_threshold

PRESETS = {"metaclip-english": ("en",)}
"""Preset name -> languages of its filter (top-1 label, no smallest probability)."""


_PAGE_LANGUAGE_PROBABILITY = 0.1
_THRESHOLD = {"values": "an integer of at least 1, such as 20k, or inf"}
SummaryDomains = Literal["top-10%", "top-5%-or-1000"]
NUMBER_OF_PAIRS = {"values": "an integer of at least 1, or such as 10M"}
_AGENTS = {"values": "one or more product tokens"}


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
        clean: Abort multipart uploads that killed runs left below the output.
        keep_samples: Curated sets that stay when the next one is drawn, the one that counts among them.

    Example:
        >>> from metaclip_spark import OutputConfig
        >>> OutputConfig("s3://bucket/run", resume=True).rows_per_file
        1000000
    """

    output: str = field(metadata=PATH)
    resume: bool = field(default=False, metadata=OPERATIONAL)
    overwrite: bool = field(default=False, metadata=OPERATIONAL)
    rows_per_file: Count = field(default=1_000_000, metadata=OPERATIONAL)
    s3_packages: bool = field(default=False, metadata=OPERATIONAL)
    allow_rename_committer: bool = field(default=False, metadata=OPERATIONAL)
    clean: bool = field(default=False, metadata=OPERATIONAL)
    keep_samples: PositiveInt = field(default=1, metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if not self.output.strip():
            raise ConfigError("--output is empty: name the run's folder")
        if self.resume and self.overwrite:
            raise ConfigError("--resume keeps the output and --overwrite deletes it: give one of them")


@dataclass(frozen=True)
class ReportedConfig(OutputConfig):
    """Which run a report is written for, or of which runs an index is made.

    Attributes:
        output: Folder of the run.
        index: Instead of a report, write index.html into this folder: one page over all runs in it or further down.
    """

    output: str = field(default="", metadata=PATH)
    index: str | None = field(default=None, metadata=OPERATIONAL | PATH)

    def __post_init__(self) -> None:
        """Checks the values."""
        if bool(self.output) == (self.index is not None):
            raise ConfigError("give exactly one of --output, a run's folder, and --index, a folder of runs")
        if self.index is None:
            super().__post_init__()
        else:
            check_types(self)


@dataclass(frozen=True)
class ExtractConfig:
    """Which pairs come in.

    Attributes:
        archives: WARC, WAT or ARC files, globs, folders, or path lists (*.paths, *.txt, plain or .gz).
        archives_prefix: Put before each relative line of a path list.
        pool: Parquet or JSONL files, globs or folders with pairs that were extracted before, instead of archives; or
            other runs (their folders).
        url_column: Column of the image's URL in the files of --pool.
        text_column: Column of the alternative text in the files of --pool.
        language_column: Column of the text's language in the files of --pool, for --language-from column: a label as
            languages.json has them, or a language tag.
        archives_per_wave: Archives that are committed together: at most this many are redone after a kill.
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
        limit: Read at most this many archives of --crawl; 0 for all.
        offset: Skip this many archives at the start of --crawl's list.
        page_timeout_seconds: Processor time after which a page is given up (record.parser_timeout).
        max_page_bytes: Size above which a page or a record's body is rejected.
        preference_agent: Agents (such as CCBot,img2dataset) whose directives in what pages declare count, too, beside
            those for all agents.

    Example:
        >>> from metaclip_spark import ExtractConfig
        >>> ExtractConfig("tests/data/sample/*.warc.gz").archives
        ('tests/data/sample/*.warc.gz',)
        >>> ExtractConfig(crawl="CC-MAIN-2024-10", archive_type="wat", limit=100).s3_access
        'signed'
    """

    archives: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    archives_prefix: str = field(default="", metadata=OPERATIONAL | PATH)
    pool: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    url_column: str = "url"
    text_column: str = "text"
    language_column: str | None = field(default=None, metadata=BY_ITSELF)
    archives_per_wave: PositiveInt = field(default=1000, metadata=OPERATIONAL)
    waves_at_once: PositiveInt = field(default=1, metadata=OPERATIONAL)
    max_rejects: ClosedUnitInterval = field(default=0.05, metadata=OPERATIONAL)
    max_failed_archives: NonNegativeInt = field(default=0, metadata=OPERATIONAL)
    attempts: Attempts = field(default=3, metadata=OPERATIONAL)
    accept_changed: bool = field(default=False, metadata=OPERATIONAL)
    max_parallel_archives: NonNegativeInt = field(default=0, metadata=OPERATIONAL)
    buckets: Buckets = field(default=0, metadata=OPERATIONAL)
    s3_access: S3Access = field(default="signed", metadata=OPERATIONAL)
    crawl: str | None = field(default=None, metadata=OPERATIONAL)
    archive_type: Literal["wat", "warc"] = field(default="wat", metadata=OPERATIONAL)
    limit: NonNegativeInt = field(default=0, metadata=OPERATIONAL)
    offset: NonNegativeInt = field(default=0, metadata=OPERATIONAL)
    page_timeout_seconds: PageSeconds = field(default=60.0, metadata=OPERATIONAL)
    max_page_bytes: PositiveInt = 32 * 1024 * 1024
    preference_agent: tuple[str, ...] = field(default=(), metadata=_AGENTS | BY_ITSELF)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        object.__setattr__(self, "preference_agent", check_agents(self.preference_agent, "--preference-agent"))
        if "" in {*self.archives, *self.pool}:
            option = "--archives" if "" in self.archives else "--pool"
            raise ConfigError(f"{option} holds an empty name: is a variable in the command unset?")
        if [bool(self.archives), bool(self.pool), bool(self.crawl)].count(True) != 1:
            raise ConfigError("give exactly one of --archives, --pool and --crawl")
        if self.language_column is not None and not self.pool:
            raise ConfigError("--language-column is for --pool: give --pool, or leave it out")
        if self.preference_agent and self.pool:
            raise ConfigError("--preference-agent is for archives, and --pool has been read: leave one of them out")
        if (self.limit or self.offset) and not self.crawl:
            raise ConfigError("--limit and --offset are for --crawl: give --crawl, or leave them out")


@dataclass(frozen=True)
class LanguageConfig:
    """The language filter: which matched pairs are counted and sampled.

    Attributes:
        languages: Keep pairs whose text is in one of these languages (fastText codes, such as en,de).
        min_language_probability: Keep pairs whose language has at least this probability.
        identify_language: Fill the language columns without filtering on them.
        preset: metaclip-english: the language filter of the paper's English pool.

    Example:
        >>> from metaclip_spark import LanguageConfig
        >>> LanguageConfig(languages=("en,de", "FR")).languages
        ('de', 'en', 'fr')
        >>> LanguageConfig(preset="metaclip-english").languages
        ('en',)
    """

    languages: tuple[str, ...] = ()
    min_language_probability: ClosedUnitInterval = 0.0
    identify_language: bool = False
    preset: Literal["metaclip-english"] | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        languages = tuple(sorted({code.strip().lower() for item in self.languages for code in item.split(",")} - {""}))
        if self.languages and not languages:
            raise ConfigError("--languages names no language: give fastText codes, such as en,de")
        unknown = [code for code in languages if code not in LANGUAGES]
        if unknown:
            near = suggestion_for(unknown[0])
            advice = f"did you mean {near}?" if near else "give its codes, such as en,de"
            raise ConfigError(f"--languages {brief(unknown[0])[1:-1]}: fastText knows no such language; {advice}")
        if self.preset is not None:
            if languages not in {(), PRESETS[self.preset]} or self.min_language_probability:
                raise ConfigError(
                    f"--preset {self.preset} sets the language filter: leave out the other language options"
                )
            languages = PRESETS[self.preset]
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
        metadata: Metadata list: JSON list or object, plain text (one entry a line) or Parquet; plain, .gz or .zst. Or
            a folder with one list per language and a languages.json; in a store its name ends with a slash.
        engine: token (compiled) or pyahocorasick (the reference); both give the same ids.
        word_borders: Where an entry begins and ends: at spaces, at spaces and borders of scripts without spaces
            (script), or by the published rule of MetaCLIP 2 (metaclip2, with --engine pyahocorasick). Without it,
            script for a folder of lists, spaces for a single list.
        language_from: With a folder of lists, what says which list a text is matched against: text (its likeliest
            language), page (the language that its page declares, where that is likely enough), or column (that of
            --language-column).
        page_language_probability: For --language-from page, how likely the page's language must be for the text.
        min_list_probability: With a folder of lists, match texts whose language is less likely against the list other.
        language_model: With a folder of lists, a model of fastText in place of the bundled lid.176; its labels must be
            those of languages.json.

    Example:
        >>> from metaclip_spark import MatchConfig
        >>> MatchConfig("tests/data/wordnet_lemmas.txt.gz").engine
        'token'
        >>> MatchConfig("metadata.json", engine="regex")
        Traceback (most recent call last):
        metaclip_spark.errors.ConfigError: --engine is 'regex': it must be one of token, pyahocorasick
    """

    metadata: str = field(metadata=OPERATIONAL | PATH)
    engine: Engine = field(default="token", metadata=OPERATIONAL)
    word_borders: Literal["spaces", "script", "metaclip2"] | None = field(default=None, metadata=BY_ITSELF)
    language_from: Literal["text", "page", "column"] = field(default="text", metadata=BY_ITSELF)
    page_language_probability: ClosedUnitInterval = field(default=_PAGE_LANGUAGE_PROBABILITY, metadata=BY_ITSELF)
    min_list_probability: ClosedUnitInterval = field(default=0.0, metadata=BY_ITSELF)
    language_model: str | None = field(default=None, metadata=BY_ITSELF | PATH)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if self.word_borders == "metaclip2" and self.engine != "pyahocorasick":
            raise ConfigError(
                f"--word-borders metaclip2 is for comparison, and --engine {self.engine} does not have it: give "
                "--engine pyahocorasick, or --word-borders script"
            )
        if self.page_language_probability != _PAGE_LANGUAGE_PROBABILITY and self.language_from != "page":
            raise ConfigError("--page-language-probability is for --language-from page: give it, or leave it out")
        if self.language_model and self.language_from == "column":
            raise ConfigError("--language-model has no use with --language-from column: give one of them")

    @property
    def for_lists(self) -> list[str]:
        """The options that were given and that only a folder of metadata lists has a use for."""
        defaults = {"language_from": "text", "min_list_probability": 0, "language_model": None}
        return [option_of(name) for name, default in defaults.items() if getattr(self, name) != default]


@dataclass(frozen=True)
class SampleConfig:
    """How the matched pairs are balanced.

    Attributes:
        threshold_t: Entry count above which an entry's pairs are thinned out: an integer of at least 1, such
            as 20k, or inf.
        tail_share: Choose t so that the entries below it have this share of all matches (the paper's pool: 0.06).
        target_pairs: Choose the smallest t whose expected size reaches this many pairs, such as 10M.
        seed: Seed of the draws, from 0 to 2^64 - 1.
        entry_counts: Balance with these counts instead of the run's own: JSON objects entry -> count, or other runs
            (their folders). Several, of disjoint pools, are added up.
        one_row_per_image: Write curated_images, too: the curated pairs with one row per image, so that each image is
            downloaded once.
        anchor_language: With a folder of metadata lists, the language whose t --threshold-t gives and --target-pairs
            finds, and whose tail share all others take; without it the one that the folder names.
        language_thresholds: With a folder of metadata lists, a JSON file (language to t) of languages that are not to
            have the t that the tail share gives them.
        min_language_pairs: With a folder of metadata lists, raise the t of each language of which fewer pairs are
            expected until so many are, or all of its pairs.

    Example:
        >>> from metaclip_spark import SampleConfig
        >>> SampleConfig(target_pairs="10M").target_pairs
        10000000
        >>> SampleConfig(threshold_t=20, tail_share=0.06)
        Traceback (most recent call last):
        metaclip_spark.errors.ConfigError: give exactly one of --threshold-t, --tail-share and --target-pairs
    """

    threshold_t: int | float | str | None = field(default=None, metadata=_THRESHOLD)
    tail_share: OpenUnitInterval | None = None
    target_pairs: int | str | None = field(default=None, metadata=NUMBER_OF_PAIRS)
    seed: Seed = 0
    entry_counts: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    one_row_per_image: bool = field(default=False, metadata=OPERATIONAL)
    anchor_language: str | None = field(default=None, metadata=BY_ITSELF)
    language_thresholds: str | None = field(default=None, metadata=BY_ITSELF | PATH)
    min_language_pairs: NonNegativeInt = field(default=0, metadata=BY_ITSELF)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if sum(choice is not None for choice in (self.threshold_t, self.tail_share, self.target_pairs)) != 1:
            raise ConfigError("give exactly one of --threshold-t, --tail-share and --target-pairs")
        if self.threshold_t is not None:
            object.__setattr__(self, "threshold_t", check_threshold(self.threshold_t, "--threshold-t"))
        if self.target_pairs is not None:
            object.__setattr__(self, "target_pairs", check_target(self.target_pairs))


@dataclass(frozen=True)
class ExportConfig:
    """Where the curated set goes, beside the run's folder.

    Attributes:
        export_curated: Copy the curated set into this folder, which must be empty; local or in a store.
    """

    export_curated: str | None = field(default=None, metadata=OPERATIONAL | PATH)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class TrialConfig:
    """Whether a run is only tried.

    Attributes:
        dry_run: Write nothing: check all options and inputs, extract the first archive, and say how long extraction
            would take and how much it would write.
    """

    dry_run: bool = field(default=False, metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class ReportConfig:
    """What the report shows beside the run itself.

    Attributes:
        against: Compare with another finished run (its folder) or with entry counts (a JSON object entry -> count, or
            Parquet).
        summary_domains: Registrable domains that the public summary lists, of those with curated pairs: top-10%, or
            top-5%-or-1000 for small providers (whichever is fewer).
    """

    against: str | None = field(default=None, metadata=OPERATIONAL | PATH)
    summary_domains: SummaryDomains = field(default="top-10%", metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
