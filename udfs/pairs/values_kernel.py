"""The compiled reader of an image's values that are not what the bytes say: JSON's escapes, HTML's, and charsets.

Values of HTML are decoded as section 13.2.5 of the HTML Standard does within attributes. What is rare there (a name
that HTML 4 did not have, a number without its semicolon, a NUL) is left to a parser.
"""

from html.entities import html5, name2codepoint

import numpy as np
import numpy.typing as npt

from udfs.archives.warc_kernel import SLACK_BYTES
from udfs.compilation import part_of_kernel
from udfs.numba_intrinsics import GOLDEN_RATIO, is_utf8
from udfs.pages.html_kernel import CHARACTERS, UTF8
from udfs.pages.image_table import HREF, IS_PLAIN, SRC
from udfs.pages.wat_kernel import escaped_unit, hex_digit

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_ABSENT, _UNKNOWN = -1, -1
_BACKSLASH, _U, _AMPERSAND, _HASH, _SEMICOLON, _EQUALS, _X, _ZERO = (ord(mark) for mark in "\\u&#;=x0")
_LINE_FEED, _RETURN, _SPACE, _TAB = 10, 13, 32, 9
_LETTER = 0x20
_MOST_BYTES = 3
"""Of a character that a single byte stands for."""

_MOST_DIGITS = 7
_LONGEST_NAME = 8
_SLOTS, _SHIFT = 1024, np.uint64(54)
_MULTIPLIER = np.uint64(GOLDEN_RATIO)
_U0 = np.uint64(0)
_UNESCAPED = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9}
_CONTROLS = np.zeros(256, np.uint8)
for _letter, _control in _UNESCAPED.items():
    _CONTROLS[ord(_letter)] = _control


