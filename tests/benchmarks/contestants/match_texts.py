"""Other libraries that find many strings at once, each used text by text as its documentation shows.

Arguments: a JSON file with `entries` and `texts`, and the library's name. Each finds every entry, with a space at both
ends, in the spaced text; overlapping ones too.
"""

import json
import pathlib
import re
import sys
from collections.abc import Callable

from loop import Pair, compete

MARK = re.compile("([,.;:?!`])")
LINE_WHITE_SPACE = str.maketrans("\t\n\r", "   ")
LIBRARY = sys.argv[2]
INPUT = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))


def spacing(text: str) -> str:
    """Sets the words of a text apart, as published."""
    return " " + MARK.sub(r" \1 ", text).translate(LINE_WHITE_SPACE) + " "


def matcher() -> Callable[[str], set[int]]:
    """Builds the library's automaton."""
    patterns = [f" {entry} " for entry in INPUT["entries"]]
    if LIBRARY == "ahocorasick_rs":
        from ahocorasick_rs import AhoCorasick

        automaton = AhoCorasick(patterns)
        return lambda text: {found[0] for found in automaton.find_matches_as_indexes(text, overlapping=True)}
    from daachorse import CharwiseDoubleArrayAhoCorasick

    automaton = CharwiseDoubleArrayAhoCorasick(patterns)
    return lambda text: {found[2] for found in automaton.find_overlapping(text)}


MATCH = matcher()


def work(_path: str) -> list[set[int]]:
    """Matches every text."""
    return [MATCH(spacing(text)) for text in INPUT["texts"]]


def pairs_of(found: list[set[int]]) -> list[Pair]:
    """Names each text's entries."""
    return [(str(number), " ".join(map(str, sorted(ids)))) for number, ids in enumerate(found)]


compete(work, pairs_of)
