"""The compiled reader of a page: the HTTP response around it, its charset, and its tags.

Response and charset are read only where they are plain, which is what a crawl mostly holds; `udfs.pages.http` and
`udfs.pages.charset` read all of them.

The loop over the tags finds `<img>` and `<base>`, and what the page declares in `<html>` and in the metas of its head,
without a tree of a page's elements. It follows the tokenizer of the
HTML Standard (section 13.2.5): comments, bogus comments, attribute values, and the elements whose content is text.
Where the tree's construction (section 13.2.6) could drop an image, move it, or change how bytes are cut into tokens, it
gives up, and the caller parses the whole page: template, math, plaintext, frameset, more than options in a select, more
than shapes in an svg, scripts in commented scripts, images between a table's cells (which move before the table), and
whatever the page's end cuts off. So it does where characters of a text or a value that matters for what is declared are
written as entities.
"""

import string
from typing import Any

import numpy as np
import numpy.typing as npt

from udfs.archives.warc_kernel import NOT_PLAIN, line_end_behind, same_letters, word_table
from udfs.compilation import kernel, part_of_kernel
from udfs.numba_intrinsics import (
    BLOCK_BYTES,
    GOLDEN_RATIO,
    ONES,
    ascii_bits,
    bits_of,
    constant,
    equal_bytes,
    is_utf8,
    load_word,
    starts_with,
    trailing_zeros,
    types,
    writable,
)
from udfs.pages.charset import codec_of_label
from udfs.pages.declared.kernel import (
    LANGUAGE,
    NO_LANGUAGE,
    PREFERENCES,
    header_preferences,
    is_preference_header,
    is_preference_meta,
    meta_preferences,
    page_language,
)
from udfs.pages.declared.preferences import HEADERS
from udfs.pages.http import UNSURE_TYPES
from udfs.pages.image_table import ATTRIBUTES, HREF, IS_PLAIN, MOST_IMAGES, SRC, TAG_BEGIN, TAG_END, UNMODELLED
from udfs.pages.legacy_encodings import to_utf8

Bytes = npt.NDArray[np.uint8]
Tags = npt.NDArray[np.int64]
Tag = npt.NDArray[np.int64]

_WORD = 8
_LOWER_CASES, _ALL_BITS = np.uint64(0x2020202020202020), np.uint64(0xFFFFFFFFFFFFFFFF)
_U0, _U8 = np.uint64(0), np.uint64(8)
_LESS, _GREATER, _SLASH, _EQUALS, _BANG, _DASH, _QUESTION = (ord(mark) for mark in ("<", ">", "/", "=", "!", "-", "?"))
_DOUBLE_QUOTE, _SINGLE_QUOTE, _BRACKET, _C_OF_CDATA, _B_OF_BASE = (ord(mark) for mark in "\"'[Cb")
_LOWER_CASE, _LETTERS, _AMPERSAND, _RETURN = 32, 26, ord("&"), 13
_ABSENT = -1
_WANTED_LENGTHS = np.array([len(name) for name in ATTRIBUTES])
_WANTED_NAMES = np.array([list(name.encode().ljust(16, b"\0")) for name in ATTRIBUTES], np.uint8)

_OTHER, _IMAGE, _GAP, _CELL, _TABLE, _TEXT, _TITLE, _SCRIPT, _SELECT, _OPTION, _SVG, _SHAPE, _GIVE_UP = range(13)
_META, _LINK, _PAGE, _HEAD, _BODY, _NOSCRIPT = range(_GIVE_UP + 1, _GIVE_UP + 7)
_NAMES = {
    _IMAGE: "img image base",
    _GAP: "tbody thead tfoot tr col colgroup",
    _CELL: "td th caption",
    _TABLE: "table",
    _TEXT: "textarea style xmp iframe noembed noframes",
    _TITLE: "title",
    _SCRIPT: "script",
    _SELECT: "select",
    _OPTION: "option optgroup",
    _SVG: "svg",
    _SHAPE: "path g rect circle ellipse line polyline polygon defs use symbol clippath mask text tspan stop filter",
    _GIVE_UP: "template math frameset plaintex",
    _META: "meta",
    _LINK: "link basefont bgsound",
    _PAGE: "html",
    _HEAD: "head",
    _BODY: "body br",
    _NOSCRIPT: "noscript",
}
"""The names that matter by kind; `plaintex` stands for plaintext, since eight letters are looked at."""

_less_bits = bits_of(b"<")
_rs, _bs, _ds, _ms, _ampersands = (bits_of(letters) for letters in (b"rR", b"bB", b"dD", b"mM", b"&"))

_IMG_NAME, _IMAGE_NAME = constant(b"img"), constant(b"image")
_FEWEST_IMAGE_BYTES = len("<img>")

_ENDS_NAME = np.zeros(256, np.uint8)
_ENDS_NAME[list(b" \n\t\r\f/>")] = 1

_SLOTS = 256
_MULTIPLIER = np.uint64(GOLDEN_RATIO)
_SHIFT = np.uint64(56)


