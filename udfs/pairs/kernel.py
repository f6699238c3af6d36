"""The compiled loop that makes pairs of a page's images: URLs resolved, texts cleaned, without a string per image.

It takes the images whose values are what the page's bytes say and whose URL is easy, and refuses the others, which
`udfs.pairs.rules` reads. What it takes has the same result as there: its own rules are only these.

- A URL is `http(s)://host/...`, `//host/...`, `/path` or a path, its path of names that do not begin with a dot behind
  any leading `../` and `./`, in characters that `urllib.parse` does not look at; it may have a query.
- White space at the ends of a text is ASCII.
- An image without a pair is counted here only once there are examples enough of its reason.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.compilation import kernel, part_of_kernel
from udfs.numba_intrinsics import constant, starts_with, types, writable
from udfs.pages.image_table import FIRST_TEXT, HREF, IS_PLAIN, SRC
from udfs.schemas import SOURCES

URL_BEGIN, TEXT_BEGIN, SOURCE, IMAGE_INDEX = range(4)
PAIR_COLUMNS = 4
"""A row per pair: where its URL begins in the bytes, and its text, which ends where the next URL begins, a NUL between
the two, as pair_id is made of them; the place of its source in `schemas.SOURCES`, and of the image in the page."""

REASONS = ("image.no_url", "image.data_url", "image.no_text", "text.empty")
"""What is counted here: by bit in `known`, by place behind `FIRST_REASON` in `state`."""

BYTES_USED, ROWS_USED, PAGES_USED, URL_BYTES_USED, REFUSED = range(5)
IMAGES, IMAGES_KEPT, TEXTS_SEEN, PAIRS, FIRST_REASON = range(REFUSED + 1, REFUSED + 6)
STATE_LENGTH = FIRST_REASON + len(REASONS)
"""The numbers that the loops keep: bytes, rows, pages and bytes of page URLs in use, images refused in one call, and
sums since they were 0."""

FIRST_ROW, RECORD_OFFSET, ARE_RECORDS, PAGE_URL_BEGIN, PAGE_LANGUAGE, PAGE_PREFERENCES = range(6)
PAGE_COLUMNS = 6
"""A row per page with pairs: the first of them, the record, 1 where each of its images is a record of its own, where
its URL begins in the bytes of page URLs (it ends where the next one begins), its language as a number, 0 for none, and
its preferences, `NOT_READ` where they were not read."""

NOT_READ = -1

STRIPPED_LENGTH = 2 * len(SOURCES)
"""Begin and end of each text of one image."""

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


class ColumnBuffers(NamedTuple):
    """What compiled loops fill.

    Attributes:
        data: URLs and texts, up to `BYTES_USED`.
        rows: int64[n, PAIR_COLUMNS], up to `ROWS_USED`.
        pages: int64[n, PAGE_COLUMNS], up to `PAGES_USED`, which is at most `ROWS_USED`.
        page_urls: The URLs of pages, up to `URL_BYTES_USED`.
        state: int64[STATE_LENGTH].
        stripped: int64[STRIPPED_LENGTH], room for one image.
    """

    data: Bytes
    rows: Numbers
    pages: Numbers
    page_urls: Bytes
    state: Numbers
    stripped: Numbers


_NO_URL, _DATA_URL, _NO_TEXT, _EMPTY_TEXT = range(4)
_REFUSED, _ABSOLUTE, _WITH_HOST, _FROM_ROOT, _RELATIVE = range(5)
_INVALID = -1
_SLASH, _DOT, _COLON, _QUERY = (ord(mark) for mark in "/.:?")
_LINE_FEED, _RETURN, _SPACE, _ASCII_END = 10, 13, 32, 128
_SOURCES = len(SOURCES)

HTTP, HTTPS, _DATA = constant(b"http://"), constant(b"https://"), constant(b"data:")
_TWO_SLASHES, _UP, _HERE = constant(b"//"), constant(b"../"), constant(b"./")

_HOST, _NAME, _IN_QUERY = 1, 2, 4


def _url_classes() -> Bytes:
    """Says of each byte where in a URL it means nothing but itself. Bytes of UTF-8 do so in paths and queries."""
    classes = np.zeros(256, np.uint8)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    for characters, bits in (
        (letters + ".-", _HOST | _NAME | _IN_QUERY),
        ("_~%+,@=!$&'()*", _NAME | _IN_QUERY),
        ("/?:;", _IN_QUERY),
    ):
        for character in characters:
            classes[ord(character)] = bits
    classes[_ASCII_END:] = _NAME | _IN_QUERY
    return classes


_CLASSES = _url_classes()


@part_of_kernel
def _is_wide_space(content: Bytes, at: int, end: int) -> bool:
    """Tells whether white space beyond ASCII stands here, as str.isspace knows it: U+0085, 00A0, 1680, ..., 3000."""
    if at + 2 > end or content[at] < 0xC2:
        return False
    lead, second = content[at], content[at + 1]
    if lead == 0xC2:
        return bool(second == 0x85 or second == 0xA0)
    if at + 3 > end:
        return False
    third = content[at + 2]
    if lead == 0xE2:
        is_line = third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF
        return bool((second == 0x80 and is_line) or (second == 0x81 and third == 0x9F))
    is_single = (lead == 0xE1 and second == 0x9A) or (lead == 0xE3 and second == 0x80)
    return bool(third == 0x80 and is_single)


@part_of_kernel
def _has_wide_space(content: Bytes, begin: int, end: int) -> bool:
    """Tells whether a text begins or ends with white space beyond ASCII."""
    ends_so = _is_wide_space(content, max(begin, end - 2), end) or _is_wide_space(content, max(begin, end - 3), end)
    return ends_so or _is_wide_space(content, begin, end)


@part_of_kernel
def _host_end(content: Bytes, begin: int, end: int) -> int:
    """Finds the slash behind a host of letters, digits, dots and hyphens; `_INVALID` for other hosts."""
    at = begin
    while at < end and _CLASSES[content[at]] & _HOST:
        at += 1
    is_host = begin < at < end and content[begin] != _DOT and content[at] == _SLASH
    return at if is_host else _INVALID


@part_of_kernel
def _is_plain_path(content: Bytes, begin: int, end: int, form: int) -> bool:
    """Tells whether a path and its query mean nothing but themselves. Behind a host no path is resolved any more."""
    is_final = form in (_ABSOLUTE, _WITH_HOST)
    at, begins_name = begin, True
    while at < end and content[at] != _QUERY:
        byte = content[at]
        if byte == _SLASH:
            begins_name = True
        elif not _CLASSES[byte] & _NAME or (begins_name and byte == _DOT and not is_final):
            return False
        else:
            begins_name = False
        at += 1
    if at + 1 == end or (begins_name and not is_final):
        return False
    for place in range(at + 1, end):
        if not _CLASSES[content[place]] & _IN_QUERY:
            return False
    return not _has_wide_space(content, begin, end)


@part_of_kernel
def _form_of_url(content: Bytes, begin: int, end: int, base: Bytes) -> tuple[int, int]:
    """Says what an image's URL must be put behind, and where what is put there begins; `_REFUSED` for hard ones."""
    form, at = _RELATIVE, begin
    if starts_with(content, begin, end, HTTP):
        form, at = _ABSOLUTE, _host_end(content, begin + 7, end)
    elif starts_with(content, begin, end, HTTPS):
        form, at = _ABSOLUTE, _host_end(content, begin + 8, end)
    elif starts_with(content, begin, end, _TWO_SLASHES):
        form, at = _WITH_HOST, _host_end(content, begin + 2, end)
    elif content[begin] == _SLASH:
        form = _FROM_ROOT
    else:
        while starts_with(content, at, end, _UP) or starts_with(content, at, end, _HERE):
            at += 3 if content[at + 1] == _DOT else 2
    if at == _INVALID or (base.size == 0 and form != _ABSOLUTE) or not _is_plain_path(content, at, end, form):
        return _REFUSED, begin
    return form, at


