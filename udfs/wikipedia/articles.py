"""Counts the words of article dumps: record batches of byte ranges in, partial counts out."""

import html
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from mwparserfromhell.parser import ParserError

from udfs.pages.isolation import LostPageError, Parse, ParserProcessError, watched_parser
from udfs.sources.compression import read_chunks
from udfs.wikipedia.dumps import Opener, opened_rows, unpack
from udfs.wikipedia.ngrams import ENGLISH, NgramCounts, count_batches, tally_batches
from udfs.wikipedia.pages import LARGEST_FRAGMENT_BYTES, WikiPage, as_utf8, page_fragments, parse_page
from udfs.wikipedia.parse_cost import LARGEST_PARSE_COST, parse_cost
from udfs.wikipedia.wikitext import (
    FILE_NAMESPACES,
    LARGEST_WIKITEXT_BYTES,
    is_disambiguation,
    is_redirect,
    plain_text,
)

REJECTS_SHOWN = 5
"""Rejected pages that are named per part and reason."""

_TITLE = re.compile(rb"<title>([^<]{1,1000})")


@dataclass(frozen=True)
class ArticleRules:
    """Which pages count, and how they are read.

    Attributes:
        dropped_prefixes: Prefixes of links that go with their label, in lower case.
        disambiguation_templates: Templates that mark disambiguation pages, beside the English ones, in lower case.
        language: Code of the language, which says how words are found.
        most_held: Distinct tokens and bigrams that a worker holds before it hands them on.
        page_timeout_seconds: Longest time of a processor for a page; a longer one is `page.parser_timeout`.
    """

    dropped_prefixes: frozenset[str] = FILE_NAMESPACES
    disambiguation_templates: frozenset[str] = frozenset()
    language: str = ENGLISH
    most_held: int = 500_000
    page_timeout_seconds: float = 60.0


def count_articles(
    batches: Iterable[pa.RecordBatch], *, opener: Opener, rules: ArticleRules, attempt: int = 0
) -> Iterator[pa.RecordBatch]:
    """Counts tokens and bigrams of the articles in parts of dumps.

    Args:
        batches: Rows of `DUMP_PARTS`.
        opener: Opens a path for reading.
        rules: Which pages count.
        attempt: The number of the task's attempt: from 1 on pages are parsed in a child process (`isolation`).

    Yields:
        `WORD_COUNTS`. In the tally pages = articles + the `page.*` reasons; `dump.*` are faults of the packed file,
        `index.page_missing` counts pages that the index promises and the part lacks.
    """
    counts = NgramCounts(rules.most_held, rules.language)
    with watched_parser(read_article, attempt, rules.page_timeout_seconds) as read:
        for part, stream in opened_rows(batches, opener):
            yield from _count_part(part, stream, partial(_surviving, read, rules=rules), counts)
    yield from counts.take()


def _count_part(
    part: dict[str, Any], stream: io.RawIOBase, read: Callable[[bytes], tuple[str, str]], counts: NgramCounts
) -> Iterator[pa.RecordBatch]:
    dump, tally = part["dump"], Counter[str]()
    rejects: Counter[tuple[str, str]] = Counter()
    chunks = as_utf8(unpack(read_chunks(stream, part["start"], part["end"]), tally))
    for fragment in page_fragments(chunks, tally, LARGEST_FRAGMENT_BYTES):
        reason, text = read(fragment)
        tally[reason or "articles"] += 1
        if reason and not reason.startswith("page.skipped_") and tally[reason] <= REJECTS_SHOWN:
            rejects[reason, f"{dump}: {text}"] += 1
        if not reason:
            counts.add(text)
        if counts.is_full:
            yield from counts.take()
    tally["index.page_missing"] = max(0, (part["pages"] or 0) - tally["pages"])
    yield from tally_batches(tally, dump)
    yield from count_batches("reject", rejects)


def _surviving(read: Parse, fragment: bytes, rules: ArticleRules) -> tuple[str, str]:
    """Reads a page as `read_article`, whatever the parser does."""
    try:
        reason, text = read(fragment, rules)
    except ParserProcessError:
        raise
    except LostPageError as lost:
        return f"page.{lost.fate}", f"{_title(fragment)} ({lost})"
    except Exception:  # a parser's surprise costs one page, not the dump
        return "page.parser_error", _title(fragment)
    return reason, text


def _title(fragment: bytes) -> str:
    found = _TITLE.search(fragment)
    return html.unescape((found[1] if found else fragment[:80]).decode("utf-8", "replace"))


def read_article(fragment: bytes, rules: ArticleRules) -> tuple[str, str]:
    """Reads the plain text of a page, or says why it does not count.

    Returns:
        An empty reason and the text, or a reason and the page's title (the start of the XML where that is broken).
        The reasons that begin with `page.skipped_` are normal: redirects, disambiguations, other namespaces and other
        kinds of content.
    """
    try:
        page = parse_page(fragment)
    except ValueError:
        return "page.broken_xml", fragment[:80].decode("utf-8", "replace")
    if reason := _reason_to_skip(page, rules) or _reason_to_reject(page):
        return reason, page.title
    try:
        return "", plain_text(page.wikitext, rules.dropped_prefixes)
    except ParserError:
        return "page.parser_error", page.title


def _reason_to_skip(page: WikiPage, rules: ArticleRules) -> str:
    if page.namespace != 0:
        return "page.skipped_namespace"
    if page.is_redirect or is_redirect(page.wikitext):
        return "page.skipped_redirect"
    if page.model != "wikitext":
        return "page.skipped_model"
    if is_disambiguation(page.title, page.wikitext, rules.disambiguation_templates):
        return "page.skipped_disambiguation"
    return ""


def _reason_to_reject(page: WikiPage) -> str:
    if not page.wikitext.strip():
        return "page.no_text"
    if len(page.wikitext.encode("utf-8", "replace")) > LARGEST_WIKITEXT_BYTES:
        return "page.too_large"
    return "page.over_budget" if parse_cost(page.wikitext) > LARGEST_PARSE_COST else ""