def _name_tables() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Fills a hash table from names, packed as `_name_key` packs them, to their kinds."""
    keys, kinds = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.int64)
    for kind, names in _NAMES.items():
        for name in names.split():
            key = int.from_bytes(name.encode(), "little")
            slot = (key * int(_MULTIPLIER) & (1 << 64) - 1) >> int(_SHIFT)
            while keys[slot]:
                slot = (slot + 1) % _SLOTS
            keys[slot], kinds[slot] = key, kind
    return keys, kinds


_KEYS, _KINDS = _name_tables()


@part_of_kernel
def _find(html: Bytes, start: int, byte: int) -> int:
    """Finds a byte, eight at a time; the length of the page where there is none."""
    end = html.size
    wanted = np.uint64(byte) * ONES
    while start + _WORD <= end:
        zeros = equal_bytes(load_word(html, start), wanted)
        if zeros != _U0:
            return start + int(trailing_zeros(zeros) >> 3)
        start += _WORD
    while start < end and html[start] != byte:
        start += 1
    return start


@part_of_kernel
def _find_less(html: Bytes, start: int) -> int:
    """Finds the next `<`, 64 bytes at a time: it is farther away than what `_find` looks for."""
    while start + BLOCK_BYTES <= html.size:
        bits = _less_bits(html, start)
        if bits != _U0:
            return start + int(trailing_zeros(bits))
        start += BLOCK_BYTES
    return _find(html, start, _LESS)


@part_of_kernel
def _is_html_space(byte: int) -> bool:
    return byte == 32 or byte == 10 or byte == 9 or byte == 13 or byte == 12


@part_of_kernel
def _is_letter(byte: int) -> bool:
    return 0 <= (byte | _LOWER_CASE) - 97 < _LETTERS


@part_of_kernel
def _name_end(html: Bytes, start: int) -> int:
    while start < html.size and not _ENDS_NAME[html[start]]:
        start += 1
    return start


@part_of_kernel
def _kind(html: Bytes, start: int, end: int) -> int:
    """Looks a name up by its first eight letters in lower case."""
    key = _U0
    if start + _WORD <= html.size:
        # The bit of lower case is set in every letter, and gives no other byte a letter's value.
        key = (load_word(html, start) | _LOWER_CASES) & (_ALL_BITS >> np.uint64(8 * max(_WORD - (end - start), 0)))
    else:
        for place in range(min(end - start, _WORD) - 1, -1, -1):
            key = (key << _U8) | np.uint64(html[start + place] | _LOWER_CASE)
    slot = np.int64((key * _MULTIPLIER) >> _SHIFT)
    while _KEYS[slot] != _U0:
        if _KEYS[slot] == key:
            # The only longer name among them is plaintext, and giving up too often does no harm.
            return _KINDS[slot] if end - start <= _WORD or _KINDS[slot] == _GIVE_UP else _OTHER
        slot = (slot + 1) % _SLOTS
    return _OTHER


@part_of_kernel
def _next_attribute(html: Bytes, at: int) -> tuple[int, int, int, int, int]:
    """Reads one attribute of a tag.

    Returns:
        Begin and end of its name, begin and end of its value, and where reading goes on. At the tag's end the first
        is 0; where the page ends before, the last is 0.
    """
    end = html.size
    while at < end and (_is_html_space(html[at]) or html[at] == _SLASH):
        at += 1
    if at >= end or html[at] == _GREATER:
        return 0, 0, 0, 0, at + 1 if at < end else 0
    name_start = at
    at += 1  # whatever begins a name belongs to it, an equals sign too
    while at < end and not (_is_html_space(html[at]) or html[at] in (_SLASH, _GREATER, _EQUALS)):
        at += 1
    name_end = at
    while at < end and _is_html_space(html[at]):
        at += 1
    if at >= end or html[at] != _EQUALS:
        return name_start, name_end, name_end, name_end, name_end if at < end else 0
    at += 1
    while at < end and _is_html_space(html[at]):
        at += 1
    if at < end and (html[at] == _DOUBLE_QUOTE or html[at] == _SINGLE_QUOTE):
        value_end = _find(html, at + 1, int(html[at]))
        return name_start, name_end, at + 1, value_end, value_end + 1 if value_end < end else 0
    value_start = at
    while at < end and not (_is_html_space(html[at]) or html[at] == _GREATER):
        at += 1
    return name_start, name_end, value_start, at, at if at < end else 0


@part_of_kernel
def _tag_end(html: Bytes, at: int) -> int:
    """Finds where a tag ends: behind the first `>` that is in no quoted value; 0 where the page ends before."""
    name_start = 1
    while name_start > 0 and at > 0:
        name_start, _, _, _, at = _next_attribute(html, at)
    return at


@part_of_kernel
def _wanted_column(html: Bytes, name_start: int, name_end: int) -> int:
    """Finds the column of an attribute in a row of tags; 0 for others."""
    for wanted in range(_WANTED_LENGTHS.size):
        if name_end - name_start == _WANTED_LENGTHS[wanted]:
            place = 0
            while (
                name_start + place < name_end
                and (html[name_start + place] | _LOWER_CASE) == _WANTED_NAMES[wanted, place]
            ):
                place += 1
            if name_start + place == name_end:
                return SRC + 2 * wanted
    return 0


@part_of_kernel
def _write_tag(html: Bytes, begin: int, name_end: int, tag: Tag) -> None:
    """Fills one row of tags. Values are plain that are UTF-8 without entity, CR and NUL; of repeated ones the first."""
    tag[:] = _ABSENT
    name_start, at, is_plain = 1, name_end, 1
    while name_start > 0:
        name_start, attribute_end, value_start, value_end, at = _next_attribute(html, at)
        column = _wanted_column(html, name_start, attribute_end) if name_start > 0 else 0
        if column > 0 and tag[column] == _ABSENT:
            tag[column], tag[column + 1] = value_start, value_end
            is_plain &= is_utf8(html, value_start, value_end)
            for place in range(value_start, value_end):
                if html[place] == _AMPERSAND or html[place] == _RETURN or html[place] == 0:
                    is_plain = 0
    tag[TAG_BEGIN], tag[TAG_END], tag[IS_PLAIN] = begin, at, is_plain


@part_of_kernel
def _comment_end(html: Bytes, text: int) -> int:
    """Finds where a comment ends whose text begins at `text`; 0 where the page ends before."""
    end = html.size
    if text < end and html[text] == _GREATER:
        return text + 1
    if text + 1 < end and html[text] == _DASH and html[text + 1] == _GREATER:
        return text + 2
    at = _find(html, text, _GREATER)
    while at < end:
        dashes = at - 3 if html[at - 1] == _BANG else at - 2
        if dashes >= text and html[dashes] == _DASH and html[dashes + 1] == _DASH:
            return at + 1
        at = _find(html, at + 1, _GREATER)
    return 0


@part_of_kernel
def _has_name(html: Bytes, at: int, name_start: int, name_end: int) -> bool:
    """Tells whether the name that another place spells, in any case, stands here and ends here."""
    length = name_end - name_start
    if at + length >= html.size:
        return False
    for place in range(length):
        if (html[at + place] | _LOWER_CASE) != (html[name_start + place] | _LOWER_CASE):
            return False
    behind = html[at + length]
    return bool(_is_html_space(behind) or behind in (_SLASH, _GREATER))


@part_of_kernel
def _declaration_end(html: Bytes, start: int) -> int:
    """Finds where a comment, a doctype, or what counts as a comment ends; 0 where the page ends before."""
    if start + 3 < html.size and html[start + 1] == _BANG:
        if html[start + 2] == _DASH and html[start + 3] == _DASH:
            return _comment_end(html, start + 4)
        if html[start + 2] == _BRACKET and html[start + 3] == _C_OF_CDATA:
            return 0  # text within an svg, else a comment
    end = _find(html, start + 2, _GREATER)
    return end + 1 if end < html.size else 0


@part_of_kernel
def _next_tag(html: Bytes, at: int) -> tuple[int, int, bool, int, int, int]:
    """Finds the next tag.

    Returns:
        Where it begins, the kind of its name, whether it is an end tag, begin and end of its name, and where it ends.
        The first is the page's length where there is none, the last is 0 where the page cannot be read on.
    """
    while True:
        begin = _find_less(html, at)
        if begin + 2 >= html.size:
            return html.size, _OTHER, False, 0, 0, html.size
        is_end = html[begin + 1] == _SLASH
        name_start = begin + 2 if is_end else begin + 1
        if _is_letter(html[name_start]):
            name_end = _name_end(html, name_start)
            is_bare = name_end < html.size and html[name_end] == _GREATER
            end = name_end + 1 if is_bare else _tag_end(html, name_end)
            return begin, _kind(html, name_start, name_end), is_end, name_start, name_end, end
        is_text = not is_end and html[name_start] != _BANG and html[name_start] != _QUESTION
        at = name_start if is_text else _declaration_end(html, begin)
        if at == 0:
            return begin, _OTHER, False, 0, 0, 0


@part_of_kernel
def _select_end(html: Bytes, at: int) -> int:
    """Finds where a select with nothing but options ends; 0 for others."""
    while True:
        _, kind, is_end, _, _, at = _next_tag(html, at)
        if at == 0 or not (kind == _OPTION or (kind == _SELECT and is_end)):
            return 0
        if kind == _SELECT:
            return at


@part_of_kernel
def _svg_end(html: Bytes, at: int) -> int:
    """Finds where an svg with nothing but shapes, texts and titles ends, from the end of its start tag; 0 for others.

    What else may stand there ends it, or begins HTML within it.
    """
    kind, is_end, in_title, depth = _SVG, False, False, 0
    while at > 0:
        has_slash = html[at - 2] == _SLASH
        if in_title or kind == _TITLE:
            if kind != _TITLE or is_end != in_title or has_slash:
                return 0
            in_title = not is_end
        elif kind == _SVG:
            if has_slash and not _is_html_space(html[at - 3]):
                return 0  # the slash may belong to a value
            depth += -1 if is_end else 0 if has_slash else 1
            if depth == 0:
                return at
        elif kind != _SHAPE:
            return 0
        _, kind, is_end, _, _, at = _next_tag(html, at)
    return 0


@part_of_kernel
def _text_end(html: Bytes, start: int, name_start: int, name_end: int, kind: int) -> int:
    """Finds the end tag of an element whose content is text; 0 where there is none or a script may go on behind it."""
    at, in_comment, nested = _find_less(html, start), False, False
    while at + 1 < html.size:
        if html[at + 1] == _SLASH and _has_name(html, at + 2, name_start, name_end):
            return 0 if nested else at
        if kind == _SCRIPT:
            nested |= in_comment and _has_name(html, at + 1, name_start, name_end)
            in_comment |= html[at + 1] == _BANG
        at = _find_less(html, at + 1)
    return 0


_IN_HEAD, _IN_NOSCRIPT, _AFTER_HEAD, _IN_BODY, _LOST = range(5)
"""Where a page has been read to: before its body (in the head, or before it; in a noscript of the head; behind the
head, where some tags still belong to it), in its body, or nobody knows."""

_LANG, _NAME, _CONTENT, _STYLE, _NOFRAMES, _BR = (
    constant(word) for word in (b"lang", b"name", b"content", b"style", b"noframes", b"br")
)


@part_of_kernel
def _place_behind_text(html: Bytes, at: int, end: int, place: int) -> int:
    """Finds where a page has been read to behind what is no tag: text begins the body, comments and space do not."""
    while at < end and place < _IN_BODY:
        if html[at] == _LESS and html[at + 1] in (_BANG, _QUESTION, _SLASH):
            at = _declaration_end(html, at)
        elif _is_html_space(html[at]):
            at += 1
        else:
            return _LOST if html[at] == _AMPERSAND else _IN_BODY
    return place


@part_of_kernel
def _place_behind_end_tag(html: Bytes, kind: int, name_start: int, name_end: int, place: int) -> int:
    """Finds where a page has been read to behind an end tag before its body."""
    if kind == _NOSCRIPT:
        return _IN_HEAD if place == _IN_NOSCRIPT else place
    if place == _IN_NOSCRIPT:
        return _IN_BODY if same_letters(html, name_start, name_end, _BR) else place
    if kind == _HEAD:
        return _AFTER_HEAD
    return _IN_BODY if kind in (_BODY, _PAGE) else place


@part_of_kernel
def _place_behind_tag(html: Bytes, kind: int, name_start: int, name_end: int, place: int) -> int:
    """Finds where a page has been read to behind a start tag before its body, as for section 13.2.6.4 of the Standard.

    That is: before and in the head (13.2.6.4.3, 4), in a noscript of it, as with scripting off (5), and behind it (6).
    """
    if kind in (_META, _LINK, _PAGE, _HEAD):
        return place
    if kind == _TEXT and (
        same_letters(html, name_start, name_end, _STYLE) or same_letters(html, name_start, name_end, _NOFRAMES)
    ):
        return place
    if kind in (_TITLE, _SCRIPT) or (kind == _IMAGE and html[name_start] | _LOWER_CASE == _B_OF_BASE):
        return _AFTER_HEAD if place == _AFTER_HEAD else _IN_HEAD
    if kind == _NOSCRIPT and place != _AFTER_HEAD:
        return _IN_NOSCRIPT
    return _IN_BODY


@part_of_kernel
def _may_declare(html: Bytes, begin: int, end: int) -> bool:
    """Tells by some letters of a meta whether it may hold `robots`, `tdm-reservation` or an entity: most do not."""
    while begin < end and begin + BLOCK_BYTES + 2 <= html.size:
        robots, tdm = _rs(html, begin) & _bs(html, begin + 2), _ds(html, begin) & _ms(html, begin + 1)
        if robots | tdm | _ampersands(html, begin) != _U0:
            return True
        begin += BLOCK_BYTES
    return begin < end


@part_of_kernel
def _has_entity(html: Bytes, begin: int, end: int) -> bool:
    for place in range(begin, end):
        if html[place] == _AMPERSAND:
            return True
    return False


@part_of_kernel
def _read_language(html: Bytes, at: int, declared: Tag) -> bool:
    """Reads the `lang` of an `<html>` whose name ends at `at`; false where a parser must."""
    name_start = 1
    while name_start > 0 and declared[LANGUAGE] == _ABSENT:
        name_start, name_end, value, value_end, at = _next_attribute(html, at)
        if name_start > 0 and same_letters(html, name_start, name_end, _LANG):
            if _has_entity(html, value, value_end):
                return False
            declared[LANGUAGE] = page_language(html, value, value_end)
    return True


@part_of_kernel
def _read_meta(html: Bytes, at: int, declared: Tag, agents: Bytes) -> bool:
    """Reads the preferences in a `<meta>` whose name ends at `at`; false where a parser must."""
    name, name_end, content, content_end = _ABSENT, _ABSENT, _ABSENT, _ABSENT
    start = 1
    while start > 0:
        start, end, value, value_end, at = _next_attribute(html, at)
        if name == _ABSENT and same_letters(html, start, end, _NAME):
            name, name_end = value, value_end
        elif content == _ABSENT and same_letters(html, start, end, _CONTENT):
            content, content_end = value, value_end
    if name == _ABSENT or content == _ABSENT:
        return True
    if not is_preference_meta(html, name, name_end, agents):
        return not _has_entity(html, name, name_end)
    if _has_entity(html, content, content_end):
        return False
    declared[PREFERENCES] |= meta_preferences(html, name, name_end, content, content_end, agents)
    return True


@part_of_kernel
def _is_declaration_read(
    html: Bytes, kind: int, name_end: int, end: int, place: int, declared: Tag, agents: Bytes
) -> bool:
    """Reads what a start tag declares at a place of a page, if it does; false where a parser must."""
    if kind == _PAGE:
        return _read_language(html, name_end, declared)
    if kind == _META and place < _IN_BODY and (agents.size > 0 or _may_declare(html, name_end, end)):
        return _read_meta(html, name_end, declared, agents)
    return True


@part_of_kernel
def find_tags(html: Bytes, images: Tags, base: Tag, declared: Tag, agents: Bytes) -> int:
    """Writes a row for each image, and one for the first base; the rules stand in the module's docstring."""
    base[:] = _ABSENT
    declared[LANGUAGE], declared[PREFERENCES] = _ABSENT, 0
    at, found, in_gap, place = 0, 0, False, _IN_HEAD
    while True:
        text = at
        begin, kind, is_end, name_start, name_end, at = _next_tag(html, at)
        if begin == html.size:
            declared[LANGUAGE] = max(declared[LANGUAGE], NO_LANGUAGE)
            return found
        if at == 0 or kind == _GIVE_UP:
            return UNMODELLED
        if place < _IN_BODY or kind == _PAGE:
            place = _place_behind_text(html, text, begin, place)
            if place < _IN_BODY and is_end:
                place = _place_behind_end_tag(html, kind, name_start, name_end, place)
            elif place < _IN_BODY:
                place = _place_behind_tag(html, kind, name_start, name_end, place)
            is_read = is_end or _is_declaration_read(html, kind, name_end, at, place, declared, agents)
            if place == _LOST or not is_read:
                return UNMODELLED
        if kind in (_GAP, _CELL, _TABLE):
            in_gap = kind == _GAP or is_end != (kind == _TABLE)
        elif kind == _IMAGE and not is_end:
            is_base = html[name_start] | _LOWER_CASE == _B_OF_BASE
            if in_gap or (found == images.shape[0] and not is_base):
                return UNMODELLED
            if not is_base:
                _write_tag(html, begin, name_end, images[found])
                found += 1
            elif base[HREF] == _ABSENT:
                _write_tag(html, begin, name_end, base)
        elif kind == _SELECT and not is_end:
            at = _select_end(html, at)
        elif kind == _SVG and not is_end:
            at = _svg_end(html, at)
        elif kind in (_TEXT, _TITLE, _SCRIPT) and not is_end:
            at = _text_end(html, at, name_start, name_end, kind)
        if at == 0:
            return UNMODELLED


