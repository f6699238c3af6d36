"""The compiled reader of a WAT record: its JSON, checked to the last byte, and the images among its links.

There is no object per value: places in the record's bytes are enough. Where a record holds anything but what Common
Crawl writes (a name twice, an escape in a name that matters, a link that holds more than strings), the reader gives up,
and the caller has a parser read it. As a parser does, it lets the last of a link's repeated keys count.

The readers take a place and return the place behind what they read, `INVALID` where they give up. `link_kernel` reads
the links of JSON that a parser has found valid. For `read_capture` a NUL stands behind the JSON and the white space
that may follow it, at which every part of the reader stops, and as many bytes behind it as are looked at together.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from udfs.archives.warc_kernel import same_letters
from udfs.compilation import kernel, part_of_kernel
from udfs.numba_intrinsics import (
    BLOCK_BYTES,
    WORD_BYTES,
    bits_of,
    constant,
    is_utf8,
    load_word,
    starts_with,
    trailing_zeros,
    types,
    writable,
)
from udfs.pages.declared.kernel import (
    NO_LANGUAGE,
    header_preferences,
    is_preference_header,
    is_preference_meta,
    meta_preferences,
    page_language,
)
from udfs.pages.image_table import (
    FIRST_TEXT,
    HREF,
    IS_PLAIN,
    MOST_VALUES,
    SRC,
    TAG_BEGIN,
    TAG_COLUMNS,
    TAG_END,
    UNMODELLED,
)

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Tags = npt.NDArray[np.int64]

INVALID = 0
"""The place behind what cannot be read; nothing ends at the begin of the bytes."""

DEEPEST_NESTING = 64
"""Containers within each other, beside those of which the envelope is made."""

(
    ENVELOPE_END,
    TYPE_BEGIN,
    TYPE_END,
    URI_BEGIN,
    URI_END,
    STATUS_BEGIN,
    STATUS_END,
    BASE_BEGIN,
    BASE_END,
    PAYLOAD,
    RESPONSE,
    MESSAGE,
    HTML_OF_RESPONSE,
    HTML_OF_PAYLOAD,
    IMAGES,
    HEADERS,
    METAS,
    LANGUAGE_OF_HTML,
    LANGUAGE_OF_META,
    FOUND_PREFERENCES,
) = range(20)
FOUND_LENGTH = 20
"""What `read_capture` finds, -1 where it is not there: where the name `Envelope` ends, begin and end of the capture's
type, target URI, status and base, 1 for each of the containers on the way to the links, the number of images, 1 for
headers and for metas, the languages that metas name, as numbers; and, 0 where there are none, the preferences."""

_U0 = np.uint64(0)
_QUOTE, _BACKSLASH, _COMMA, _COLON, _MINUS, _PLUS, _DOT, _ZERO, _U = (ord(mark) for mark in '"\\,:-+.0u')
_OPEN_LIST, _CLOSE_LIST, _OPEN_OBJECT, _CLOSE_OBJECT = (ord(mark) for mark in "[]{}")
_TO_CLOSE = 2
"""The number of a bracket that closes, less that of the one that opens."""

_SPACE, _TAB, _LINE_FEED, _RETURN = (ord(mark) for mark in " \t\n\r")
_ABSENT = -1
_PATH, _OTHER = -2, -3
_ESCAPE_BYTES = len("\\u0000")


def _word(text: bytes) -> Any:
    return np.uint64(int.from_bytes(text.ljust(WORD_BYTES, b"\0"), "little"))


def _bytes(size: int) -> Any:
    return np.uint64((1 << 8 * size) - 1)


_SIX_BYTES, _SEVEN_BYTES = _bytes(6), _bytes(7)
_PATH_WORD, _TEXT_WORD, _TITLE_WORD = _word(b'path":"'), _word(b'text":"'), _word(b'title":"')
_URL_WORD, _ALT_WORD = _word(b'url":"'), _word(b'alt":"')

_TRUE, _FALSE, _NULL = (constant(literal) for literal in (b"true", b"false", b"null"))
_PATH_KEY, _URL_KEY, _ALT_KEY, _TITLE_KEY = (constant(key) for key in (b"path", b"url", b"alt", b"title"))
_IMAGE_PATH = constant(b"IMG@/src")
_ENVELOPE, _WARC_HEADER, _ARC_HEADER, _PAYLOAD = (
    constant(name) for name in (b"Envelope", b"WARC-Header-Metadata", b"ARC-Header-Metadata", b"Payload-Metadata")
)
_WARC_TYPE, _TARGET_URI = constant(b"WARC-Type"), constant(b"WARC-Target-URI")
_HTTP_RESPONSE, _RESPONSE_MESSAGE, _STATUS = (
    constant(name) for name in (b"HTTP-Response-Metadata", b"Response-Message", b"Status")
)
_HTML, _HEAD, _BASE, _LINKS = (constant(name) for name in (b"HTML-Metadata", b"Head", b"Base", b"Links"))
_HEADERS, _METAS = constant(b"Headers"), constant(b"Metas")
_NAME, _HTTP_EQUIV, _CONTENT = constant(b"name"), constant(b"http-equiv"), constant(b"content")
_LANGUAGE_NAME, _LANGUAGE_PRAGMA = constant(b"html@/lang"), constant(b"content-language")
_ESCAPED = -2
"""Where a text begins that has escapes."""

_string_stops = bits_of(b'"\\', below=_SPACE)


@part_of_kernel
def skip_space(content: Bytes, at: int) -> int:
    """Finds what stands behind JSON's white space."""
    while content[at] <= _SPACE and (
        content[at] == _SPACE or content[at] == _LINE_FEED or content[at] == _RETURN or content[at] == _TAB
    ):
        at += 1
    return at


