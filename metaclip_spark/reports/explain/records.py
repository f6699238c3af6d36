"""What explanations say, of pairs, texts and entries."""

import msgspec

from metaclip_spark.entries import SPACES
from metaclip_spark.runs.records import Record


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


class ListChoice(Record):
    """Which of several metadata lists a text is matched against, and why.

    Attributes:
        metadata_language: The code of the list; None where there is none for its language.
        language: The label that chose it; None where there is none.
        probability: The probability of the label.
        reason: In words.
        threshold_t: The threshold of the list; None where there is no list.
    """

    metadata_language: str | None
    language: str | None
    probability: float
    reason: str
    threshold_t: int | str | None


class ExplainedText(Record):
    """What a text matches, in its own order, and with which chance a pair that has it stays.

    Attributes:
        text: The text, cleaned.
        spaced: As matching sets it apart.
        entries: The entries that it matches.
        near_misses: What it all but matches.
        keep_probability: The chance of a pair that has it.
        word_borders: Where entries begin and end.
        choice: The list that it is matched against, where there are several.
    """

    text: str
    spaced: str
    entries: list[ExplainedEntry]
    near_misses: list[NearMiss]
    keep_probability: float
    word_borders: str = SPACES
    choice: ListChoice | None = None


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
        entry_id: Its place in the metadata list, or among the entries of all lists.
        entry_count: The count that the draw balanced with.
        entry_probability: min(1, t / count).
        pairs: Matched pairs that contain it.
        curated: Those that were kept.
        dropped: Reason to number of the others.
        metadata_language: The code of its list, where there are several.
        threshold_t: The threshold of its list, where there are several.
    """

    entry_text: str
    entry_id: int
    entry_count: int
    entry_probability: float
    pairs: int
    curated: int
    dropped: dict[str, int]
    metadata_language: str | None = None
    threshold_t: int | str | None = None


class RemovedBy(Record):
    """A removal that names what was asked about.

    Attributes:
        number: The number of its entry in the run's log.
        at: When it was registered.
        kind: Under which kind it is listed.
        reason: Why it was removed, in the operator's words.
    """

    number: int
    at: str
    kind: str
    reason: str


class Explanation(Record):
    """The answer to a question about pairs.

    Attributes:
        pairs: The first ones, by pair_id.
        pairs_in_all: How many there are.
        entry: What became of the given entry's pairs, where an entry was given.
        text: What the given text matches, where a text was given.
        rejected: What extraction left out, where the pool has no such pair.
        removed_by: The removals that name the URL, text or pair_id, also where it was purged.
        same_key: Whether no pair has the given URL as it was given, and these have another spelling of it.
        preference_agent: Agents whose directives count in what pages declare, beside those for all.
    """

    pairs: list[ExplainedPair]
    pairs_in_all: int
    entry: EntryOutcome | None
    text: ExplainedText | None
    rejected: Rejected | None
    removed_by: list[RemovedBy]
    same_key: bool = False
    preference_agent: list[str] = msgspec.field(default_factory=list)
