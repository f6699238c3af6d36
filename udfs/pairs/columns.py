"""The columns of pairs while they are filled: by a compiled loop, without a string or a tuple per pair, or one by one.

The loop reads the images that are easy, and leaves the others to `udfs.pairs.rules` (`udfs.pairs.kernel` says which).
"""

from collections import Counter
from hashlib import md5
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.arrow import arrow_numbers
from udfs.pages.declared.language import pack_language, unpack_language
from udfs.pages.image_table import PageImages
from udfs.pairs.image_urls import plain_folder
from udfs.pairs.kernel import (
    ARE_RECORDS,
    BYTES_USED,
    FIRST_REASON,
    FIRST_ROW,
    IMAGE_INDEX,
    IMAGES,
    IMAGES_KEPT,
    NOT_READ,
    PAGE_COLUMNS,
    PAGE_LANGUAGE,
    PAGE_PREFERENCES,
    PAGE_URL_BEGIN,
    PAGES_USED,
    PAIR_COLUMNS,
    PAIRS,
    REASONS,
    RECORD_OFFSET,
    REFUSED,
    ROWS_USED,
    SOURCE,
    STATE_LENGTH,
    STRIPPED_LENGTH,
    TEXT_BEGIN,
    TEXTS_SEEN,
    URL_BEGIN,
    URL_BYTES_USED,
    ColumnBuffers,
    pair_kernel,
)
from udfs.pairs.md5_kernel import DIGITS, hexadecimal_digests, md5_kernel
from udfs.pairs.rules import FoundPair
from udfs.schemas import SOURCES

_DATA_BYTES = 1 << 22
_URL_BYTES = 1 << 20
_MOST_IMAGES = 1024
_NUMBERS = {"images": IMAGES, "images_kept": IMAGES_KEPT, "texts": TEXTS_SEEN, "pairs": PAIRS}
_BITS = {reason: 1 << place for place, reason in enumerate(REASONS)}
_SOURCES = pa.array(SOURCES)


class DeclaredByRecord(NamedTuple):
    """What records of one image each declare.

    Attributes:
        languages: Shape (records,): strings of any length, null for none.
        preferences: Shape (records,): bits of `preferences.PREFERENCES`, `NOT_READ` for null.
    """

    languages: pa.StringArray
    preferences: npt.NDArray[np.int64]


