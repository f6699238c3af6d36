"""The compiled reader of gzip members and zstd frames that hold one WARC record each, as writers write them.

Whatever else stands in an archive is left to the readers in Python. A header that is plain here is plain for FastWARC,
too, so that it depends on the archive alone from where on `record_reader` reads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.archives.record import PAGE_TYPES, RECORD_TYPES, has_typed_block
from udfs.compilation import part_of_kernel
from udfs.numba_intrinsics import (
    BLOCK_BYTES,
    bits_of,
    constant,
    inflate_gzip,
    inflate_zstd,
    starts_with,
    trailing_zeros,
    zstd_frame_size,
)

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

INFLATED, CUT_OR_CORRUPT, TOO_LARGE, NOT_A_MEMBER = range(4)
"""What became of a member."""

SLACK_BYTES = 2 * BLOCK_BYTES
"""Bytes that stay free behind an inflated member, since many are looked at together."""

NOT_PLAIN = -1
"""The kind of a header that must be read in Python, and the place of what is not there."""

METADATA = RECORD_TYPES.index("metadata")

_U0 = np.uint64(0)
_FEWEST_BYTES = 18
"""A gzip member's header and trailer."""

_FLAGS = 3
_KNOWN_FLAGS = 0b11100
"""Extra field, name and comment. zlib checks a header's own checksum, libdeflate does not."""

_NO_SPACE = 3
_FEWEST_FRAME_BYTES = 9
_SINGLE_SEGMENT, _DICTIONARY = 0x20, 0x03
"""Bits of a zstd frame's descriptor (RFC 8878, section 3.1.1.1.1): its window is its content; it needs a dictionary."""

_SMALLEST_WINDOW_BITS, _LARGEST_WINDOW_BITS = 10, 23
_ZSTD_NO_SPACE = -70
_LONGEST_HEADER = 4096
_MOST_DIGITS = 12
_HYPHEN, _LINE_FEED, _RETURN, _SPACE, _ZERO = (ord(mark) for mark in "-\n\r 0")
_OTHER_NAME = -2
_NAMES = ("Content-Length", "WARC-Type", "Content-Type", "WARC-Target-URI", "WARC-Identified-Payload-Type")
_LENGTH, _TYPE, _CONTENT_TYPE, _TARGET_URI, _PAYLOAD_TYPE = range(len(_NAMES))
_TYPED = tuple(kind for kind, name in enumerate(RECORD_TYPES) if has_typed_block(name))
_PAGES = tuple(kind for kind, name in enumerate(RECORD_TYPES) if name in PAGE_TYPES)
_LETTER = 0x20
"""The bit that tells small from capital letters."""

_GZIP_START, _ZSTD_START = constant(b"\x1f\x8b\x08"), constant(b"\x28\xb5\x2f\xfd")
_VERSION, _RECORD_END, _COLON_AND_SPACE = (constant(part) for part in (b"WARC/1.", b"\r\n\r\n", b": "))
_JSON = constant(b"json")

_line_feeds = bits_of(b"\n")


class Inflater(NamedTuple):
    """What decompresses members: addresses in libdeflate or libzstd.

    Attributes:
        function: `libdeflate_gzip_decompress_ex`, or `ZSTD_decompressDCtx`.
        decompressor: What the function works with.
        find_size: 0 for gzip, or `ZSTD_findFrameCompressedSize`.
    """

    function: int
    decompressor: int
    find_size: int


class Header(NamedTuple):
    """What a plain WARC header says.

    Attributes:
        kind: The record's place in `RECORD_TYPES`; `NOT_PLAIN` where nothing else holds.
        block: Where the block begins.
        length: Content-Length.
        content_type: Where the value of Content-Type begins, `NOT_PLAIN` where there is none.
        content_type_end: Where it ends.
        uri: Where the value of WARC-Target-URI begins, `NOT_PLAIN` where there is none.
        uri_end: Where it ends.
        payload_type: Where the value of WARC-Identified-Payload-Type begins, `NOT_PLAIN` where there is none.
        payload_type_end: Where it ends.
    """

    kind: int
    block: int
    length: int
    content_type: int
    content_type_end: int
    uri: int
    uri_end: int
    payload_type: int
    payload_type_end: int


@part_of_kernel
def _inflate_gzip_member(
    inflater: Inflater, packed: Bytes, begin: int, end: int, plain: Bytes, at: int, sizes: Numbers
) -> int:
    """Does what `inflate` does, for gzip."""
    if end - begin < _FEWEST_BYTES:
        return CUT_OR_CORRUPT
    if not starts_with(packed, begin, end, _GZIP_START) or packed[begin + _FLAGS] & ~_KNOWN_FLAGS:
        return NOT_A_MEMBER
    room = plain.size - SLACK_BYTES - at
    result = inflate_gzip(inflater.function, inflater.decompressor, packed, begin, end, plain, at, room, sizes)
    if result != 0:
        return TOO_LARGE if result == _NO_SPACE else CUT_OR_CORRUPT
    return INFLATED


