"""What a text all but matches: "(cat)" is not "cat", and "Cat" is not, either."""

from collections.abc import Iterator, Mapping, Sequence

from metaclip_spark.errors import joined
from metaclip_spark.reports.explain.curation import Curation, shown, tokens_of
from metaclip_spark.reports.explain.records import NearMiss

MOST_NEAR_MISSES = 10
"""Near misses that are told of one text."""


def near_misses(text: str, matched: Mapping[int, Sequence[int]], curation: Curation) -> list[NearMiss]:
    """Finds words that would match an entry but for characters at their border or the case of their letters.

    Args:
        text: A cleaned text.
        matched: The entries that it does match, with their places: their words need no explanation.
        curation: The metadata list.

    Returns:
        At most `MOST_NEAR_MISSES`, in the text's order; of words within one another the longest.
    """
    tokens, starts = tokens_of(text)
    covered = {
        place
        for entry, places in matched.items()
        for start in places
        for place in range(start, start + len(curation.entries[entry]))
    }
    found: list[NearMiss] = []
    first = 0
    while first < len(tokens) and len(found) < MOST_NEAR_MISSES:
        words = () if starts[first] in covered else _runs(tokens, first, curation.longest)
        near = next(filter(None, (_near_miss(each, starts[first], curation) for each in words)), None)
        if near is not None:
            found.append(near)
        first += near.text.count(" ") + 1 if near else 1
    return found


def _runs(tokens: Sequence[str], first: int, longest: int) -> Iterator[str]:
    """Yields the words that begin at a token, longest first, where there are letters or digits at both ends."""
    if _inner(tokens[first]):
        for end in range(min(first + longest, len(tokens)), first, -1):
            if _inner(tokens[end - 1]):
                yield " ".join(tokens[first:end])


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
            return NearMiss(words, curation.entries[entry], entry, place, ", ".join(filter(None, reasons)))
    return None


def _inner(words: str) -> str:
    """Strips what is neither a letter nor a digit from both ends."""
    places = [place for place, character in enumerate(words) if character.isalnum()]
    return words[places[0] : places[-1] + 1] if places else ""
