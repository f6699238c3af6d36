"""Fuzzing of WARC, ARC, WAT and HTML: nothing escapes, and every sum holds (`Outcome.check_sums` looks at them)."""

import gzip
import json

import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.archive_files import (
    extract_bytes,
    http_response,
    image_link,
    members,
    page_record,
    read_images,
    warc_record,
    wat_document,
    wat_record,
)
from udfs.pages.html import read_html
from udfs.pages.wat import IMAGE_PATH

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

ARC_VERSION = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain %d\n%s\n" % (len(ARC_VERSION), ARC_VERSION)
ARC += b"".join(
    b"http://example.org/%d 127.0.0.1 20100101000000 text/html %d\n%s\n" % (n, len(block), block)
    for n, block in enumerate([http_response(b"<img src=a alt=b>" + b"x" * n * 50) for n in range(3)])
)
RECORDS = [
    warc_record(b"software: test", None, "warcinfo", "application/warc-fields"),
    *map(page_record, range(3)),
    wat_record(wat_document((image_link("/a.jpg", "a"), None))),
    warc_record(http_response(gzip.compress(b"<img src=a alt=b>"), "Content-Encoding: gzip")),
]
ARCHIVES = {
    "plain": b"".join(RECORDS),
    "gzip": b"".join(members(RECORDS)),
    "packed": gzip.compress(b"".join(RECORDS)),
    "twice": gzip.compress(b"".join(members(RECORDS))),
    "zstd": b"".join(map(zstandard.compress, RECORDS)),
    "large": b"".join(members([RECORDS[0], *(page_record(number, padding=90_000) for number in range(3))])),
    "arc": ARC,
    "arc.gz": b"".join(members([ARC])),
}

edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "insert", "replace", "repeat", "end"]),
        st.floats(0, 1),
        st.integers(1, 300),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n\r\n", b"WARC/1.0\r\n", b"\x1f\x8b\x08", b"\0" * 20])),
    ),
    min_size=1,
    max_size=4,
)


def edit(data: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    for kind, place, size, new in edits:
        at = int(place * len(data))
        changed = {
            "cut": data[:at] + data[at + size :],
            "insert": data[:at] + new + data[at:],
            "replace": data[:at] + new + data[at + len(new) :],
            "repeat": data[: at + size] + data[at:],
            "end": data[:at],
        }
        data = changed[kind]
    return data


@FUZZ
@given(st.sampled_from(sorted(ARCHIVES)), edits)
def test_damaged_archives(name: str, changes: list[tuple[str, float, int, bytes]]) -> None:
    outcome = extract_bytes(edit(ARCHIVES[name], changes))
    # No record is read twice; garbled bytes may hold further images.
    images = [(pair["record_offset"], pair["image_index"]) for pair in outcome.pairs]
    assert images == sorted(set(images))
    is_none = any(
        reason in outcome.rejected for reason in ("archive.not_an_archive", "archive.error_page", "archive.read_error")
    )
    is_damaged = any(reason.startswith("archive.") for reason in outcome.rejected)
    assert (outcome.status == "failed") == (is_none or (is_damaged and not outcome.archive["records"]))


@FUZZ
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x1f\x8b\x08", b"WARC/1.0\r\n", b"filedesc://x", b"(\xb5/\xfd"])
)
def test_arbitrary_bytes(data: bytes, start: bytes) -> None:
    extract_bytes(start + data)


header_names = st.sampled_from(
    ["WARC-Type", "WARC-Target-URI", "Content-Type", "Content-Length", "WARC-Identified-Payload-Type", "X"]
)
header_values = st.one_of(
    st.sampled_from(["response", "resource", "metadata", "application/json", "text/html", "0", "40", "-1", "9" * 20]),
    st.text(max_size=30),
)


@FUZZ
@given(st.lists(st.tuples(header_names, header_values), max_size=7), st.binary(max_size=120))
def test_arbitrary_warc_headers(headers: list[tuple[str, str]], block: bytes) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("utf-8", "surrogatepass")
    extract_bytes(b"WARC/1.0\r\n" + head + b"\r\n" + block + b"\r\n\r\n" + page_record(1))


@FUZZ
@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br", "chunked", ""]),
    st.sampled_from(
        ["text/html", "text/html; charset=utf-16", "text/html; charset=gbk", "application/octet-stream", ""]
    ),
    st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(gzip.compress), st.binary().map(zstandard.compress)),
    edits,
)
def test_arbitrary_bodies(
    encoding: str, content_type: str, body: bytes, changes: list[tuple[str, float, int, bytes]]
) -> None:
    headers = (f"Content-Encoding: {encoding}", f"Transfer-Encoding: {encoding}")
    blocks = [http_response(data, *headers, content_type=content_type) for data in (body, edit(body, changes))]
    outcome = extract_bytes(b"".join(map(warc_record, blocks)))
    assert outcome.archive["records"] == 2
    assert "record.parser_error" not in outcome.rejected


MARKUP = (
    "<img |src=|alt='|'|\"|>|<base href=|http://[|//x/|<!--|-->|<template>|</|&#|<noscript>|<svg>|<table>|\0|\ufffd"
)
MARKUP += "|data:|title=|<textarea>|<script>|&amp;|/>|x|<image |<select>|<frameset>|<![CDATA[|]]>|<math>|<plaintext>"
fragments = st.sampled_from(MARKUP.split("|"))


@FUZZ
@given(st.lists(st.one_of(fragments, st.text(max_size=5)), max_size=40), st.text(max_size=20))
def test_arbitrary_html(parts: list[str], page_url: str) -> None:
    page = read_images(read_html("".join(parts).encode("utf-8", "surrogatepass"), page_url))
    assert page.images == page.images_kept + sum(loss.reason.startswith("image.") for loss in page.losses)
    assert page.texts == len(page.pairs) + sum(loss.reason.startswith("text.") for loss in page.losses)
    outcome = extract_bytes(warc_record(http_response("".join(parts).encode("utf-8", "surrogatepass"))))
    assert (outcome.archive["records"], outcome.archive["pages"]) == (1, 1)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.just(IMAGE_PATH)),
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(
            st.sampled_from(["Envelope", "Links", "Head", "Base", "path", "url", "alt", "title", "HTML-Metadata"]),
            children,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
PATHS = [
    (),
    ("Envelope",),
    ("Envelope", "WARC-Header-Metadata"),
    ("Envelope", "WARC-Header-Metadata", "WARC-Target-URI"),
    ("Envelope", "Payload-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "Response-Message"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Head"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Links"),
]


@FUZZ
@given(st.sampled_from(PATHS), values, st.lists(values, max_size=3), edits, st.booleans())
def test_arbitrary_wat_records(
    path: tuple[str, ...],
    value: object,
    links: list[object],
    changes: list[tuple[str, float, int, bytes]],
    breaks_json: bool,
) -> None:
    document: object = wat_document((image_link("/a.jpg", "a"), *links))
    if path:
        parent = document
        for name in path[:-1]:
            assert isinstance(parent, dict)
            parent = parent[name]
        assert isinstance(parent, dict)
        parent[path[-1]] = value
    else:
        document = value
    payload = json.dumps(document).encode()
    outcome = extract_bytes(wat_record(edit(payload, changes) if breaks_json else payload))
    assert outcome.archive["records"] == 1
    assert "record.parser_error" not in outcome.rejected
