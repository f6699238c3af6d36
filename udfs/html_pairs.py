"""The pairs of an HTML page, as a browser with scripting off would see its images.

`<noscript>` is read as markup; what stands in comments, templates, scripts, styles and text areas is not.
"""

import re
from collections.abc import Iterator, Mapping

from selectolax.lexbor import LexborHTMLParser

from udfs.page_pairs import PagePairs
from udfs.schemas import SOURCES
from udfs.urls import join_base

_IMAGE_TAG = re.compile(rb"<im(?:g|age)[\s/>]", re.IGNORECASE)


def read_html(html: bytes, page_url: str) -> PagePairs:
    """Finds every `<img>` of a page and its pairs.

    Args:
        html: The page in UTF-8; invalid bytes become U+FFFD.
        page_url: The page's own URL. A `<base href>` (the first one) is resolved against it.

    Returns:
        The page's pairs and losses.
    """
    page = PagePairs(page_url)
    if _IMAGE_TAG.search(html) is None:
        return page
    tree = LexborHTMLParser(html)
    base = tree.css_first("base[href]")
    base_url = join_base(page_url, None if base is None else base.attributes.get("href") or "")
    for image in tree.css("img"):
        attributes = image.attributes
        page.add_image(base_url, attributes.get("src"), _texts(attributes))
    return page


def _texts(attributes: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yields (source, value); an attribute without a value is an empty one."""
    for source in SOURCES:
        if source in attributes:
            yield source, attributes[source] or ""
