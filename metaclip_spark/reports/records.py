"""The content of report.json, and of what the reports compute for people to look at."""

import msgspec

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
    """An entry that lost or kept many pairs, with the first of its curated pairs and of those that it lost."""

    entry_id: int
    entry_text: str
    entry_count: int
    entry_probability: Number
    expected_kept: Number
    kept: int
    pairs: list[SamplePair]
    dropped: list[SamplePair] = msgspec.field(default_factory=list)


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
    images: int | None = None
    layout: int = REPORT_LAYOUT


class PlanRow(Record):
    """What one threshold would give."""

    threshold_t: int
    expected_size: Number
    standard_error: Number
    tail_share: Number
    head_entries_cut: int


class ThresholdPlan(Record):
    """What each threshold would give, ascending in t.

    Attributes:
        pairs: Matched pairs that pass the language filter.
        chosen: The threshold that was asked for by size or tail share.
        rows: One per threshold.
    """

    pairs: int
    chosen: int | None
    rows: list[PlanRow]


class ExplainedEntry(Record):
    """An entry that a text matches, and where it begins in the spaced text."""

    entry_text: str
    entry_id: int
    places: list[int]
    entry_count: int
    entry_probability: float


class NearMiss(Record):
    """Words of a text that all but match an entry, where they begin in the spaced text, and why they do not."""

    text: str
    entry_text: str
    entry_id: int
    place: int
    reason: str


class ExplainedText(Record):
    """What a text matches, in its own order, and with which chance a pair that has it stays."""

    text: str
    spaced: str
    entries: list[ExplainedEntry]
    near_misses: list[NearMiss]
    keep_probability: float


class ExplainedPair(Record):
    """A pair's way through the job.

    Attributes:
        pair_id: The pair.
        image_url: Its image.
        archive: Where it was found.
        record_offset: The page's record in the archive.
        page_language: As the page declares it.
        page_preferences: What its pages declare, a bit for each of `udfs.preferences.PREFERENCES`.
        text: What its text matches.
        language: As match stored it.
        language_probability: As match stored it.
        draw: Its number of the draw.
        stage: Where it left (match, count or sample), or curated.
        verdict: The reason in words.
    """

    pair_id: str
    image_url: str
    archive: str | None
    record_offset: int | None
    page_language: str | None
    page_preferences: int | None
    text: ExplainedText
    language: str | None
    language_probability: float | None
    draw: float
    stage: str
    verdict: str


class RejectExample(Record):
    """A row of rejects/ that holds what the user asks about."""

    archive: str
    record_offset: int | None
    stage: str
    reason: str
    example: str | None


class Rejected(Record):
    """What extraction left out, of one archive or of all."""

    archive: str | None
    archives: int
    reasons: dict[str, int]
    examples: list[RejectExample]


class EntryOutcome(Record):
    """What became of the pairs of one entry.

    Attributes:
        entry_text: The entry.
        entry_id: Its place in the metadata list.
        entry_count: The count that the draw balanced with.
        entry_probability: min(1, t / count).
        pairs: Matched pairs that contain it.
        curated: Those that were kept.
        dropped: Reason to number of the others.
    """

    entry_text: str
    entry_id: int
    entry_count: int
    entry_probability: float
    pairs: int
    curated: int
    dropped: dict[str, int]


class Explanation(Record):
    """The answer to a question about pairs.

    Attributes:
        pairs: The first ones, by pair_id.
        pairs_in_all: How many there are.
        entry: What became of the given entry's pairs, where an entry was given.
        text: What the given text matches, where a text was given.
        rejected: What extraction left out, where the pool has no such pair.
    """

    pairs: list[ExplainedPair]
    pairs_in_all: int
    entry: EntryOutcome | None
    text: ExplainedText | None
    rejected: Rejected | None