@part_of_kernel
def _is_name(html: Bytes, begin: int, name: Bytes) -> bool:
    end = begin + name.size
    return bool(end < html.size and _ENDS_NAME[html[end]] and same_letters(html, begin, end, name))


@part_of_kernel
def has_too_many_images(html: Bytes) -> bool:
    """Does what `udfs.pages.html.has_too_many_images` does."""
    if html.size < MOST_IMAGES * _FEWEST_IMAGE_BYTES:
        return False
    images, at = 0, _find_less(html, 0)
    while at < html.size and images <= MOST_IMAGES:
        images += _is_name(html, at + 1, _IMG_NAME) or _is_name(html, at + 1, _IMAGE_NAME)
        at = _find_less(html, at + 1)
    return images > MOST_IMAGES


def _tags_of_page(html: Bytes, images: Tags, base: Tag, declared: Tag, agents: Bytes) -> int:
    return find_tags(writable(html), images, base, declared, agents)


UTF8 = 0
"""What the bytes of a page are, beside the rows of `CHARACTERS`."""

_LABELS = (
    "utf-8",
    "utf8",
    "iso-8859-1",
    "windows-1252",
    "windows-1251",
    "iso-8859-2",
    "us-ascii",
    "latin1",
    "iso-8859-15",
    "iso-8859-9",
    "windows-1250",
    "windows-1254",
    "windows-1256",
    "koi8-r",
)
"""Labels of UTF-8 and of encodings whose characters are single bytes."""