@part_of_kernel
def _next_stop(content: Bytes, at: int) -> int:
    """Finds what a string must not hold as it is: a quote, a backslash or a control character."""
    while at + BLOCK_BYTES <= content.size:
        bits = _string_stops(content, at)
        if bits != _U0:
            return at + int(trailing_zeros(bits))
        at += BLOCK_BYTES
    while at < content.size:
        if content[at] == _QUOTE or content[at] == _BACKSLASH or content[at] < _SPACE:
            return at
        at += 1
    return INVALID


@part_of_kernel
def hex_digit(byte: int) -> int:
    """Reads a hexadecimal digit; -1 where it is none."""
    if 48 <= byte <= 57:
        return int(byte) - 48
    letter = int(byte) | 32
    return letter - 87 if 97 <= letter <= 102 else -1


@part_of_kernel
def escaped_unit(content: Bytes, at: int) -> int:
    """Reads the digits of an escape whose backslash stands at `at`; -1 where they are none, or half a character."""
    unit = 0
    for place in range(at + 2, at + _ESCAPE_BYTES):
        digit = hex_digit(content[place])
        if digit < 0:
            return -1
        unit = unit << 4 | digit
    return -1 if 0xD800 <= unit <= 0xDFFF else unit


@part_of_kernel
def _escape_end(content: Bytes, at: int) -> int:
    if at + _ESCAPE_BYTES > content.size:
        return at + 2 if at + 2 < content.size and content[at + 1] != _U else INVALID
    kind = content[at + 1]
    if kind == _U:
        return at + _ESCAPE_BYTES if escaped_unit(content, at) >= 0 else INVALID
    for allowed in b'"\\/bfnrt':
        if kind == allowed:
            return at + 2
    return INVALID


@part_of_kernel
def _string_end(content: Bytes, at: int) -> tuple[int, bool]:
    """Finds the quote that ends a string whose text begins at `at`, and tells whether it has escapes."""
    has_escape = False
    at = _next_stop(content, at)
    while at != INVALID and content[at] == _BACKSLASH:
        has_escape = True
        at = _escape_end(content, at)
        if at != INVALID:
            at = _next_stop(content, at)
    return (at if at != INVALID and content[at] == _QUOTE else INVALID), has_escape


@part_of_kernel
def _digits_end(content: Bytes, at: int) -> int:
    while 48 <= content[at] <= 57:
        at += 1
    return at


@part_of_kernel
def _number_end(content: Bytes, at: int) -> int:
    begin = at + 1 if content[at] == _MINUS else at
    end = _digits_end(content, begin)
    if end == begin or (content[begin] == _ZERO and end > begin + 1):
        return INVALID
    if content[end] == _DOT:
        begin = end + 1
        end = _digits_end(content, begin)
        if end == begin:
            return INVALID
    if content[end] == ord("e") or content[end] == ord("E"):
        begin = end + 1
        if content[begin] == _MINUS or content[begin] == _PLUS:
            begin += 1
        end = _digits_end(content, begin)
        if end == begin:
            return INVALID
    return end


