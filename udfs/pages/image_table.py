"""The images of a page as they were found: rows of places in its bytes, which compiled loops fill and read."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.schemas import SOURCES

ATTRIBUTES = ("src", *SOURCES, "href")
TAG_BEGIN, TAG_END, IS_PLAIN, SRC = range(4)
FIRST_TEXT, HREF = SRC + 2, SRC + 2 + 2 * len(SOURCES)
TAG_COLUMNS = HREF + 2
"""A row per tag: its begin, its end, whether its values are what the bytes say (valid UTF-8, nothing encoded), and from
`SRC` on begin and end of the value of each of `ATTRIBUTES`, -1 where the tag does not have it."""

MOST_IMAGES, MOST_VALUES = 100_000, 1_000_000
"""Most images of a page, and most values in the JSON of a capture: more than pages have. What is built for each takes
many times its bytes, of which a small archive may have very many."""

UNMODELLED = -1
"""What a loop returns for a page that it cannot read, and that must be parsed as a whole."""

_NO_ROWS = np.empty((0, TAG_COLUMNS), np.int64)
_NOTHING_DECODED: dict[int, Any] = {}


class Loss(NamedTuple):
    """A record, image or text that gave no pair: the reason that counts it (`record.*`, ...) and what was seen."""

    reason: str
    example: str = ""


class LostRecordError(ValueError):
    """Ends the reading of a record that gives no page; `parse_page` returns the loss."""

    def __init__(self, reason: str, example: str = "") -> None:
        """`record.skipped_*` is for what is normally no page, another `record.*` for what could not be read."""
        super().__init__(f"{reason}: {example}" if example else reason)
        self.loss = Loss(reason, example)


class ImageValues(NamedTuple):
    """An image's `src`, None where it has none, and (source, value) of its texts in the order of `schemas.SOURCES`."""

    src: str | None
    texts: Sequence[tuple[str, Any]]


class Declared(NamedTuple):
    """What a page declares of itself; None for what it does not declare, or what was not read.

    Attributes:
        language: A code, as `declared.language.page_language` reads it.
        preferences: A bit for each of `preferences.PREFERENCES`, 0 where the page declares none.
    """

    language: str | None = None
    preferences: int | None = None


_NOT_READ = Declared()


class PageImages(NamedTuple):
    """The images of a page, found and not yet read.

    Attributes:
        page_url: The page's own URL.
        base_url: What the URLs of its images are resolved against.
        content: The bytes that the rows point into.
        rows: int64[n, TAG_COLUMNS].
        decoded: By index, the values of those images whose values are not what the bytes say; a loss for those that
            cannot be read at all.
        declared: What the page declares of itself, read only where it has images.
    """

    page_url: str
    base_url: str
    content: bytes = b""
    rows: npt.NDArray[np.int64] = _NO_ROWS
    decoded: dict[int, ImageValues | Loss] = _NOTHING_DECODED
    declared: Declared = _NOT_READ

    def values(self, index: int) -> ImageValues | Loss:
        """Reads one image."""
        if index in self.decoded:
            return self.decoded[index]
        row = self.rows[index].tolist()
        src, *texts = (
            self.content[row[at] : row[at + 1]].decode() if row[at] >= 0 else None for at in range(SRC, HREF, 2)
        )
        return ImageValues(
            src, [(source, text) for source, text in zip(SOURCES, texts, strict=True) if text is not None]
        )


def images_in_rows(
    page_url: str,
    base_url: str,
    content: bytes,
    rows: npt.NDArray[np.int64],
    decode: Callable[[bytes], ImageValues],
    declared: Declared,
) -> PageImages:
    """Gathers the images that a compiled loop found; `decode` reads the markup of those that are not plain."""
    encoded = [index for index, is_plain in enumerate(rows[:, IS_PLAIN].tolist()) if not is_plain]
    markup = ((index, content[rows[index, TAG_BEGIN] : rows[index, TAG_END]]) for index in encoded)
    return PageImages(page_url, base_url, content, rows, {index: decode(tag) for index, tag in markup}, declared)


def decoded_images(
    page_url: str, base_url: str, values: Sequence[ImageValues | Loss], declared: Declared
) -> PageImages:
    """Gathers images whose values a parser has decoded."""
    rows = np.full((len(values), TAG_COLUMNS), -1, np.int64)
    rows[:, IS_PLAIN] = 0
    return PageImages(page_url, base_url, b"", rows, dict(enumerate(values)), declared)
