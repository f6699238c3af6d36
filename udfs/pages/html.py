"""The images of an HTML page, as a browser with scripting off would see them.

`<noscript>` is read as markup; what stands in comments, templates, scripts, styles and text areas is not.
"""

import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from udfs.pages.declared.kernel import DECLARED_LENGTH, LANGUAGE, PREFERENCES, agent_list
from udfs.pages.declared.language import page_language, unpack_language
from udfs.pages.declared.preferences import meta_preferences
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.image_table import (
    HREF,
    MOST_IMAGES,
    TAG_BEGIN,
    TAG_COLUMNS,
    TAG_END,
    UNMODELLED,
    Declared,
    ImageValues,
    LostRecordError,
    PageImages,
    decoded_images,
    images_in_rows,
)
from udfs.pages.page_url import join_base
from udfs.schemas import SOURCES

_IMAGE_TAG = re.compile(rb"<im(?:g|age)[ \t\n\r\f/>]", re.IGNORECASE)
_FEWEST_IMAGE_BYTES = len("<img>")
_MOST_IMAGES = 1024

MOST_TREE_BYTES = 384 << 20
"""Largest tree of a page: that of a table of 5 MB is smaller. A hostile page of 35 kB would take 1.5 GB, as what two
thousand tags leave open is made anew in each paragraph."""

_SHORTEST_LIMITED = 1 << 13
"""Bytes of a page whose tree cannot become too large."""

_STATM, _DATA_PAGES = Path("/proc/self/statm"), 5
_limits_lock = threading.Lock()


def has_too_many_images(html: bytes) -> bool:
    """Tells whether a page has more than `MOST_IMAGES` tags of images, wherever they stand in it."""
    if len(html) < MOST_IMAGES * _FEWEST_IMAGE_BYTES:
        return False
    return next(islice(_IMAGE_TAG.finditer(html), MOST_IMAGES, None), None) is not None


def read_html(html: bytes, page_url: str, preferences: int = 0, agents: tuple[str, ...] = ()) -> PageImages:
    """Finds every `<img>` of a page in UTF-8, whose invalid bytes become U+FFFD, and what the page declares.

    A compiled loop finds the tags, where it is loaded; a page that it does not model (`udfs.pages.html_kernel`) is
    parsed as a whole.

    Args:
        html: The page.
        page_url: Its URL.
        preferences: What the headers before it declare, a bit for each of `preferences.PREFERENCES`.
        agents: Whose directives count, too, as for `preferences.meta_preferences`.

    Raises:
        LostRecordError: It must be parsed as a whole, and its tree is too large.
    """
    find_tags = tag_kernel.loaded
    if find_tags is None:
        try:
            return read_whole_page(html, page_url, preferences, agents)
        except LostRecordError:
            # Whether the loop had been compiled by now must not decide what a page gives.
            find_tags = tag_kernel()
    images, base = np.empty((_MOST_IMAGES, TAG_COLUMNS), np.int64), np.empty(TAG_COLUMNS, np.int64)
    declared = np.empty(DECLARED_LENGTH, np.int64)
    found = find_tags(np.frombuffer(html, np.uint8), images, base, declared, agent_list(agents))
    if found == UNMODELLED:
        return read_whole_page(html, page_url, preferences, agents)
    if not found:
        return PageImages(page_url, page_url)
    base_url = join_base(page_url, None if base[HREF] < 0 else _href(html[base[TAG_BEGIN] : base[TAG_END]]))
    language = unpack_language(int(declared[LANGUAGE]))
    found_there = Declared(language, preferences | int(declared[PREFERENCES]))
    return images_in_rows(page_url, base_url, html, images[:found], decode_tag, found_there)


def read_whole_page(html: bytes, page_url: str, preferences: int = 0, agents: tuple[str, ...] = ()) -> PageImages:
    """Does what `read_html` does with a tree of the whole page.

    Raises:
        LostRecordError: The tree takes more than `MOST_TREE_BYTES`.
    """
    if _IMAGE_TAG.search(html) is None:
        return PageImages(page_url, page_url)
    try:
        with _limited_memory() if len(html) > _SHORTEST_LIMITED else nullcontext():
            tree = LexborHTMLParser(html)
    except (MemoryError, SelectolaxError):
        example = f"a tree of more than {MOST_TREE_BYTES // 1_000_000} MB: {page_url}"
        raise LostRecordError("record.page_too_large", example) from None
    nodes = tree.css("img, base")
    bases = (node.attributes["href"] or "" for node in nodes if node.tag == "base" and "href" in node.attributes)
    base_url = join_base(page_url, next(bases, None))
    values = [_values_of_node(node) for node in nodes if node.tag != "base"]
    return decoded_images(page_url, base_url, values, _declared(tree, preferences, agents))


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Lets this process allocate no more than a tree's bytes, where the system counts what it has (Linux)."""
    # The limit is the process's: a second thread would give the first one's back.
    with _limits_lock:
        soft, hard = given = resource.getrlimit(resource.RLIMIT_DATA)
        limits = [limit for limit in (_most_bytes(), soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits, default=soft), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, given)


def _most_bytes() -> int:
    """Bytes of data that this process may have once the largest tree is made; infinity where they are not counted."""
    try:
        with _STATM.open("rb", buffering=0) as file:
            return int(file.read().split()[_DATA_PAGES]) * resource.getpagesize() + MOST_TREE_BYTES
    except FileNotFoundError:
        return resource.RLIM_INFINITY


def _declared(tree: LexborHTMLParser, preferences: int, agents: tuple[str, ...]) -> Declared:
    """Reads the language of `<html>`, and the metas of `<head>`, where a browser with scripting off has them."""
    for meta in tree.head.css("meta") if tree.head else ():
        name, content = meta.attributes.get("name"), meta.attributes.get("content")
        preferences |= meta_preferences(name or "", content or "", agents)
    return Declared(page_language(tree.root.attributes.get("lang") if tree.root else None), preferences)


def decode_tag(tag: bytes) -> ImageValues:
    """Decodes the markup of an image."""
    return _values_of_node(_node(tag))


def _href(tag: bytes) -> str:
    return _node(tag).attributes["href"] or ""


def _node(tag: bytes) -> LexborNode:
    node = LexborHTMLParser(tag).css_first("img, base")
    assert node is not None, "a tag that the scanner found is one to the parser too"
    return node


def _values_of_node(node: LexborNode) -> ImageValues:
    """Takes an image's values from a tree; an attribute without a value is an empty one."""
    attributes = node.attributes
    texts = [(source, attributes[source] or "") for source in SOURCES if source in attributes]
    return ImageValues((attributes["src"] or "") if "src" in attributes else None, texts)
