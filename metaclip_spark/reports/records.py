"""The content of report.json, and of plans."""

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.reports.figures.survival_records import Survival
from metaclip_spark.runs.records import REPORT_LAYOUT, Number, Record
from metaclip_spark.stores.storage import JsonObject


class FunnelLine(Record):
    """One stage: in_number = out_number + the sum of the reasons."""

    came_in: str = msgspec.field(name="in")
    in_number: int
    went_out: str = msgspec.field(name="out")
    out_number: int
    reasons: dict[str, int]


class HeadEntry(Record):
    """One of the most frequent entries."""

    entry_id: int
    entry_text: str
    entry_count: int
    metadata_language: str | UnsetType = UNSET


class RankPoints(Record):
    """Points of entry counts against their rank, both descending in count."""

    ranks: list[int]
    counts: list[int]


class SharePoints(Record):
    """Points of the share of all matches that entries up to a count have."""

    counts: list[int]
    shares: list[Number]


class Curves(Record):
    """What the charts of head and tail draw; `threshold_t` is None where it is infinite."""

    before: RankPoints
    after: RankPoints
    cumulative: SharePoints
    threshold_t: int | None
    tail_share: Number


class Group(Record):
    """Pairs that passed the language filter, and curated ones, that have something in common."""

    group: str | int
    matched: int
    curated: int


