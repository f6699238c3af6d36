"""The compiled loop over an archive: its members are decompressed, their records read, and pairs made of the images.

It enters Python once per megabyte, and for what is not plain in every way:

- A member that is not one whole record, as `udfs.archives.warc_kernel` reads it, ends the loop: the readers of damaged
  and unusual archives go on from there.
- A record that `udfs.pages.wat_kernel` or `udfs.pages.html_kernel` gives up, or whose page has a `<base>` or a URL of
  more than printable ASCII, is left as a whole; an image that `udfs.pairs.kernel` refuses is left alone. Both are noted
  in the archive's order, and their bytes stay where they are until Python has read them.

What it takes has the same result as in Python. A page is added as a whole or not at all, so that a record that finds no
room is read again.
"""

from typing import Any, NamedTuple

import numpy as np

from udfs.archives.record import RECORD_TYPES
from udfs.archives.warc_kernel import (
    CUT_OR_CORRUPT,
    INFLATED,
    METADATA,
    NOT_PLAIN,
    SLACK_BYTES,
    TOO_LARGE,
    Header,
    Inflater,
    fills_member,
    inflate,
    is_json,
    kind_of,
    read_header,
    same_letters,
)
from udfs.compilation import kernel, part_of_kernel
from udfs.numba_intrinsics import constant, starts_with, types
from udfs.pages.declared.kernel import LANGUAGE, PREFERENCES
from udfs.pages.html_kernel import (
    IS_HTML,
    IS_NOT_HTML,
    IS_UNSURE,
    NO_LABEL,
    UTF8,
    begins_as_html,
    encoding_of_page,
    find_tags,
    has_too_many_images,
    read_response,
    read_type,
)
from udfs.pages.image_table import HREF, IS_PLAIN, TAG_BEGIN, TAG_COLUMNS, TAG_END, UNMODELLED
from udfs.pages.wat_kernel import (
    BASE_BEGIN,
    BASE_END,
    ENVELOPE_END,
    FOUND_PREFERENCES,
    HTML_OF_PAYLOAD,
    HTML_OF_RESPONSE,
    IMAGES,
    INVALID,
    MESSAGE,
    PAYLOAD,
    RESPONSE,
    STATUS_BEGIN,
    STATUS_END,
    TYPE_BEGIN,
    TYPE_END,
    URI_BEGIN,
    URI_END,
    declared_language,
    has_too_many_values,
    read_capture,
    skip_space,
)
from udfs.pairs.kernel import (
    ARE_RECORDS,
    FIRST_ROW,
    HTTP,
    HTTPS,
    PAGE_LANGUAGE,
    PAGE_PREFERENCES,
    PAGE_URL_BEGIN,
    PAGES_USED,
    RECORD_OFFSET,
    REFUSED,
    ROWS_USED,
    URL_BYTES_USED,
    Bytes,
    ColumnBuffers,
    Numbers,
    add_pairs,
)
from udfs.pairs.values_kernel import decode_tag, unescape_tag

MORE_INPUT, COLUMNS_FULL, LEFT_FULL, NOT_A_PLAIN_MEMBER = range(4)
"""Why the loop returns: what is known of the archive is read, or goes on in the middle of a member; pairs, or what is
left, must be taken out; or the next member is not plain."""

READ, LEFT = NOT_A_PLAIN_MEMBER + 1, NOT_A_PLAIN_MEMBER + 2
"""What becomes of a record, beside `COLUMNS_FULL` and `LEFT_FULL`."""

SKIPPED = (*RECORD_TYPES, "status", "not_html")
"""The reasons `record.skipped_*` that are counted, by place behind `FIRST_SKIPPED`."""

LEFT_REASONS = ("size", "page_url", "base_url", "json", "http_header", "media_type", "charset", "markup", "resource")
"""Why a record is left to the reference reader, by its place."""

AT, LAST_OFFSET, PLAIN_USED, LEFT_RECORDS, LEFT_IMAGES, IN_WAT, WHY, RECORDS, PAGES, FIRST_SKIPPED = range(10)
PROGRESS_LENGTH = FIRST_SKIPPED + len(SKIPPED)
"""The numbers that the loop keeps: the next member's place in the input; the last record's offset in the archive, -1
where there is none; inflated bytes that wait for Python; records and images that do; whether the archive has been seen
to be a WAT archive; why the last record was left; and sums since they were 0."""

