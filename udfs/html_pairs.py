"""The pairs of an HTML page, as a browser with scripting off would see its images.

`<noscript>` is read as markup; what stands in comments, templates, scripts, styles and text areas is not.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np
from selectolax.lexbor import LexborHTMLParser

from udfs.page_pairs import PagePairs
from udfs.schemas import SOURCES
from udfs.tag_kernels import ATTRIBUTES, FIRST_VALUE, IS_PLAIN, TAG_COLUMNS, UNMODELLED, tag_kernel
from udfs.urls import join_base

_IMAGE_TAG = re.compile(rb"<im(?:g|age)[\s/>]", re.IGNORECASE)
_MOST_TAGS = 4096
_VALUES = tuple((name, FIRST_VALUE + 2 * place) for place, name in enumerate(ATTRIBUTES))

Attributes = Mapping[str, str | None]


def read_html(html: bytes, page_url: str) -> PagePairs:
    """Finds every `<img>` of a page and its pairs.

    A compiled loop finds the tags; only a page that it does not model is parsed as a whole (`udfs.tag_kernels`).

    Args:
        html: The page in UTF-8; invalid bytes become U+FFFD.
        page_url: The page's own URL. A `<base href>` (the first one) is resolved against it.

    Returns:
        The page's pairs and losses.
    """
    tags = np.empty((_MOST_TAGS, TAG_COLUMNS), np.int64)
    found = tag_kernel()(np.frombuffer(html, np.uint8), tags)
    if found == UNMODELLED:
        return read_whole_page(html, page_url)
    page = PagePairs(page_url)
    if found:
        rows = tags[:found].tolist()
        _add_images(page, [(_is_base(html, row), _attributes(html, row)) for row in rows])
    return page


def read_whole_page(html: bytes, page_url: str) -> PagePairs:
    """Does what `read_html` does with a tree of the whole page.

    Args:
        html: The page in UTF-8.
        page_url: The page's own URL.

    Returns:
        The same.
    """
    page = PagePairs(page_url)
    if _IMAGE_TAG.search(html) is not None:
        _add_images(page, [(node.tag == "base", node.attributes) for node in LexborHTMLParser(html).css("img, base")])
    return page


def _add_images(page: PagePairs, tags: list[tuple[bool, Attributes]]) -> None:
    """Adds the images of a page from its tags in their order: (whether it is a base and no image, its attributes)."""
    bases = (attributes["href"] or "" for is_base, attributes in tags if is_base and "href" in attributes)
    base_url = join_base(page.page_url, next(bases, None))
    for is_base, attributes in tags:
        if not is_base:
            page.add_image(base_url, attributes.get("src"), _texts(attributes))


def _texts(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """Yields (source, value); an attribute without a value is an empty one."""
    for source in SOURCES:
        if source in attributes:
            yield source, attributes[source] or ""


def _is_base(html: bytes, tag: list[int]) -> bool:
    return html[tag[0] + 1] in b"bB"


def _attributes(html: bytes, tag: list[int]) -> Attributes:
    """Takes a tag's values as they stand, or has the tag parsed where it holds an entity, CR, NUL or invalid UTF-8."""
    if tag[IS_PLAIN]:
        try:
            return {name: html[tag[at] : tag[at + 1]].decode() for name, at in _VALUES if tag[at] >= 0}
        except UnicodeDecodeError:
            pass
    node = LexborHTMLParser(html[tag[0] : tag[1]]).css_first("img, base")
    return node.attributes if node is not None else {}
