"""What building, checking and comparing metadata lists can be told, one frozen dataclass per part."""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from metaclip_spark.config.fields import BY_PLACE, PATH, Count, NonNegativeInt, S3Access, check_types, integers, numbers
from metaclip_spark.errors import ConfigError

SMALLEST_PMI, LARGEST_PMI = -40, 60
LARGEST_BUDGET = 20_000_000
"""More than the driver takes of all sources together; Spark's workers make room for as many rows."""

Budget = Annotated[int, integers(0, LARGEST_BUDGET)]
Bits = Annotated[float, numbers(SMALLEST_PMI, LARGEST_PMI)]
Preset = Literal["metaclip1", "metaclip2"]

ENGLISH = "en"
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_METACLIP_1: dict[str, int | float | str] = {
    "min_unigram_count": 100,
    "unigram_budget": 0,
    "min_pmi": 30.0,
    "min_bigram_count": 1,
    "bigram_budget": 0,
    "min_title_views": 70,
    "min_hourly_views": 50,
    "title_budget": 0,
}
"""The rule of "Demystifying CLIP Data"; 0 is no limit."""
_METACLIP_2: dict[str, int | float | str] = {
    "min_unigram_count": 1,
    "unigram_budget": 251_465,
    "min_pmi": "none",
    "min_bigram_count": 5,
    "bigram_budget": 100_646,
    "min_title_views": 1,
    "min_hourly_views": 1,
    "title_budget": 61_235,
}
"""The rule of "MetaCLIP 2" for any language but English, beside the shares of candidates that the builder knows; the
least count of a bigram is this project's, since without one PMI ranks words first that occur once."""


@dataclass(frozen=True)
class MetadataSources:
    """Where the entries come from; each source may be left out.

    Files are local ones that driver and executors both see, or URLs: s3://, https://, or a scheme of fsspec.

    Attributes:
        wordnet: Folder or tar with WordNet's data files (Debian's wordnet-base has them in /usr/share/wordnet).
        language: Code of the list's language, as Wikipedia writes it in the names of its dumps (ja, zh_yue). It says
            how words are found in articles: those of zh, ja, th, lo, km and my by ICU (the extra worldwide).
        wordnet_lemmas: Wordnets in the tab form of the Open Multilingual Wordnet (wn-data-jpn.tab): all lemmas of the
            language, in their own case.
        wordnet_names: What of a name with a dot is taken: "published" cuts it at the first dot, as the published list
            does; "whole" keeps it, so that it cannot match, since the matching sets dots apart.
        articles: Article dumps (*-pages-articles*.xml.bz2, multistream with the index beside it or plain), folders or
            globs.
        pageviews: Page-view dumps (pageviews-YYYYMMDD-HH0000.gz or pageviews-YYYYMM-user.bz2), folders or globs.
        unigram_counts: Ready counts instead of articles (word, count), as tab-separated text or Parquet.
        bigram_counts: Ready counts (word, next word, count), with unigram_counts.
        title_views: Ready sums instead of pageviews (title, views); of what count-title-views wrote for all wikis,
            those of this one.
        wiki_language: Code of the wiki of the page views and ready sums, where it is not the language's.
        include_mobile: Count views on mobile devices, too.
        disambiguation_templates: Templates that mark disambiguation pages, beside English Wikipedia's.
        s3_access: How files on S3 are read: signed, anonymous or requester-pays.
    """

    wordnet: str | None = field(default=None, metadata=PATH)
    language: str = ENGLISH
    wordnet_lemmas: tuple[str, ...] = field(default=(), metadata=PATH)
    wordnet_names: Literal["published", "whole"] = "published"
    articles: tuple[str, ...] = field(default=(), metadata=PATH)
    pageviews: tuple[str, ...] = field(default=(), metadata=PATH)
    unigram_counts: tuple[str, ...] = field(default=(), metadata=PATH)
    bigram_counts: tuple[str, ...] = field(default=(), metadata=PATH)
    title_views: tuple[str, ...] = field(default=(), metadata=PATH)
    wiki_language: str | None = None
    include_mobile: bool = False
    disambiguation_templates: tuple[str, ...] = ()
    s3_access: S3Access = "signed"

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        check_code("--language", self.language)
        check_code("--wiki-language", self.wiki)
        names = self.wordnet or self.wordnet_lemmas
        if not (names or self.articles or self.pageviews or self.unigram_counts or self.title_views):
            raise ConfigError("no source given: give --wordnet, --articles, --pageviews or ready counts")
        if self.articles and (self.unigram_counts or self.bigram_counts):
            raise ConfigError("--articles is counted, --unigram-counts and --bigram-counts are ready: give one of them")
        if self.bigram_counts and not self.unigram_counts:
            raise ConfigError("--bigram-counts needs --unigram-counts: PMI compares a pair with its words")
        if self.pageviews and self.title_views:
            raise ConfigError("--pageviews is summed, --title-views is ready: give one of them")

    @property
    def wiki(self) -> str:
        """The wiki whose titles count."""
        return (self.wiki_language or self.language).replace("-", "_")


def check_code(option: str, code: str) -> None:
    """Refuses what is no code of a Wikipedia.

    Raises:
        ConfigError: If it is none; the message names the code that may have been meant.
    """
    if not _CODE.fullmatch(code):
        meant = code.strip().lower().replace("-", "_")
        advice = f"write {meant}" if _CODE.fullmatch(meant) else "write one such as ja or zh_yue"
        raise ConfigError(f"{option} is {code!r}, which is no code of a Wikipedia: {advice}")