(
    LEFT_OFFSET,
    LEFT_BEGIN,
    LEFT_END,
    LEFT_URL_BEGIN,
    LEFT_URL_END,
    LEFT_FIRST_IMAGE,
    LEFT_IMAGE_COUNT,
    LEFT_IN_WAT,
    LEFT_IS_HTML,
    LEFT_BASE_BEGIN,
    LEFT_BASE_END,
    LEFT_WHY,
    LEFT_LANGUAGE,
    LEFT_PREFERENCES,
) = range(14)
LEFT_COLUMNS = 14
"""A row per record of which something is left: its offset in the archive; begin and end of its bytes, inflated, and of
its page's URL; its images among those that are left, none where the record is left as a whole; `IN_WAT` as it was
before; 1 where the images are tags of HTML; begin and end of the URL that theirs are resolved against; the reason; and
what the page declares, as in `Workspace.declared`."""

JSON = -1
"""How the values of a page's images are written where they are no HTML, whose encodings are those of `html_kernel`."""

IMAGE_PLACE, FIRST_TAG_COLUMN = 0, 1
LEFT_IMAGE_COLUMNS = 1 + TAG_COLUMNS
"""A row per image that is left: its place in the page, and its tag."""

_RESPONSE, _RESOURCE = RECORD_TYPES.index("response"), RECORD_TYPES.index("resource")
_STATUS, _NOT_HTML = SKIPPED.index("status"), SKIPPED.index("not_html")
_SIZE, _PAGE_URL, _BASE_URL, _JSON, _HTTP_HEADER, _MEDIA_TYPE, _CHARSET, _MARKUP, _LEFT_RESOURCE = range(
    len(LEFT_REASONS)
)
_ENVELOPE_BYTES = 4096
"""Where a WAT archive's records must name the envelope, see `udfs.pages.wat.describes_capture`."""

_RECORD_END_BYTES = 4
_MOST_MARKUP_LEFT = 1 << 16
"""Bytes of a page's images that are parsed outside of the time limit for pages; a page with more is left as a whole."""

_SUCCESS_CLASS = 2
_ABSENT = -1
_UNKNOWN = -1
_SLASH, _COLON, _DOT, _QUERY, _HASH, _AMPERSAND, _TWO = (ord(mark) for mark in "/:.?#&2")
_LESS, _GREATER, _OPEN, _CLOSE, _SPACE, _DELETE, _ASCII_END = 60, 62, 91, 93, 32, 127, 128

_DNS = constant(b"dns")
_HOST, _FOLDER, _LAST_NAME, _DIGIT = 1, 2, 4, 8


class Input(NamedTuple):
    """What is known of an archive.

    Attributes:
        content: Its bytes.
        end: Their number.
        offset: Where they begin in the archive.
    """

    content: Bytes
    end: int
    offset: int


class Limits(NamedTuple):
    """What a record may be, and what of it counts.

    Attributes:
        known: A bit for each of `udfs.pairs.kernel.REASONS` that needs no more examples.
        page_bytes: Most bytes of a page, and of its images with its URL for each.
        record_bytes: Most bytes of a block.
        left: Records or images that may wait for Python before it is their turn.
        agents: Whose directives count, too, from `udfs.pages.declared.kernel.agent_list`.
    """

    known: int
    page_bytes: int
    record_bytes: int
    left: int
    agents: Bytes


class Workspace(NamedTuple):
    """What the loop writes to.

    Attributes:
        plain: Inflated members, `SLACK_BYTES` behind them.
        tags: int64[n, TAG_COLUMNS], the images of one page.
        base: int64[TAG_COLUMNS], the base of one page.
        declared: int64[DECLARED_LENGTH], what one page declares.
        found: int64[wat_kernel.FOUND_LENGTH], what `read_capture` finds.
        stack: Room for brackets.
        refused: int64[n], places of images of one page.
        sizes: int64[2], bytes of a member before and after it is inflated.
        state: int64[STATE_LENGTH], numbers of the columns before a page was added.
        left_records: int64[k, LEFT_COLUMNS].
        left_images: int64[m, LEFT_IMAGE_COLUMNS], m not less than n.
        progress: int64[PROGRESS_LENGTH].
    """

    plain: Bytes
    tags: Numbers
    base: Numbers
    declared: Numbers
    found: Numbers
    stack: Bytes
    refused: Numbers
    sizes: Numbers
    state: Numbers
    left_records: Numbers
    left_images: Numbers
    progress: Numbers


