"""The method with one metadata list per language once more, slowly and from its description alone.

It goes on from `tests.support.oracle`; the word borders are those of `tests.support.word_borders`. Nothing of `udfs` or
`metaclip_spark` is used. Tail shares are fractions; thresholds are found by trying every one that makes a difference.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

from tests.support import oracle
from tests.support.word_borders import begins, ends

OTHER = "other"


@dataclass(frozen=True)
class Lists:
    """A folder of lists: the entries by code, in the order of the codes, and what leads to them."""

    entries: Mapping[str, Sequence[str]]
    labels: Mapping[str, str]
    anchor: str

    @property
    def first_ids(self) -> dict[str, int]:
        """The id of each list's first entry."""
        found, after = {}, 0
        for code, entries in self.entries.items():
            found[code], after = after, after + len(entries)
        return found

    def code_of(self, label: str | None) -> str | None:
        """Gives the list of a label; None where it has none."""
        code = OTHER if label is None else self.labels.get(label, OTHER)
        code = code if code in self.entries else OTHER
        return code if code in self.entries else None


@dataclass(frozen=True)
class Choice:
    """How thresholds are chosen: one of `anchor_t`, `tail_share` and `target_pairs` is given."""

    anchor_t: float | None = None
    tail_share: str | None = None
    target_pairs: int | None = None
    given: Mapping[str, int] = field(default_factory=dict)
    min_pairs: int = 0


@dataclass
class Language:
    """The numbers of one list."""

    texts: int = 0
    pairs: int = 0
    matches: int = 0
    entries: int = 0
    entries_matched: int = 0
    threshold_t: float = 1
    tail_share: Fraction = Fraction(0)
    expected_size: float = 0.0
    variance: float = 0.0
    kept: int = 0
    floor_applied: bool = False


@dataclass
class Curation:
    """What a run must say: numbers of stages and languages, counts by id, and rows by `pair_id`."""

    funnel: dict[str, int]
    languages: dict[str, Language]
    counts: list[int]
    matched: dict[str, oracle.Row]
    curated: dict[str, float]


def read_lists(folder: Path) -> Lists:
    """Reads a folder of lists whose files are JSON lists."""
    content = json.loads((folder / "languages.json").read_text("utf-8"))
    codes = sorted(content["lists"], key=str.encode)
    entries = {code: json.loads((folder / content["lists"][code]["file"]).read_text("utf-8")) for code in codes}
    return Lists(entries, content.get("labels", {}), content["anchor"])


def read_rows(files: Iterable[Path], url_column: str, text_column: str, language_column: str) -> list[oracle.Row]:
    """Reads Parquet files as raw pairs, each with the label that its column has."""
    rows = []
    for file in files:
        columns = pq.read_table(file, columns=[url_column, text_column, language_column]).to_pydict().values()
        for number, (url, text, label) in enumerate(zip(*columns, strict=True)):
            resolved, cleaned = oracle.image_url(url, ""), oracle.clean(text or "")
            if resolved is not None and cleaned:
                pair_id = hashlib.md5(resolved.encode() + b"\0" + cleaned.encode()).hexdigest()
                place = {"archive": file.name, "record_offset": number, "image_index": 0, "source": "alt"}
                rows.append({"pair_id": pair_id, "alt_text": cleaned, "label": label, "page_preferences": 0, **place})
    return rows


def matcher(entries: Sequence[str], word_borders: str) -> Callable[[str], list[int]]:
    """Makes a function that finds the places of a list's entries in a text: every piece of the text is looked up."""
    places = {entry: place for place, entry in enumerate(entries)}
    lengths: dict[str, set[int]] = {}
    for entry in entries:
        lengths.setdefault(entry[0], set()).add(len(entry))

    def find(text: str) -> list[int]:
        spaced = oracle.spaced(text)
        found = set()
        for start, first in enumerate(spaced):
            if first in lengths and begins(spaced, start, word_borders):
                for length in lengths[first]:
                    place = places.get(spaced[start : start + length])
                    if place is not None and ends(spaced, start + length, word_borders):
                        found.add(place)
        return sorted(found)

    return find


def curate(
    rows: Iterable[oracle.Row],
    lists: Lists,
    choice: Choice,
    *,
    label_of: Callable[[oracle.Row], str | None] = lambda row: row["label"],
    word_borders: str = "script",
    seed: int = 0,
) -> Curation:
    """Curates raw pairs.

    Args:
        rows: As `read_rows` gives them.
        lists: The lists.
        choice: How thresholds are chosen.
        label_of: The language label of a row of the pool.
        word_borders: Where entries may begin and end.
        seed: The seed of the draw.
    """
    rows = list(rows)
    pool = oracle.pool(rows)
    labels = [label_of(row) for row in pool]
    codes = [lists.code_of(label) for label in labels]
    matched = _matched(pool, labels, codes, lists, word_borders)
    counts = oracle.count(matched.values(), [entry for entries in lists.entries.values() for entry in entries])
    languages = _thresholds(matched, counts, lists, choice)
    _add_numbers(languages, matched, codes)
    curated = {}
    for pair_id, row in matched.items():
        language = languages[row["code"]]
        chance = oracle.keep_probability(row["entry_ids"], counts, language.threshold_t)
        if oracle.pair_draw(pair_id, seed) < chance:
            curated[pair_id] = chance
            language.kept += 1
    without = sum(code is None for code in codes)
    funnel = {
        "pairs": len(rows),
        "pool": len(pool),
        "without_list": without,
        "unmatched": len(pool) - without - len(matched),
        "matched": len(matched),
        "curated": len(curated),
    }
    return Curation(funnel, languages, counts, matched, curated)