def _single_byte_encodings() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Gives the encoding of each of `_LABELS`, and `CHARACTERS`."""
    codecs = [codec_of_label(label) or label for label in _LABELS]
    names = list(dict.fromkeys(codecs))
    characters = np.zeros((len(names), 256), np.int64)
    for row, codec in zip(characters, names, strict=True):
        if codec != names[UTF8]:
            row[:] = [ord(to_utf8(bytes([byte]), codec).decode()) for byte in range(256)]
    return np.array([names.index(codec) for codec in codecs]), characters


_ENCODINGS, CHARACTERS = _single_byte_encodings()
"""Characters by encoding and byte; the row of UTF-8 is empty."""

NO_LABEL, _OTHER_LABEL = -2, NOT_PLAIN
"""What a charset says that is not there, or not known here."""

_MIXED = len(CHARACTERS)
"""What labels of several encodings say: bytes below 128 are the same in all of them."""

IS_HTML, IS_NOT_HTML, IS_UNSURE = range(3)
"""What a media type says of a body."""

_HTTP, _HTTP_VERSION, _CONTENT_TYPE, _CONTENT_ENCODING, _TRANSFER_ENCODING, _CHARSET = (
    constant(word)
    for word in (b"HTTP/", b"HTTP/1.", b"content-type", b"content-encoding", b"transfer-encoding", b"charset")
)
_HTML_TYPE, _XHTML_TYPE = constant(b"text/html"), constant(b"application/xhtml+xml")
_XML_START, _ENCODING, _DOCTYPE, _HTML = (constant(word) for word in (b"<?xml", b"encoding", b"!doctype", b"html"))
_HTTP_EQUIV = constant(b"http-equiv")
_FIRST_NAMES = ("html", "head", "body", "meta", "title", "link", "script", "style", "div", "table", "p", "a", "br")
"""Tags that begin a page, as for `udfs.pages.http.looks_like_html`."""

_MOST_SPACE = 512
_META_BYTES = 1024
"""Where a `<meta>` names the charset before all others, see `udfs.pages.charset`."""

_LABEL_LENGTHS, _LABEL_LETTERS = word_table(_LABELS)
_IS_IN_TOKEN = np.zeros(256, np.uint8)
_IS_IN_TOKEN[list(b"!#$%&'*+.^_`|~-" + string.digits.encode() + string.ascii_letters.encode())] = 1
_TYPE_LENGTHS, _TYPE_LETTERS = word_table(sorted(UNSURE_TYPES - {""}))
_FIRST_LENGTHS, _FIRST_LETTERS = word_table(_FIRST_NAMES)
_ZERO, _ONE, _SPACE, _LINE_FEED, _COLON, _SEMICOLON, _COMMA = (ord(mark) for mark in "01 \n:;,")
_STATUS_BYTES = len("HTTP/1.1 200 ")
_FIRST_LETTERS_OF_PREFERENCES = tuple(ord(name[0]) for name in HEADERS)
_cs, _hs = bits_of(b"cC"), bits_of(b"hH")


@part_of_kernel
def _is_label_byte(byte: int) -> bool:
    return _is_letter(byte) or 48 <= byte <= 58 or byte in (ord("-"), ord("_"), ord("."), ord("+"), ord("("), ord(")"))


@part_of_kernel
def _find_word(content: Bytes, begin: int, end: int, lengths: Tag, letters: Bytes) -> int:
    """Finds the place of a word, in capital or small letters, in a table; `NOT_PLAIN` where it is none of them."""
    for word in range(lengths.size):
        if end - begin == lengths[word] and same_letters(content, begin, end, letters[word][: lengths[word]]):
            return word
    return NOT_PLAIN


@part_of_kernel
def _encoding_of(content: Bytes, begin: int, end: int) -> int:
    """Finds the encoding of a label, or `_OTHER_LABEL`."""
    label = _find_word(content, begin, end, _LABEL_LENGTHS, _LABEL_LETTERS)
    return _ENCODINGS[label] if label != NOT_PLAIN else _OTHER_LABEL


@part_of_kernel
def _joined(label: int, other: int) -> int:
    """Joins what two labels say: an encoding, `_MIXED`, `NO_LABEL` or `_OTHER_LABEL`."""
    if label == _OTHER_LABEL or other == _OTHER_LABEL:
        return _OTHER_LABEL
    if label == other or other == NO_LABEL:
        return label
    return other if label == NO_LABEL else _MIXED


@part_of_kernel
def _label_behind(content: Bytes, at: int, end: int) -> int:
    """Reads what stands behind the word charset: an encoding, `NO_LABEL` for no value, or `_OTHER_LABEL`."""
    while at < end and content[at] <= _SPACE:
        at += 1
    if at == end or content[at] != _EQUALS:
        return NO_LABEL
    at += 1
    while at < end and (content[at] in (_DOUBLE_QUOTE, _SINGLE_QUOTE) or content[at] <= _SPACE):
        at += 1
    label = at
    while at < end and _is_label_byte(content[at]):
        at += 1
    is_whole = at == end or content[at] in (_DOUBLE_QUOTE, _SINGLE_QUOTE, _SEMICOLON, _GREATER)
    return _encoding_of(content, label, at) if is_whole or content[at] <= _SPACE else _OTHER_LABEL


@part_of_kernel
def _charset_within(content: Bytes, begin: int, end: int) -> int:
    """Joins what all charsets say that are named in a part of the bytes."""
    joined, at = NO_LABEL, begin
    while at + _CHARSET.size <= end:
        if at + BLOCK_BYTES < content.size:
            bits = _cs(content, at) & _hs(content, at + 1)
            if bits == _U0:
                at += BLOCK_BYTES
                continue
            at += int(trailing_zeros(bits))
        if at + _CHARSET.size <= end and same_letters(content, at, at + _CHARSET.size, _CHARSET):
            joined = _joined(joined, _label_behind(content, at + _CHARSET.size, end))
            if joined == _OTHER_LABEL:
                return _OTHER_LABEL
        at += 1
    return joined


@part_of_kernel
def _encoding_within(content: Bytes, begin: int, end: int) -> int:
    """Joins what the encodings say that are named in the tag that begins the bytes."""
    joined, at = NO_LABEL, begin
    while at < end and content[at] != _GREATER:
        if starts_with(content, at, end, _ENCODING):
            joined = _joined(joined, _label_behind(content, at + _ENCODING.size, end))
            if joined == _OTHER_LABEL:
                return _OTHER_LABEL
        at += 1
    return joined


@part_of_kernel
def _token_end(content: Bytes, at: int, end: int) -> int:
    while at < end and _IS_IN_TOKEN[content[at]]:
        at += 1
    return at


@part_of_kernel
def _kind_of_type(content: Bytes, begin: int, end: int) -> int:
    """Tells what a media type says: `IS_HTML`, `IS_NOT_HTML`, `IS_UNSURE`, or `NOT_PLAIN`."""
    if begin == end or _find_word(content, begin, end, _TYPE_LENGTHS, _TYPE_LETTERS) != NOT_PLAIN:
        return IS_UNSURE
    if same_letters(content, begin, end, _HTML_TYPE) or same_letters(content, begin, end, _XHTML_TYPE):
        return IS_HTML
    slash = _token_end(content, begin, end)
    is_type = begin < slash < end - 1 and content[slash] == _SLASH and _token_end(content, slash + 1, end) == end
    return IS_NOT_HTML if is_type else NOT_PLAIN


@part_of_kernel
def read_type(content: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Reads a Content-Type, as `udfs.pages.parse` does.

    Args:
        content: The bytes.
        begin: Where the value begins, `NOT_PLAIN` where there is none.
        end: Where it ends.

    Returns:
        `IS_HTML`, `IS_NOT_HTML`, `IS_UNSURE`, or `NOT_PLAIN` where it must be read in Python; and what its charset
        says, for `encoding_of_page`.
    """
    if begin == NOT_PLAIN:
        return IS_UNSURE, NO_LABEL
    type_end = begin
    while type_end < end and content[type_end] != _SEMICOLON and content[type_end] != _SPACE:
        type_end += 1
    for place in range(begin, end):
        if content[place] in (_COMMA, _GREATER) or content[place] >= 127 or content[place] < _SPACE:
            return NOT_PLAIN, _OTHER_LABEL
    at = type_end
    while at < end and content[at] == _SPACE:
        at += 1
    if at < end and content[at] != _SEMICOLON:
        return NOT_PLAIN, _OTHER_LABEL
    return _kind_of_type(content, begin, type_end), _charset_within(content, at, end)


