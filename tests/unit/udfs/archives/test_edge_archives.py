"""Odd archives of other projects: each file's outcome in one table; files of the same kinds made here stand in."""

import gzip
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.archive_files import Outcome, extract_bytes, extract_path, http_response, members, warc_record

DATA = os.environ.get("METACLIP_TEST_DATA")
EDGE = Path(DATA) / "edge" if DATA else None


class Expected(NamedTuple):
    """Status, records, pages, and every reason with its count."""

    status: str
    records: int
    pages: int
    rejected: dict[str, int]


def skipped(**kinds: int) -> dict[str, int]:
    return {f"record.skipped_{kind}": count for kind, count in kinds.items()}


CRAWL = Expected("ok", 6, 1, skipped(request=2, revisit=1, warcinfo=2))
EXPECTED = {
    # Two records whose length is no number, and one that is no HTTP.
    "bad.arc": Expected(
        "ok", 4, 0, {"record.bad_content_length": 2, "record.bad_http_header": 1, **skipped(arc_header=1)}
    ),
    "example-bad-non-chunked.warc.gz": CRAWL,
    "example-bad.warc.gz.bad": Expected("ok", 6, 1, skipped(request=2, revisit=1, status=1, warcinfo=1)),
    "example-digest.warc": Expected("ok", 4, 0, skipped(request=4)),
    "example-iana.org-chunked.warc": Expected("ok", 3, 1, skipped(request=1, warcinfo=1)),
    "example-resource.warc.gz": Expected("ok", 3, 1, skipped(warcinfo=2)),
    "example-space-in-target-uri.warc.gz": Expected("ok", 2, 0, skipped(not_html=1, warcinfo=1)),
    # Its last record is twelve bytes shorter than its header says.
    "example-space-in-url.arc": Expected(
        "damaged", 2, 0, {"archive.truncated": 1, "record.truncated": 1, **skipped(arc_header=1)}
    ),
    # The length of its response is two bytes short: they stand between two records.
    "example-trunc.warc": Expected("damaged", 4, 1, {"archive.corrupt": 1, **skipped(request=1, warcinfo=2)}),
    "example-wget-bad-target-uri.warc.gz": Expected("ok", 6, 1, skipped(metadata=1, not_html=2, request=1, warcinfo=1)),
    "example-wrong-chunks.warc.gz": Expected("ok", 2, 1, skipped(request=1)),
    "example.arc": Expected("ok", 2, 1, skipped(arc_header=1)),
    "example.arc.gz": Expected("ok", 2, 1, skipped(arc_header=1)),
    "example.warc": CRAWL,
    "example.warc.gz": CRAWL,
    "post-test.warc.gz": Expected("ok", 6, 0, skipped(not_html=3, request=3)),
}


def check(outcome: Outcome, expected: Expected) -> None:
    row = outcome.archive
    assert Expected(outcome.status, row["records"], row["pages"], dict(outcome.rejected)) == expected


@pytest.mark.skipif(EDGE is None, reason="METACLIP_TEST_DATA is not set")
def test_the_table_names_every_file() -> None:
    assert EDGE is not None
    assert sorted(path.name for path in EDGE.iterdir()) == sorted(EXPECTED)


@pytest.mark.skipif(EDGE is None, reason="METACLIP_TEST_DATA is not set")
@pytest.mark.parametrize("name", EXPECTED)
def test_edge_archives(name: str) -> None:
    assert EDGE is not None
    check(extract_path(EDGE / name), EXPECTED[name])


PAGE = http_response(b"<html><body><img src=a alt=b>" + b"text " * 200)
INFO = warc_record(b"software: test", None, "warcinfo", "application/warc-fields")
REQUEST = warc_record(b"GET / HTTP/1.1\r\n\r\n", kind="request", content_type="application/http; msgtype=request")
REVISIT = warc_record(b"HTTP/1.1 200 OK\r\n\r\n", kind="revisit")
SMALL_CRAWL = [INFO, warc_record(PAGE), REQUEST, REVISIT]
ARC_VERSION = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_HEADER = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain %d\n%s\n" % (len(ARC_VERSION), ARC_VERSION)


def arc_record(length: bytes, block: bytes = PAGE, url: bytes = b"http://example.org/a b") -> bytes:
    return url + b" 127.0.0.1 20100101000000 text/html " + length + b"\n" + block + b"\n"


STAND_INS = {
    "plain": (b"".join(SMALL_CRAWL), Expected("ok", 4, 1, skipped(request=1, revisit=1, warcinfo=1))),
    "gzip": (b"".join(members(SMALL_CRAWL)), Expected("ok", 4, 1, skipped(request=1, revisit=1, warcinfo=1))),
    "one member": (
        gzip.compress(b"".join(SMALL_CRAWL)),
        Expected("ok", 4, 1, skipped(request=1, revisit=1, warcinfo=1)),
    ),
    "length too short": (
        warc_record(PAGE, length=len(PAGE) - 2) + REQUEST,
        Expected("damaged", 2, 1, {"archive.corrupt": 1, **skipped(request=1)}),
    ),
    "resource": (
        INFO + warc_record(b"<html>", kind="resource", content_type="text/html"),
        Expected("ok", 2, 1, skipped(warcinfo=1)),
    ),
    "space in URI": (INFO + warc_record(PAGE, "http://example.org/a b"), Expected("ok", 2, 1, skipped(warcinfo=1))),
    "wrong chunks": (
        warc_record(PAGE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 1)),
        Expected("ok", 1, 1, {}),
    ),
    "ARC, space in URL": (ARC_HEADER + arc_record(b"%d" % len(PAGE)), Expected("ok", 2, 1, skipped(arc_header=1))),
    "ARC, too short": (
        ARC_HEADER + arc_record(b"%d" % (len(PAGE) + 9)),
        Expected("damaged", 2, 0, {"archive.truncated": 1, "record.truncated": 1, **skipped(arc_header=1)}),
    ),
    "ARC, lengths that are none": (
        ARC_HEADER + arc_record(b"-1", b"") + arc_record(b"abc", b""),
        Expected("ok", 3, 0, {"record.bad_content_length": 2, **skipped(arc_header=1)}),
    ),
}


@pytest.mark.parametrize("name", STAND_INS)
def test_stand_ins_of_the_same_kinds(name: str) -> None:
    data, expected = STAND_INS[name]
    check(extract_bytes(data), expected)
