"""The compiled loop that cuts texts into units for the word borders `script`, before the token automaton reads them.

What lies between two spaces is cut wherever `border` says so. The cut is one byte, `BORDER_BYTE`, which UTF-8 never
has, so no text can hold it. There is none beside a space, tab, line break or mark: the automaton sets these apart.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from udfs.compilation import kernel, part_of_kernel
from udfs.matching.borders import BREAK, JOINER, MARK, class_ranges
from udfs.matching.spacing import SEPARATOR_MARKS
from udfs.matching.token_kernel import BORDER_BYTE, PADDING
from udfs.numba_intrinsics import load_word, types

_BEGIN = 8
"""Stands for the character before the first of a chunk, beside the classes of characters."""

_LONG = 0xE0
"""Characters from U+0800 on begin with this byte or a greater one; so do all break characters."""

_LONGER = 0xF0
_WORD = 8
_BLOCK_BITS = 8
_BLOCK = 1 << _BLOCK_BITS
_CODE_POINTS = 1 << 21
_TOP_BITS = np.uint64(0x8080808080808080)
_U1, _U2 = np.uint64(1), np.uint64(2)
_SEPARATOR_BITS = np.array([1 if chr(byte) in f" \t\n\r{SEPARATOR_MARKS}" else 0 for byte in range(256)], np.uint8)

Classes = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
"""The number of each block of 256 code points, and the classes of the code points of each number."""


@cache
def unit_classes() -> Classes:
    """Makes the classes of all code points; most blocks are alike, and are kept once."""
    classes = np.zeros(_CODE_POINTS, np.uint8)
    for first, last, kind in class_ranges():
        classes[first : last + 1] |= kind
    distinct, numbers = np.unique(classes.reshape(-1, _BLOCK), axis=0, return_inverse=True)
    tables = numbers.reshape(-1).astype(np.uint8), np.ascontiguousarray(distinct).reshape(-1)
    for table in tables:
        table.flags.writeable = False
    return tables


def cut_units(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Cuts texts, or entries, into units.

    Args:
        data: UTF-8 of n texts, and `PADDING` bytes.
        offsets: Where each begins, shape (n + 1,).

    Returns:
        The same with `BORDER_BYTE` at each border within a chunk; the arguments themselves where no character can have
        a border.
    """
    length = int(offsets[-1])
    if length == 0 or data[:length].max() < _LONG:
        return data, offsets
    # A border needs a break character, of three bytes or more, and two of them a further character.
    cut = np.empty(2 * length + PADDING, np.uint8)
    cut_offsets = np.empty_like(offsets)
    units_kernel()(data, offsets, *unit_classes(), cut, cut_offsets)
    end = int(cut_offsets[-1]) + PADDING
    cut[end - PADDING : end] = 0
    return cut[:end], cut_offsets


@part_of_kernel
def _plain_end(data: Any, position: int, end: int) -> int:
    """Gives the end of the characters of one or two bytes from a position on."""
    while position + _WORD <= end:
        word = load_word(data, position)
        if word & (word << _U1) & (word << _U2) & _TOP_BITS:
            break
        position += _WORD
    while position < end and data[position] < _LONG:
        position += 1
    return position


@part_of_kernel
def _class_at(data: Any, position: int, blocks: Any, classes: Any) -> Any:
    """Gives the classes of the character that begins at a position; reads up to three bytes on."""
    byte = np.int64(data[position])
    if byte < 0x80:
        return np.int64(0)
    second = np.int64(data[position + 1]) & 63
    if byte < _LONG:
        code_point = (byte & 31) << 6 | second
    else:
        code_point = (byte & 15) << 12 | second << 6 | (np.int64(data[position + 2]) & 63)
        if byte >= _LONGER:
            code_point = ((byte & 7) << 18 | (code_point & 0xFFF) << 6) | (np.int64(data[position + 3]) & 63)
    return np.int64(classes[np.int64(blocks[code_point >> _BLOCK_BITS]) << _BLOCK_BITS | code_point & (_BLOCK - 1)])


@part_of_kernel
def _is_border(before: Any, after: Any) -> Any:
    """Does what `border` does, for classes; none is before the first character of a chunk."""
    return before & (_BEGIN | JOINER) == 0 and after & MARK == 0 and (before | after) & BREAK != 0


def _cut_units(data: Any, offsets: Any, blocks: Any, classes: Any, cut: Any, cut_offsets: Any) -> None:
    """Copies texts, with a byte at each border within a chunk."""
    used = np.int64(0)
    for text in range(offsets.size - 1):
        cut_offsets[text] = used
        position = offsets[text]
        end = offsets[text + 1]
        before = np.int64(_BEGIN)
        while position < end:
            if data[position] < _LONG:
                after = _class_at(data, position, blocks, classes) if before & BREAK != 0 else np.int64(0)
                if _SEPARATOR_BITS[data[position]] == 0 and _is_border(before, after):
                    cut[used] = BORDER_BYTE
                    used += 1
                plain_end = _plain_end(data, position, end)
                while position < plain_end:
                    cut[used] = data[position]
                    used += 1
                    position += 1
                before = np.int64(_BEGIN if _SEPARATOR_BITS[data[position - 1]] != 0 else 0)
            else:
                after = _class_at(data, position, blocks, classes)
                if _is_border(before, after):
                    cut[used] = BORDER_BYTE
                    used += 1
                # A character that is cut short, which no valid text has, ends with the text.
                character_end = min(position + (3 if data[position] < _LONGER else 4), end)
                while position < character_end:
                    cut[used] = data[position]
                    used += 1
                    position += 1
                before = after
    cut_offsets[offsets.size - 1] = used


_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_OFFSETS = types.Array(types.int64, 1, "C", readonly=True)


@kernel(_cut_units)
def units_kernel() -> Any:
    """Gives numba's signature of the compiled loop that cuts texts into units."""
    return types.void(_BYTES, _OFFSETS, _BYTES, _BYTES, types.uint8[::1], types.int64[::1])