@part_of_kernel
def _plain_status(content: Bytes, begin: int, end: int) -> int:
    """Reads the status of a final response; `NOT_PLAIN` where its line is not as servers write it."""
    if end - begin < _STATUS_BYTES or not starts_with(content, begin, end, _HTTP_VERSION):
        return NOT_PLAIN
    minor, space, behind = content[begin + 7], content[begin + 8], content[begin + 12]
    if not _ZERO <= minor <= _ONE or space != _SPACE or behind not in (_SPACE, _RETURN):
        return NOT_PLAIN
    status = 0
    for place in range(begin + 9, begin + 12):
        if not 48 <= content[place] <= 57:
            return NOT_PLAIN
        status = 10 * status + int(content[place]) - _ZERO
    return status if status >= 200 else NOT_PLAIN


@part_of_kernel
def _header_value(content: Bytes, at: int, end: int, name: Bytes) -> int:
    """Finds a header's value; `_ABSENT` where the line is another header, 0 where Python must look."""
    name_end = at + name.size
    if name_end >= end or not same_letters(content, at, name_end, name):
        return _ABSENT
    if content[name_end] != _COLON:
        return 0 if content[name_end] <= _SPACE else _ABSENT
    at = name_end + 1
    while at < end and content[at] == _SPACE:
        at += 1
    return at


