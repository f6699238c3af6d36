"""The compiled readers of what a page declares, over the bytes of a page, of headers and of JSON.

Each does what its namesake in `udfs.pages.declared.language` or `udfs.pages.declared.preferences` does, for a value
whose characters are written as they are: without entities, escapes and folded lines. No byte above ASCII means anything
here, so that any encoding will do that has ASCII's characters. Agents are given as `agent_list` lays them out.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from udfs.archives.warc_kernel import same_letters, word_table
from udfs.compilation import part_of_kernel
from udfs.numba_intrinsics import constant
from udfs.pages.declared.language import LONG_CODES, SHORT_CODES, pack_language
from udfs.pages.declared.preferences import (
    DIRECTIVES,
    HEADERS,
    METAS,
    NO_TRAINING,
    RESERVED,
    TDM_RESERVATION,
    TRAINING_REFUSED,
    VALUED_DIRECTIVES,
)

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

LANGUAGE, PREFERENCES = range(2)
DECLARED_LENGTH = 2
"""What a page declares: its language as `pack_language` gives it, and its preferences."""

NO_LANGUAGE = 0

_SPACE, _COMMA, _COLON, _SEMICOLON, _HYPHEN, _LOW_LINE, _STAR = (ord(mark) for mark in " ,:;-_*")
_LOWER_CASE, _A, _LETTERS = 0x20, ord("a"), 26
_SHORT, _LONG = 2, 3
_NOT_FOUND = -1


def _codes_of_two_letters() -> Numbers:
    """Gives the code of a page's language by the places of two letters in the alphabet."""
    codes = np.zeros((_LETTERS, _LETTERS), np.int64)
    for code, kept in SHORT_CODES.items():
        codes[ord(code[0]) - _A, ord(code[1]) - _A] = pack_language(kept)
    return codes


_SHORT_CODES = _codes_of_two_letters()
_LONG_CODES = np.array([(pack_language(code), pack_language(kept)) for code, kept in sorted(LONG_CODES.items())])
_CHINESE, _CANTONESE, _CANTONESE_TAG = pack_language("zh"), pack_language("yue"), constant(b"yue")
_DIRECTIVE_LENGTHS, _DIRECTIVE_LETTERS = word_table(list(DIRECTIVES))
_DIRECTIVE_BITS = np.array(list(DIRECTIVES.values()))
_VALUED_LENGTHS, _VALUED_LETTERS = word_table(VALUED_DIRECTIVES)
_HEADER_LENGTHS, _HEADER_LETTERS = word_table(HEADERS)
_META_LENGTHS, _META_LETTERS = word_table(METAS)
_ROBOTS, _RESERVATION, _USAGE = range(len(HEADERS))
_RESERVED, _TRAINING_REFUSED = constant(RESERVED.encode()), constant(TRAINING_REFUSED.encode())


@lru_cache(16)
def agent_list(agents: tuple[str, ...]) -> Bytes:
    """Lays the names of agents out for compiled functions, which only read them: a comma stands behind each."""
    return np.array([ord(letter) for agent in agents for letter in f"{agent},"], np.uint8)


@part_of_kernel
def _is_space(byte: int) -> bool:
    return byte == _SPACE or 9 <= byte <= 13


@part_of_kernel
def _strip(content: Bytes, begin: int, end: int) -> tuple[int, int]:
    while begin < end and _is_space(content[begin]):
        begin += 1
    while begin < end and _is_space(content[end - 1]):
        end -= 1
    return begin, end


@part_of_kernel
def _find(content: Bytes, begin: int, end: int, byte: int) -> int:
    """Finds a byte; `end` where there is none."""
    while begin < end and content[begin] != byte:
        begin += 1
    return begin


@part_of_kernel
def _place_of(content: Bytes, begin: int, end: int, lengths: Numbers, letters: Bytes) -> int:
    """Finds the place of a word, in letters of any case, in a table; `_NOT_FOUND` where it is none of them."""
    for word in range(lengths.size):
        if end - begin == lengths[word] and same_letters(content, begin, end, letters[word][: lengths[word]]):
            return word
    return _NOT_FOUND


@part_of_kernel
def _letters_end(content: Bytes, at: int, end: int) -> int:
    while at < end and 0 <= (content[at] | _LOWER_CASE) - _A < _LETTERS:
        at += 1
    return at


@part_of_kernel
def _ends_subtag(content: Bytes, at: int, end: int) -> bool:
    return bool(at == end or content[at] == _HYPHEN or content[at] == _LOW_LINE)