def _matched(
    pool: Sequence[oracle.Row],
    labels: Sequence[str | None],
    codes: Sequence[str | None],
    lists: Lists,
    word_borders: str,
) -> dict[str, oracle.Row]:
    find = {code: matcher(entries, word_borders) for code, entries in lists.entries.items()}
    known: dict[tuple[str, str], list[int]] = {}
    found, first_ids = {}, lists.first_ids
    for row, label, code in zip(pool, labels, codes, strict=True):
        if code is not None:
            key = code, row["alt_text"]
            if key not in known:
                known[key] = [first_ids[code] + place for place in find[code](row["alt_text"])]
            if known[key]:
                found[row["pair_id"]] = {"code": code, "label": label, "entry_ids": known[key]}
    return found


def _thresholds(
    matched: Mapping[str, oracle.Row], counts: Sequence[int], lists: Lists, choice: Choice
) -> dict[str, Language]:
    """Chooses the threshold of each list, and computes what follows from it."""
    pairs: dict[str, list[list[int]]] = {code: [] for code in lists.entries}
    for row in matched.values():
        pairs[row["code"]].append(row["entry_ids"])
    if choice.target_pairs is None:
        return _languages(pairs, counts, lists, choice, choice.anchor_t)
    anchor_t = 1
    while True:
        found = _languages(pairs, counts, lists, choice, anchor_t)
        if math.fsum(each.expected_size for each in found.values()) >= choice.target_pairs:
            return found
        anchor_t += 1


def _languages(
    pairs: Mapping[str, list[list[int]]], counts: Sequence[int], lists: Lists, choice: Choice, anchor_t: float | None
) -> dict[str, Language]:
    """Computes all lists at a threshold of the anchor, or at a tail share where that is None."""
    of_lists = {code: counts[first : first + len(lists.entries[code])] for code, first in lists.first_ids.items()}
    share = Fraction(choice.tail_share or "0") if anchor_t is None else tail_share(of_lists[lists.anchor], anchor_t)
    found = {}
    for code, its_counts in of_lists.items():
        threshold: float = nearest_threshold(its_counts, share)
        if anchor_t is not None and (code == lists.anchor or anchor_t == math.inf):
            threshold = anchor_t
        without_floor = threshold = choice.given.get(code, threshold)
        wanted = 0 if code in choice.given else min(choice.min_pairs, len(pairs[code]))
        expected, variance = _size(pairs[code], counts, threshold)
        while expected < wanted:
            threshold += 1
            expected, variance = _size(pairs[code], counts, threshold)
        found[code] = Language(
            pairs=len(pairs[code]),
            matches=sum(its_counts),
            entries=len(its_counts),
            entries_matched=sum(count > 0 for count in its_counts),
            threshold_t=threshold,
            tail_share=tail_share(its_counts, threshold),
            expected_size=expected,
            variance=variance,
            floor_applied=threshold > without_floor,
        )
    return found


def _size(pairs: Iterable[list[int]], counts: Sequence[int], threshold_t: float) -> tuple[float, float]:
    """Computes how many pairs are expected to be kept, and the variance."""
    chances = [oracle.keep_probability(entry_ids, counts, threshold_t) for entry_ids in pairs]
    return math.fsum(chances), math.fsum(chance * (1 - chance) for chance in chances)


def tail_share(counts: Sequence[int], threshold_t: float) -> Fraction:
    """Returns the share of all matches that entries with a count below the threshold have; 0 without matches."""
    return oracle.tail_share(counts, threshold_t) if any(counts) else Fraction(0)


def nearest_threshold(counts: Sequence[int], share: Fraction) -> int:
    """Returns the smallest integer threshold whose tail share comes nearest to a share; 1 without matches."""
    by_count = Counter(count for count in counts if count)
    whole = sum(count * entries for count, entries in by_count.items())
    best, below = (share, 1), 0
    for count in sorted(by_count):
        below += count * by_count[count]
        best = min(best, (abs(Fraction(below, whole) - share), count + 1))
    return best[1]


def _add_numbers(
    languages: Mapping[str, Language], matched: Mapping[str, oracle.Row], codes: Sequence[str | None]
) -> None:
    texts = Counter(codes)
    assert sum(language.pairs for language in languages.values()) == len(matched)
    for code, language in languages.items():
        language.texts = texts[code]