@part_of_kernel
def _copied(source: Bytes, begin: int, end: int, data: Bytes, at: int) -> int:
    for place in range(begin, end):
        data[at + place - begin] = source[place]
    return at + end - begin


@part_of_kernel
def _write_url(
    content: Bytes, begin: int, name: int, end: int, form: int, base: Bytes, root_end: int, data: Bytes, at: int
) -> int:
    """Writes an image's URL, which `_form_of_url` took, and gives the place behind it."""
    if form == _ABSOLUTE:
        return _copied(content, begin, end, data, at)
    if form == _WITH_HOST:
        scheme_end = 5 if base[4] == _COLON else 6
        return _copied(content, begin, end, data, _copied(base, 0, scheme_end, data, at))
    if form == _FROM_ROOT:
        return _copied(content, begin, end, data, _copied(base, 0, root_end - 1, data, at))
    folder_end = base.size
    while begin < name:
        is_up = content[begin + 1] == _DOT
        begin += 3 if is_up else 2
        if is_up and folder_end > root_end:
            folder_end -= 1
            while base[folder_end - 1] != _SLASH:
                folder_end -= 1
    at = _copied(base, 0, folder_end, data, at)
    in_path = True
    for place in range(name, end):
        byte = content[place]
        in_path &= byte != _QUERY
        # urljoin drops empty names of a path that it appends to a folder.
        if not (in_path and byte == _SLASH and data[at - 1] == _SLASH):
            data[at] = byte
            at += 1
    return at