@dataclass(frozen=True)
class MetadataThresholds:
    """Which candidates become entries; the defaults are the preset's.

    Attributes:
        preset: The published rule. metaclip1 keeps what reaches fixed thresholds. metaclip2, for any language but
            English, whose rule stays metaclip1's, keeps the most frequent 10% of the tokens, bigrams by PMI up to 40%
            of the unigrams, and the most viewed 76% of the titles, up to budgets; no entry is punctuation only or
            longer than 256 characters.
        min_unigram_count: Least count of a token (metaclip1: 100; metaclip2: 1).
        unigram_budget: Most unigrams, the most frequent first; 0 is no limit (metaclip1: 0; metaclip2: 251,465).
        min_pmi: Least PMI of a bigram in bits, or none (metaclip1: 30; metaclip2: none). 30 asks both words to occur
            almost only together, and no wiki of fewer than 2^30 words has such bigrams.
        min_bigram_count: Least count of a bigram (metaclip1: 1; metaclip2: 5, which is not published).
        bigram_budget: Most bigrams, those of the highest PMI first; 0 is no limit (metaclip1: 0; metaclip2: 100,646).
        min_title_views: Least views of a title (metaclip1: 70; metaclip2: 1).
        min_hourly_views: Least views of a title in one hour for that hour to count; hourly dumps only (metaclip1: 50;
            metaclip2: 1).
        title_budget: Most titles, the most viewed first; 0 is no limit (metaclip1: 0; metaclip2: 61,235).
        max_entries: Most entries in all; titles fill the list by views until it is full; 0 is no limit.
    """

    preset: Preset = "metaclip1"
    min_unigram_count: Count | None = None
    unigram_budget: Budget | None = None
    min_pmi: Bits | Literal["none"] | None = None
    min_bigram_count: Count | None = None
    bigram_budget: Budget | None = None
    min_title_views: Count | None = None
    min_hourly_views: Count | None = None
    title_budget: Budget | None = None
    max_entries: Budget = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)

    def takes_shares(self, language: str) -> bool:
        """Whether the list of a language has the most frequent share of the candidates, whatever their number."""
        return self.preset == "metaclip2" and language != ENGLISH

    def filled(self, language: str) -> "MetadataThresholds":
        """The thresholds for a language's list, with the preset's value for each that is not given."""
        published = _METACLIP_2 if self.takes_shares(language) else _METACLIP_1
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        missing: Any = {name: value for name, value in published.items() if given[name] is None}
        return replace(self, **missing)


@dataclass(frozen=True)
class MetadataOutput:
    """Where the list goes.

    Attributes:
        output: Folder for metadata.json, metadata.parquet, metadata.run.json and the word counts; local or a URL.
        overwrite: Replace the list that is there.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
        allow_rename_committer: Write to S3 even where Spark can only commit by renaming.
    """

    output: str = field(metadata=PATH)
    overwrite: bool = False
    s3_packages: bool = False
    allow_rename_committer: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class TitleViewsConfig:
    """Which page views of all Wikipedias are summed.

    Attributes:
        pageviews: Page-view dumps (pageviews-YYYYMMDD-HH0000.gz or pageviews-YYYYMM-user.bz2), folders or globs.
        include_mobile: Count views on mobile devices, too.
        min_hourly_views: Least views of a title in one hour for that hour to count; hourly dumps only.
        s3_access: How files on S3 are read: signed, anonymous or requester-pays.
    """

    pageviews: tuple[str, ...] = field(default=(), metadata=PATH)
    include_mobile: bool = False
    min_hourly_views: Count = 1
    s3_access: S3Access = "signed"

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if not self.pageviews:
            raise ConfigError("no page views given: give --pageviews")


@dataclass(frozen=True)
class TitleViewsOutput(MetadataOutput):
    """Where the sums go.

    Attributes:
        output: Folder for titles/wiki=CODE/ (title, views) and title_views.run.json; local or a URL.
        overwrite: Replace the sums that are there.
    """


@dataclass(frozen=True)
class WorldwideConfig:
    """Which lists are built.

    Attributes:
        plan: YAML file that names the wikis and what each of them is built from.
    """

    plan: str = field(metadata=PATH)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class WorldwideOutput(MetadataOutput):
    """Where the lists go.

    Attributes:
        output: Folder for languages.json and a folder for each list; local or a URL.
        overwrite: Build lists anew that are done.
    """


@dataclass(frozen=True)
class LintConfig:
    """What the linter reads and writes.

    Attributes:
        metadata: The list, by this option or by its place: JSON, plain text or Parquet, plain or packed; or a folder of
            lists with languages.json.
        fix: Write a list without the entries of severity error here (JSON), and beside it <name>.id_map.json: for each
            old id the new one, or null.
        examples: Entries that are shown per finding.
    """

    metadata: str = field(metadata=PATH | BY_PLACE)
    fix: str | None = field(default=None, metadata=PATH)
    examples: NonNegativeInt = 5

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        _check_local("fix", self.fix)
        if self.fix and not self.fix.endswith(".json"):
            raise ConfigError(f"--fix {self.fix} must end with .json, the form that it writes")


@dataclass(frozen=True)
class DiffConfig:
    """Which lists are compared.

    Attributes:
        old: A metadata list, by this option or by its place; with sources where it is a metadata.parquet, or has one
            beside it.
        new: Another, likewise.
        output: Write all added and removed entries here, as JSON.
        examples: Entries that are shown per source.
    """

    old: str = field(metadata=PATH | BY_PLACE)
    new: str = field(metadata=PATH | BY_PLACE)
    output: str | None = field(default=None, metadata=PATH)
    examples: NonNegativeInt = 5

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        _check_local("output", self.output)


def _check_local(option: str, path: str | None) -> None:
    if path and "://" in path:
        raise ConfigError(f"--{option} {path} is not a local path: give one, and copy the file")
