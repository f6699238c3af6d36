"""The compiled loop that finds the images among the links of a WAT record, without an object per link.

The links are a JSON array that a parser has found valid: objects with strings, as Common Crawl writes them. Where one
holds anything else, or an escape in a key or a path, the loop gives up, and the caller has all of them decoded. As a
parser does, it lets the last of repeated keys count.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from udfs.numba_intrinsics import (
    ONES,
    WORD_BYTES,
    compiled,
    equal_bytes,
    is_utf8,
    load_word,
    part_of_kernel,
    starts_with,
    trailing_zeros,
    types,
)
from udfs.pages.image_table import FIRST_TEXT, HREF, IS_PLAIN, SRC, TAG_BEGIN, TAG_END, UNMODELLED

Bytes = npt.NDArray[np.uint8]
Tags = npt.NDArray[np.int64]

_U0 = np.uint64(0)
_QUOTES, _BACKSLASHES = np.uint64(ord('"')) * ONES, np.uint64(ord("\\")) * ONES
_QUOTE, _BACKSLASH, _COMMA, _OPEN_LIST, _CLOSE_LIST, _OPEN_OBJECT = (ord(mark) for mark in '"\\,[]{')
_ABSENT = -1
_PATH, _OTHER = -2, -3


@part_of_kernel
def _string_end(links: Bytes, at: int) -> tuple[int, bool]:
    """Finds the quote that ends a string whose text begins at `at`, and tells whether it has escapes."""
    has_escape = False
    while True:
        found = _U0
        while found == _U0 and at + WORD_BYTES <= links.size:
            word = load_word(links, at)
            found = equal_bytes(word, _QUOTES) | equal_bytes(word, _BACKSLASHES)
            at += WORD_BYTES if found == _U0 else int(trailing_zeros(found) >> 3)
        while links[at] != _QUOTE and links[at] != _BACKSLASH:
            at += 1
        if links[at] == _QUOTE:
            return at, has_escape
        has_escape = True
        at += 2


@part_of_kernel
def _skip_space(links: Bytes, at: int) -> int:
    while links[at] == 32 or 9 <= links[at] <= 13:
        at += 1
    return at


@part_of_kernel
def _is(links: Bytes, begin: int, end: int, word: bytes) -> bool:
    return end - begin == len(word) and starts_with(links, begin, end, word)


@part_of_kernel
def _column(links: Bytes, begin: int, end: int) -> int:
    """Finds the column of a key's value in a row; `_PATH` for the path, `_OTHER` for others."""
    if _is(links, begin, end, b"path"):
        return _PATH
    if _is(links, begin, end, b"url"):
        return SRC
    if _is(links, begin, end, b"alt"):
        return FIRST_TEXT
    return FIRST_TEXT + 2 if _is(links, begin, end, b"title") else _OTHER


@part_of_kernel
def _read_link(links: Bytes, at: int, tag: npt.NDArray[np.int64]) -> tuple[int, bool]:
    """Fills a row from the link whose object opens at `at`.

    Returns:
        The place behind it, 0 where it holds more than strings; and whether it is an image.
    """
    tag[:] = _ABSENT
    tag[TAG_BEGIN], tag[IS_PLAIN] = at, 1
    is_image = False
    at = _skip_space(links, at + 1)
    while links[at] == _QUOTE:
        key = at + 1
        key_end, has_escape = _string_end(links, key)
        at = _skip_space(links, _skip_space(links, key_end + 1) + 1)
        if has_escape or links[at] != _QUOTE:
            return 0, False
        column = _column(links, key, key_end)
        value = at + 1
        value_end, has_escape = _string_end(links, value)
        if column == _PATH:
            if has_escape:
                return 0, False
            is_image = _is(links, value, value_end, b"IMG@/src")
        elif column != _OTHER:
            tag[column], tag[column + 1] = value, value_end
            tag[IS_PLAIN] &= not has_escape
        at = _skip_space(links, value_end + 1)
        if links[at] == _COMMA:
            at = _skip_space(links, at + 1)
    tag[TAG_END] = at + 1
    if is_image:
        for column in range(SRC, HREF, 2):
            tag[IS_PLAIN] &= is_utf8(links, tag[column], tag[column + 1])
    return at + 1, is_image


def _find_images(links: Bytes, tags: Tags) -> int:
    """Writes a row for each image; the rules stand in the module's docstring."""
    found, at = 0, 1
    if links[0] != _OPEN_LIST:
        return UNMODELLED
    at = _skip_space(links, at)
    while links[at] != _CLOSE_LIST:
        if links[at] != _OPEN_OBJECT or found == tags.shape[0]:
            return UNMODELLED
        at, is_image = _read_link(links, at, tags[found])
        if at == 0:
            return UNMODELLED
        found += is_image
        at = _skip_space(links, at)
        if links[at] == _COMMA:
            at = _skip_space(links, at + 1)
    return found


@cache
def link_kernel() -> Any:
    """Compiles the loop, or loads it from numba's cache.

    Returns:
        A function (links: a valid JSON value as uint8[n], tags: int64[m, TAG_COLUMNS]) -> number of rows written, one
        for each link whose path is `IMG@/src`; or `UNMODELLED`, also where a link follows the m-th image.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    return compiled(_find_images, types.int64(content, types.int64[:, ::1]))