class PairColumns:
    """Columns of at most so many pairs, and what was counted while a compiled loop filled them."""

    def __init__(self, most_rows: int) -> None:
        """Makes room."""
        self._data = np.empty(_DATA_BYTES, np.uint8)
        self._rows = np.empty((most_rows, PAIR_COLUMNS), np.int64)
        self._state = np.zeros(STATE_LENGTH, np.int64)
        self._refused = np.empty(_MOST_IMAGES, np.int64)
        self._stripped = np.empty(STRIPPED_LENGTH, np.int64)
        self._pages = np.empty((most_rows, PAGE_COLUMNS), np.int64)
        self._page_urls = np.empty(_URL_BYTES, np.uint8)
        self._records: dict[int, DeclaredByRecord] = {}
        self._known = 0

    def __len__(self) -> int:
        """The number of pairs."""
        return int(self._state[ROWS_USED])

    @property
    def known(self) -> int:
        """A bit for each of `REASONS` that needs no more examples."""
        return self._known

    def buffers(self) -> ColumnBuffers:
        """Gives the buffers, which are others once a pair or a page was added here."""
        return ColumnBuffers(self._data, self._rows, self._pages, self._page_urls, self._state, self._stripped)

    def add_page(
        self, page: PageImages, record_offset: int, start: int, records: DeclaredByRecord | None = None
    ) -> tuple[int, list[int]]:
        """Adds the pairs of a page's images from `start` on; with `records` each image is a record of its own.

        Returns:
            The image to go on with after a `flush`, the number of images at the end; and the images before it whose
            pairs must be made by `rules.pair_images`.
        """
        add_pairs = pair_kernel.loaded
        if add_pairs is None or len(page.decoded) == len(page.rows):
            return len(page.rows), list(range(start, len(page.rows)))
        base, root_end = plain_folder(page.base_url)
        if len(page.rows) > len(self._refused):
            self._refused = np.empty(len(page.rows), np.int64)
        first, url = len(self), page.page_url.encode()
        if first and not self._has_room_for_url(url):
            return start, []
        done = add_pairs(
            np.frombuffer(page.content, np.uint8),
            page.rows,
            start,
            base,
            root_end,
            self._known,
            self._data,
            self._rows,
            self._state,
            self._refused,
            self._stripped,
        )
        if len(self) > first:
            self._begin_page(page, url, record_offset, first, records)
        return done, self._refused[: self._state[REFUSED]].tolist()

    def add_pair(
        self, pair: FoundPair, page: PageImages, record_offset: int, records: DeclaredByRecord | None = None
    ) -> bool:
        """Adds one pair of a page, which is not counted; False where there is room only after a `flush`."""
        url, text, of_page = pair.image_url.encode(), pair.alt_text.encode(), page.page_url.encode()
        content = np.frombuffer(b"%b\0%b" % (url, text), np.uint8)
        row, begin = len(self), int(self._state[BYTES_USED])
        if row and (row == len(self._rows) or begin + len(content) > len(self._data)):
            return False
        if row and not self._has_room_for_url(of_page):
            return False
        if len(content) > len(self._data):
            self._data = np.empty(len(content), np.uint8)
        self._data[begin : begin + len(content)] = content
        # In the order of URL_BEGIN, TEXT_BEGIN, SOURCE and IMAGE_INDEX.
        self._rows[row] = begin, begin + len(url) + 1, SOURCES.index(pair.source), pair.image_index
        self._state[BYTES_USED] += len(content)
        self._state[ROWS_USED] += 1
        self._begin_page(page, of_page, record_offset, row, records)
        return True

    def _has_room_for_url(self, url: bytes) -> bool:
        """Tells whether the URL of a further page fits; the buffer grows only while it is empty."""
        return int(self._state[URL_BYTES_USED]) + len(url) <= len(self._page_urls)

    def _begin_page(
        self, page: PageImages, url: bytes, record_offset: int, first_row: int, records: DeclaredByRecord | None
    ) -> None:
        """Makes rows from one on those of a page, unless it is the last one."""
        are_records = records is not None
        pages, used = int(self._state[PAGES_USED]), int(self._state[URL_BYTES_USED])
        if pages:
            last = self._pages[pages - 1]
            is_same = last[RECORD_OFFSET] == record_offset and last[ARE_RECORDS] == are_records
            if is_same and self._page_urls[last[PAGE_URL_BEGIN] : used].tobytes() == url:
                return
        if used + len(url) > len(self._page_urls):
            self._page_urls = np.resize(self._page_urls, 2 * (used + len(url)))
        self._page_urls[used : used + len(url)] = np.frombuffer(url, np.uint8)
        language, preferences = pack_language(page.declared.language), page.declared.preferences
        # In the order of FIRST_ROW, RECORD_OFFSET, ARE_RECORDS, PAGE_URL_BEGIN, PAGE_LANGUAGE and PAGE_PREFERENCES.
        self._pages[pages] = (
            first_row,
            record_offset,
            are_records,
            used,
            language,
            NOT_READ if preferences is None else preferences,
        )
        if records is not None:
            self._records[pages] = records
        self._state[PAGES_USED] += 1
        self._state[URL_BYTES_USED] += len(url)

    def stop_sampling(self, reason: str) -> None:
        """Lets the loop count an image or text that is lost for a reason without handing it back."""
        self._known |= _BITS.get(reason, 0)

    def flush(self) -> dict[str, pa.Array]:
        """Takes the pairs out, as columns of `schemas.PAIRS` but for the archive."""
        number, used = len(self), int(self._state[BYTES_USED])
        rows, data = self._rows[:number], self._data[:used].tobytes()
        # A pair lies there as URL, NUL, text, and the next one behind it: three strings each.
        offsets = np.empty(3 * number + 1, np.int32)
        offsets[0:-1:3], offsets[1::3], offsets[2::3] = rows[:, URL_BEGIN], rows[:, TEXT_BEGIN] - 1, rows[:, TEXT_BEGIN]
        offsets[-1] = used
        strings = pa.StringArray.from_buffers(3 * number, pa.py_buffer(offsets), pa.py_buffer(data))
        urls, texts = (strings.take(arrow_numbers(np.arange(first, 3 * number, 3))) for first in (0, 2))
        table = self._pages[: self._state[PAGES_USED]]
        pages = np.repeat(np.arange(len(table)), np.diff(table[:, FIRST_ROW], append=number))
        images = rows[:, IMAGE_INDEX]
        records = images * table[pages, ARE_RECORDS]
        columns = {
            "pair_id": _pair_ids(data, offsets[::3].astype(np.int64)),
            "image_url": urls,
            "alt_text": texts,
            "source": _SOURCES.take(arrow_numbers(rows[:, SOURCE].copy())),
            "page_url": self._urls_of_pages().take(arrow_numbers(pages)),
            "record_offset": arrow_numbers(table[pages, RECORD_OFFSET] + records),
            "image_index": arrow_numbers((images - records).astype(np.int32)),
            **self._declared(pages),
        }
        self._state[:REFUSED] = 0
        self._records.clear()
        return columns

    def _declared(self, pages: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
        """Makes the columns of what pages declare, from the place of each row's page."""
        languages, preferences = self._pages[: self._state[PAGES_USED], [PAGE_LANGUAGE, PAGE_PREFERENCES]].T
        codes, places = np.unique(languages, return_inverse=True)
        names = pa.array([unpack_language(int(code)) for code in codes], pa.string())
        parts, rest = [], names.take(arrow_numbers(places[pages]))
        found = preferences[pages].astype(np.int32)
        done = 0
        for page, records in self._records.items():
            begin, end = np.searchsorted(pages, [page, page + 1])
            images = self._rows[begin:end, IMAGE_INDEX].copy()
            found[begin:end] = records.preferences[images]
            parts += [rest[done:begin], records.languages.take(arrow_numbers(images))]
            done = end
        return {
            "page_language": pa.concat_arrays([*parts, rest[done:]]),
            "page_preferences": arrow_numbers(found, valid=found != NOT_READ),
        }

    def _urls_of_pages(self) -> pa.StringArray:
        """Gives the URL of each page; an empty one is null."""
        pages, used = int(self._state[PAGES_USED]), int(self._state[URL_BYTES_USED])
        offsets = np.append(self._pages[:pages, PAGE_URL_BEGIN], used).astype(np.int32)
        valid = pa.py_buffer(np.packbits(np.diff(offsets) > 0, bitorder="little"))
        urls = pa.py_buffer(self._page_urls[:used].tobytes())
        return pa.StringArray.from_buffers(pages, pa.py_buffer(offsets), urls, valid)

    def flush_numbers(self, numbers: Counter[str], rejected: Counter[str]) -> None:
        """Adds what was counted to an archive's sums."""
        for name, place in _NUMBERS.items():
            numbers[name] += int(self._state[place])
        for place, reason in enumerate(REASONS, FIRST_REASON):
            if self._state[place]:
                rejected[reason] += int(self._state[place])
        self._state[IMAGES:] = 0


def _pair_ids(data: bytes, bounds: npt.NDArray[np.int64]) -> pa.StringArray:
    """Makes the pair_id of each piece of the data, as `udfs.pairs.rules.pair_id` does."""
    if md5_kernel.loaded is not None:
        digits = hexadecimal_digests(data, bounds)
    else:
        pieces = pairwise(bounds.tolist())
        digests = (md5(data[begin:end], usedforsecurity=False).hexdigest() for begin, end in pieces)
        digits = np.frombuffer("".join(digests).encode(), np.uint8)
    offsets = np.arange(0, len(digits) + 1, DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(digits))
