"""The method once more, slowly and from its description alone: what the job must agree with, exactly.

Nothing of `udfs` or `metaclip_spark` is imported here. Archives are read with warcio, HTML with BeautifulSoup over
html5lib, WATs with `json`; matching is the sub-string scan of the paper; counts and draws are Python loops.
"""

import gzip
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup
from warcio.archiveiterator import ArchiveIterator

Row = dict[str, Any]

SOURCES = ("alt", "title", "data-image-title")
WAT_SOURCES = ("alt", "title")
CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "windows-1251": "cp1251",
    "gb2312": "gbk",
    "gbk": "gbk",
    "shift_jis": "cp932",
    "utf-16le": "utf-16-le",
}
"""Charset label to Python's codec, as browsers read the labels. Other labels say nothing."""

_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META = re.compile(rb"<meta\b[^>]*>", re.IGNORECASE)


def oracle_pairs(paths: Iterable[Path]) -> list[Row]:
    """Extracts the raw pairs of WARCs and WATs; an archive is named by its file's name.

    A folder's PAGES.json gives the charset of the pages that declare none.
    """
    rows = []
    for path in paths:
        pages = wat_images(path) if path.name.endswith(".wat.gz") else warc_images(path)
        for page_url, offset, base, images, declared in pages:
            for index, image in enumerate(images):
                place = {"page_url": page_url, "archive": path.name, "record_offset": offset, "image_index": index}
                rows.extend(_image_rows(image, urljoin(page_url, base or ""), place | declared))
    return rows


Images = list[Mapping[str, str]]
"""One mapping per image: its attributes by name."""


def declared_by(lang: str | None, metas: Iterable[Mapping[str, str]], headers: Iterable[tuple[str, str]]) -> Row:
    """Reads what a page declares: a language of two letters, and preferences of the usual forms."""
    named = [(meta.get("name", "").lower(), meta.get("content", "")) for meta in metas]
    said = {f"{name}={part.strip()}".lower() for name, value in (*headers, *named) for part in value.split(",")}
    bits = [
        (1, {"robots=noai", "x-robots-tag=noai"}),
        (2, {"robots=noimageai", "x-robots-tag=noimageai"}),
        (4, {"robots=noindex", "robots=none", "x-robots-tag=noindex", "x-robots-tag=none"}),
        (8, {"robots=noimageindex", "x-robots-tag=noimageindex"}),
        (16, {"tdm-reservation=1"}),
        (32, {"content-usage=train-ai=n"}),
    ]
    code = (lang or "").split("-")[0].lower()
    return {
        "page_language": code if len(code) == 2 else None,
        "page_preferences": sum(bit for bit, forms in bits if said & forms),
    }


Page = tuple[str, int, str | None, Images, Row]
"""Page URL, record offset, base, images, and what the page declares."""


def warc_images(path: Path) -> Iterator[Page]:
    """Yields each page of a WARC."""
    charsets = _true_charsets(path.parent)
    with path.open("rb") as stream:
        records = ArchiveIterator(stream)
        for record in records:
            if record.rec_type != "response" or not _is_page(record):
                continue
            url = record.rec_headers.get_header("WARC-Target-URI").strip("<>")
            data = record.content_stream().read()
            offset = records.get_record_offset()  # reads the record to its end, so it comes last
            content_type = record.http_headers.get_header("Content-Type") or ""
            soup = BeautifulSoup(decode(data, content_type, charsets.get(url)), "html5lib")
            base = soup.find("base", href=True)
            images = [tag.attrs for tag in soup.find_all("img") if tag.find_parent("template") is None]
            declared = declared_by(soup.html.get("lang"), soup.head.find_all("meta"), record.http_headers.headers)
            yield url, offset, base and base["href"], images, declared


def _is_page(record: Any) -> bool:
    if record.http_headers is None or not record.http_headers.get_statuscode().startswith("2"):
        return False
    identified = record.rec_headers.get_header("WARC-Identified-Payload-Type")
    declared = identified or record.http_headers.get_header("Content-Type")
    return declared is None or declared.split(";")[0].strip().lower() in {"text/html", "application/xhtml+xml"}


def decode(data: bytes, content_type: str, otherwise: str | None) -> str:
    """Decodes a page by its byte order mark, its header, its meta element, or by what is known of it."""
    for mark, codec in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    metas = b"".join(_META.findall(data[:1024])).decode("ascii", "replace")
    for declaration in (content_type, metas):
        found = _CHARSET.search(declaration)
        if found and found[1].lower() in CODECS:
            return data.decode(CODECS[found[1].lower()], "replace")
    return data.decode(otherwise or "utf-8", "replace")