@part_of_kernel
def _has_small_window(packed: Bytes, begin: int) -> bool:
    """Tells whether a zstd frame needs no dictionary, and no more memory than streams are given."""
    descriptor = packed[begin + 4]
    window = _SMALLEST_WINDOW_BITS + (packed[begin + 5] >> 3)
    return bool(not descriptor & _DICTIONARY and (descriptor & _SINGLE_SEGMENT or window <= _LARGEST_WINDOW_BITS))


@part_of_kernel
def _inflate_zstd_frame(
    inflater: Inflater, packed: Bytes, begin: int, end: int, plain: Bytes, at: int, sizes: Numbers
) -> int:
    """Does what `inflate` does, for zstd."""
    if end - begin < _FEWEST_FRAME_BYTES:
        return CUT_OR_CORRUPT
    if not starts_with(packed, begin, end, _ZSTD_START) or not _has_small_window(packed, begin):
        return NOT_A_MEMBER
    size = zstd_frame_size(inflater.find_size, packed, begin, end)
    if size <= 0:
        return CUT_OR_CORRUPT
    room = plain.size - SLACK_BYTES - at
    written = inflate_zstd(inflater.function, inflater.decompressor, packed, begin, begin + size, plain, at, room)
    if written < 0:
        return TOO_LARGE if written == _ZSTD_NO_SPACE else CUT_OR_CORRUPT
    sizes[0], sizes[1] = size, written
    return INFLATED


@part_of_kernel
def inflate(inflater: Inflater, packed: Bytes, begin: int, end: int, plain: Bytes, at: int, sizes: Numbers) -> int:
    """Decompresses the gzip member or zstd frame at `begin` to `at`, and puts a NUL behind it.

    Args:
        inflater: What inflates.
        packed: The archive's bytes, known up to `end`.
        begin: Where the member begins.
        end: Where the known bytes end.
        plain: Receives the member; `SLACK_BYTES` of it stay free.
        at: The place to write to.
        sizes: int64[2], receives the bytes read and written.

    Returns:
        `INFLATED`: size and checksum are right. `CUT_OR_CORRUPT`: more bytes of the archive may tell. `TOO_LARGE`:
        there is no room. `NOT_A_MEMBER`: something else begins there.
    """
    if plain.size - SLACK_BYTES <= at:
        return TOO_LARGE
    if inflater.find_size == 0:
        state = _inflate_gzip_member(inflater, packed, begin, end, plain, at, sizes)
    else:
        state = _inflate_zstd_frame(inflater, packed, begin, end, plain, at, sizes)
    if state == INFLATED:
        plain[at + sizes[1]] = 0
    return state


@part_of_kernel
def same_letters(content: Bytes, begin: int, end: int, word: Bytes) -> bool:
    """Tells whether bytes are a word, given in small letters, in capital or small letters."""
    if end - begin != word.size:
        return False
    for place in range(word.size):
        byte = int(content[begin + place])
        if byte != word[place] and not (97 <= byte | _LETTER <= 122 and byte | _LETTER == word[place]):
            return False
    return True


def word_table(words: Sequence[str]) -> tuple[Numbers, Bytes]:
    """Lays words out for compiled functions: their lengths, and their letters, a row for each."""
    lengths = np.array([len(word) for word in words], np.int64)
    letters = np.zeros((len(words), lengths.max()), np.uint8)
    for row, word in zip(letters, words, strict=True):
        row[: len(word)] = np.frombuffer(word.encode(), np.uint8)
    return lengths, letters


_KIND_LENGTHS, _KIND_LETTERS = word_table(RECORD_TYPES)
_NAME_LENGTHS, _NAME_LETTERS = word_table(_NAMES)


@part_of_kernel
def kind_of(content: Bytes, begin: int, end: int) -> int:
    """Finds a record type's place in `RECORD_TYPES`; `NOT_PLAIN` where it is not there, or in capital letters."""
    for kind in range(_KIND_LENGTHS.size):
        if end - begin == _KIND_LENGTHS[kind]:
            place = 0
            while place < end - begin and content[begin + place] == _KIND_LETTERS[kind, place]:
                place += 1
            if place == end - begin:
                return kind
    return NOT_PLAIN


@part_of_kernel
def _known_name(content: Bytes, begin: int, end: int) -> int:
    """Finds a header's name among those that matter: its place, `_OTHER_NAME`, or `NOT_PLAIN` in other letters."""
    for name in range(_NAME_LENGTHS.size):
        if end - begin == _NAME_LENGTHS[name]:
            place = 0
            while place < end - begin and content[begin + place] | _LETTER == _NAME_LETTERS[name, place] | _LETTER:
                place += 1
            if place == end - begin:
                for place in range(end - begin):
                    if content[begin + place] != _NAME_LETTERS[name, place]:
                        return NOT_PLAIN
                return name
    return _OTHER_NAME


