"""The compiled reader of an image's values whose characters are written in another way than UTF-8: escapes of JSON."""

import numpy as np
import numpy.typing as npt

from udfs.archives.warc_kernel import SLACK_BYTES
from udfs.numba_intrinsics import is_utf8, part_of_kernel
from udfs.pages.image_table import HREF, IS_PLAIN, SRC
from udfs.pages.wat_kernel import escaped_unit

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_ABSENT = -1
_BACKSLASH, _U = ord("\\"), ord("u")
_UNESCAPED = {"b": 8, "f": 12, "n": 10, "r": 13, "t": 9}
_CONTROLS = np.zeros(256, np.uint8)
for _letter, _control in _UNESCAPED.items():
    _CONTROLS[ord(_letter)] = _control


@part_of_kernel
def _put_character(unit: int, plain: Bytes, at: int) -> int:
    """Writes a character of the first 65,536 as UTF-8, and gives the place behind it."""
    if unit < 0x80:
        plain[at] = unit
        return at + 1
    if unit < 0x800:
        plain[at], plain[at + 1] = 0xC0 | unit >> 6, 0x80 | unit & 63
        return at + 2
    plain[at], plain[at + 1], plain[at + 2] = 0xE0 | unit >> 12, 0x80 | unit >> 6 & 63, 0x80 | unit & 63
    return at + 3


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