@part_of_kernel
def _preferences_of_line(content: Bytes, at: int, end: int, agents: Bytes) -> int:
    """Reads the preferences of a header; 0 for another one, `NOT_PLAIN` where Python must look."""
    if content[at] | _LOWER_CASE not in _FIRST_LETTERS_OF_PREFERENCES:
        return 0
    name_end = at
    while name_end < end and content[name_end] > _SPACE and content[name_end] != _COLON:
        name_end += 1
    if not is_preference_header(content, at, name_end):
        return 0
    if name_end == end or content[name_end] != _COLON:
        return NOT_PLAIN
    for place in range(name_end, end):
        if content[place] == _RETURN:
            return NOT_PLAIN
    return header_preferences(content, at, name_end, name_end + 1, end, agents)


@part_of_kernel
def read_response(content: Bytes, begin: int, end: int, agents: Bytes) -> tuple[int, int, int, int, int]:
    """Reads the head of an HTTP response, as far as it is plain; directives to `agents` count, too.

    It is, if its lines end with CR LF, begin with a letter and go on for one line only, and if it has one Content-Type
    at most and names no encoding of the body.

    Returns:
        The status, `NOT_PLAIN` where Python must read the head; where the body begins; begin and end of the
        Content-Type, `NOT_PLAIN` where there is none; and the preferences that the headers declare.
    """
    status = _plain_status(content, begin, end)
    line = line_end_behind(content, begin, end)
    media_type, type_end, preferences = NOT_PLAIN, NOT_PLAIN, 0
    while status != NOT_PLAIN and line != NOT_PLAIN:
        at = line + 2
        if at + 2 <= end and content[at] == _RETURN and content[at + 1] == _LINE_FEED:
            # A proxy's own answer may stand before that of the server.
            is_other = media_type == NOT_PLAIN and starts_with(content, at + 2, end, _HTTP)
            return (NOT_PLAIN if is_other else status), at + 2, media_type, type_end, preferences
        if at >= end or not _is_letter(content[at]):
            return NOT_PLAIN, 0, NOT_PLAIN, NOT_PLAIN, 0
        line = line_end_behind(content, at, end)
        value = _header_value(content, at, line, _CONTENT_TYPE)
        is_encoded = _header_value(content, at, line, _CONTENT_ENCODING) != _ABSENT
        is_encoded |= _header_value(content, at, line, _TRANSFER_ENCODING) != _ABSENT
        declared = _preferences_of_line(content, at, line, agents)
        if is_encoded or value == 0 or (value != _ABSENT and media_type != NOT_PLAIN) or declared == NOT_PLAIN:
            return NOT_PLAIN, 0, NOT_PLAIN, NOT_PLAIN, 0
        preferences |= declared
        if value != _ABSENT:
            media_type, type_end = value, line
    return NOT_PLAIN, 0, NOT_PLAIN, NOT_PLAIN, 0


