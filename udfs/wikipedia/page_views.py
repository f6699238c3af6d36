"""Reads dumps of page views: packed lines in, views by title out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from udfs.sources.compression import read_chunks
from udfs.wikipedia.dumps import Opener, opened_rows, unpacked_lines
from udfs.wikipedia.ngrams import count_batches, tally_batches

HOURLY = "hourly"
COMPLETE = "complete"
FORMS = (HOURLY, COMPLETE)
"""`pageviews-YYYYMMDD-HH0000`: domain, title, views, bytes. `pageviews-YYYYMM-user` ("pageview complete"): wiki, title,
page id, device, views, views by hour."""

_CODE = rb"(?P<wiki>(?:[a-z]{2,3}|simple)(?:-[a-z0-9]+)*)"
_DOMAINS = {HOURLY: re.compile(_CODE + rb"(?P<mobile>\.m)?"), COMPLETE: re.compile(_CODE + rb"\.wikipedia")}
"""Domains of Wikipedias. Of the other projects commons.m and the like look alike, but no language is called so."""

_RENAMED = {"be_x_old": "be_tarask"}
_HOURLY_FIELDS = 4
_COMPLETE_FIELDS = 6
_MOST_DIGITS = 15


@dataclass(frozen=True)
class ViewRules:
    """Which lines count.

    Attributes:
        wiki: The wiki's code, such as `en` or `zh_yue`; None counts all Wikipedias, each by itself.
        include_mobile: Whether views on mobile devices count, too.
        min_hourly_views: Least views of a line in an hourly dump; other dumps have no such limit.
        most_held: Distinct titles that a worker holds before it hands them on.
    """

    wiki: str | None = "en"
    include_mobile: bool = False
    min_hourly_views: int = 50
    most_held: int = 500_000


def count_views(batches: Iterable[pa.RecordBatch], *, opener: Opener, rules: ViewRules) -> Iterator[pa.RecordBatch]:
    """Sums the views of main-namespace titles in files.

    Args:
        batches: Rows of `VIEW_FILES`.
        opener: Opens a path for reading.
        rules: Which lines count.

    Yields:
        `WORD_COUNTS` of kind `title`, with the wiki as next word where all are counted, and the tally: lines =
        counted + the `line.*` reasons.
    """
    views: Counter[tuple[str, str]] = Counter()
    for row, stream in opened_rows(batches, opener):
        tally: Counter[str] = Counter()
        for line in unpacked_lines(read_chunks(stream), tally):
            reason, title, count = read_line(line, row["form"], rules)
            tally["lines"] += 1
            tally[reason or "counted"] += 1
            if not reason:
                views[title, wiki_of(line.partition(b" ")[0], row["form"])[0]] += count
            if len(views) > rules.most_held:
                yield from _title_batches(views, rules)
                views.clear()
        tally["lines"] += tally["line.unfinished"] + tally["line.too_large"]
        yield from tally_batches(tally, row["file"])
    yield from _title_batches(views, rules)


def _title_batches(views: Counter[tuple[str, str]], rules: ViewRules) -> Iterator[pa.RecordBatch]:
    if rules.wiki is None:
        return count_batches("title", views)
    return count_batches("title", Counter({title: count for (title, _), count in views.items()}))


@lru_cache(maxsize=4096)
def wiki_of(domain: bytes, form: str) -> tuple[str, bool]:
    """Reads the first field of a line.

    Returns:
        The Wikipedia's code, such as `zh_yue`, empty for any other project; and whether it is the mobile site, where
        the domain says so.
    """
    found = _DOMAINS[form].fullmatch(domain)
    if found is None:
        return "", False
    code = found["wiki"].decode().replace("-", "_")
    return _RENAMED.get(code, code), form == HOURLY and found["mobile"] is not None


def read_line(line: bytes, form: str, rules: ViewRules) -> tuple[str, str, int]:
    """Reads one line of a dump, without its LF.

    Returns:
        A reason to leave the line out (empty where it counts), the title with spaces for underscores, and the views.
        Reasons that begin with `line.skipped_` are normal.
    """
    fields = line.split(b" ")
    if not line.strip():
        return "line.skipped_blank", "", 0
    if len(fields) != (_HOURLY_FIELDS if form == HOURLY else _COMPLETE_FIELDS):
        return "line.fields", "", 0
    if not _is_wanted(fields, form, rules):
        return "line.skipped_domain", "", 0
    views = fields[2] if form == HOURLY else fields[4]
    if not views.isdigit() or len(views) > _MOST_DIGITS:
        return "line.views", "", 0
    if form == HOURLY and int(views) < rules.min_hourly_views:
        return "line.skipped_few_views", "", 0
    reason, title = read_title(fields[1])
    return reason, title, int(views)


def _is_wanted(fields: list[bytes], form: str, rules: ViewRules) -> bool:
    wiki, is_mobile = wiki_of(fields[0], form)
    if form == COMPLETE:
        is_mobile = fields[3] != b"desktop"
    is_asked = bool(wiki) if rules.wiki is None else wiki == rules.wiki
    return is_asked and (rules.include_mobile or not is_mobile)


def read_title(field: bytes) -> tuple[str, str]:
    """Decodes a title as it stands in a dump.

    MediaWiki allows "%" in titles, but never before two hex digits; so "%" elsewhere stands for itself ("100%_Hits"),
    and an encoding is bad when its bytes are not UTF-8.

    Returns:
        A reason to leave it out (empty where it is good) and the title with spaces, stripped.
    """
    try:
        title = unquote_to_bytes(field).decode("utf-8").replace("_", " ").strip()
    except UnicodeDecodeError:
        return "line.percent_encoding" if b"%" in field else "line.encoding", ""
    if not title:
        return "line.skipped_no_title", ""
    return "line.skipped_colon" if ":" in title else "", title
