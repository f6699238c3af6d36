"""P2 and P3: extraction on one core against cc2dataset, the published way, and reading alone; in processor seconds.

Without `METACLIP_TEST_DATA` the sample's archives are read. Where a page has a `<base>` or a text in another charset
the ways differ on purpose, so equality is looked at on archives without them.

Records are small there, so that what each costs weighs more than in a crawl. So the archives are read a second time
with the same markup and links in fewer, larger records: Common Crawl's September 2016 has 6.6 KB of compressed WAT
for a page (10.35 TiB, 1.72 billion pages), December 2024 164 KB of plain WARC (394 TiB, 2.64 billion pages); debian-
docs has 2.5 KB and 16 KB, what is made of it 3.2 KB (links of three pages in one record, other metadata of one) and
158 KB. Sources: the announcements of both crawls.
"""

import gzip
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from fastwarc.warc import ArchiveIterator, WarcRecordType

from tests.benchmarks.peers import CHECKOUT, compare, peers_python

BRACKETS = re.compile(rb'("WARC-Target-URI":")<([^"]*)>"')
SAMPLE = CHECKOUT / "tests" / "data" / "sample"


def archive(kind: str) -> str:
    """Finds the archive to read."""
    data = os.environ.get("METACLIP_TEST_DATA")
    if data is None:
        return str(next(iter(sorted(SAMPLE.glob(f"*.{kind}.gz")))))
    return str(Path(data) / "archives" / f"debian-docs.{kind}.gz")


Record = tuple[dict[str, str], bytes]
"""The header and the block of a record."""


def records(path: str) -> Iterator[Record]:
    """Reads an archive."""
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False):
            yield dict(record.headers.items()), record.reader.read()


def copy_of(path: str, name: str, rewrite: Callable[[Iterator[Record]], Iterator[Record]]) -> str:
    """Writes an archive anew, each record a gzip member."""
    copy = CHECKOUT / "build" / "benchmark-data" / f"{name}-{Path(path).name}"
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("wb") as out:
        for headers, block in rewrite(records(path)):
            lines = [f"{name}: {value}" for name, value in {**headers, "Content-Length": len(block)}.items()]
            out.write(gzip.compress("\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + block + b"\r\n\r\n"))
    return str(copy)


def without_brackets(source: Iterator[Record]) -> Iterator[Record]:
    """Removes the `<` and `>` around URLs that Wget writes and cc2dataset does not know."""
    for headers, block in source:
        yield headers, BRACKETS.sub(rb'\1\2"', block)


def larger_pages(source: Iterator[Record]) -> Iterator[Record]:
    """Puts `PAGES_IN_ONE["warc"]` pages into one, and as many requests away."""
    every = list(source)
    pages = [record for record in every if record[0]["WARC-Type"] == "response" and b"text/html" in record[1][:2000]]
    requests = [record for record in every if record[0]["WARC-Type"] == "request"]
    step = PAGES_IN_ONE["warc"]
    for group, request in zip_longest(groups_of(pages, step), requests[::step]):
        if request:
            yield request
        if group:
            bodies = [block.partition(b"\r\n\r\n")[2] for _, block in group]
            yield group[0][0], b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"".join(bodies)


def more_links(source: Iterator[Record]) -> Iterator[Record]:
    """Puts the links of `PAGES_IN_ONE["wat"]` pages into one record, and as many records of requests away."""
    every = [(headers, block) for headers, block in without_brackets(source) if headers["WARC-Type"] == "metadata"]
    pages = [record for record in every if b'"Links"' in record[1]]
    others = [record for record in every if b'"Links"' not in record[1]]
    step = PAGES_IN_ONE["wat"]
    for group, other in zip_longest(groups_of(pages, step), others[::step]):
        if other:
            yield other
        if group:
            documents = [json.loads(block) for _, block in group]
            metadata = [links_of(document) for document in documents]
            metadata[0]["Links"] = [link for found in metadata for link in found["Links"]]
            yield group[0][0], json.dumps(documents[0], separators=(",", ":")).encode()


def groups_of(pages: list[Record], size: int) -> list[list[Record]]:
    """Cuts a list into groups."""
    return [pages[start : start + size] for start in range(0, len(pages), size)]


def links_of(document: dict[str, Any]) -> dict[str, Any]:
    """Finds the HTML metadata of a WAT record."""
    return document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]


PAGES_IN_ONE = {"wat": 3, "warc": 10}
"""What brings debian-docs' pages to a crawl's size for WARC, and to half of it for WAT."""


def wat(repeats: int) -> list[dict[str, Any]]:
    """P2: WAT against cc2dataset's parser and the floor."""
    path = archive("warc.wat")
    copies = {"P2": copy_of(path, "plain", without_brackets), "P2-crawl": copy_of(path, "crawl-sized", more_links)}
    rival = Rival("cc2dataset", [peers_python(), "cc2dataset_wat.py"], 4.0)
    return [found for name, copy in copies.items() for found in results(name, copy, rival, ["alt"], repeats)]


def warc(repeats: int) -> list[dict[str, Any]]:
    """P3: WARC against the published way and the floor."""
    path = archive("warc")
    copies = {"P3": path, "P3-crawl": copy_of(path, "crawl-sized", larger_pages)}
    rival = Rival("published", [peers_python(), "published_warc.py"], 5.0)
    return [found for name, copy in copies.items() for found in results(name, copy, rival, [], repeats)]


class Rival(NamedTuple):
    """Another way to extract.

    Attributes:
        name: In the results.
        command: Of its contestant, without the archive.
        target: How many times as fast this project should be.
    """

    name: str
    command: list[str]
    target: float


def results(name: str, path: str, rival: Rival, options: list[str], repeats: int) -> list[dict[str, Any]]:
    """Lets the two and the floor run in turns, and says both results; `options` are this project's."""
    sides = {
        "ours": [sys.executable, "this_project.py", path, *options],
        rival.name: [*rival.command, path],
        "floor": [sys.executable, "read_only.py", path],
    }
    report = compare(sides, repeats)
    medians = {side: numbers["processor"] for side, numbers in report.items()}
    found = {side: numbers["found"] for side, numbers in report.items() if numbers["found"]}
    shared = {
        "equal": found["ours"]["digest"] == found[rival.name]["digest"],
        "medians": medians,
        "input": {
            "archive": Path(path).name,
            "bytes": Path(path).stat().st_size,
            "plain_bytes": sum(len(block) for _, block in records(path)),
            "found": found,
        },
        "rounds": {side: numbers["rounds"] for side, numbers in report.items()},
    }
    ratio, share = medians[rival.name] / medians["ours"], medians["floor"] / medians["ours"]
    return [
        {
            "id": f"{name}a",
            "what": f"times as fast as {rival.name}",
            "target": rival.target,
            "reached": ratio,
            **shared,
        },
        {"id": f"{name}b", "what": "share of the speed of reading alone", "target": 0.5, "reached": share, **shared},
    ]