@part_of_kernel
def _is_ascii(content: Bytes, begin: int, end: int) -> bool:
    while begin < end:
        if (
            ascii_bits(content, begin) | (_ALL_BITS << np.uint64(end - begin) if end - begin < BLOCK_BYTES else _U0)
            != _ALL_BITS
        ):
            return False
        begin += BLOCK_BYTES
    return True


@part_of_kernel
def _behind_space(html: Bytes, at: int) -> int:
    end = min(html.size, at + _MOST_SPACE)
    while at < end and _is_html_space(html[at]):
        at += 1
    return at


@part_of_kernel
def begins_as_html(html: Bytes) -> bool:
    """Tells whether a page begins with one of the commonest tags, as for `udfs.pages.http.looks_like_html`."""
    at = _behind_space(html, 0)
    if starts_with(html, at, html.size, _XML_START):
        end = _find(html[0 : min(html.size, at + _MOST_SPACE)], at, _GREATER)
        at = _behind_space(html, end + 1) if end < html.size and html[end] == _GREATER else html.size
    if at == html.size or html[at] != _LESS:
        return False
    name = at + 1
    name_end = _name_end(html, name)
    if same_letters(html, name, name_end, _DOCTYPE):
        name = _behind_space(html, name_end)
        name_end = _name_end(html, name)
        return name_end < html.size and same_letters(html, name, name_end, _HTML)
    is_known = _find_word(html, name, name_end, _FIRST_LENGTHS, _FIRST_LETTERS) != NOT_PLAIN
    return bool(is_known and name_end < html.size)


