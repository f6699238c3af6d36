"""What one page gives: its pairs, and the reasons for what was lost. Both parsers fill the same form."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from udfs.pages.image_table import HREF, IS_PLAIN, SRC, TAG_BEGIN, TAG_END
from udfs.pairs.image_urls import resolve_image_url
from udfs.pairs.text import clean_text
from udfs.schemas import SOURCES


class LostRecordError(ValueError):
    """A record that is no page, with the reason that is counted for it.

    Attributes:
        reason: `record.skipped_*` for what is normally no page, another `record.*` for what could not be read.
        example: What was seen, for the table of rejects.
    """

    def __init__(self, reason: str, example: str = "") -> None:
        """Takes the reason and what was seen."""
        super().__init__(f"{reason}: {example}" if example else reason)
        self.reason = reason
        self.example = example


class FoundPair(NamedTuple):
    """One image with one text. `image_index` counts every image of the page from 0; `source` names the attribute."""

    image_index: int
    image_url: str
    source: str
    alt_text: str


class Loss(NamedTuple):
    """One image or text that gave no pair: its `image.*` or `text.*` reason and what was seen."""

    reason: str
    example: str


ImageValues = tuple[str | None, Sequence[tuple[str, Any]]]
"""An image's `src`, None where it has none, and (source, value) of its texts in the order of `schemas.SOURCES`."""


class PageTags(NamedTuple):
    """The images of a page where a compiled loop found them.

    Attributes:
        content: The bytes that the rows point into.
        rows: int64[n, TAG_COLUMNS], see `tag_layout`.
        decoded: The values of those images whose values are not what the bytes say, by place.
    """

    content: bytes
    rows: npt.NDArray[np.int64]
    decoded: dict[int, ImageValues]

    def values(self, index: int) -> ImageValues:
        """Gives the values of an image."""
        if index in self.decoded:
            return self.decoded[index]
        row = self.rows[index].tolist()
        src, *texts = (
            self.content[row[at] : row[at + 1]].decode() if row[at] >= 0 else None for at in range(SRC, HREF, 2)
        )
        return src, [(source, text) for source, text in zip(SOURCES, texts, strict=True) if text is not None]


def page_tags(content: bytes, rows: npt.NDArray[np.int64], decode: Callable[[bytes], ImageValues]) -> PageTags:
    """Gathers the images that a compiled loop found, and decodes those whose values are not what the bytes say.

    Args:
        content: The bytes that the rows point into.
        rows: int64[n, TAG_COLUMNS], see `tag_layout`.
        decode: Reads the values of an image from its markup.

    Returns:
        The images.
    """
    encoded = [place for place, is_plain in enumerate(rows[:, IS_PLAIN].tolist()) if not is_plain]
    markup = ((place, content[rows[place, TAG_BEGIN] : rows[place, TAG_END]]) for place in encoded)
    return PageTags(content, rows, {place: decode(tag) for place, tag in markup})


@dataclass
class PagePairs:
    """The pairs of one page.

    images = images_kept + losses with an `image.*` reason; texts = pairs + losses with a `text.*` reason.

    Attributes:
        page_url: The page's own URL.
        base_url: What the URLs of its images are resolved against.
        tags: Its images, where they have been found and not yet read: then all that follows is still empty.
        images: Images seen, good or bad.
        images_kept: Images with a good URL and at least one text attribute.
        texts: Text attributes of kept images, empty ones too.
        pairs: What was found, in the page's order.
        losses: What was not kept.
    """

    page_url: str
    base_url: str
    tags: PageTags | None = None
    images: int = 0
    images_kept: int = 0
    texts: int = 0
    pairs: list[FoundPair] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def read_tag(self, index: int) -> None:
        """Reads the image of `tags` with a place among the page's images."""
        assert self.tags is not None
        self.add_image(*self.tags.values(index), index)

    def add_image(self, src: str | None, texts: Iterable[tuple[str, object]], index: int | None = None) -> None:
        """Adds one image with its texts.

        Args:
            src: The image's `src`; None where it has none.
            texts: (source, value) of the text attributes that it has, in the order of `schemas.SOURCES`.
            index: Its place among the page's images; None for behind those that were added.
        """
        index = self.images if index is None else index
        self.images += 1
        image_url, reason = resolve_image_url(self.base_url, src or "")
        if image_url is None:
            self.losses.append(Loss(reason, src or ""))
            return
        before = self.texts
        for source, value in texts:
            self.texts += 1
            self._add_text(index, image_url, source, value)
        if self.texts == before:
            self.losses.append(Loss("image.no_text", image_url))
        else:
            self.images_kept += 1

    def add_bad_image(self, reason: str, example: str) -> None:
        """Counts an image that cannot be read at all."""
        self.images += 1
        self.losses.append(Loss(reason, example))

    def _add_text(self, index: int, image_url: str, source: str, value: object) -> None:
        if not isinstance(value, str):
            self.losses.append(Loss("text.not_a_string", f"{image_url} {source}={str(value)[:200]}"))
            return
        text = clean_text(value)
        if text:
            self.pairs.append(FoundPair(index, image_url, source, text))
        else:
            self.losses.append(Loss("text.empty", f"{image_url} {source}"))
