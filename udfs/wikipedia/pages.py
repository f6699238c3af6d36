"""Cuts a MediaWiki export into pages and reads each one: a byte stream in, pages out."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree  # type: ignore[import-untyped]

LARGEST_FRAGMENT_BYTES = 16 * 1024 * 1024
"""Size above which a page's XML is not held in memory. MediaWiki itself refuses pages above 2 MiB."""

_TAG = re.compile(rb"<(/?)page>")
_LONGEST_TAG = len(b"</page>")


@dataclass(frozen=True)
class WikiPage:
    """One page of a dump.

    Attributes:
        title: Its title, with the namespace's prefix.
        namespace: The number of its namespace; articles are in 0.
        is_redirect: Whether it only sends the reader to another page.
        model: The form of its content, `wikitext` for articles.
        wikitext: The text of its last revision; empty where that was deleted.
    """

    title: str
    namespace: int
    is_redirect: bool
    model: str
    wikitext: str


def as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Turns a dump in UTF-16 into UTF-8; any other passes unchanged. An empty value stands where bytes are missing."""
    decoder: codecs.IncrementalDecoder | None = None
    for place, chunk in enumerate(chunks):
        if place == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        if decoder is None or not chunk:
            yield chunk
        elif decoded := decoder.decode(chunk):
            yield decoded.encode("utf-8", "replace")


def page_fragments(
    chunks: Iterable[bytes], tally: Counter[str], largest_bytes: int = LARGEST_FRAGMENT_BYTES
) -> Iterator[bytes]:
    """Cuts the XML of each page out of a dump or a part of one.

    Exports escape "<" in all text and hold no CDATA, so the tags of pages are found by their bytes alone. So a part of
    a dump needs no root element, and broken XML in one page does not reach the next.

    Args:
        chunks: UTF-8 bytes; an empty value stands where bytes are missing.
        tally: Gets `pages` for each page that begins, `page.unfinished` for each without an end, and `page.too_large`
            for each above `largest_bytes`.
        largest_bytes: Size above which a page is dropped before it is held.

    Yields:
        From `<page>` to `</page>`.
    """
    buffer = bytearray()
    searched = 0
    start: int | None = None
    for chunk in chunks:
        if not chunk:
            tally["page.unfinished"] += int(start is not None)
            buffer, searched, start = bytearray(), 0, None
            continue
        buffer += chunk
        for tag in _TAG.finditer(buffer, searched):
            searched = tag.end()
            if not tag[1]:
                tally["pages"] += 1
                tally["page.unfinished"] += int(start is not None)
                start = tag.start()
            elif start is not None:
                if tag.end() - start <= largest_bytes:
                    yield bytes(buffer[start : tag.end()])
                else:
                    tally["page.too_large"] += 1
                start = None
        if start is not None and len(buffer) - start > largest_bytes:
            tally["page.too_large"] += 1
            start = None
        kept_from = max(searched, len(buffer) - _LONGEST_TAG + 1) if start is None else start
        searched = max(searched, len(buffer) - _LONGEST_TAG + 1) - kept_from
        del buffer[:kept_from]
        start = None if start is None else 0
    tally["page.unfinished"] += int(start is not None)


def parse_page(fragment: bytes) -> WikiPage:
    """Reads a page and its last revision; XML that is broken, or lacks title or namespace, is a ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        page = etree.fromstring(fragment, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"the page's XML is broken: {error}") from None
    title, namespace = page.findtext("title"), page.findtext("ns")
    if not title or namespace is None:
        raise ValueError("the page has no title or no namespace")
    revisions = page.findall("revision")
    last = revisions[-1] if revisions else page
    return WikiPage(
        title=title,
        namespace=int(namespace),
        is_redirect=page.find("redirect") is not None,
        model=last.findtext("model") or "wikitext",
        wikitext=last.findtext("text") or "",
    )


def namespace_names(head: bytes) -> dict[int, str]:
    """Reads the names of the namespaces, by number, from a dump's first bytes up to its first page or beyond."""
    found = re.findall(rb'<namespace key="(-?\d{1,9})"[^<>]*>([^<]*)</namespace>', head.split(b"<page>", 1)[0])
    return {int(number): name.decode("utf-8", "replace") for number, name in found}
