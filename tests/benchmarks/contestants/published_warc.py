"""The published way to extract pairs from WARC: warcio, and selectolax's first parser (Modest), page by page."""

import pathlib
from urllib.parse import urljoin, urlsplit

from loop import Pair, compete
from selectolax.parser import HTMLParser
from warcio.archiveiterator import ArchiveIterator

LINE_BREAKS = str.maketrans("\r\n", "  ")


def extract(path: str) -> list[Pair]:
    """Extracts the pairs of every HTML response."""
    pairs = []
    with pathlib.Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response" and "html" in (record.http_headers.get_header("Content-Type") or ""):
                page_url = record.rec_headers.get_header("WARC-Target-URI")
                pairs += pairs_of_page(page_url, record.content_stream().read())
    return pairs


def pairs_of_page(page_url: str, html: bytes) -> list[Pair]:
    """Extracts the pairs of a page."""
    pairs = []
    for image in HTMLParser(html).css("img"):
        attributes = image.attributes
        src = attributes.get("src")
        if not src:
            continue
        url = urljoin(page_url, src)
        if urlsplit(url).scheme not in {"http", "https"}:
            continue
        for name in ("alt", "title", "data-image-title"):
            text = (attributes.get(name) or "").strip().translate(LINE_BREAKS)
            if text:
                pairs.append((url, text))
    return pairs


compete(extract)