def _classes_of_base() -> Bytes:
    """Says of each byte in which parts of a base URL it means nothing but itself, as for `image_urls.plain_folder`."""
    classes = np.zeros(256, np.uint8)
    digits = "0123456789"
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits
    for characters, bits in (
        (letters + "-.", _HOST | _FOLDER | _LAST_NAME),
        ("_~%+,@=", _FOLDER | _LAST_NAME),
        ("!$&'()*", _LAST_NAME),
        (digits, _DIGIT),
    ):
        for character in characters:
            classes[ord(character)] |= bits
    return classes


_CLASSES = _classes_of_base()


@part_of_kernel
def _class_end(content: Bytes, at: int, end: int, bits: int) -> int:
    while at < end and _CLASSES[content[at]] & bits:
        at += 1
    return at


@part_of_kernel
def _root_end(content: Bytes, begin: int, end: int) -> int:
    """Finds the place behind the first slash of a URL's path; `_UNKNOWN` where scheme and host are not plain."""
    if starts_with(content, begin, end, HTTP):
        host = begin + 7
    elif starts_with(content, begin, end, HTTPS):
        host = begin + 8
    else:
        return _UNKNOWN
    at = _class_end(content, host, end, _HOST)
    if at == host or content[host] == _DOT:
        return _UNKNOWN
    if at < end and content[at] == _COLON:
        port = at + 1
        at = _class_end(content, port, end, _DIGIT)
        if at == port:
            return _UNKNOWN
    return at + 1 if at < end and content[at] == _SLASH else _UNKNOWN