@part_of_kernel
def _write_text(content: Bytes, begin: int, end: int, data: Bytes, at: int) -> int:
    """Writes a text, a space for each CR or LF, and gives the place behind it."""
    for place in range(begin, end):
        byte = content[place]
        data[at + place - begin] = _SPACE if byte in (_LINE_FEED, _RETURN) else byte
    return at + end - begin


@part_of_kernel
def _is_stripped(byte: int) -> bool:
    """Tells whether str.strip removes an ASCII character."""
    return byte == _SPACE or 9 <= byte <= 13 or 28 <= byte <= 31


@part_of_kernel
def _strip(content: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Finds where a text begins and ends without white space; `_INVALID` for texts that are not taken."""
    while begin < end and _is_stripped(content[begin]):
        begin += 1
    while begin < end and _is_stripped(content[end - 1]):
        end -= 1
    if begin < end and _has_wide_space(content, begin, end):
        return _INVALID, _INVALID
    return begin, end


@part_of_kernel
def _strip_texts(content: Bytes, tag: Numbers, stripped: Numbers) -> tuple[int, int, int]:
    """Writes where the texts of an image begin and end without white space; a missing one is as an empty one.

    Returns:
        The number of texts, of those that are not empty, and the bytes of these; `_INVALID` first where one is not
        taken.
    """
    texts, filled, size = 0, 0, 0
    for place in range(FIRST_TEXT, HREF, 2):
        begin, end = 0, 0
        if tag[place] >= 0:
            begin, end = _strip(content, tag[place], tag[place + 1])
            if begin == _INVALID:
                return _INVALID, 0, 0
            texts += 1
            filled += begin < end
            size += end - begin
        stripped[place - FIRST_TEXT], stripped[place - FIRST_TEXT + 1] = begin, end
    return texts, filled, size


@part_of_kernel
def _form_of_image(content: Bytes, tag: Numbers, base: Bytes) -> tuple[int, int, int]:
    """Gives what `_form_of_url` says, and the reason for which the image is lost, `_INVALID` where it is not."""
    begin, end = tag[SRC], tag[SRC + 1]
    if begin == end:
        return _REFUSED, begin, _NO_URL
    if starts_with(content, begin, end, _DATA):
        return _REFUSED, begin, _DATA_URL
    form, name = _form_of_url(content, begin, end, base)
    return form, name, _INVALID


@part_of_kernel
def add_pairs(
    content: Bytes,
    tags: Numbers,
    start: int,
    base: Bytes,
    root_end: int,
    known: int,
    data: Bytes,
    rows: Numbers,
    state: Numbers,
    refused: Numbers,
    stripped: Numbers,
) -> int:
    """Appends the pairs of images; the arguments stand at `pair_kernel`."""
    state[REFUSED] = 0
    for image in range(start, tags.shape[0]):
        tag = tags[image]
        form, name, lost = _REFUSED, 0, _INVALID
        texts, filled, size = 0, 0, 0
        if tag[IS_PLAIN] and root_end >= 0:
            form, name, lost = _form_of_image(content, tag, base)
        if form != _REFUSED:
            texts, filled, size = _strip_texts(content, tag, stripped)
            if texts == 0:
                form, lost = _REFUSED, _NO_TEXT
            elif texts == _INVALID or (filled < texts and not known >> _EMPTY_TEXT & 1):
                form = _REFUSED
        if form != _REFUSED:
            size += filled * (base.size + tag[SRC + 1] - tag[SRC] + 1)
            if state[BYTES_USED] + size > data.size or state[ROWS_USED] + filled > rows.shape[0]:
                if state[ROWS_USED] > 0:
                    return image
                form = _REFUSED
        if form != _REFUSED:
            state[IMAGES] += 1
            state[IMAGES_KEPT] += 1
            state[TEXTS_SEEN] += texts
            state[PAIRS] += filled
            state[FIRST_REASON + _EMPTY_TEXT] += texts - filled
            for source in range(_SOURCES):
                text, text_end = stripped[2 * source], stripped[2 * source + 1]
                if text < text_end:
                    row = rows[state[ROWS_USED]]
                    begin = state[BYTES_USED]
                    url_end = _write_url(content, tag[SRC], name, tag[SRC + 1], form, base, root_end, data, begin)
                    data[url_end] = 0
                    end = _write_text(content, text, text_end, data, url_end + 1)
                    row[URL_BEGIN], row[TEXT_BEGIN], row[SOURCE], row[IMAGE_INDEX] = begin, url_end + 1, source, image
                    state[BYTES_USED] = end
                    state[ROWS_USED] += 1
        elif lost != _INVALID and known >> lost & 1:
            state[IMAGES] += 1
            state[FIRST_REASON + lost] += 1
        else:
            refused[state[REFUSED]] = image
            state[REFUSED] += 1
    return int(tags.shape[0])


def _pairs_of_page(
    content: Bytes,
    tags: Numbers,
    start: int,
    base: Bytes,
    root_end: int,
    known: int,
    data: Bytes,
    rows: Numbers,
    state: Numbers,
    refused: Numbers,
    stripped: Numbers,
) -> int:
    place = writable(content), tags, start, writable(base), root_end
    return add_pairs(*place, known, data, rows, state, refused, stripped)


@kernel(_pairs_of_page)
def pair_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function of

        - content, the page's bytes,
        - tags, int64[n, TAG_COLUMNS], and the row to begin with,
        - the two values that `image_urls.plain_folder` returned,
        - known, a bit for each of `REASONS` that needs no more examples,
        - data, bytes to write to, and rows, int64[m, PAIR_COLUMNS],
        - state, int64[STATE_LENGTH],
        - refused, int64[n], filled with the images that it did not take,
        - stripped, int64[STRIPPED_LENGTH], room for one image,

        that returns the row to go on with once data and rows are free again; n at the end.
    """
    page, numbers = types.Array(types.uint8, 1, "C", readonly=True), types.int64[:, ::1]
    arguments = (page, numbers, types.int64, page, types.int64, types.int64, types.uint8[::1], numbers)
    return types.int64(*arguments, *[types.int64[::1]] * 3)