@part_of_kernel
def page_language(content: Bytes, begin: int, end: int) -> int:
    """Reads a language tag, and gives its code as a number; `NO_LANGUAGE` for none."""
    begin, end = _strip(content, begin, end)
    tag_end = _letters_end(content, begin, end)
    if not _SHORT <= tag_end - begin <= _LONG or not _ends_subtag(content, tag_end, end):
        return NO_LANGUAGE
    code = 0
    for place in range(tag_end - 1, begin - 1, -1):
        code = code << 8 | int(content[place] | _LOWER_CASE)
    if tag_end - begin == _LONG:
        for known in range(_LONG_CODES.shape[0]):
            if _LONG_CODES[known, 0] == code:
                return int(_LONG_CODES[known, 1])
        return code
    if code == _CHINESE:
        next_end = _letters_end(content, tag_end + 1, end)
        if same_letters(content, tag_end + 1, next_end, _CANTONESE_TAG) and _ends_subtag(content, next_end, end):
            return _CANTONESE
    return int(_SHORT_CODES[(code & 0xFF) - _A, (code >> 8) - _A])


@part_of_kernel
def _is_agent(content: Bytes, begin: int, end: int) -> bool:
    for place in range(begin, end):
        if _is_space(content[place]):
            return False
    return begin < end and _place_of(content, begin, end, _VALUED_LENGTHS, _VALUED_LETTERS) == _NOT_FOUND


@part_of_kernel
def _is_one_of(content: Bytes, begin: int, end: int, agents: Bytes) -> bool:
    at = 0
    while at < agents.size:
        comma = _find(agents, at, agents.size, _COMMA)
        if same_letters(content, begin, end, agents[at:comma]):
            return True
        at = comma + 1
    return False


@part_of_kernel
def _robots(content: Bytes, begin: int, end: int, agents: Bytes) -> int:
    found, is_heard = 0, True
    while begin < end:
        part_end = _find(content, begin, end, _COMMA)
        colon = _find(content, begin, part_end, _COLON)
        directive, directive_end = _strip(content, begin, part_end)
        if colon < part_end:
            agent, agent_end = _strip(content, begin, colon)
            if _is_agent(content, agent, agent_end):
                directive, directive_end = _strip(content, colon + 1, part_end)
                is_for_all = agent_end - agent == 1 and content[agent] == _STAR
                is_heard = is_for_all or _is_one_of(content, agent, agent_end, agents)
        if is_heard:
            place = _place_of(content, directive, directive_end, _DIRECTIVE_LENGTHS, _DIRECTIVE_LETTERS)
            if place != _NOT_FOUND:
                found |= _DIRECTIVE_BITS[place]
        begin = part_end + 1
    return found


@part_of_kernel
def _reservation(content: Bytes, begin: int, end: int) -> int:
    begin, end = _strip(content, begin, end)
    return TDM_RESERVATION if same_letters(content, begin, end, _RESERVED) else 0


@part_of_kernel
def _usage(content: Bytes, begin: int, end: int) -> int:
    while begin < end:
        member_end = _find(content, begin, end, _COMMA)
        value, value_end = _strip(content, begin, _find(content, begin, member_end, _SEMICOLON))
        if same_letters(content, value, value_end, _TRAINING_REFUSED):
            return NO_TRAINING
        begin = member_end + 1
    return 0


@part_of_kernel
def is_preference_header(content: Bytes, name: int, name_end: int) -> bool:
    """Tells whether a header may declare preferences, by its name."""
    return _place_of(content, name, name_end, _HEADER_LENGTHS, _HEADER_LETTERS) != _NOT_FOUND


@part_of_kernel
def header_preferences(content: Bytes, name: int, name_end: int, value: int, value_end: int, agents: Bytes) -> int:
    """Reads one header of a response."""
    kind = _place_of(content, name, name_end, _HEADER_LENGTHS, _HEADER_LETTERS)
    if kind == _ROBOTS:
        return _robots(content, value, value_end, agents)
    if kind == _USAGE:
        return _usage(content, value, value_end)
    return _reservation(content, value, value_end) if kind == _RESERVATION else 0


@part_of_kernel
def is_preference_meta(content: Bytes, name: int, name_end: int, agents: Bytes) -> bool:
    """Tells whether a `<meta>` may declare preferences, by its name."""
    name, name_end = _strip(content, name, name_end)
    is_known = _place_of(content, name, name_end, _META_LENGTHS, _META_LETTERS) != _NOT_FOUND
    return is_known or _is_one_of(content, name, name_end, agents)


@part_of_kernel
def meta_preferences(content: Bytes, name: int, name_end: int, value: int, value_end: int, agents: Bytes) -> int:
    """Reads a `<meta>`."""
    name, name_end = _strip(content, name, name_end)
    kind = _place_of(content, name, name_end, _META_LENGTHS, _META_LETTERS)
    if kind == _ROBOTS or _is_one_of(content, name, name_end, agents):
        return _robots(content, value, value_end, agents)
    return _reservation(content, value, value_end) if kind == _RESERVATION else 0