@part_of_kernel
def _scalar_end(content: Bytes, at: int) -> int:
    """Finds the end of a string, number or literal."""
    first = content[at]
    if first == _QUOTE:
        end, _ = _string_end(content, at + 1)
        return end + 1 if end != INVALID else INVALID
    if first == _MINUS or 48 <= first <= 57:
        return _number_end(content, at)
    if starts_with(content, at, content.size, _TRUE) or starts_with(content, at, content.size, _NULL):
        return at + 4
    return at + 5 if starts_with(content, at, content.size, _FALSE) else INVALID


@part_of_kernel
def _behind_colon(content: Bytes, at: int) -> int:
    """Finds the value behind a name that ends before `at`."""
    at = skip_space(content, at)
    return skip_space(content, at + 1) if content[at] == _COLON else INVALID


@part_of_kernel
def _skip_name(content: Bytes, at: int) -> int:
    """Finds the value of the name that must stand at `at`."""
    if content[at] != _QUOTE:
        return INVALID
    end, _ = _string_end(content, at + 1)
    return _behind_colon(content, end + 1) if end != INVALID else INVALID


@part_of_kernel
def _skip_value(content: Bytes, at: int, stack: Bytes) -> int:
    """Reads a value that does not matter; `stack` has room for the brackets that are open."""
    depth = 0
    while True:
        bracket = content[at]
        if bracket in (_OPEN_OBJECT, _OPEN_LIST):
            if depth == stack.size:
                return INVALID
            stack[depth] = bracket
            depth += 1
            at = skip_space(content, at + 1)
            if content[at] != bracket + _TO_CLOSE:
                at = _skip_name(content, at) if bracket == _OPEN_OBJECT else at
                if at == INVALID:
                    return INVALID
                continue
        else:
            at = _scalar_end(content, at)
            if at == INVALID:
                return INVALID
        is_next = False
        while depth > 0 and not is_next:
            at = skip_space(content, at)
            if content[at] == stack[depth - 1] + _TO_CLOSE:
                at += 1
                depth -= 1
            elif content[at] == _COMMA:
                at = skip_space(content, at + 1)
                at = _skip_name(content, at) if stack[depth - 1] == _OPEN_OBJECT else at
                if at == INVALID:
                    return INVALID
                is_next = True
            else:
                return INVALID
        if depth == 0:
            return at


@part_of_kernel
def _is(content: Bytes, begin: int, end: int, word: Bytes) -> bool:
    return end - begin == len(word) and starts_with(content, begin, end, word)


@part_of_kernel
def _column(content: Bytes, begin: int, end: int) -> int:
    """Finds the column of a key's value in a row; `_PATH` for the path, `_OTHER` for others."""
    if _is(content, begin, end, _PATH_KEY):
        return _PATH
    if _is(content, begin, end, _URL_KEY):
        return SRC
    if _is(content, begin, end, _ALT_KEY):
        return FIRST_TEXT
    return FIRST_TEXT + 2 if _is(content, begin, end, _TITLE_KEY) else _OTHER


@part_of_kernel
def _read_key(content: Bytes, at: int) -> tuple[int, int]:
    """Reads a link's key whose text begins at `at`: what `_column` says of it, and where its value's text begins."""
    if at + WORD_BYTES <= content.size:
        word = load_word(content, at)
        if word & _SEVEN_BYTES == _PATH_WORD:
            return _PATH, at + 7
        if word & _SIX_BYTES == _URL_WORD:
            return SRC, at + 6
        if word & _SEVEN_BYTES == _TEXT_WORD:
            return _OTHER, at + 7
        if word & _SIX_BYTES == _ALT_WORD:
            return FIRST_TEXT, at + 6
        if word == _TITLE_WORD:
            return FIRST_TEXT + 2, at + 8
    end, has_escape = _string_end(content, at)
    value = _behind_colon(content, end + 1) if end != INVALID and not has_escape else INVALID
    if value == INVALID or content[value] != _QUOTE:
        return _OTHER, INVALID
    return _column(content, at, end), value + 1


