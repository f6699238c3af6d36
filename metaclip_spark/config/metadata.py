"""What building, checking and comparing metadata lists can be told, one frozen dataclass per part."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from metaclip_spark.config.fields import BY_PLACE, PATH, Count, NonNegativeInt, S3Access, check_types, integers, numbers
from metaclip_spark.errors import ConfigError

SMALLEST_PMI, LARGEST_PMI = -40, 60
LARGEST_BUDGET = 20_000_000
"""More than the driver takes of all sources together; Spark's workers make room for as many rows."""

Budget = Annotated[int, integers(0, LARGEST_BUDGET)]
Bits = Annotated[float, numbers(SMALLEST_PMI, LARGEST_PMI)]


@dataclass(frozen=True)
class MetadataSources:
    """Where the entries come from; each source may be left out.

    Files are local ones that driver and executors both see, or URLs: s3://, https://, or a scheme of fsspec.

    Attributes:
        wordnet: Folder or tar with WordNet's data files (Debian's wordnet-base has them in /usr/share/wordnet).
        wordnet_names: What of a name with a dot is taken: "published" cuts it at the first dot, as the published list
            does; "whole" keeps it, so that it cannot match, since the matching sets dots apart.
        articles: Article dumps (*-pages-articles*.xml.bz2, multistream with the index beside it or plain), folders or
            globs.
        pageviews: Page-view dumps (pageviews-YYYYMMDD-HH0000.gz or pageviews-YYYYMM-user.bz2), folders or globs.
        unigram_counts: Ready counts instead of articles (word, count), as tab-separated text or Parquet.
        bigram_counts: Ready counts (word, next word, count), with unigram_counts.
        title_views: Ready sums instead of pageviews (title, views).
        wiki_language: Language code of the page views' wiki.
        include_mobile: Count views on mobile devices, too.
        disambiguation_templates: Templates that mark disambiguation pages, beside English Wikipedia's.
        s3_access: How files on S3 are read: signed, anonymous or requester-pays.
    """

    wordnet: str | None = field(default=None, metadata=PATH)
    wordnet_names: Literal["published", "whole"] = "published"
    articles: tuple[str, ...] = field(default=(), metadata=PATH)
    pageviews: tuple[str, ...] = field(default=(), metadata=PATH)
    unigram_counts: tuple[str, ...] = field(default=(), metadata=PATH)
    bigram_counts: tuple[str, ...] = field(default=(), metadata=PATH)
    title_views: tuple[str, ...] = field(default=(), metadata=PATH)
    wiki_language: str = "en"
    include_mobile: bool = False
    disambiguation_templates: tuple[str, ...] = ()
    s3_access: S3Access = "signed"

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if not (self.wordnet or self.articles or self.pageviews or self.unigram_counts or self.title_views):
            raise ConfigError("no source given: give --wordnet, --articles, --pageviews or ready counts")
        if self.articles and (self.unigram_counts or self.bigram_counts):
            raise ConfigError("--articles is counted, --unigram-counts and --bigram-counts are ready: give one of them")
        if self.bigram_counts and not self.unigram_counts:
            raise ConfigError("--bigram-counts needs --unigram-counts: PMI compares a pair with its words")
        if self.pageviews and self.title_views:
            raise ConfigError("--pageviews is summed, --title-views is ready: give one of them")


@dataclass(frozen=True)
class MetadataThresholds:
    """Which candidates become entries; the defaults are the paper's.

    Attributes:
        min_unigram_count: Least count of a token.
        unigram_budget: Most unigrams, the most frequent first; 0 is no limit.
        min_pmi: Least PMI of a bigram in bits. 30 asks both words to occur almost only together: lower it for a small
            dump.
        min_bigram_count: Least count of a bigram.
        bigram_budget: Most bigrams, those of the highest PMI first; 0 is no limit.
        min_title_views: Least views of a title.
        min_hourly_views: Least views of a title in one hour for that hour to count; hourly dumps only.
        title_budget: Most titles, the most viewed first; 0 is no limit.
        max_entries: Most entries in all; titles fill the list by views until it is full; 0 is no limit.
    """

    min_unigram_count: Count = 100
    unigram_budget: Budget = 0
    min_pmi: Bits = 30.0
    min_bigram_count: Count = 1
    bigram_budget: Budget = 0
    min_title_views: Count = 70
    min_hourly_views: Count = 50
    title_budget: Budget = 0
    max_entries: Budget = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


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
class LintConfig:
    """What the linter reads and writes.

    Attributes:
        metadata: The list, by this option or by its place: JSON, plain text or Parquet, plain or packed.
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