class Coverage(Record):
    """Entries with so many pairs, before and after the draw."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    matched: int
    curated: int


class SamplePair(Record):
    """A pair as the report shows it: URL and text are cut, with their whole lengths beside them."""

    pair_id: str
    image_url: str
    url_characters: int
    alt_text: str
    characters: int
    keep_probability: Number


class ListedEntry(Record):
    """An entry that lost or kept many pairs, with the first of its curated pairs and of those that it lost.

    Where its count is estimated from the survivors of another run's draw, the standard error of the estimate and the
    count that the other run balanced with are told, too.
    """

    entry_id: int
    entry_text: str
    entry_count: int
    entry_probability: Number
    expected_kept: Number
    kept: int
    pairs: list[SamplePair]
    dropped: list[SamplePair] = msgspec.field(default_factory=list)
    entry_count_error: Number | UnsetType = UNSET
    first_entry_count: int | UnsetType = UNSET
    metadata_language: str | UnsetType = UNSET


class SampleText(Record):
    """A text as the report shows it: cut, with its whole length beside it."""

    text: str
    characters: int


class FrequentWord(Record):
    """A word, and in how many texts it is."""

    word: str
    texts: int


class UnmatchedTexts(Record):
    """Texts without a metadata entry: how many were looked at, the first ones, and their most frequent words."""

    searched: int
    texts: list[SampleText]
    words: list[FrequentWord]


ANY_PREFERENCE = "any of these"
NOT_READ = "not read"


class Profile(Record):
    """What the report shows of the tables."""

    languages: list[Group]
    domains: list[Group]
    text_lengths: list[Group]
    entries_per_pair: list[Group]
    coverage: list[Coverage]
    most_cut: list[ListedEntry]
    most_kept: list[ListedEntry]
    domains_lost: list[Group] = msgspec.field(default_factory=list)
    keep_probabilities: list[int] = msgspec.field(default_factory=list)
    """Curated pairs by keep probability, in classes of a tenth."""

    unmatched: UnmatchedTexts | None = None
    preferences: list[Group] = msgspec.field(default_factory=list)
    """Pairs by what their pages declare: `udfs.preferences.PREFERENCES`, then `ANY_PREFERENCE` and `NOT_READ`."""


class ComparedFigure(Record):
    """One figure of two runs, written out."""

    figure: str
    this: str | int
    other: str | int
    difference: str = ""


class Overlap(Record):
    """Pairs of two curated sets."""

    both: int
    only_this: int
    only_other: int


class MissingEntries(Record):
    """Entries that one of two lists lacks: how many, and the most frequent ones."""

    entries: int
    first: list[str]


class Move(Record):
    """An entry whose share of all matches differs."""

    entry_text: str
    count_here: int
    count_there: int
    rank_here: Number
    rank_there: Number
    share_here: Number
    share_there: Number


class Comparison(Record):
    """Two runs, or a run and a file of counts, side by side; `runs` is empty for a file."""

    name: str
    runs: list[ComparedFigure]
    sentence: str
    shared: int
    rank_correlation: Number | None
    missing_there: MissingEntries
    missing_here: MissingEntries
    moves: list[Move]
    settings: list[ComparedFigure] = msgspec.field(default_factory=list)
    curated: Overlap | None = None


class Command(Record):
    """A command that made a part of a run: when, on which machine and in which folder it was started."""

    at: str
    command: str
    host: str
    folder: str


class Sources(Record):
    """Where a run's pairs come from, as far as the names of its archives tell.

    Attributes:
        files: Archives, or files of `--pool`.
        dated: Those whose name has a time of capture.
        crawls: The crawls of Common Crawl that are named.
        first: The first day of capture, such as 2024-02-20; empty where no name has one.
        last: The last one.
    """

    files: int
    dated: int
    crawls: list[str]
    first: str = ""
    last: str = ""


class RemovalFigures(Record):
    """A removal in numbers: neither what was removed, nor why, nor who asked for it.

    Attributes:
        number: The number of its entry in the run's log.
        at: When it was registered.
        values: How many values were listed.
        matched: How many matched pairs they named; None where only curated pairs, or none, were looked at.
        curated: How many curated pairs they named.
    """

    number: int
    at: str
    values: int
    matched: int | None
    curated: int


class RunsBefore(Record):
    """What the runs that this one began with had left out before.

    Attributes:
        preferences: What pages could ask for so that their pairs were left out of the curated pairs that it began with.
        removals: How many removals were registered there.
        values: How many values they list.
        curated: How many curated pairs they named.
    """

    preferences: list[str]
    removals: int
    values: int
    curated: int


class ListFigures(Record):
    """Numbers of the metadata list of a language.

    Attributes:
        metadata_language: Its code.
        texts: Texts of the pool that were matched against it.
        pairs: Pairs with an entry of it, before the draw.
        matches: Their entries, added up.
        threshold_t: The threshold of the language.
        tail_share: The share of its matches that entries below its threshold have.
        expected_size: How many of its pairs the draw was expected to keep.
        standard_error: The standard deviation of that number.
        kept: How many it kept.
        entries: The entries of the list.
        entries_matched: Those that occur in a pair.
        floor_applied: Whether --min-language-pairs raised its threshold.
    """

    metadata_language: str
    texts: int
    pairs: int
    matches: int
    threshold_t: int | str
    tail_share: Number
    expected_size: Number
    standard_error: Number
    kept: int
    entries: int
    entries_matched: int
    floor_applied: bool


class FailedDownloads(Record):
    """Matched pairs without an image, by what went wrong."""

    error: str
    pairs: int


class DownloadFigures(Record):
    """What a download has to do with the run.

    Attributes:
        rows: Its rows.
        unknown: Those without a matched pair.
        failed: Matched pairs that have a row and no success; the most frequent error first.
    """

    rows: int
    unknown: int
    failed: list[FailedDownloads]


class Check(Record):
    """What a finished run must fulfil, as `--require` says, and whether it does.

    Attributes:
        check: The check as it was typed.
        quantity: The number of the report that it names.
        operator: How the value is compared with the bound.
        bound: What the value is compared with.
        value: The quantity's value.
        passed: Whether the run fulfils it.
    """

    check: str
    quantity: str
    operator: str
    bound: Number
    value: Number
    passed: bool


class Report(Record, kw_only=True):
    """The content of report.json: a run's numbers as one document."""

    funnel: list[FunnelLine]
    archives: dict[str, int]
    reference_records: dict[str, int] = msgspec.field(default_factory=dict)
    matches: int
    matches_per_matched_pair: Number
    entries: int
    entries_never_matched: int
    head_entries: list[HeadEntry]
    threshold_t: int | str
    expected_size: Number
    standard_error: Number
    size_bound: Number
    tail_share: Number
    head_entries_cut: int
    curves: Curves
    real_size: int
    suspect: bool
    warnings: list[str]
    deviations_from_the_paper: list[str]
    seconds: dict[str, float]
    settings: dict[str, JsonObject]
    metadata_digest: str
    versions: dict[str, str]
    profile: Profile
    comparison: Comparison | None = None
    output: str = ""
    started: str = ""
    ended: str = ""
    commands: list[Command] = msgspec.field(default_factory=list)
    checks: list[Check] = msgspec.field(default_factory=list)
    sources: Sources | None = None
    removals: list[RemovalFigures] = msgspec.field(default_factory=list)
    before: RunsBefore | None = None
    summary_domains: str = ""
    """Which domains the public summary lists, one of `--summary-domains`."""

    images: int | None = None
    downloads: DownloadFigures | None = None
    survival: Survival | UnsetType = UNSET
    """What rules have left, where they have excluded pairs."""

    lists: list[ListFigures] = msgspec.field(default_factory=list)
    """One for each metadata list, where there are several; `threshold_t` is then that of `threshold_of`, or says that
    there is no such one."""

    threshold_of: str = ""
    list_tail_share: Number | None = None
    """The tail share that each of them was to have."""

    layout: int = REPORT_LAYOUT
