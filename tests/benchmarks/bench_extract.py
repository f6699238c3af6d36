"""P2 and P3: extraction on one core against cc2dataset, the published way, and reading alone; in processor seconds.

Each runs over several archives:

- Small records: debian-docs, or the sample without `METACLIP_TEST_DATA`. What each record costs weighs more than in a
  crawl.
- Records of a crawl's size: the same markup and links in fewer, larger records. Common Crawl's September 2016 has
  6.6 KB of compressed WAT for a page (10.35 TiB, 1.72 billion pages), December 2024 164 KB of plain WARC (394 TiB,
  2.64 billion pages); debian-docs has 2.5 KB and 16 KB, what is made of it 3.2 KB (links of three pages in one record,
  other metadata of one) and 158 KB. Sources: the announcements of both crawls.
- A synthetic crawl (`synthetic_pages`), and for WARC one more with a crawl's mixture of what is not plain. What must be
  found there is known from their making. The other ways do not hear of a `<base>` and of some charsets, so that in the
  mixture only this project is held to it.
"""

import gzip
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType

from tests.benchmarks import earlier_sources, synthetic_pages
from tests.benchmarks.contestants.loop import digest
from tests.benchmarks.peers import CHECKOUT, compare, peers_python
from tests.benchmarks.synthetic_archives import Record, warc_records, wat_records, write_archive
from tests.benchmarks.synthetic_pages import Page, Trait, mixed_pages, plain_pages
from udfs.pairs import ExtractOptions
from udfs.pairs.extract import extract_batches
from udfs.pairs.loop import KERNELS
from udfs.schemas import ARCHIVE_PATHS

MADE = CHECKOUT / "build" / "benchmark-data"
WAT_PAGES, WARC_PAGES = 2500, 600
BRACKETS = re.compile(rb'("WARC-Target-URI":")<([^"]*)>"')
SAMPLE = CHECKOUT / "tests" / "data" / "sample"


def archive(kind: str) -> str:
    """Finds the archive to read."""
    data = os.environ.get("METACLIP_TEST_DATA")
    if data is None:
        return str(next(iter(sorted(SAMPLE.glob(f"*.{kind}.gz")))))
    return str(Path(data) / "archives" / f"debian-docs.{kind}.gz")


def records(path: str) -> Iterator[Record]:
    """Reads an archive."""
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False):
            yield dict(record.headers.items()), record.reader.read()


def copy_of(path: str, name: str, rewrite: Callable[[Iterator[Record]], Iterator[Record]]) -> str:
    """Writes an archive anew."""
    copy = MADE / f"{name}-{Path(path).name}"
    write_archive(copy, rewrite(records(path)))
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


class Targets(NamedTuple):
    """What this project should reach on an archive; None where nothing is set.

    Attributes:
        faster: How many times as fast as the other way.
        of_reading: Which share of the speed of FastWARC only reading.
        of_inflating: Which share of the speed of libdeflate only inflating.
    """

    faster: float | None = None
    of_reading: float | None = None
    of_inflating: float | None = None


@dataclass(frozen=True)
class Input:
    """An archive to extract, and what must come of it.

    Attributes:
        name: The start of its results' names.
        title: What it is.
        path: Where it lies.
        targets: What should be reached.
        made: The digest of the pairs that it was made of, or None.
        agreed: Whether all ways must find the same.
        traits: What is in it on purpose.
    """

    name: str
    title: str
    path: str
    targets: Targets
    made: str | None = None
    agreed: bool = True
    traits: Mapping[str, Trait] = field(default_factory=dict)


class Rival(NamedTuple):
    """Another way to extract.

    Attributes:
        name: In the results.
        command: Of its contestant, without the archive.
    """

    name: str
    command: list[str]


def wat(repeats: int) -> list[dict[str, Any]]:
    """P2: WAT against cc2dataset's parser and the floors; and against the last sources without the compiled loop."""
    path = archive("warc.wat")
    small, large = copy_of(path, "plain", without_brackets), copy_of(path, "crawl-sized", more_links)
    synthetic, made = synthetic_archive("synthetic.warc.wat.gz", plain_pages(WAT_PAGES), wat_records, ["alt"])
    as_in_crawl = Targets(6.5, 0.85, 0.5)
    inputs = [
        Input("P2", "small WAT records", small, Targets(5.0, 0.85, 0.5)),
        Input("P2-crawl", "WAT records of a crawl's size", large, as_in_crawl),
        Input("P2-synthetic", "WAT of a synthetic crawl", synthetic, as_in_crawl, made, traits=synthetic_pages.IN_ALL),
    ]
    rival = Rival("cc2dataset", [peers_python(), "cc2dataset_wat.py"])
    earlier = earlier_sources.without_loop()
    return [found for each in inputs for found in results(each, rival, ["alt"], repeats, earlier)]