@part_of_kernel
def _read_link(content: Bytes, at: int, tag: Numbers) -> tuple[int, bool]:
    """Fills a row from the link whose object opens at `at`; returns the place behind it, and whether it is an image."""
    tag[TAG_BEGIN], tag[IS_PLAIN] = at, 1
    for column in range(SRC, TAG_COLUMNS):
        tag[column] = _ABSENT
    is_image, is_next = False, False
    at = skip_space(content, at + 1)
    while content[at] == _QUOTE:
        column, value = _read_key(content, at + 1)
        if value == INVALID:
            return INVALID, False
        value_end, has_escape = _string_end(content, value)
        if value_end == INVALID:
            return INVALID, False
        if column == _PATH:
            if has_escape:
                return INVALID, False
            is_image = _is(content, value, value_end, _IMAGE_PATH)
        elif column != _OTHER:
            tag[column], tag[column + 1] = value, value_end
            if has_escape:
                tag[IS_PLAIN] = 0
        at = skip_space(content, value_end + 1)
        is_next = content[at] == _COMMA
        if not is_next:
            break
        at = skip_space(content, at + 1)
    if is_next or content[at] != _CLOSE_OBJECT:
        return INVALID, False
    tag[TAG_END] = at + 1
    if is_image and tag[IS_PLAIN]:
        for column in range(SRC, HREF, 2):
            if not is_utf8(content, tag[column], tag[column + 1]):
                tag[IS_PLAIN] = 0
    return at + 1, is_image


@part_of_kernel
def _read_links(content: Bytes, at: int, tags: Tags) -> tuple[int, int]:
    """Writes a row for each image among the links whose list opens at `at`.

    Returns:
        The place behind the list, and the number of images.
    """
    images = 0
    if content[at] != _OPEN_LIST:
        return INVALID, 0
    at = skip_space(content, at + 1)
    if content[at] == _CLOSE_LIST:
        return at + 1, 0
    while content[at] == _OPEN_OBJECT and images < tags.shape[0]:
        at, is_image = _read_link(content, at, tags[images])
        if at == INVALID:
            return INVALID, 0
        images += is_image
        at = skip_space(content, at)
        if content[at] == _CLOSE_LIST:
            return at + 1, images
        if content[at] != _COMMA:
            return INVALID, 0
        at = skip_space(content, at + 1)
    return INVALID, 0


@part_of_kernel
def _read_name(content: Bytes, at: int) -> tuple[int, int, int]:
    """Reads the name that stands at `at`: begin and end of its text, and the place of its value."""
    end, has_escape = _string_end(content, at + 1)
    if end == INVALID or has_escape:
        return at, at, INVALID
    return at + 1, end, _behind_colon(content, end + 1)


@part_of_kernel
def _first_name(content: Bytes, at: int) -> int:
    """Finds the first name of the object that must open at `at`, or the bracket that closes it."""
    return skip_space(content, at + 1) if content[at] == _OPEN_OBJECT else INVALID


@part_of_kernel
def _next_name(content: Bytes, at: int) -> int:
    """Finds the name behind a value that ends before `at`, or the bracket that closes the object."""
    if at == INVALID:
        return INVALID
    at = skip_space(content, at)
    if content[at] != _COMMA:
        return at if content[at] == _CLOSE_OBJECT else INVALID
    at = skip_space(content, at + 1)
    return at if content[at] == _QUOTE else INVALID


@part_of_kernel
def _object_end(content: Bytes, at: int) -> int:
    return at + 1 if at != INVALID and content[at] == _CLOSE_OBJECT else INVALID


@part_of_kernel
def _read_string(content: Bytes, at: int, found: Numbers, place: int) -> int:
    """Notes begin and end of a string without escapes, which must not have been noted before."""
    if found[place] != _ABSENT or content[at] != _QUOTE:
        return INVALID
    end, has_escape = _string_end(content, at + 1)
    if end == INVALID or has_escape:
        return INVALID
    found[place], found[place + 1] = at + 1, end
    return end + 1


@part_of_kernel
def _read_header(content: Bytes, at: int, found: Numbers, stack: Bytes) -> int:
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _WARC_TYPE):
            at = _read_string(content, at, found, TYPE_BEGIN)
        elif _is(content, name, name_end, _TARGET_URI):
            at = _read_string(content, at, found, URI_BEGIN)
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _is_first(found: Numbers, place: int) -> bool:
    """Notes that a container is there; false where it was there before."""
    is_first = found[place] == _ABSENT
    found[place] = 1
    return bool(is_first)


@part_of_kernel
def _read_message(content: Bytes, at: int, found: Numbers, stack: Bytes) -> int:
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _STATUS):
            at = _read_string(content, at, found, STATUS_BEGIN)
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _read_text(content: Bytes, at: int, stack: Bytes) -> tuple[int, int, int]:
    """Reads a value: begin and end of its text, the begin `_ABSENT` for no string; and the place behind it."""
    if content[at] != _QUOTE:
        return _ABSENT, _ABSENT, _skip_value(content, at, stack)
    end, has_escape = _string_end(content, at + 1)
    return (_ESCAPED if has_escape else at + 1), end, (end + 1 if end != INVALID else INVALID)