@part_of_kernel
def _name_end(content: Bytes, at: int) -> int:
    while 97 <= content[at] | _LETTER <= 122 or content[at] == _HYPHEN or 48 <= content[at] <= 57:
        at += 1
    return at


@part_of_kernel
def line_end_behind(content: Bytes, at: int, end: int) -> int:
    """Finds the CR LF that ends a line; `NOT_PLAIN` where an LF stands alone, or there is none."""
    while at < end:
        bits = _line_feeds(content, at)
        if bits != _U0:
            at += int(trailing_zeros(bits))
            return at - 1 if at < end and content[at - 1] == _RETURN else NOT_PLAIN
        at += BLOCK_BYTES
    return NOT_PLAIN


@part_of_kernel
def _number(content: Bytes, begin: int, end: int) -> int:
    """Reads a Content-Length; `NOT_PLAIN` where it is not only digits, too many, or begins with a zero."""
    if begin == end or end - begin > _MOST_DIGITS or (content[begin] == _ZERO and end - begin > 1):
        return NOT_PLAIN
    value = 0
    for place in range(begin, end):
        if not 48 <= content[place] <= 57:
            return NOT_PLAIN
        value = 10 * value + int(content[place]) - 48
    return value


@part_of_kernel
def read_header(content: Bytes, begin: int, end: int) -> Header:
    """Reads the header of the WARC record at `begin`.

    Args:
        content: An inflated member, up to `end`, a NUL and `SLACK_BYTES` behind it.
        begin: Where the record begins.
        end: Where the member ends.

    Returns:
        What it says, if it is plain: version 1.0 or 1.1; lines of a name in letters, digits and hyphens, a colon, a
        space and a value that is not folded; the names that matter as the standard writes them, the record's type in
        small letters, and what the kind of record demands.
    """
    nothing = Header(NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN)
    kind, length, content_type, content_type_end = NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN
    uri, uri_end, payload_type, payload_type_end = NOT_PLAIN, NOT_PLAIN, NOT_PLAIN, NOT_PLAIN
    if not starts_with(content, begin, end, _VERSION) or line_end_behind(content, begin, end) != begin + 8:
        return nothing
    if not _ZERO <= content[begin + 7] <= _ZERO + 1:
        return nothing
    at = begin + 10
    while content[at] != _RETURN:
        name_end = _name_end(content, at)
        value, line_end = name_end + 2, line_end_behind(content, name_end, min(end, begin + _LONGEST_HEADER))
        if name_end == at or line_end <= value or not starts_with(content, name_end, end, _COLON_AND_SPACE):
            return nothing
        if content[value] <= _SPACE or content[line_end - 1] <= _SPACE:
            return nothing
        name = _known_name(content, at, name_end)
        if name == NOT_PLAIN:
            return nothing
        if name == _LENGTH:
            length = _number(content, value, line_end) if length == NOT_PLAIN else NOT_PLAIN
            if length == NOT_PLAIN:
                return nothing
        elif name == _TYPE:
            kind = kind_of(content, value, line_end) if kind == NOT_PLAIN else NOT_PLAIN
            if kind == NOT_PLAIN:
                return nothing
        elif name == _CONTENT_TYPE:
            if content_type != NOT_PLAIN:
                return nothing
            content_type, content_type_end = value, line_end
        elif name == _TARGET_URI:
            if uri != NOT_PLAIN:
                return nothing
            uri, uri_end = value, line_end
        elif name == _PAYLOAD_TYPE:
            if payload_type != NOT_PLAIN:
                return nothing
            payload_type, payload_type_end = value, line_end
        at = line_end + 2
    if content[at + 1] != _LINE_FEED or length == NOT_PLAIN or kind == NOT_PLAIN:
        return nothing
    if (kind in _TYPED and content_type == NOT_PLAIN) or (kind in _PAGES and uri == NOT_PLAIN):
        return nothing
    return Header(kind, at + 2, length, content_type, content_type_end, uri, uri_end, payload_type, payload_type_end)


@part_of_kernel
def fills_member(content: Bytes, header: Header, end: int) -> bool:
    """Tells whether the record's block and the line ends behind it are all that is left of a member."""
    block_end = header.block + header.length
    return block_end + 4 == end and starts_with(content, block_end, end, _RECORD_END)


@part_of_kernel
def is_json(content: Bytes, header: Header) -> bool:
    """Tells whether the content type names JSON."""
    for at in range(header.content_type, header.content_type_end - 3):
        if same_letters(content, at, at + 4, _JSON):
            return True
    return False