def _true_charsets(folder: Path) -> dict[str, str]:
    table = folder / "PAGES.json"
    if not table.exists():
        return {}
    pages = json.loads(table.read_text(encoding="utf-8"))
    return {url: page["charset"] for url, page in pages.items() if page["declared"] == "nowhere"}


def wat_images(path: Path) -> Iterator[Page]:
    """Yields each page of a WAT."""
    with path.open("rb") as stream:
        records = ArchiveIterator(stream)
        for record in records:
            if record.rec_type != "metadata":
                continue
            envelope = json.loads(record.content_stream().read())["Envelope"]
            offset = records.get_record_offset()
            response = envelope["Payload-Metadata"].get("HTTP-Response-Metadata", {})
            html = response.get("HTML-Metadata")
            if html is None or not response["Response-Message"]["Status"].startswith("2"):
                continue
            url = envelope["WARC-Header-Metadata"]["WARC-Target-URI"].strip("<>")
            links = [link for link in html.get("Links", []) if link["path"] == "IMG@/src"]
            texts = [{name: link[name] for name in WAT_SOURCES if name in link} for link in links]
            images = [{"src": link["url"], **text} for link, text in zip(links, texts, strict=True)]
            head = html.get("Head", {})
            metas = head.get("Metas", [])
            langs = [meta["content"] for meta in metas if meta.get("name") == "HTML@/lang"]
            declared = declared_by(langs[0] if langs else None, metas, response.get("Headers", {}).items())
            yield url, offset, head.get("Base"), images, declared


def _image_rows(image: Mapping[str, str], base: str, place: Row) -> Iterator[Row]:
    url = image_url(image.get("src"), base)
    if url is None:
        return
    for source in SOURCES:
        text = clean(image.get(source, ""))
        if text:
            pair_id = hashlib.md5(url.encode() + b"\0" + text.encode()).hexdigest()
            yield {"pair_id": pair_id, "image_url": url, "alt_text": text, "source": source, **place}


def image_url(src: str | None, base: str) -> str | None:
    """Returns the resolved URL, or None where there is no http(s) URL with a host."""
    if not src or src == "#":
        return None
    try:
        url = urljoin(base, src)
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and host else None


def clean(text: str) -> str:
    """Strips a text, turns each CR and LF into a space and each lone surrogate into U+FFFD."""
    one_line = text.strip().replace("\r", " ").replace("\n", " ")
    return "".join("\ufffd" if 0xD800 <= ord(mark) <= 0xDFFF else mark for mark in one_line)


def pool(rows: Iterable[Row]) -> list[Row]:
    """Returns the distinct pairs in the order of their ids, each with its smallest provenance and all preferences."""
    smallest: dict[str, Row] = {}
    preferences: dict[str, int] = {}
    for row in rows:
        known = smallest.get(row["pair_id"])
        preferences[row["pair_id"]] = preferences.get(row["pair_id"], 0) | row["page_preferences"]
        if known is None or _provenance(row) < _provenance(known):
            smallest[row["pair_id"]] = row
    return [smallest[pair_id] | {"page_preferences": preferences[pair_id]} for pair_id in sorted(smallest)]


def _provenance(row: Row) -> tuple[bytes, int, int, int]:
    source = SOURCES.index(row["source"])
    return row["archive"].encode(), row["record_offset"], row["image_index"], source


def read_entries(path: Path) -> list[str]:
    """Reads a metadata list in gzipped text form, one entry a line."""
    return gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]


def spaced(text: str) -> str:
    """Sets the seven marks apart and pads the text."""
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    for white_space in "\t\n\r":
        text = text.replace(white_space, " ")
    return f" {text} "


def match(rows: Iterable[Row], entries: Sequence[str]) -> list[Row]:
    """Returns the rows with at least one matched entry, with `entry_ids` added.

    An entry is tried only on texts that have its first word: the others cannot hold it. What decides is the scan.
    """
    rows = list(rows)
    spaced_texts = {row["alt_text"]: spaced(row["alt_text"]) for row in rows}
    by_first_word: dict[str, list[int]] = {}
    for entry_id, entry in enumerate(entries):
        by_first_word.setdefault(entry.split(" ")[0], []).append(entry_id)
    ids: dict[str, list[int]] = {}
    for text, spaced_text in spaced_texts.items():
        tried = [entry_id for word in set(spaced_text.split(" ")) for entry_id in by_first_word.get(word, ())]
        ids[text] = sorted(entry_id for entry_id in tried if f" {entries[entry_id]} " in spaced_text)
    return [row | {"entry_ids": ids[row["alt_text"]]} for row in rows if ids[row["alt_text"]]]


