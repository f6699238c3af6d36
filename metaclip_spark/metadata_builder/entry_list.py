"""The order, the sources and the files of a built list."""

import hashlib
import json
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from metaclip_spark.stores.storage import Storage
from udfs.matching.entries import entries_as_json
from udfs.schemas import ENTRIES

EntrySource = Literal["number", "wordnet", "unigram", "bigram", "title"]
"""In the order of the list; an entry belongs to the first source that has it."""

LIST_FILE = "metadata.json"
DESCRIPTION_FILE = "metadata.run.json"

LONGEST_ENTRY = 256
"""Characters of an entry of MetaCLIP 2's lists."""

NUMBERS = tuple(str(number) for number in range(100))


@dataclass(frozen=True)
class Candidate:
    """What a source offers: an entry, and its count, PMI in bits or views where the source has a measure."""

    text: str
    strength: float | None = None


@dataclass
class SourceReport:
    """What became of one source's candidates: reached = kept + overlap + dropped + over_budget.

    Attributes:
        seen: Distinct candidates.
        reached: Those that reached the thresholds.
        overlap: Of these, entries of an earlier source.
        dropped: Of these, those that are dropped by the rule: empty ones, punctuation.
        over_budget: Of these, those that a budget or `max_entries` left out.
        kept: Entries of this source.
        measure: What strength means here.
        highest: Text and strength of the strongest candidate seen.
        lowest_kept: Text and strength of the weakest entry.
        border: Up to five of the weakest kept and five of the strongest not kept, strongest first.
    """

    source: EntrySource
    seen: int = 0
    reached: int = 0
    overlap: int = 0
    dropped: int = 0
    over_budget: int = 0
    kept: int = 0
    measure: str = ""
    highest: tuple[str, float] | None = None
    lowest_kept: tuple[str, float] | None = None
    border: list[tuple[str, float, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One line of the built list."""

    text: str
    source: EntrySource
    strength: float | None


BORDER_HALF = 5


@dataclass
class BuiltMetadata:
    """A built list and how it came about.

    Attributes:
        entries: The list, by text, in its order.
        reports: One per source that was given.
        tally: What was seen and left out, by file.
        rejects: The first few rejected pages by reason.
        facts: Version and number of synsets of WordNet, number of tokens.
        inputs: Name and size of every file read.
        notes: What the user should know.
        warnings: What the user should look at.
        check: Called before each change to the output; raises where another build has taken it.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    reports: list[SourceReport] = field(default_factory=list)
    tally: dict[str, dict[str, int]] = field(default_factory=dict)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, str | int] = field(default_factory=dict)
    inputs: list[dict[str, str | int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    check: Callable[[], None] = lambda: None


def is_dropped(text: str) -> bool:
    """Tells whether a candidate cannot be an entry: white space only, or a single ASCII punctuation mark."""
    return not text.strip() or text in set(string.punctuation)


def is_dropped_worldwide(text: str) -> bool:
    """Tells the same by MetaCLIP 2's rule: also punctuation and symbols only, of any script, and very long ones."""
    return len(text) > LONGEST_ENTRY or all(sign.isspace() or unicodedata.category(sign)[0] in "PS" for sign in text)


def add_source(
    entries: dict[str, Entry],
    candidates: Sequence[Candidate],
    report: SourceReport,
    most: int | None,
    is_dropped: Callable[[str], bool] = is_dropped,
) -> None:
    """Puts a source's candidates (strongest first, ties by text) at the end of the list, at most `most` of them.

    Fills in `overlap`, `dropped`, `over_budget`, `kept`, `lowest_kept` and the kept half of the border of the report.
    """
    kept: list[Candidate] = []
    for candidate in candidates:
        if candidate.text in entries:
            report.overlap += 1
        elif is_dropped(candidate.text):
            report.dropped += 1
        elif most is not None and len(kept) >= most:
            report.over_budget += 1
        else:
            kept.append(candidate)
            entries[candidate.text] = Entry(candidate.text, report.source, candidate.strength)
    report.kept = len(kept)
    measured = [(candidate.text, candidate.strength) for candidate in kept if candidate.strength is not None]
    if measured:
        report.lowest_kept = measured[-1]
        report.border = [(text, strength, True) for text, strength in measured[-BORDER_HALF:]] + report.border


def digest_of(texts: Iterable[str]) -> str:
    """The metadata digest: sha256 of the list as compact UTF-8 JSON."""
    return hashlib.sha256(entries_as_json(list(texts))).hexdigest()


def write_list(
    storage: Storage, entries: Sequence[Entry], description: dict[str, Any], check: Callable[[], None] = lambda: None
) -> None:
    """Writes the list's three files, each whole or not at all, the description last.

    Args:
        storage: The folder.
        entries: The list.
        description: How it came about.
        check: Called before each change; raises where another build has taken the folder.
    """
    table = pa.table(
        {
            "entry_id": pa.array(range(len(entries)), pa.int32()),
            "entry_text": [entry.text for entry in entries],
            "source": [entry.source for entry in entries],
            "strength": pa.array([entry.strength for entry in entries], pa.float64()),
        },
        schema=ENTRIES,
    )
    check()
    storage.delete(DESCRIPTION_FILE)
    texts = json.dumps([entry.text for entry in entries], ensure_ascii=False, indent=0) + "\n"
    check()
    storage.put_text(LIST_FILE, texts)
    check()
    storage.put_table("metadata.parquet", table)
    check()
    storage.put_text(DESCRIPTION_FILE, json.dumps(description, ensure_ascii=False, indent=2) + "\n")


def as_dict(report: SourceReport) -> dict[str, Any]:
    """A report as JSON holds it."""
    return asdict(report)