def warc(repeats: int) -> list[dict[str, Any]]:
    """P3: WARC against the published way and the floors."""
    path, names, every = archive("warc"), ["alt", "title"], synthetic_pages.MIXTURE
    plain, made = synthetic_archive("synthetic.warc.gz", plain_pages(WARC_PAGES), warc_records, names)
    mixed, made_mixed = synthetic_archive("mixture.warc.gz", mixed_pages(WARC_PAGES), warc_records, names)
    large = copy_of(path, "crawl-sized", larger_pages)
    inputs = [
        Input("P3", "small WARC pages", path, Targets(8.0, 0.6)),
        Input("P3-crawl", "WARC pages of a crawl's size", large, Targets(7.0, 0.6)),
        Input("P3-synthetic", "WARC of a synthetic crawl", plain, Targets(), made, traits=synthetic_pages.IN_ALL),
        Input("P3-mixture", "WARC of a crawl's mixture", mixed, Targets(6.0), made_mixed, agreed=False, traits=every),
    ]
    rival = Rival("published", [peers_python(), "published_warc.py"])
    return [found for each in inputs for found in results(each, rival, [], repeats)]


def synthetic_archive(
    name: str, pages: list[Page], write: Callable[[list[Page]], Iterator[Record]], attributes: list[str]
) -> tuple[str, str]:
    """Writes an archive of pages; gives its path and the digest of their pairs, of the attributes so named."""
    path = MADE / name
    write_archive(path, write(pages))
    return str(path), digest(pair for page in pages for pair in page.pairs(attributes))


def results(
    each: Input, rival: Rival, options: list[str], repeats: int, earlier: str | None = None
) -> list[dict[str, Any]]:
    """Lets all ways run in turns, and says how this project does beside each.

    Args:
        each: The archive.
        rival: The other way.
        options: This project's.
        repeats: Rounds.
        earlier: The folder of other sources of this project that run, too.

    Returns:
        Results; the first has the figures that all of them are from.
    """
    facts = facts_of(each.path)
    sides = {
        "ours": [sys.executable, "this_project.py", each.path, *options],
        rival.name: [*rival.command, each.path],
        "floor": [sys.executable, "read_only.py", each.path],
        "inflate": [sys.executable, "inflate_only.py", each.path],
    }
    if earlier is not None:
        sides["before"] = [sys.executable, "earlier.py", earlier, each.path, *options]
    report = compare(sides, repeats)
    medians = {side: numbers["processor"] for side, numbers in report.items()}
    found = {side: numbers["found"] for side, numbers in report.items() if numbers["found"]}
    traits = {name: trait._asdict() for name, trait in each.traits.items()}
    beside = [
        ("a", rival.name, f"times as fast as {rival.name}"),
        ("b", "floor", "share of the speed of FastWARC only reading"),
        ("c", "inflate", "share of the speed of libdeflate only inflating"),
    ]
    rows: list[dict[str, Any]] = [
        {
            "id": f"{each.name}{letter}",
            "what": f"{each.title}: {what}",
            "target": target,
            "reached": medians[side] / medians["ours"],
            "equal": is_equal(each, {side: numbers["digest"] for side, numbers in found.items()}),
        }
        for (letter, side, what), target in zip(beside, each.targets, strict=True)
    ]
    rows[0] |= {
        "title": each.title,
        "rival": rival.name,
        "medians": medians,
        "rounds": {side: numbers["rounds"] for side, numbers in report.items()},
        "input": {"archive": Path(each.path).name, **facts, "found": found, "traits": traits},
    }
    return rows


def is_equal(each: Input, digests: Mapping[str, str]) -> bool:
    """Tells whether what must agree does: all ways, or this project and what the archive was made of."""
    agreeing = set(digests.values()) if each.agreed else {digests["ours"]}
    return len(agreeing | ({each.made} if each.made else set())) == 1


def facts_of(path: str) -> dict[str, Any]:
    """Reads an archive once, untimed: its sizes, what is in it, and why which records were not read by the loop."""
    KERNELS.compile()
    paths = pa.RecordBatch.from_pydict({"archive": [path], "path": [path]}, schema=ARCHIVE_PATHS)
    *_, last = extract_batches(iter([paths]), options=ExtractOptions())
    [row] = last.to_pylist()
    with gzip.open(path) as stream:
        inflated = sum(map(len, iter(partial(stream.read, 1 << 20), b"")))
    return {
        "bytes": row["size"],
        "plain_bytes": sum(len(block) for _, block in records(path)),
        "inflated_bytes": inflated,
        **{name: row[name] for name in ("records", "pages", "pairs")},
        "reference_records": dict(row["reference_records"]),
    }