@part_of_kernel
def _note_meta(
    content: Bytes,
    name: int,
    name_end: int,
    pragma: int,
    pragma_end: int,
    text: int,
    text_end: int,
    found: Numbers,
    agents: Bytes,
) -> bool:
    """Notes what a meta declares by its name, its `http-equiv` and its content; false where a parser must read it."""
    if name == _ESCAPED or pragma == _ESCAPED:
        return text == _ABSENT
    is_language = name != _ABSENT and same_letters(content, name, name_end, _LANGUAGE_NAME)
    is_pragma = pragma != _ABSENT and same_letters(content, pragma, pragma_end, _LANGUAGE_PRAGMA)
    is_preference = name != _ABSENT and is_preference_meta(content, name, name_end, agents)
    if text == _ABSENT or not (is_language or is_pragma or is_preference):
        return True
    if text == _ESCAPED:
        return False
    if is_language and found[LANGUAGE_OF_HTML] == _ABSENT:
        found[LANGUAGE_OF_HTML] = page_language(content, text, text_end)
    if is_pragma and found[LANGUAGE_OF_META] == _ABSENT:
        found[LANGUAGE_OF_META] = page_language(content, text, text_end)
    if is_preference:
        found[FOUND_PREFERENCES] |= meta_preferences(content, name, name_end, text, text_end, agents)
    return True


@part_of_kernel
def _read_meta(content: Bytes, at: int, found: Numbers, stack: Bytes, agents: Bytes) -> int:
    """Reads one of the metas; of repeated names the last counts."""
    name, name_end, pragma, pragma_end, text, text_end = _ABSENT, _ABSENT, _ABSENT, _ABSENT, _ABSENT, _ABSENT
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        key, key_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        begin, end, at = _read_text(content, at, stack)
        if _is(content, key, key_end, _NAME):
            name, name_end = begin, end
        elif _is(content, key, key_end, _HTTP_EQUIV):
            pragma, pragma_end = begin, end
        elif _is(content, key, key_end, _CONTENT):
            text, text_end = begin, end
        at = _next_name(content, at)
    end = _object_end(content, at)
    if end == INVALID or not _note_meta(content, name, name_end, pragma, pragma_end, text, text_end, found, agents):
        return INVALID
    return end


@part_of_kernel
def _read_metas(content: Bytes, at: int, found: Numbers, stack: Bytes, agents: Bytes) -> int:
    """Reads the metas of a page, if they are a list."""
    if content[at] != _OPEN_LIST:
        return _skip_value(content, at, stack)
    at = skip_space(content, at + 1)
    if content[at] == _CLOSE_LIST:
        return at + 1
    while True:
        is_meta = content[at] == _OPEN_OBJECT
        at = _read_meta(content, at, found, stack, agents) if is_meta else _skip_value(content, at, stack)
        if at == INVALID:
            return INVALID
        at = skip_space(content, at)
        if content[at] == _CLOSE_LIST:
            return at + 1
        if content[at] != _COMMA:
            return INVALID
        at = skip_space(content, at + 1)


@part_of_kernel
def _read_headers(content: Bytes, at: int, found: Numbers, stack: Bytes, agents: Bytes) -> int:
    """Reads the headers of a response, if they are an object, for the preferences that they declare."""
    if content[at] != _OPEN_OBJECT:
        return _skip_value(content, at, stack)
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if is_preference_header(content, name, name_end):
            text, text_end, at = _read_text(content, at, stack)
            if at == INVALID or text < 0:
                return INVALID
            found[FOUND_PREFERENCES] |= header_preferences(content, name, name_end, text, text_end, agents)
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def declared_language(found: Numbers) -> int:
    """Gives the language that a page declares, as a number: what its `<html>` says, if it says anything."""
    language = found[LANGUAGE_OF_HTML] if found[LANGUAGE_OF_HTML] != _ABSENT else found[LANGUAGE_OF_META]
    return language if language != _ABSENT else NO_LANGUAGE