@part_of_kernel
def _plain_folder(content: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Does what `image_urls.plain_folder` does for a base of printable ASCII.

    Returns:
        Where its folder ends, `begin` where it is not plain; and the length of its root, -1 where it may be that it
        cannot be parsed.
    """
    root = _root_end(content, begin, end)
    folder = root
    at = root if root != _UNKNOWN else end
    is_plain = root != _UNKNOWN
    while is_plain and at < end and content[at] != _QUERY and content[at] != _HASH:
        name = at
        at = _class_end(content, name, end, _FOLDER)
        if at < end and content[at] == _SLASH:
            is_plain = at > name and content[name] != _DOT
            at += 1
            folder = at
        else:
            at = _class_end(content, name, end, _LAST_NAME)
            is_plain = at == end or content[at] == _QUERY or content[at] == _HASH
    if is_plain:
        return folder, root - begin
    for place in range(begin, end):
        if content[place] == _OPEN or content[place] == _CLOSE:
            return begin, _UNKNOWN
    return begin, 0


@part_of_kernel
def _page_url(content: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Does what `clean_page_url` does for a URL of printable ASCII; 0 twice for others, for none, and for `dns:`."""
    if end - begin >= 2 and content[begin] == _LESS and content[end - 1] == _GREATER:
        begin, end = begin + 1, end - 1
    for place in range(begin, end):
        if content[place] <= _SPACE or content[place] >= _DELETE:
            return INVALID, INVALID
    is_name = end - begin >= 4 and content[begin + 3] == _COLON and same_letters(content, begin, begin + 3, _DNS)
    return (INVALID, INVALID) if begin == end or is_name else (begin, end)


@part_of_kernel
def _begin_page(
    columns: ColumnBuffers, first_row: int, offset: int, plain: Bytes, url: int, url_end: int, declared: Numbers
) -> None:
    state = columns.state
    page = columns.pages[state[PAGES_USED]]
    used = state[URL_BYTES_USED]
    page[FIRST_ROW], page[RECORD_OFFSET], page[ARE_RECORDS], page[PAGE_URL_BEGIN] = first_row, offset, 0, used
    page[PAGE_LANGUAGE], page[PAGE_PREFERENCES] = declared[LANGUAGE], declared[PREFERENCES]
    for place in range(url_end - url):
        columns.page_urls[used + place] = plain[url + place]
    state[PAGES_USED] += 1
    state[URL_BYTES_USED] = used + url_end - url


class Page(NamedTuple):
    """A page whose images stand in `tags`.

    Attributes:
        offset: Its record's offset in the archive.
        url: Where its URL begins in the inflated bytes.
        url_end: Where it ends.
        content: Where the bytes begin into which the tags point.
        images: Their number.
        href: Where the `href` of its base begins, `href_end` where it has none or an empty one.
        href_end: Where it ends.
        used: Where bytes may be written, behind all others.
        encoding: `JSON`, or the encoding of HTML.
    """

    offset: int
    url: int
    url_end: int
    content: int
    images: int
    href: int
    href_end: int
    used: int
    encoding: int


@part_of_kernel
def _copy(plain: Bytes, begin: int, end: int, at: int) -> int:
    for place in range(begin, end):
        plain[at + place - begin] = plain[place]
    return at + end - begin


@part_of_kernel
def _base_url(plain: Bytes, page: Page) -> tuple[int, int, int]:
    """Does what `udfs.pages.page_url.join_base` does for a base whose folder is plain.

    Returns:
        Begin and end of the base's URL, `INVALID` for others, and where bytes may be written then.
    """
    begin, end, used = page.href, page.href_end, page.used
    if begin == end:
        return page.url, page.url_end, used
    for place in range(begin, end):
        if plain[place] in (_QUERY, _HASH, _AMPERSAND):
            return INVALID, INVALID, used
    _, page_root_end = _plain_folder(plain, page.url, page.url_end)
    if page_root_end == _UNKNOWN:
        # No base can be joined to a URL that cannot be parsed.
        return INVALID, INVALID, used
    if plain[begin] == _SLASH:
        root_end = _root_end(plain, page.url, page.url_end)
        if root_end == _UNKNOWN or root_end - page.url + end - begin > plain.size - SLACK_BYTES - used:
            return INVALID, INVALID, used
        behind_host = _copy(plain, page.url, root_end - 1, used)
        begin, end, used = used, _copy(plain, begin, end, behind_host), behind_host + end - begin
    folder_end, _ = _plain_folder(plain, begin, end)
    if folder_end == begin or (folder_end < end and plain[folder_end] == _DOT):
        # Dots as the last name are no file's name: joining removes them, and the folder before them.
        return INVALID, INVALID, used
    return begin, end, used


@part_of_kernel
def _markup_left(work: Workspace, refused: int) -> int:
    """Counts the bytes of refused images that a parser must read."""
    size = 0
    for place in range(refused):
        tag = work.tags[work.refused[place]]
        if not tag[IS_PLAIN]:
            size += tag[TAG_END] - tag[TAG_BEGIN]
    return size


@part_of_kernel
def _leave_images(work: Workspace, refused: int, content: int) -> None:
    """Notes the images of a page that were refused, with their places in the inflated bytes."""
    for place in range(refused):
        image = work.refused[place]
        row, tag = work.left_images[work.progress[LEFT_IMAGES]], work.tags[image]
        row[IMAGE_PLACE] = image
        for column in range(TAG_COLUMNS):
            is_place = column != IS_PLAIN and tag[column] != _ABSENT
            row[FIRST_TAG_COLUMN + column] = tag[column] + content if is_place else tag[column]
        work.progress[LEFT_IMAGES] += 1


@part_of_kernel
def _leave_record(work: Workspace, offset: int, begin: int, end: int) -> None:
    """Notes a record that must be read in Python."""
    row, progress = work.left_records[work.progress[LEFT_RECORDS]], work.progress
    row[LEFT_OFFSET], row[LEFT_BEGIN], row[LEFT_END], row[LEFT_IN_WAT] = offset, begin, end, progress[IN_WAT]
    row[LEFT_IMAGE_COUNT], row[LEFT_WHY] = 0, progress[WHY]
    progress[LEFT_RECORDS] += 1


@part_of_kernel
def _leave_page(work: Workspace, page: Page, base: int, base_end: int, end: int, images: int) -> None:
    """Notes a page of which some images must be read in Python."""
    row, progress = work.left_records[work.progress[LEFT_RECORDS]], work.progress
    _leave_record(work, page.offset, page.url, end)
    row[LEFT_URL_BEGIN], row[LEFT_URL_END], row[LEFT_IS_HTML] = page.url, page.url_end, page.encoding != JSON
    row[LEFT_BASE_BEGIN], row[LEFT_BASE_END] = base, base_end
    row[LEFT_FIRST_IMAGE], row[LEFT_IMAGE_COUNT] = progress[LEFT_IMAGES] - images, images
    row[LEFT_LANGUAGE], row[LEFT_PREFERENCES] = work.declared[LANGUAGE], work.declared[PREFERENCES]


@part_of_kernel
def _copy_numbers(source: Numbers, target: Numbers) -> None:
    for place in range(source.size):
        target[place] = source[place]


@part_of_kernel
def _decode_tags(work: Workspace, page: Page, at: int) -> int:
    """Makes the values of a page's images plain, but for those that a parser must read; gives the place behind them."""
    for image in range(page.images):
        tag = work.tags[image]
        if page.encoding == JSON and not tag[IS_PLAIN]:
            at = unescape_tag(work.plain, tag, at)
        elif page.encoding > UTF8 or (page.encoding == UTF8 and not tag[IS_PLAIN]):
            tag[IS_PLAIN] = 0
            at = decode_tag(work.plain, tag, page.content, page.encoding, at)
    return at


@part_of_kernel
def _is_all_plain(work: Workspace, images: int) -> bool:
    for image in range(images):
        if not work.tags[image][IS_PLAIN]:
            return False
    return True


@part_of_kernel
def _left(work: Workspace, why: int) -> int:
    """Notes why a record is left."""
    work.progress[WHY] = why
    return LEFT


@part_of_kernel
def _add_page(work: Workspace, columns: ColumnBuffers, limits: Limits, page: Page) -> int:
    """Adds the images of a page; what is left of it is noted.

    Returns:
        `READ`, `COLUMNS_FULL`, `LEFT_FULL`, or `LEFT` where nothing has been noted.
    """
    plain, state, length = work.plain, columns.state, page.url_end - page.url
    base, base_end, used = _base_url(plain, page)
    folder_end, root_end = _plain_folder(plain, base, base_end)
    if base == INVALID or root_end == _UNKNOWN:
        return _left(work, _BASE_URL)
    if page.images * (base_end - base) > limits.page_bytes:
        return _left(work, _SIZE)
    if work.progress[LEFT_IMAGES] + page.images > work.left_images.shape[0]:
        return LEFT_FULL
    first_row = state[ROWS_USED]
    if state[URL_BYTES_USED] + length > columns.page_urls.size:
        return COLUMNS_FULL if first_row > 0 else _left(work, _SIZE)
    used = _decode_tags(work, page, used)
    if page.encoding > UTF8 and not _is_all_plain(work, page.images):
        # A parser takes markup in UTF-8.
        return _left(work, _CHARSET)
    _copy_numbers(state, work.state)
    done = add_pairs(
        plain[page.content : used],
        work.tags[: page.images],
        0,
        plain[base:folder_end],
        root_end,
        limits.known,
        columns.data,
        columns.rows,
        state,
        work.refused,
        columns.stripped,
    )
    if done < page.images:
        _copy_numbers(work.state, state)
        return COLUMNS_FULL if first_row > 0 else _left(work, _SIZE)
    if page.encoding != JSON and _markup_left(work, state[REFUSED]) > _MOST_MARKUP_LEFT:
        _copy_numbers(work.state, state)
        return _left(work, _MARKUP)
    if state[ROWS_USED] > first_row:
        _begin_page(columns, first_row, page.offset, plain, page.url, page.url_end, work.declared)
    if state[REFUSED] > 0:
        _leave_images(work, state[REFUSED], page.content)
        _leave_page(work, page, base, base_end, used, state[REFUSED])
    return READ


@part_of_kernel
def _is_success(plain: Bytes, begin: int, end: int) -> bool:
    return end - begin == 3 and plain[begin] == _TWO


@part_of_kernel
def _is_ascii(plain: Bytes, begin: int, end: int) -> bool:
    for place in range(begin, end):
        if plain[place] >= _ASCII_END:
            return False
    return True


@part_of_kernel
def _skipped(found: Numbers, plain: Bytes, kind: int) -> int:
    """Says why a capture gives no page: a place in `SKIPPED`; `_ABSENT` for a page, `_LEFT_OUT` for Python to say."""
    if kind != _RESPONSE and kind != _RESOURCE:
        return kind
    has_response = found[RESPONSE] != _ABSENT
    if found[PAYLOAD] == _ABSENT or (not has_response and kind == _RESPONSE):
        return _LEFT_OUT
    if has_response:
        if found[MESSAGE] == _ABSENT or found[STATUS_BEGIN] == _ABSENT:
            return _LEFT_OUT
        if not _is_ascii(plain, found[STATUS_BEGIN], found[STATUS_END]):
            return _LEFT_OUT
        if not _is_success(plain, found[STATUS_BEGIN], found[STATUS_END]):
            return _STATUS
        if found[HTML_OF_RESPONSE] != _ABSENT and found[HTML_OF_PAYLOAD] != _ABSENT:
            return _LEFT_OUT
    is_html = found[HTML_OF_RESPONSE] != _ABSENT or found[HTML_OF_PAYLOAD] != _ABSENT
    return _ABSENT if is_html else _NOT_HTML


_LEFT_OUT = -2


@part_of_kernel
def _read_capture(work: Workspace, columns: ColumnBuffers, limits: Limits, header: Header, offset: int) -> int:
    """Reads a WAT record; see `_add_page` for what it returns."""
    plain, found, end = work.plain, work.found, header.block + header.length
    behind = read_capture(plain, header.block, found, work.stack, work.tags, limits.agents)
    if behind == INVALID or behind > end or skip_space(plain, behind) != end + _RECORD_END_BYTES:
        return _left(work, _JSON)
    names_envelope = 0 <= found[ENVELOPE_END] - header.block < _ENVELOPE_BYTES
    if not names_envelope or found[TYPE_BEGIN] == _ABSENT or found[URI_BEGIN] == _ABSENT:
        return _left(work, _JSON)
    kind = kind_of(plain, found[TYPE_BEGIN], found[TYPE_END])
    url, url_end = _page_url(plain, found[URI_BEGIN], found[URI_END])
    why = _skipped(found, plain, kind)
    if kind == NOT_PLAIN or why == _LEFT_OUT:
        return _left(work, _JSON)
    if url == INVALID:
        return _left(work, _PAGE_URL)
    if why != _ABSENT:
        work.progress[FIRST_SKIPPED + why] += 1
    else:
        if found[IMAGES] > 0:
            work.declared[LANGUAGE], work.declared[PREFERENCES] = declared_language(found), found[FOUND_PREFERENCES]
            used = end + _RECORD_END_BYTES + 1
            page = Page(offset, url, url_end, 0, found[IMAGES], found[BASE_BEGIN], found[BASE_END], used, JSON)
            outcome = _add_page(work, columns, limits, page)
            if outcome != READ:
                return outcome
        work.progress[PAGES] += 1
    work.progress[IN_WAT] = 1
    return READ


@part_of_kernel
def _read_types(plain: Bytes, header: Header, media_type: int, type_end: int) -> tuple[int, int]:
    """Joins what the record's header and the response's say of the body; as `read_type`."""
    kind, label = read_type(plain, header.payload_type, header.payload_type_end)
    if label != NO_LABEL:
        return NOT_PLAIN, NO_LABEL
    kind_of_response, label = read_type(plain, media_type, type_end)
    return (kind_of_response if kind == IS_UNSURE or kind_of_response == NOT_PLAIN else kind), label


@part_of_kernel
def _read_response(work: Workspace, columns: ColumnBuffers, limits: Limits, header: Header, offset: int) -> int:
    """Reads a record with an HTTP response; see `_add_page` for what it returns."""
    plain, end = work.plain, header.block + header.length
    url, url_end = _page_url(plain, header.uri, header.uri_end)
    status, body, media_type, type_end, preferences = read_response(plain, header.block, end, limits.agents)
    if url == INVALID:
        return _left(work, _PAGE_URL)
    if status == NOT_PLAIN:
        return _left(work, _HTTP_HEADER)
    if status // 100 != _SUCCESS_CLASS:
        work.progress[FIRST_SKIPPED + _STATUS] += 1
        return READ
    kind, label = _read_types(plain, header, media_type, type_end)
    if kind == IS_NOT_HTML:
        work.progress[FIRST_SKIPPED + _NOT_HTML] += 1
        return READ
    if kind != IS_HTML and not (kind == IS_UNSURE and begins_as_html(plain[body:end])):
        return _left(work, _MEDIA_TYPE)
    is_large = end - body > limits.page_bytes or header.length > limits.record_bytes
    if is_large or has_too_many_images(plain[body:end]):
        return _left(work, _SIZE)
    encoding = encoding_of_page(plain, body, end, label)
    if encoding == NOT_PLAIN:
        return _left(work, _CHARSET)
    images = find_tags(plain[body:end], work.tags, work.base, work.declared, limits.agents)
    if images == UNMODELLED:
        return _left(work, _MARKUP)
    work.declared[PREFERENCES] |= preferences
    if images > 0:
        href, href_end = body + work.base[HREF], body + work.base[HREF + 1]
        page = Page(offset, url, url_end, body, images, href, href_end, end + _RECORD_END_BYTES + 1, encoding)
        outcome = _add_page(work, columns, limits, page)
        if outcome != READ:
            return outcome
    work.progress[PAGES] += 1
    return READ


@part_of_kernel
def _read_record(work: Workspace, columns: ColumnBuffers, limits: Limits, header: Header, offset: int) -> int:
    """Reads a record; see `_add_page` for what it returns."""
    if header.kind == METADATA and is_json(work.plain, header):
        is_large = header.length > limits.record_bytes
        if is_large or has_too_many_values(work.plain, header.block, header.block + header.length):
            return _left(work, _SIZE)
        return _read_capture(work, columns, limits, header, offset)
    if header.kind == _RESPONSE:
        return _read_response(work, columns, limits, header, offset)
    if header.kind == _RESOURCE:
        return _left(work, _LEFT_RESOURCE)
    work.progress[FIRST_SKIPPED + header.kind] += 1
    return READ


@part_of_kernel
def _is_left_full(work: Workspace, limits: Limits) -> bool:
    most_records = min(limits.left, work.left_records.shape[0])
    return bool(work.progress[LEFT_RECORDS] >= most_records or work.progress[LEFT_IMAGES] >= limits.left)


def _read_members(inflater: Inflater, source: Input, limits: Limits, columns: ColumnBuffers, work: Workspace) -> int:
    """Reads members from `AT` on; the arguments stand at `loop_kernel`."""
    progress = work.progress
    while progress[AT] < source.end:
        if _is_left_full(work, limits):
            return LEFT_FULL
        at, begin = progress[AT], progress[PLAIN_USED]
        state = inflate(inflater, source.content, at, source.end, work.plain, begin, work.sizes)
        if state == CUT_OR_CORRUPT:
            return MORE_INPUT
        if state == TOO_LARGE and begin > 0:
            return LEFT_FULL
        if state != INFLATED:
            return NOT_A_PLAIN_MEMBER
        end, offset, left = begin + work.sizes[1], source.offset + at, progress[LEFT_RECORDS]
        header = read_header(work.plain, begin, end)
        if header.kind == NOT_PLAIN or not fills_member(work.plain, header, end):
            return NOT_A_PLAIN_MEMBER
        outcome = _read_record(work, columns, limits, header, offset)
        if outcome in (COLUMNS_FULL, LEFT_FULL):
            return int(outcome)
        if outcome == LEFT:
            _leave_record(work, offset, begin, end)
        else:
            progress[RECORDS] += 1
        if progress[LEFT_RECORDS] > left:
            progress[PLAIN_USED] = work.left_records[left][LEFT_END] + 1
        progress[AT] = at + work.sizes[0]
        progress[LAST_OFFSET] = offset
    return MORE_INPUT


def _tuple_of(kind: Any, *fields: Any) -> Any:
    """Gives the type of a named tuple, of which numba knows two kinds."""
    if len(set(fields)) == 1:
        return types.NamedUniTuple(fields[0], len(fields), kind)
    return types.NamedTuple(fields, kind)


@kernel(_read_members)
def loop_kernel() -> Any:
    """Gives numba's signature of the compiled loop.

    Returns:
        That of a function (Inflater, Input, Limits, ColumnBuffers, Workspace) -> why it returned. What must be taken
        out afterwards stands in the columns and in the workspace.
    """
    number, content, numbers, table = types.int64, types.uint8[::1], types.int64[::1], types.int64[:, ::1]
    arguments = (
        _tuple_of(Inflater, number, number, number),
        _tuple_of(Input, content, number, number),
        _tuple_of(Limits, number, number, number, number, content),
        _tuple_of(ColumnBuffers, content, table, table, content, numbers, numbers),
        _tuple_of(
            Workspace,
            content,
            table,
            numbers,
            numbers,
            numbers,
            content,
            numbers,
            numbers,
            numbers,
            table,
            table,
            numbers,
        ),
    )
    return number(*arguments)
