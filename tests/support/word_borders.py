"""The rules for word borders once more, slow and independent: Unicode's properties from the package regex.

Source: the rules as docs/worldwide.md describes them; nothing of `udfs.matching` is used.
"""

from collections.abc import Sequence
from functools import cache

import regex
from hypothesis import strategies as st

from tests.support.oracle import spaced as spaced_text

SCRIPTS = ("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai_Le")
SCRIPTS += ("New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Javanese", "Balinese")
SIGNS = (
    r"\u3000-\u303f\u3099-\u309c\u30a0\u30fb\u30fc\uff70\uff9e\uff9f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\U000e0100-\U000e01ef"
)
_OF_SCRIPTS = "".join(rf"\p{{Script={script}}}" for script in SCRIPTS)
BREAK = regex.compile(f"(?![\u02ea\u02eb])[{SIGNS}{_OF_SCRIPTS}]")
MARK = regex.compile(r"\p{M}")
NEEDS_NO_SPACE = regex.compile(
    r"[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002ebef\uf900-\ufaff\U0002f800-\U0002fa1f"
    r"\u2e80-\u2fdf\u2ff0-\u2fff\p{Block=Thai}\p{Block=Lao}\u1000-\u109f\u1780-\u17ff\p{Block=Tibetan}"
    r"""!"#$%&'()*+,\-./:;<=>?@\[\\\]\^_`{|}~，。、；：？！“”‘’（）【】《》〈〉「」『』～—]"""
)

ALPHABET = "aB7 ,.;:?!`東京タのーｶﾞกาสក្ា、。\u3000\uffff\u0301한\U00020000\u17d2\u1039\u3099\U000e0100မ"
"""Latin, a digit, Han, kana, Thai and Khmer with marks, a coeng, space, the seven marks, and what has no script."""


@cache
def border(a: str, b: str) -> bool:
    """Tells whether two neighbouring characters have a border between them, neither of them a space."""
    either = BREAK.match(a) or BREAK.match(b)
    return bool(either) and not MARK.match(b) and a not in {"\u17d2", "\u1039"}


def begins(spaced: str, start: int, word_borders: str) -> bool:
    """Tells whether an entry may begin at a place of a spaced text."""
    if start < 1:
        return False
    before, first = spaced[start - 1], spaced[start]
    if before == " ":
        return True
    if word_borders == "script":
        return first != " " and border(before, first)
    return word_borders == "metaclip2" and bool(NEEDS_NO_SPACE.match(first))


def ends(spaced: str, end: int, word_borders: str) -> bool:
    """Tells whether an entry may end before a place of a spaced text."""
    if end >= len(spaced):
        return False
    last, after = spaced[end - 1], spaced[end]
    if after == " ":
        return True
    if word_borders == "script":
        return last != " " and border(last, after)
    return word_borders == "metaclip2" and bool(NEEDS_NO_SPACE.match(last))


def occurs(spaced: str, entry: str, word_borders: str) -> bool:
    """Tells whether an entry matches anywhere in a spaced text."""
    start = spaced.find(entry)
    while start >= 0:
        if begins(spaced, start, word_borders) and ends(spaced, start + len(entry), word_borders):
            return True
        start = spaced.find(entry, start + 1)
    return False


def oracle_ids(alt_texts: Sequence[str | None], entries: Sequence[str], word_borders: str) -> list[list[int]]:
    """Scans each text for each entry."""
    found = []
    for text in alt_texts:
        spaced = "" if text is None else spaced_text(text)
        found.append([entry_id for entry_id, entry in enumerate(entries) if occurs(spaced, entry, word_borders)])
    return found


def alphabet_texts(*, longest: int = 10) -> st.SearchStrategy[str]:
    """Texts over `ALPHABET`."""
    return st.lists(st.sampled_from(ALPHABET), max_size=longest).map("".join)


def alphabet_entries() -> st.SearchStrategy[list[str]]:
    """Lists of entries over `ALPHABET`."""
    entry = st.lists(st.sampled_from(ALPHABET), min_size=1, max_size=4).map("".join)
    return st.lists(entry, min_size=1, max_size=25, unique=True)
