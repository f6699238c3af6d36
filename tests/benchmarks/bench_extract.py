"""P2 and P3: extraction on one core against cc2dataset, the published way, and reading alone; in processor seconds.

Without `METACLIP_TEST_DATA` the sample's archives are read. Where a page has a `<base>` or a text in another charset
the ways differ on purpose, so equality is looked at on archives without them.

Where the time goes on debian-docs (10,273 records of which half are requests; 5,116 pages; 14,075 images): FastWARC
itself takes about a third, of WARC and of WAT. Records are small here: a WAT record is 2.8 KB, so the cost per record
weighs more than in a crawl, and four times cc2dataset's speed would be about as fast as FastWARC alone reads.

With gain: the scanner in place of a tree (1.9x); folders of URLs resolved once (1.2x); fewer header look-ups (1.05x).
"""

import gzip
import os
import re
import sys
from pathlib import Path
from typing import Any

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


def without_brackets(path: str) -> str:
    """Copies a WAT archive without the `<` and `>` around URLs that Wget writes and cc2dataset does not know."""
    copy = CHECKOUT / "build" / "benchmark-data" / Path(path).name
    copy.parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("rb") as stream, copy.open("wb") as out:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False):
            block = BRACKETS.sub(rb'\1\2"', record.reader.read())
            kept = [(name, value) for name, value in record.headers.items() if name != "Content-Length"]
            lines = [f"{name}: {value}" for name, value in [*kept, ("Content-Length", len(block))]]
            header = "\r\n".join(["WARC/1.0", *lines, "", ""]).encode()
            out.write(gzip.compress(header + block + b"\r\n\r\n"))
    return str(copy)


def wat(repeats: int) -> list[dict[str, Any]]:
    """P2: WAT against cc2dataset's parser and the floor."""
    path = without_brackets(archive("warc.wat"))
    ours = [sys.executable, "this_project.py", path, "alt"]
    theirs = [peers_python(), "cc2dataset_wat.py", path]
    return results("P2", path, 4.0, "cc2dataset", ours, theirs, repeats)


def warc(repeats: int) -> list[dict[str, Any]]:
    """P3: WARC against the published way and the floor."""
    path = archive("warc")
    ours = [sys.executable, "this_project.py", path]
    theirs = [peers_python(), "published_warc.py", path]
    return results("P3", path, 5.0, "published", ours, theirs, repeats)


def results(
    name: str, path: str, target: float, rival: str, ours: list[str], theirs: list[str], repeats: int
) -> list[dict[str, Any]]:
    """Lets the two and the floor run in turns, and says both results."""
    floor = [sys.executable, "read_only.py", path]
    report = compare({"ours": ours, rival: theirs, "floor": floor}, repeats)
    medians = {side: numbers["processor"] for side, numbers in report.items()}
    found = {side: numbers["found"] for side, numbers in report.items() if numbers["found"]}
    shared = {
        "equal": found["ours"]["digest"] == found[rival]["digest"],
        "medians": medians,
        "input": {"archive": Path(path).name, "bytes": Path(path).stat().st_size, "found": found},
        "rounds": {side: numbers["rounds"] for side, numbers in report.items()},
    }
    ratio, share = medians[rival] / medians["ours"], medians["floor"] / medians["ours"]
    return [
        {"id": f"{name}a", "what": f"times as fast as {rival}", "target": target, "reached": ratio, **shared},
        {"id": f"{name}b", "what": "share of the speed of reading alone", "target": 0.5, "reached": share, **shared},
    ]
