"""The configurations of the commands that read a run and write nothing into it."""

from dataclasses import dataclass, field
from typing import Literal

from metaclip_spark.config.curation import NUMBER_OF_PAIRS
from metaclip_spark.config.fields import PATH, POSITIONAL, OpenUnitInterval, PairId, Shown, check_types
from metaclip_spark.errors import ConfigError
from metaclip_spark.thresholds import check_target, check_threshold

StoredTable = Literal[
    "curated",
    "curated_images",
    "pool",
    "matched",
    "entry_counts",
    "expected_kept",
    "balance_counts",
    "thresholds",
    "refill",
    "archives",
    "rejects",
    "report",
]


@dataclass(frozen=True)
class PathConfig:
    """Which table's path is shown.

    Attributes:
        run: Folder of a finished run.
        table: The table, or the report.
        s3_packages: Fetch Spark's S3 jars from Maven Central; used only where Spark alone reaches the run.
    """

    run: str = field(metadata=PATH | POSITIONAL)
    table: StoredTable = field(metadata=POSITIONAL)
    s3_packages: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class PlanConfig:
    """Which thresholds to look at.

    Attributes:
        run: Folder of a run whose pairs are counted; nothing is written to it.
        thresholds: Further thresholds for the table.
        tail_share: Find and mark the t whose entries below it have this share of all matches; with a folder of metadata
            lists, of those of the anchor.
        target_pairs: Find and mark the smallest t whose expected size reaches this many pairs, such as 10M.
        at_counts: Balance with another run's counts (its folder) or with a file of entry counts.
        anchor_language: With a folder of metadata lists, the language whose t the table has; without it the one that
            the folder names.
        curve: Where to write the curve of expected size against t: a path that ends in .png or .svg.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
    """

    run: str = field(metadata=PATH)
    thresholds: tuple[str, ...] = field(default=(), metadata={"values": "one or more integers of at least 1"})
    tail_share: OpenUnitInterval | None = None
    target_pairs: int | str | None = field(default=None, metadata=NUMBER_OF_PAIRS)
    at_counts: str | None = field(default=None, metadata=PATH)
    anchor_language: str | None = None
    curve: str | None = field(default=None, metadata=PATH)
    s3_packages: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if self.tail_share is not None and self.target_pairs is not None:
            raise ConfigError("give at most one of --tail-share and --target-pairs")
        if self.target_pairs is not None:
            object.__setattr__(self, "target_pairs", check_target(self.target_pairs))
        finite = [t for given in self.thresholds if (t := check_threshold(given, "--thresholds")) != float("inf")]
        object.__setattr__(self, "thresholds", tuple(finite))


@dataclass(frozen=True)
class ExplainConfig:
    """Which pair to explain.

    Attributes:
        run: Folder of a finished run; nothing is written to it.
        pair_id: A pair's 32 hex digits.
        url: An image's URL: explains every pair of it.
        text: A raw alternative text: explains what it would match, and its pairs where there are any.
        entry: A metadata entry: shows its pairs. With a folder of lists, CODE:ENTRY names that of one list (ja:犬).
        dropped: Of --entry, only the pairs that were not kept.
        limit: Show at most this many pairs; they are sorted by pair_id, which is as good as a random order.
        archive: The archive that a pair should have come from: says what extraction left out there.
        s3_packages: Fetch Spark's S3 jars from Maven Central; for plain python only, not for spark-submit.
    """

    run: str = field(metadata=PATH)
    pair_id: PairId | None = None
    url: str | None = None
    text: str | None = None
    entry: str | None = None
    dropped: bool = False
    limit: Shown = 20
    archive: str | None = None
    s3_packages: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if [self.pair_id, self.url, self.text, self.entry].count(None) != 3:  # noqa: PLR2004 - one of four
            raise ConfigError("give exactly one of --pair-id, --url, --text and --entry")
        if self.dropped and self.entry is None:
            raise ConfigError("--dropped needs --entry: the other options show a pair whatever became of it")
