"""What a text all but matches: "(cat)" is not "cat", and "Cat" is not, either."""

from collections.abc import Iterator, Mapping, Sequence

from metaclip_spark.errors import joined
from metaclip_spark.reports.explain.curation import Curation, shown
from metaclip_spark.reports.explain.records import NearMiss
from metaclip_spark.reports.explain.words import Words, words_of

MOST_NEAR_MISSES = 10
"""Near misses that are told of one text."""


def near_misses(text: str, matched: Mapping[int, Sequence[int]], curation: Curation) -> list[NearMiss]:
    """Finds words that would match an entry but for characters at their border or the case of their letters.

    Args:
        text: A cleaned text.
        matched: The entries that it does match, with their places: their words need no explanation.
        curation: The metadata list that it is matched against.

    Returns:
        At most `MOST_NEAR_MISSES`, in the text's order; of words within one another the longest.
    """
    words = words_of(text, curation.word_borders)
    covered = {
        place
        for entry, places in matched.items()
        for start in places
        for place in range(start, start + len(curation.entries[entry]))
    }
    found: list[NearMiss] = []
    reached = 0
    for begin in words.begins:
        if len(found) == MOST_NEAR_MISSES:
            break
        if begin < reached or begin in covered or words.spaced[begin] == " ":
            continue
        near = next(filter(None, (_near_miss(each, begin, curation) for each in _runs(words, begin, curation))), None)
        if near is not None:
            found.append(near)
            reached = begin + len(near.text)
    return found


def _runs(words: Words, begin: int, curation: Curation) -> Iterator[str]:
    """Yields the words that begin at a place, longest first, where there are letters or digits in both outer ones."""
    ends = [end for end in words.ends_after(begin, curation.longest) if end > begin]
    if ends and _has_letter(words.spaced[begin : ends[0]]):
        for place in range(len(ends) - 1, -1, -1):
            last = words.spaced[ends[place - 1] if place else begin : ends[place]]
            if _has_letter(last):
                yield words.spaced[begin : ends[place]]


def _near_miss(words: str, place: int, curation: Curation) -> NearMiss | None:
    inner = _inner(words)
    for kept in (words, inner):
        entry = curation.ids.get(kept, curation.folded.get(kept.casefold()))
        if entry is not None and curation.entries[entry] != words:
            before, _, after = words.partition(kept)
            borders = {f"{shown(before)} before it": before, f"{shown(after)} after it": after}
            reasons = [joined([told for told, border in borders.items() if border])]
            if curation.entries[entry] != kept:
                reasons.append("other letter case")
            entry_id = curation.first_id + entry
            return NearMiss(words, curation.entries[entry], entry_id, place, ", ".join(filter(None, reasons)))
    return None


def _inner(words: str) -> str:
    """Strips what is neither a letter nor a digit from both ends."""
    first = next(place for place, character in enumerate(words) if character.isalnum())
    last = next(place for place in range(len(words) - 1, -1, -1) if words[place].isalnum())
    return words[first : last + 1]


def _has_letter(word: str) -> bool:
    return any(map(str.isalnum, word))