@part_of_kernel
def _label_of_meta(html: Bytes, at: int) -> int:
    """Reads what a `<meta>` whose name ends at `at` says of the charset; as `_label_behind`."""
    charset, of_content, name_start = NO_LABEL, NO_LABEL, 1
    has_charset, has_content, is_type, has_name = False, False, False, False
    while name_start > 0:
        name_start, name_end, value, value_end, at = _next_attribute(html, at)
        if same_letters(html, name_start, name_end, _CHARSET) and not has_charset:
            charset, has_charset = _encoding_of(html, value, value_end), True
        elif same_letters(html, name_start, name_end, _CONTENT) and not has_content:
            of_content, has_content = _charset_within(html, value, value_end), True
        elif same_letters(html, name_start, name_end, _HTTP_EQUIV) and not has_name:
            is_type, has_name = same_letters(html, value, value_end, _CONTENT_TYPE), True
    if has_charset:
        return charset
    return of_content if is_type else NO_LABEL


@part_of_kernel
def _label_in_start(html: Bytes) -> int:
    """Reads the first `<meta>` that names a charset in the first bytes of a page; as `_label_behind`."""
    at = 0
    while True:
        begin, kind, is_end, name, name_end, at = _next_tag(html, at)
        if at == 0 or begin == html.size or kind == _GIVE_UP:
            return NO_LABEL
        if is_end:
            continue
        if kind in (_TEXT, _TITLE, _SCRIPT):
            at = _text_end(html, at, name, name_end, kind)
            if at == 0:
                return NO_LABEL
        elif kind == _META:
            label = _label_of_meta(html, name_end)
            if label != NO_LABEL:
                return label


@part_of_kernel
def _label_within(content: Bytes, begin: int, end: int) -> int:
    """Joins what all charsets of a page say, whichever of them counts."""
    label = _charset_within(content, begin, end)
    if starts_with(content, begin, end, _XML_START):
        label = _joined(label, _encoding_within(content, begin, end))
    return label


@part_of_kernel
def encoding_of_page(content: Bytes, begin: int, end: int, label: int) -> int:
    """Finds what a page's bytes are.

    Args:
        content: The bytes, `BLOCK_BYTES` behind the page.
        begin: Where the page begins.
        end: Where it ends.
        label: What `read_type` has read of its Content-Type.

    Returns:
        `UTF8`, which may be invalid where the page says so; a row of `CHARACTERS`; or `NOT_PLAIN` where Python must
        find it.
    """
    if begin + 2 > end or not (content[begin] == _LESS or _is_html_space(content[begin])) or content[begin + 1] == 0:
        return NOT_PLAIN
    is_sure = label != NO_LABEL
    if label == NO_LABEL:
        label = _label_in_start(content[begin : min(end, begin + _META_BYTES)])
        is_sure = label not in (NO_LABEL, _OTHER_LABEL)
        label = label if is_sure else _label_within(content, begin, end)
    if is_sure and UTF8 <= label < _MIXED and begins_as_html(content[begin:end]):
        return label
    if label == _OTHER_LABEL:
        return NOT_PLAIN
    is_plain = is_utf8(content, begin, end) if label in (UTF8, NO_LABEL) else _is_ascii(content, begin, end)
    return UTF8 if is_plain else NOT_PLAIN


@kernel(_tags_of_page)
def tag_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function (html: the page as uint8[n], images: int64[m, TAG_COLUMNS], base: int64[TAG_COLUMNS],
        declared: int64[DECLARED_LENGTH], agents: from `agent_list`) -> number of images, a row written for each of
        `<img>` and `<image>`; or `UNMODELLED`, also where there are more than m. The base is the first `<base>` that
        has a `href`.
    """
    page = types.Array(types.uint8, 1, "C", readonly=True)
    return types.int64(page, types.int64[:, ::1], types.int64[::1], types.int64[::1], types.uint8[::1])