@part_of_kernel
def _read_head(content: Bytes, at: int, found: Numbers, stack: Bytes, agents: Bytes) -> int:
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _BASE):
            at = _read_string(content, at, found, BASE_BEGIN)
        elif _is(content, name, name_end, _METAS):
            at = _read_metas(content, at, found, stack, agents) if _is_first(found, METAS) else INVALID
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _read_html(content: Bytes, at: int, found: Numbers, stack: Bytes, tags: Tags, agents: Bytes) -> int:
    has_head = False
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _HEAD):
            at = _read_head(content, at, found, stack, agents) if not has_head else INVALID
            has_head = True
        elif _is(content, name, name_end, _LINKS):
            if found[IMAGES] != _ABSENT:
                return INVALID
            at, found[IMAGES] = _read_links(content, at, tags)
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _read_response(content: Bytes, at: int, found: Numbers, stack: Bytes, tags: Tags, agents: Bytes) -> int:
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _RESPONSE_MESSAGE):
            at = _read_message(content, at, found, stack) if _is_first(found, MESSAGE) else INVALID
        elif _is(content, name, name_end, _HEADERS):
            at = _read_headers(content, at, found, stack, agents) if _is_first(found, HEADERS) else INVALID
        elif _is(content, name, name_end, _HTML):
            at = _read_html(content, at, found, stack, tags, agents) if _is_first(found, HTML_OF_RESPONSE) else INVALID
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _read_payload(content: Bytes, at: int, found: Numbers, stack: Bytes, tags: Tags, agents: Bytes) -> int:
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _HTTP_RESPONSE):
            at = _read_response(content, at, found, stack, tags, agents) if _is_first(found, RESPONSE) else INVALID
        elif _is(content, name, name_end, _HTML):
            at = _read_html(content, at, found, stack, tags, agents) if _is_first(found, HTML_OF_PAYLOAD) else INVALID
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def _read_envelope(content: Bytes, at: int, found: Numbers, stack: Bytes, tags: Tags, agents: Bytes) -> int:
    has_header = False
    at = _first_name(content, at)
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID or _is(content, name, name_end, _ARC_HEADER):
            return INVALID
        if _is(content, name, name_end, _WARC_HEADER):
            at = _read_header(content, at, found, stack) if not has_header else INVALID
            has_header = True
        elif _is(content, name, name_end, _PAYLOAD):
            at = _read_payload(content, at, found, stack, tags, agents) if _is_first(found, PAYLOAD) else INVALID
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def read_capture(content: Bytes, at: int, found: Numbers, stack: Bytes, tags: Tags, agents: Bytes) -> int:
    """Reads the description of a capture.

    Args:
        content: The bytes; a NUL stands behind the description's white space, and `BLOCK_BYTES` behind that.
        at: Where the description begins.
        found: int64[FOUND_LENGTH], filled.
        stack: uint8[DEEPEST_NESTING], room for brackets.
        tags: int64[n, TAG_COLUMNS], a row of which is filled for each image.
        agents: Whose directives count, too, from `declared.kernel.agent_list`.

    Returns:
        The place behind the description, where the NUL must stand behind white space; `INVALID` where a parser must
        read it.
    """
    found[:] = _ABSENT
    found[FOUND_PREFERENCES] = 0
    at = _first_name(content, skip_space(content, at))
    while at != INVALID and content[at] == _QUOTE:
        name, name_end, at = _read_name(content, at)
        if at == INVALID:
            return INVALID
        if _is(content, name, name_end, _ENVELOPE):
            if found[ENVELOPE_END] != _ABSENT:
                return INVALID
            found[ENVELOPE_END] = name_end
            at = _read_envelope(content, at, found, stack, tags, agents)
        else:
            at = _skip_value(content, at, stack)
        at = _next_name(content, at)
    return _object_end(content, at)


@part_of_kernel
def has_too_many_values(content: Bytes, begin: int, end: int) -> bool:
    """Tells whether JSON may have more than `MOST_VALUES` values, by the marks before them, those in texts included."""
    values = 0
    if end - begin > MOST_VALUES:
        for place in range(begin, end):
            values += content[place] in (_COMMA, _OPEN_LIST, _OPEN_OBJECT)
    return values > MOST_VALUES


def _find_images(links: Bytes, tags: Tags) -> int:
    """Writes a row for each image; the rules stand in the module's docstring."""
    end, images = _read_links(writable(links), 0, tags)
    return images if end != INVALID else UNMODELLED


@kernel(_find_images)
def link_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function (links: a valid JSON value as uint8[n], tags: int64[m, TAG_COLUMNS]) -> number of rows
        written, one for each link whose path is `IMG@/src`; or `UNMODELLED`, also where a link follows the m-th image.
    """
    content = types.Array(types.uint8, 1, "C", readonly=True)
    return types.int64(content, types.int64[:, ::1])
