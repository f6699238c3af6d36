"""The rules by which images become pairs, one image after another: the reference that the compiled loop keeps to."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from udfs.arrow import replace_lone_surrogates
from udfs.pages.image_table import ImageValues, Loss, PageImages
from udfs.pairs.image_urls import resolve_image_url

_LINE_BREAKS = str.maketrans("\n\r", "  ")


class FoundPair(NamedTuple):
    """One image with one text. `image_index` counts every image of the page from 0; `source` names the attribute."""

    image_index: int
    image_url: str
    source: str
    alt_text: str


@dataclass
class Pairs:
    """What images gave.

    images = images_kept + losses with an `image.*` reason; texts = pairs + losses with a `text.*` reason.

    Attributes:
        images: Images seen, good or bad.
        images_kept: Images with a good URL and at least one text attribute.
        texts: Text attributes of kept images, empty ones too.
        pairs: What was found, in the page's order.
        losses: What was not kept.
    """

    images: int = 0
    images_kept: int = 0
    texts: int = 0
    pairs: list[FoundPair] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def pair_images(page: PageImages, indices: Iterable[int]) -> Pairs:
    """Makes pairs of the images that stand at some places of a page."""
    found = Pairs()
    for index in indices:
        image = page.values(index)
        found.images += 1
        if isinstance(image, Loss):
            found.losses.append(image)
        else:
            _add_image(found, index, page.base_url, image)
    return found


def _add_image(found: Pairs, index: int, base_url: str, image: ImageValues) -> None:
    src = image.src or ""
    image_url, reason = resolve_image_url(base_url, src)
    if image_url is None:
        found.losses.append(Loss(reason, src))
        return
    if not image.texts:
        found.losses.append(Loss("image.no_text", image_url))
        return
    found.images_kept += 1
    found.texts += len(image.texts)
    for source, value in image.texts:
        pair = _read_text(index, image_url, source, value)
        if isinstance(pair, Loss):
            found.losses.append(pair)
        else:
            found.pairs.append(pair)


def _read_text(index: int, image_url: str, source: str, value: object) -> FoundPair | Loss:
    if not isinstance(value, str):
        return Loss("text.not_a_string", f"{image_url} {source}={str(value)[:200]}")
    text = clean_text(value)
    return FoundPair(index, image_url, source, text) if text else Loss("text.empty", f"{image_url} {source}")


def clean_text(text: str) -> str:
    """Strips an attribute's value and puts a space for each CR or LF, U+FFFD for lone surrogates; all else stays."""
    text = text.strip()
    if "\n" in text or "\r" in text:
        text = text.translate(_LINE_BREAKS)
    return replace_lone_surrogates(text)


def pair_id(image_url: str, alt_text: str) -> str:
    """Names a pair by its content, as Spark SQL's `md5` over URL, NUL and text does: 32 hex digits."""
    return hashlib.md5(f"{image_url}\0{alt_text}".encode(), usedforsecurity=False).hexdigest()
