"""Words of languages that are written without spaces, by ICU's dictionaries.

ICU comes with the package icu4py (the extra `worldwide`); it is needed to build lists, never to match.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from udfs.matching.borders import BREAK_SCRIPTS, BREAK_SIGNS, border, ranges_of

ICU_PACKAGE = "icu4py"

_ICU_LOCALES = {
    "bo": "bo",
    "dz": "dz",
    "gan": "zh",
    "ja": "ja",
    "km": "km",
    "lo": "lo",
    "my": "my",
    "th": "th",
    "wuu": "zh",
    "zh": "zh",
    "zh_classical": "zh",
    "zh_yue": "zh",
}
"""Code of a wiki -> ICU's locale. Of Tibetan and Dzongkha ICU finds the syllables."""

_RANGES = (ends for table in (*BREAK_SCRIPTS.values(), BREAK_SIGNS) for ends in ranges_of(table))
BREAK_CHARACTERS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES)
"""The characters of scripts without spaces, as ranges in a class of a regular expression."""

_BREAK = re.compile(f"[{BREAK_CHARACTERS}]")


def lacks_spaces(language: str) -> bool:
    """Whether a language is written without spaces between words, so that ICU finds them."""
    return language in _ICU_LOCALES


def has_icu() -> bool:
    """Whether the package that carries ICU is installed."""
    return find_spec(ICU_PACKAGE) is not None


def has_break_character(text: str) -> bool:
    """Whether a text has a character of a script that is written without spaces."""
    return _BREAK.search(text) is not None


def is_han(character: str) -> bool:
    """Whether a character is an ideograph."""
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))


def words_in(chunk: str, language: str) -> Iterator[str]:
    """Cuts a text without spaces into words, which together are the text.

    ICU's boundaries count only where an entry may begin or end, so that every word can match: `C++` stays whole.

    Args:
        chunk: The text.
        language: A language that `lacks_spaces`.

    Yields:
        The words, and the punctuation between them.
    """
    if not _BREAK.search(chunk):
        yield chunk
        return
    word = ""
    for piece in _breaker()(chunk, _ICU_LOCALES[language]):
        if word and border(word[-1], piece[0]):
            yield word
            word = ""
        word += piece
    if word:
        yield word


@cache
def _breaker() -> Any:
    from icu4py.breakers import WordBreaker  # noqa: PLC0415 - only the extra brings it

    return WordBreaker