def count(matched: Iterable[Row], entries: Sequence[str]) -> list[int]:
    """Returns the number of matched pairs of each entry."""
    counts = [0] * len(entries)
    for row in matched:
        for entry_id in row["entry_ids"]:
            counts[entry_id] += 1
    return counts


def tail_share(counts: Sequence[int], threshold_t: float) -> Fraction:
    """Returns the share of all matches that entries with a count below the threshold have."""
    return Fraction(sum(count for count in counts if count < threshold_t), sum(counts))


def tail_share_threshold(counts: Sequence[int], share: str) -> int:
    """Returns the smallest integer threshold whose tail share comes nearest to a decimal number, such as "0.06"."""
    steps = sorted({1} | {number + 1 for number in counts if number > 0})
    return min(steps, key=lambda threshold: (abs(tail_share(counts, threshold) - Fraction(share)), threshold))


_MASK = (1 << 64) - 1


def splitmix64(number: int) -> int:
    """Adds the golden gamma to a 64-bit number and mixes it."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


def pair_draw(pair_id: str, seed: int) -> float:
    """Returns a pair's draw in [0, 1)."""
    return (splitmix64(splitmix64(seed & _MASK) ^ int(pair_id[:16], 16)) >> 11) / (1 << 53)


def keep_probability(entry_ids: Iterable[int], counts: Sequence[int], threshold_t: float) -> float:
    """Returns the probability that at least one entry of a pair accepts it."""
    refused = 1.0
    for entry_id in entry_ids:
        refused *= 1.0 - (min(1.0, threshold_t / counts[entry_id]) if counts[entry_id] else 1.0)
    return 1.0 - refused


def keep(matched: Iterable[Row], counts: Sequence[int], threshold_t: float, seed: int) -> list[Row]:
    """Returns the curated pairs, with `keep_probability` added."""
    with_probability = (
        row | {"keep_probability": keep_probability(row["entry_ids"], counts, threshold_t)} for row in matched
    )
    return [row for row in with_probability if pair_draw(row["pair_id"], seed) < row["keep_probability"]]


def estimated_count(survivors: Iterable[Row], entries: Sequence[str]) -> tuple[list[int], list[float]]:
    """Estimates each entry's pairs in the whole pool, and the standard error, from the survivors of a first draw.

    A survivor stands for 1 / `first_keep_probability` pairs, as a whole number of parts of 2^-16.
    """
    parts, variances = [0] * len(entries), [Fraction(0)] * len(entries)
    for row in survivors:
        first = row["first_keep_probability"] or 1.0
        for entry_id in row["entry_ids"]:
            parts[entry_id] += round(2**16 / first)
            variances[entry_id] += (1 - Fraction(first)) / Fraction(first) ** 2
    return [math.floor(Fraction(part, 2**16) + Fraction(1, 2)) for part in parts], [math.sqrt(v) for v in variances]


def keep_again(survivors: Iterable[Row], counts: Sequence[int], threshold_t: float, seed: int) -> list[Row]:
    """Returns what a second draw with the same seed keeps of the survivors, with the chance of both draws together."""
    kept = []
    for row in survivors:
        chance = keep_probability(row["entry_ids"], counts, threshold_t)
        if pair_draw(row["pair_id"], seed) < chance:
            without = {name: value for name, value in row.items() if name != "first_keep_probability"}
            kept.append(without | {"keep_probability": min(chance, row["first_keep_probability"] or 1.0)})
    return kept


def expected_again(survivors: Iterable[Row], counts: Sequence[int], threshold_t: float) -> tuple[float, float, int]:
    """Returns how many survivors a second draw is expected to keep, the variance, and how many pairs are capped."""
    wanted = [
        (keep_probability(row["entry_ids"], counts, threshold_t), row["first_keep_probability"] or 1.0)
        for row in survivors
    ]
    shares = [min(1.0, chance / first) for chance, first in wanted]
    variance = math.fsum(share * (1.0 - share) for share in shares)
    return math.fsum(shares), variance, sum(chance > first for chance, first in wanted)


def expected_size(matched: Iterable[Row], counts: Sequence[int], threshold_t: float) -> float:
    """Returns the expected number of curated pairs."""
    return math.fsum(keep_probability(row["entry_ids"], counts, threshold_t) for row in matched)
