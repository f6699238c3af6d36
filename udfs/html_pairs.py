"""The pairs of an HTML page, as a browser with scripting off would see its images.

`<noscript>` is read as markup; what stands in comments, templates, scripts, styles and text areas is not.
"""

import re

import numpy as np
from selectolax.lexbor import LexborHTMLParser, LexborNode

from udfs.page_pairs import PagePairs
from udfs.schemas import SOURCES
from udfs.tag_kernels import ATTRIBUTES, FIRST_VALUE, IS_PLAIN, TAG_COLUMNS, UNMODELLED, tag_kernel
from udfs.urls import join_base

_IMAGE_TAG = re.compile(rb"<im(?:g|age)[\s/>]", re.IGNORECASE)
_MOST_TAGS = 1024
_PLACES = {name: FIRST_VALUE + 2 * place for place, name in enumerate(ATTRIBUTES)}
_SRC_AT, _HREF_AT = _PLACES["src"], _PLACES["href"]
_TEXTS_AT = [(source, _PLACES[source]) for source in SOURCES]

_Tag = tuple[bool, str | None, list[tuple[str, str]]]
"""Whether a tag is a base and no image, its `href` or `src`, and its (source, value)."""


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
        _add_images(page, [_tag(html, row) for row in tags[:found].tolist()])
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
        _add_images(page, [_tag_of_node(node) for node in LexborHTMLParser(html).css("img, base")])
    return page


def _add_images(page: PagePairs, tags: list[_Tag]) -> None:
    """Adds the images of a page from its tags in their order."""
    bases = (href for is_base, href, _ in tags if is_base and href is not None)
    base_url = join_base(page.page_url, next(bases, None))
    for is_base, src, texts in tags:
        if not is_base:
            page.add_image(base_url, src, texts)


def _tag(html: bytes, row: list[int]) -> _Tag:
    """Takes a tag's values as they stand, or has the tag parsed where it holds an entity, CR, NUL or invalid UTF-8."""
    is_base = html[row[0] + 1] in b"bB"
    if row[IS_PLAIN]:
        try:
            url_at = _HREF_AT if is_base else _SRC_AT
            url = html[row[url_at] : row[url_at + 1]].decode() if row[url_at] >= 0 else None
            return (
                is_base,
                url,
                [(name, html[row[at] : row[at + 1]].decode()) for name, at in _TEXTS_AT if row[at] >= 0],
            )
        except UnicodeDecodeError:
            pass
    node = LexborHTMLParser(html[row[0] : row[1]]).css_first("img, base")
    assert node is not None, "a tag that the scanner found is one to the parser too"
    return _tag_of_node(node)


def _tag_of_node(node: LexborNode) -> _Tag:
    """Takes a tag's values from a tree; an attribute without a value is an empty one."""
    attributes = node.attributes
    is_base = node.tag == "base"
    name = "href" if is_base else "src"
    texts = [(source, attributes[source] or "") for source in SOURCES if source in attributes]
    return is_base, (attributes[name] or "") if name in attributes else None, texts