def _name_key(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


def _entities() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Fills a hash table from names of characters to the characters, and whether they need no semicolon."""
    without_semicolon = {name for name in html5 if not name.endswith(";")}
    keys, characters, needs_none = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.bool_)
    for name in sorted({"apos", *name2codepoint} | without_semicolon):
        key = _name_key(name)
        slot = (key * int(_MULTIPLIER) & (1 << 64) - 1) >> int(_SHIFT)
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], characters[slot], needs_none[slot] = key, ord(html5[f"{name};"]), name in without_semicolon
    return keys, characters, needs_none


_NAMES, _NAMED, _NEEDS_NO_SEMICOLON = _entities()


@part_of_kernel
def _put_character(unit: int, plain: Bytes, at: int) -> int:
    """Writes a character as UTF-8, and gives the place behind it."""
    if unit < 0x80:
        plain[at] = unit
        return at + 1
    if unit < 0x800:
        plain[at], plain[at + 1] = 0xC0 | unit >> 6, 0x80 | unit & 63
        return at + 2
    if unit < 0x10000:
        plain[at], plain[at + 1], plain[at + 2] = 0xE0 | unit >> 12, 0x80 | unit >> 6 & 63, 0x80 | unit & 63
        return at + 3
    plain[at], plain[at + 1] = 0xF0 | unit >> 18, 0x80 | unit >> 12 & 63
    plain[at + 2], plain[at + 3] = 0x80 | unit >> 6 & 63, 0x80 | unit & 63
    return at + 4


@part_of_kernel
def _unescape(plain: Bytes, begin: int, end: int, at: int) -> int:
    """Writes a string without its escapes, which have been checked, to `at`, and gives the place behind it."""
    while begin < end:
        byte = plain[begin]
        if byte != _BACKSLASH:
            plain[at] = byte
            begin += 1
            at += 1
        elif plain[begin + 1] == _U:
            at = _put_character(escaped_unit(plain, begin), plain, at)
            begin += 6
        else:
            kind = plain[begin + 1]
            plain[at] = _CONTROLS[kind] if _CONTROLS[kind] else kind
            begin += 2
            at += 1
    return at


@part_of_kernel
def _can_be_unescaped(plain: Bytes, begin: int, end: int) -> bool:
    """Tells whether a string is valid UTF-8 and its escapes stand for no NUL."""
    if not is_utf8(plain, begin, end):
        return False
    at = begin
    while at < end:
        if plain[at] == _BACKSLASH:
            if plain[at + 1] == _U and escaped_unit(plain, at) == 0:
                return False
            at += 1
        at += 1
    return True


@part_of_kernel
def unescape_tag(plain: Bytes, tag: Numbers, at: int) -> int:
    """Writes the values of an image to `at` without escapes, where that makes them plain; gives the place behind."""
    size = 0
    for column in range(SRC, HREF, 2):
        if tag[column] != _ABSENT:
            if not _can_be_unescaped(plain, tag[column], tag[column + 1]):
                return at
            size += tag[column + 1] - tag[column]
    if at + size > plain.size - SLACK_BYTES:
        return at
    for column in range(SRC, HREF, 2):
        if tag[column] != _ABSENT:
            end = _unescape(plain, tag[column], tag[column + 1], at)
            tag[column], tag[column + 1] = at, end
            at = end
    tag[IS_PLAIN] = 1
    return at


@part_of_kernel
def _name_end(plain: Bytes, at: int, end: int) -> int:
    while at < end and (97 <= plain[at] | _LETTER <= 122 or _ZERO <= plain[at] <= _ZERO + 9):
        at += 1
    return at


@part_of_kernel
def _slot_of_name(plain: Bytes, begin: int, end: int) -> int:
    """Finds the name of a character in the hash table; `_UNKNOWN` where it is not there."""
    if end - begin > _LONGEST_NAME:
        return _UNKNOWN
    key = _U0
    for place in range(end - 1, begin - 1, -1):
        key = (key << np.uint64(8)) | np.uint64(plain[place])
    slot = np.int64((key * _MULTIPLIER) >> _SHIFT)
    while _NAMES[slot] != _U0:
        if _NAMES[slot] == key:
            return int(slot)
        slot = (slot + 1) % _SLOTS
    return _UNKNOWN


@part_of_kernel
def _read_number(plain: Bytes, at: int, end: int) -> tuple[int, int]:
    """Reads a character's number behind `&#`: the character, `_UNKNOWN` where a parser must, and the place behind."""
    is_hexadecimal = at < end and plain[at] | _LETTER == _X
    begin = at + 1 if is_hexadecimal else at
    at, code = begin, 0
    while at < end and at - begin < _MOST_DIGITS and hex_digit(plain[at]) >= 0:
        digit = hex_digit(plain[at])
        if digit > 9 and not is_hexadecimal:
            return _UNKNOWN, at
        code = code * (16 if is_hexadecimal else 10) + digit
        at += 1
    if at in (begin, end) or plain[at] != _SEMICOLON:
        return _UNKNOWN, at
    is_control = (code < _SPACE and code != _TAB and code != _LINE_FEED) or 0x7F <= code < 0xA0
    if is_control or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return _UNKNOWN, at
    return code, at + 1


@part_of_kernel
def _read_reference(plain: Bytes, at: int, end: int) -> tuple[int, int]:
    """Reads what the `&` at `at` begins: a character, `_UNKNOWN` where a parser must, and the place behind."""
    name = at + 1
    if name < end and plain[name] == _HASH:
        return _read_number(plain, name + 1, end)
    name_end = _name_end(plain, name, end)
    slot = _slot_of_name(plain, name, name_end) if name_end > name else _UNKNOWN
    if name_end < end and name_end > name and plain[name_end] == _SEMICOLON:
        return (_NAMED[slot], name_end + 1) if slot != _UNKNOWN else (_UNKNOWN, name)
    is_named = slot != _UNKNOWN and _NEEDS_NO_SEMICOLON[slot] and not (name_end < end and plain[name_end] == _EQUALS)
    return (_NAMED[slot], name_end) if is_named else (_AMPERSAND, name)


@part_of_kernel
def _decode(plain: Bytes, begin: int, end: int, encoding: int, at: int) -> int:
    """Writes a value of HTML as UTF-8 to `at`; the place behind it, or `_UNKNOWN` where a parser must read it."""
    while begin < end:
        byte = plain[begin]
        if byte == _AMPERSAND:
            character, begin = _read_reference(plain, begin, end)
            if character == _UNKNOWN:
                return _UNKNOWN
            at = _put_character(character, plain, at)
        elif byte == 0:
            return _UNKNOWN
        elif byte == _RETURN:
            plain[at] = _LINE_FEED
            begin += 2 if begin + 1 < end and plain[begin + 1] == _LINE_FEED else 1
            at += 1
        elif byte < 128 or encoding == UTF8:
            plain[at] = byte
            begin += 1
            at += 1
        else:
            at = _put_character(CHARACTERS[encoding, byte], plain, at)
            begin += 1
    return at


@part_of_kernel
def decode_tag(plain: Bytes, tag: Numbers, offset: int, encoding: int, at: int) -> int:
    """Writes the values of an image to `at` as HTML means them.

    Args:
        plain: The bytes, which have room behind `at`.
        tag: The image's row. Its values become plain, unless a parser must read it.
        offset: Where the places of the tag count from.
        encoding: What the page's bytes are: `UTF8` or a row of `CHARACTERS`.
        at: Where to write.

    Returns:
        The place behind what has been written; `at` where a parser must read the image.
    """
    size = 0
    for column in range(SRC, HREF, 2):
        if tag[column] != _ABSENT:
            if encoding == UTF8 and not is_utf8(plain, offset + tag[column], offset + tag[column + 1]):
                return at
            size += tag[column + 1] - tag[column]
    if at + _MOST_BYTES * size > plain.size - SLACK_BYTES:
        return at
    behind = at
    for column in range(SRC, HREF, 2):
        if tag[column] != _ABSENT:
            end = _decode(plain, offset + tag[column], offset + tag[column + 1], encoding, behind)
            if end == _UNKNOWN:
                return at
            tag[column], tag[column + 1] = behind - offset, end - offset
            behind = end
    tag[IS_PLAIN] = 1
    return behind
