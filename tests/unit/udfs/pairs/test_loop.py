"""The compiled loop over archives: whatever the input, the result is that of the readers in Python."""

import gzip
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zstandard

from tests.support import loop_inputs
from tests.support.archive_files import (
    MemoryStream,
    dictionary_frame,
    extract_bytes,
    extract_outcomes,
    http_response,
    image_link,
    skippable_frame,
    warc_record,
    wat_document,
    wat_record,
    zstd_dictionary,
)
from tests.support.loop_inputs import (
    CHECKED,
    COMMENT,
    EXTRA,
    NAME,
    RESERVED,
    any_json,
    archive_of,
    both,
    check,
    check_damaged,
    check_records,
    with_header,
)
from tests.support.paths import CHECKOUT
from udfs.archives import ArchiveReadError, one_shot
from udfs.pages.image_table import MOST_IMAGES, MOST_VALUES
from udfs.pairs import ExtractOptions, archive_batch, extract, loop


def capture(number: int, *links: Any, uri: str | None = None) -> bytes:
    found = links or (image_link(f"/{number}.jpg", f"a dog {number}"), {"path": "A@/href", "url": "/a", "text": "x"})
    return wat_record(wat_document(found, uri or f"http://example.org/{number}"))


RECORDS = [capture(number) for number in range(6)]
MEMBERS = archive_of(RECORDS)
DICTIONARY = zstd_dictionary([capture(number) for number in range(200)])


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (
        ("_INPUT_BYTES", 1000),
        ("_LARGEST_MEMBER_BYTES", 3000),
        ("_MOST_LEFT_RECORDS", 3),
        ("_MOST_IMAGES", 6),
        ("_FIRST_LEFT", 2),
        ("CHUNK_BYTES", 100),
    ):
        monkeypatch.setattr(loop, name, value)
    monkeypatch.setattr(archive_batch, "BATCH_ROWS", 5)
    monkeypatch.setattr("udfs.pairs.columns._DATA_BYTES", 300)
    monkeypatch.setattr("udfs.pairs.columns._URL_BYTES", 60)
    yield


def test_mutated_records() -> None:
    """`make test-loop` has fifty thousand."""
    records, read = check_records(Random(1), 60)
    assert 2 * read >= records == 1500


def test_damaged_archives() -> None:
    """`make test-loop` has some hundreds."""
    members = archive_of([wat_record(any_json(Random(number))) for number in range(20)])
    assert check_damaged(Random(2), 60, members) > 300


@pytest.mark.usefixtures("small_buffers")
def test_buffers_that_are_too_small() -> None:
    records, read = check_records(Random(3), 20)
    assert records > read > 100
    check_damaged(Random(4), 20, MEMBERS)


def test_plain_records_are_read_by_the_loop() -> None:
    others = [warc_record(b"x", None, kind, "text/plain") for kind in ("warcinfo", "request", "metadata", "revisit")]
    skipped = capture(7).replace(b'"WARC-Type": "response"', b'"WARC-Type": "request" ')
    assert check(b"".join(archive_of([*others, *RECORDS, skipped]))) == len(others) + len(RECORDS) + 1


IMAGE = b"<img src=a.jpg alt='a &amp; b' title=b>"


@pytest.mark.parametrize(
    ("body", "headers", "content_type", "is_read"),
    [
        (b"<html>" + IMAGE, [], "text/html", True),
        (b"<html>\xc3\xa9" + IMAGE, [], "text/html", True),
        (b"<html>" + IMAGE, ["Server: x", "X-Crawl-Content-Encoding: gzip"], "Text/HTML;charset='UTF-8'", True),
        (b"<?xml version='1.0' encoding='UTF-8'?><html>" + IMAGE, [], "application/xhtml+xml", True),
        (b"<meta http-equiv=content-type content='text/html; charset=iso-8859-1'>" + IMAGE, [], "text/html", True),
        (b"<meta charset=iso-8859-1>\xc3\xa9" + IMAGE, [], "text/html", True),
        (b"<meta charset=iso-8859-1>\xc3\xa9" + IMAGE, [], "text/html; charset=utf-8", True),
        (b"<meta charset=utf-8>\xe9" + IMAGE, [], "text/html", True),
        (b"<p>\xc3\xa9" + IMAGE, [], "text/html; charset=iso-8859-1", True),
        (b"<meta charset=gbk>" + IMAGE, [], "text/html", False),
        (b"<meta charset\x0b=\x0biso-2022-jp>\x1b$B" + IMAGE, [], "text/html", False),
        (b"<?xml encoding=\x01'iso-2022-jp'?>\x1b$B" + IMAGE, [], "text/html", False),
        (b"\xef\xbb\xbf<html>" + IMAGE, [], "text/html", False),
        (b"<base href=/b/>" + IMAGE, [], "text/html", True),
        (b"<template>" + IMAGE, [], "text/html", False),
        (b"<html>" + IMAGE, ["Content-Encoding: gzip"], "text/html", False),
        (b"5\r\n<html\r\n0\r\n", ["Transfer-Encoding: chunked"], "text/html", False),
        (b"<html>" + IMAGE, ["Content-Type: text/html"], "text/html", False),
        (b"<html>" + IMAGE, [" folded"], "text/html", False),
        (b"<html>" + IMAGE, ["content-type : text/html"], "text/html", False),
        (b"<html>" + IMAGE, [], "text/html; charset=utf-8/", False),
        (b"<html>" + IMAGE, [], "text/plain", True),
        (b"", [], "text/html", False),
    ],
)
def test_pages(body: bytes, headers: list[str], content_type: str, is_read: bool) -> None:
    page = warc_record(http_response(body, *headers, content_type=content_type))
    data = b"".join(archive_of([page, RECORDS[0], page]))
    records = check(data)
    assert records == (3 if is_read else 1)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"<html>" + IMAGE, "text/html", None),
        (b"<html>\x93a\x94" + IMAGE.replace(b"title=b", b"title='\x80 \xe9'"), "text/html; charset=iso-8859-1", None),
        (b"<html>" + IMAGE.replace(b"title=b", b"title='\xd8'"), "text/html; charset=windows-1251", None),
        (b"<html><base href='http://b.org/c/'>" + IMAGE, "text/html", None),
        (b"<html><base href=/c/>" + IMAGE, "text/html", None),
        (b"<html>" + IMAGE.replace(b"a.jpg", b"/a?b=1&amp;c=2&d=3"), "text/html", None),
        (b"<html>" + IMAGE.replace(b"title=b", b"title='&eacute;&nbsp;&#8217;&#x1F600;&copy'"), "text/html", None),
        (b"<html>" + IMAGE, "application/octet-stream", None),
        (b"%PDF", "application/pdf", None),
        (b"%PDF", "application/octet-stream", "media_type"),
        (b"<html>\x82\xa0" + IMAGE, "text/html; charset=shift_jis", "charset"),
        (b"<html>\xe9" + IMAGE, "text/html", "charset"),
        (b"<html><base href=c/>" + IMAGE, "text/html", "base_url"),
        (b"<html><template>" + IMAGE, "text/html", "markup"),
        (b"<html>" + IMAGE, "text/html\r\nContent-Encoding: x", "http_header"),
    ],
)
def test_why_records_are_left(body: bytes, content_type: str, reason: str | None) -> None:
    page = warc_record(http_response(body, content_type=content_type))
    data = b"".join(archive_of([page, *RECORDS]))
    check(data)
    assert extract_bytes(data).reference_records == ({} if reason is None else {reason: 1})


@pytest.mark.parametrize("is_wat", [False, True])
@pytest.mark.parametrize(
    ("header", "meta", "agents", "found"),
    [
        ("CCBot: noai", ("robots", "nofollow"), ("ccbot",), 1),
        ("somebot: noai, ccbot: noindex", ("CCBot", "noimageai"), ("ccbot",), 4 | 2),
        ("ccbot: noai, noindex", ("img2dataset", "noimageai"), ("ccbot", "img2dataset"), 1 | 4 | 2),
        ("ccbot: noai", ("robots", "ccbot: noindex, noimageindex"), ("img2dataset",), 0),
        ("ccbot: noai", ("ccbot", "noindex"), (), 0),
    ],
)
def test_directives_to_agents(
    header: str, meta: tuple[str, str], agents: tuple[str, ...], found: int, is_wat: bool
) -> None:
    if is_wat:
        document = wat_document((image_link("/a.jpg", "a dog"),))
        response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
        response["Headers"] = {"X-Robots-Tag": header}
        response["HTML-Metadata"]["Head"]["Metas"] = [dict(zip(("name", "content"), meta, strict=True))]
        record = wat_record(document)
    else:
        head = "<html><meta name='{}' content='{}'>".format(*meta).encode()
        record = warc_record(http_response(head + IMAGE, f"X-Robots-Tag: {header}"))
    data, options = b"".join(archive_of([record])), ExtractOptions(preference_agents=agents)
    assert check(data, options) == 1
    outcome = extract_bytes(data, options)
    assert outcome.reference_records == {}
    assert {pair["page_preferences"] for pair in outcome.pairs} == {found}


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("X-Robots-Tag", ["noai", "all"], 1),
        ("X-Robots-Tag", ["noai", "noindex", "noai"], 1 | 4),
        ("TDM-Reservation", ["1", "0"], 16),
        ("Content-Usage", ["train-ai=n", "train-ai=y"], 32),
    ],
)
def test_headers_that_are_repeated(name: str, values: list[str], found: int) -> None:
    """Each says what it says, in WARC and WAT alike."""
    page = warc_record(http_response(b"<html>" + IMAGE, *(f"{name}: {value}" for value in values)))
    captures = []
    for links in ((image_link("/a.jpg", "a dog"),), (image_link("/a.jpg", "a dog"), {"path": "A@/href", "url": 5})):
        document = wat_document(links)
        response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
        response["Headers"] = {f"{name}({number})": value for number, value in enumerate(values)}
        captures.append(re.sub(r"\(\d\)", "", json.dumps(document)).encode())
    for record in (page, *map(wat_record, captures)):
        data = b"".join(archive_of([record]))
        check(data)
        assert {pair["page_preferences"] for pair in extract_bytes(data).pairs} == {found}


@pytest.mark.parametrize("place", ["Headers", "Metas", "Links", "Format"])
def test_numbers_of_more_digits_than_python_reads(place: str) -> None:
    document = wat_document((image_link("/a.jpg", "a dog"), {"path": "IMG@/src", "alt": "(huge)"}))
    response = document["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]
    html = response["HTML-Metadata"]
    if place != "Links":
        html["Links"].pop()
    response["Headers"] = {"X-Robots-Tag": "noindex", **({"n": "(huge)"} if place == "Headers" else {})}
    odd = {"n": "(huge)"} if place == "Metas" else {}
    html["Head"]["Metas"] = [{"name": "robots", "content": "noai"}, odd]
    document["Envelope"]["Format"] = "(huge)" if place == "Format" else "WARC"
    record = wat_record(json.dumps(document).replace('"(huge)"', "1" * 5000).encode())
    data = b"".join(archive_of([record]))
    check(data)
    assert [pair["page_preferences"] for pair in extract_bytes(data).pairs] == [1 | 4]


def test_why_archives_are_left() -> None:
    whole = b"".join(RECORDS)
    assert extract_bytes(whole).reference_records == {"format": len(RECORDS)}
    two_in_one = b"".join([*MEMBERS[:3], gzip.compress(RECORDS[3] + RECORDS[4])])
    assert extract_bytes(two_in_one).reference_records == {"member": 2}
    cut = warc_record(b"", None, "request").replace(b"Content-Length: 0", b"Content-Length: 9000000")
    assert extract_bytes(b"".join([*MEMBERS, *archive_of([cut]), *MEMBERS])).reference_records == {"member": 1}
    incompressible = warc_record(Random(0).randbytes(5 << 20), None, "request")
    for form in (archive_of, zstd_frames):
        assert extract_bytes(b"".join(form([*RECORDS, incompressible, *RECORDS]))).reference_records == {"size": 1}


@pytest.mark.parametrize("status", ["200 OK", "206 Partial", "404 Not Found", "301", "100 Continue", "2000 OK", "99 x"])
def test_statuses(status: str) -> None:
    pages = [
        warc_record(http_response(b"<html>" + IMAGE, status=status, content_type=kind)) for kind in ("text/html", None)
    ]
    assert check(b"".join(archive_of([pages[0]]))) == (status[0] in "234" and status[3:4] in {"", " "})
    check(b"".join(archive_of(pages)))


def test_an_archive_that_is_cut_anywhere() -> None:
    data = b"".join(MEMBERS[:2])
    for size in range(len(data)):
        check(data[:size])


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"", b"\0" * 600),
        (b"", b" \r\n"),
        (b"", b"garbage"),
        (b"", b"\x1f\x8b\x08"),
        (b"\0" * 5, b""),
        (b"\r\n", b"\r\n"),
        (b"garbage", b"garbage"),
        (gzip.compress(b""), gzip.compress(b"")),
        (gzip.compress(b" \r\n"), gzip.compress(b"\0")),
    ],
)
def test_what_stands_between_members(before: bytes, behind: bytes) -> None:
    check(b"".join([*MEMBERS[:2], before, MEMBERS[2], behind, *MEMBERS[3:]]))
    check(b"".join([before, *MEMBERS, behind]))


@pytest.mark.parametrize("flags", [0, 1, EXTRA, NAME, COMMENT, EXTRA | NAME | COMMENT, CHECKED, RESERVED])
def test_headers_of_members(flags: int) -> None:
    """libdeflate checks no checksum of a header, and zlib does."""
    for seed in range(3):
        members = [with_header(record, Random(seed), flags) for record in RECORDS]
        records = check(b"".join(members))
        assert records == (len(RECORDS) if flags & ~(EXTRA | NAME | COMMENT) == 0 else 0)
        check(b"".join([*MEMBERS[:2], members[0], *MEMBERS[3:]]))


@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_checksum_or_size(place: int) -> None:
    member = bytearray(MEMBERS[2])
    member[place] ^= 0x10
    outcome, expected, records = both(b"".join([*MEMBERS[:2], bytes(member), *MEMBERS[3:]]))
    assert outcome == expected
    assert (outcome.status, records) == ("damaged", len(MEMBERS) - 1)


def zstd_frames(records: list[bytes], **options: Any) -> list[bytes]:
    compressor = zstandard.ZstdCompressor(**options)
    return [compressor.compress(record) for record in records]


def streamed(records: list[bytes], window_bits: int = 20) -> list[bytes]:
    """Makes frames that do not say how large their content is."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_bits, write_checksum=True)
    compressors = [zstandard.ZstdCompressor(compression_params=parameters).compressobj() for _ in records]
    return [made.compress(record) + made.flush() for made, record in zip(compressors, records, strict=True)]


@pytest.mark.parametrize(
    ("frames", "is_read"),
    [
        (zstd_frames(RECORDS), True),
        (zstd_frames(RECORDS, write_checksum=True), True),
        (streamed(RECORDS), True),
        (streamed(RECORDS, window_bits=24), False),
        ([skippable_frame(b"abcd"), *zstd_frames(RECORDS)], True),
        ([*zstd_frames(RECORDS[:2]), skippable_frame(b"a" * 999), *zstd_frames(RECORDS[2:])], True),
        ([dictionary_frame(DICTIONARY), *zstd_frames(RECORDS, dict_data=DICTIONARY)], False),
        (zstd_frames(["".join(map(chr, range(99))).encode()]) + zstd_frames(RECORDS), True),
    ],
)
def test_zstd_archives(frames: list[bytes], is_read: bool) -> None:
    records = check(b"".join(frames))
    assert records in ((len(RECORDS),) if is_read else range(len(RECORDS)))


def test_damaged_zstd_archives() -> None:
    frames, random = zstd_frames(RECORDS, write_checksum=True), Random(6)
    for size in range(0, len(frames[0]) + len(frames[1]), 3):
        check(b"".join(frames[:2])[:size])
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    for between in (b"", b"\0" * 9, skippable, b"garbage", frames[0][:30], MEMBERS[0], b"\x28\xb5\x2f\xfd"):
        check(b"".join([*frames[:2], between, *frames[2:]]))
        check(b"".join([between, *frames, between]))
    for _ in range(60):
        at = random.randrange(len(frames))
        frame = bytearray(frames[at])
        frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)
        check(b"".join([*frames[:at], bytes(frame), *frames[at + 1 :]]))


@pytest.mark.parametrize("size", [5 << 20, 64 << 20])
def test_a_large_zstd_frame_is_for_the_reference_reader(size: int) -> None:
    large = zstd_frames([capture(9, image_link("/large.jpg", "x" * size))])
    assert check(b"".join([*zstd_frames(RECORDS[:3]), *large, *zstd_frames(RECORDS[3:])])) == len(RECORDS)


def test_members_of_several_records_and_records_over_several_members() -> None:
    whole = b"".join(RECORDS)
    check(b"".join([MEMBERS[0], gzip.compress(RECORDS[1] + RECORDS[2]), *MEMBERS[3:]]))
    check(b"".join(archive_of([RECORDS[0] + RECORDS[1], RECORDS[2] + RECORDS[3]])))
    for size in (50, 300, len(RECORDS[0]), len(whole)):
        check(b"".join(MEMBERS[:2] + archive_of([whole[at : at + size] for at in range(0, len(whole), size)])))


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


@pytest.mark.parametrize(
    ("before", "odd", "behind", "read_by_reference"),
    [
        (MEMBERS[:2], archive_of([RECORDS[2] + RECORDS[3]]), MEMBERS[4:], 2),
        (MEMBERS[:2], archive_of([RECORDS[2] + b"\r\n" * 9]), MEMBERS[3:], 1),
        (MEMBERS[:2], archive_of([RECORDS[2][:99], RECORDS[2][99:]]), MEMBERS[3:], 1),
        (MEMBERS[:2], archive_of([RECORDS[2][:99], RECORDS[2][99:] + RECORDS[3]]), MEMBERS[4:], 2),
        (MEMBERS[:2], archive_of([b"", b""]), MEMBERS[2:], 0),
        (MEMBERS[:2], [bytes(512)], MEMBERS[2:], 0),
        (MEMBERS[:2], [*archive_of([RECORDS[2] + RECORDS[3]]), bytes(512)], MEMBERS[4:], 2),
        (MEMBERS[:2], archive_of([b"\r\n", RECORDS[2] + RECORDS[3], b""]), MEMBERS[4:], 2),
        (MEMBERS[:2], [gzip.compress(warc_record(b"", None, "request") * 1000)], MEMBERS[2:], 1000 + 2),
        (zstd_frames(RECORDS[:2]), [SKIPPABLE], zstd_frames(RECORDS[2:]), 0),
        (zstd_frames(RECORDS[:2]), zstd_frames([RECORDS[2] + RECORDS[3], b""]), zstd_frames(RECORDS[4:]), 2),
    ],
)
def test_the_loop_goes_on_behind_odd_members(
    before: list[bytes], odd: list[bytes], behind: list[bytes], read_by_reference: int
) -> None:
    """The loop reads all other records, but for those whose offsets those of a small member have pushed on."""
    data = b"".join([*before, *odd, *behind] * 3)
    check(data)
    reasons = extract_bytes(data).reference_records
    assert reasons == ({"member": 3 * read_by_reference} if read_by_reference else {})


def test_an_archive_of_odd_members_is_left_to_the_reference_reader() -> None:
    data = b"".join(archive_of([b"".join(RECORDS)]) * 40)
    outcome = extract_bytes(MEMBERS[0] + data)
    assert outcome.reference_records == {"member": 15 * len(RECORDS), "archive": 25 * len(RECORDS)}


@pytest.mark.parametrize("size", [4 << 20, 5 << 20, 64 << 20])
def test_a_large_record_is_for_the_reference_reader_and_the_loop_goes_on_behind_it(size: int) -> None:
    large = capture(9, image_link("/large.jpg", "x" * size))
    data = b"".join([*MEMBERS[:3], gzip.compress(large, 1), *MEMBERS[3:]])
    assert check(data) == len(MEMBERS)
    assert extract_bytes(data).reference_records == {"size": 1}


@pytest.mark.parametrize("size", [1, 100, 300, 1000])
def test_limits(size: int) -> None:
    pages = [capture(number, *[image_link("/a", "b")] * number) for number in range(8)]
    data = b"".join(archive_of([*RECORDS, *pages, warc_record(http_response(b"<img src=a alt=b>"))]))
    check(data, ExtractOptions(max_page_bytes=size))
    check(data, ExtractOptions(max_record_bytes=size))


def test_examples_of_losses_are_the_first_ones() -> None:
    links = [image_link(f"/{number}") for number in range(5)] + [image_link("", "b"), image_link("/a", " ")] * 2
    odd = wat_record(wat_document((image_link("/odd"), image_link("/o", 7)), "http://example.org/odd"))
    records = [record for number in range(40) for record in (capture(number, *links), odd, capture(number))]
    outcome, expected, _ = both(b"".join(archive_of(records)))
    assert outcome.rejects == expected.rejects
    assert outcome == expected


def test_json_metadata_without_envelope_counts_by_what_came_before() -> None:
    other = wat_record({"links": []})
    late = wat_record({"x": "y" * 5000, **wat_document((image_link("/late.jpg", "a"),))})
    for records in ([other, *RECORDS, other], [other, late, other], [late, other, RECORDS[0], other]):
        check(b"".join(archive_of(records)))


def test_bases_of_any_form() -> None:
    random = Random(5)
    pieces = [
        "http://",
        "https://",
        "h.org",
        "h",
        "/",
        "/a",
        ".",
        "..",
        "-",
        ":80",
        ":",
        "?",
        "#",
        "a.b",
        "%20",
        "&",
        ";",
        "[",
    ]
    uris = ["".join(random.choice(pieces) for _ in range(random.randrange(1, 9))) for _ in range(600)]
    uris += ["http://h.org/" + "".join(random.choice(pieces) for _ in range(random.randrange(6))) for _ in range(600)]
    links = image_link("a.jpg", "a"), image_link("../b", "b"), image_link("/c", "c"), image_link("//d/e", "d")
    assert check(b"".join(archive_of([capture(0, *links, uri=uri) for uri in uris]))) > 900
    documents = [wat_document(links, uri, base=random.choice(["http://b.org/", "/b/"])) for uri in uris[:600]]
    check(b"".join(archive_of([wat_record(document) for document in documents])))


@pytest.mark.parametrize("href", ["/a/..", "/a/b/..", "/a/b/.", "/.", "/..", "/a/...", "/a/.b", "http://b.org/a/.."])
def test_bases_that_end_in_dots(href: str) -> None:
    links = image_link("a.jpg", "a dog"), image_link("?x", "a cat"), image_link("../b.jpg", "a bird")
    tags = "".join(f"<img src='{link['url']}' alt='{link['alt']}'>" for link in links)
    page = warc_record(http_response(f"<html><base href='{href}'>{tags}".encode()), "http://h.org/p/q")
    check(b"".join(archive_of([page])))
    check(b"".join(archive_of([wat_record(wat_document(links, "http://h.org/p/q", base=href))])))


def test_escapes() -> None:
    texts = [
        "\x01",
        "\u20ac",
        "\u2019",
        "\b\f\n\r\t",
        '"\\/',
        "é",
        "a\u0000b",
        "\ud83d\ude00",
        "\ud83d",
        "\u00a0a",
        "a\u3000",
    ]
    links = [image_link(f"/{number}\u00e9.jpg", text, title=text) for number, text in enumerate(texts)]
    for is_ascii in (True, False):
        for found in (links, *([link] for link in links)):
            content = json.dumps(wat_document(tuple(found)), ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
            for spelled in (content, content.replace(b"/", b"\\/"), content.replace(b"\\u00e9", b"\\u00E9\xff")):
                check(b"".join(archive_of([wat_record(spelled)])))


def test_more_images_than_there_is_room_for() -> None:
    many = capture(0, *[image_link(f"/{number}", "a", title="b") for number in range(4097)])
    most = capture(1, *[image_link(f"/{number}", "a", title="b") for number in range(4096)])
    half = capture(2, *[image_link(f"/{number}", "a", title="b") for number in range(2000)])
    assert check(b"".join(archive_of([half, half, half, most, half, many, *RECORDS]))) == 5 + len(RECORDS)
    left = capture(3, *[image_link(f"/{number};", "a") for number in range(3000)])
    assert check(b"".join(archive_of([left, left, *RECORDS]))) == 2 + len(RECORDS)


def many_links(link: bytes, count: int) -> bytes:
    document = json.dumps(wat_document((image_link("/a.jpg", "a dog"),))).encode()
    return wat_record(document.replace(b'"Links": [', b'"Links": [' + link * count))


def many_tags(tag: bytes, count: int, more: bytes = b"") -> bytes:
    return warc_record(http_response(b"<html>" + IMAGE + tag * count + more))


@pytest.mark.parametrize(
    ("record", "is_lost"),
    [
        (many_tags(b"<img>", MOST_IMAGES), True),
        (many_tags(b"<IMAGE\n", MOST_IMAGES, b">"), True),
        (many_tags(b"<img>", 1, b"<!--" + b"<img/" * (MOST_IMAGES - 1) + b"-->"), True),
        (many_tags(b"<img>", 1, b"<!--" + b"<img/" * (MOST_IMAGES - 2) + b"-->"), False),
        (many_tags(b"", 0, b"<!--" + b"<imgs " * MOST_IMAGES + b"<img"), False),
        (many_links(b'{"path":"IMG@/src"},', MOST_IMAGES), True),
        (many_links(b"1,", MOST_IMAGES), True),
        (many_links(b"{},", MOST_VALUES // 2), True),
        (many_links(b'{"path":"A@/href","url":"/a"},', MOST_VALUES // 4), False),
        (wat_record({"x": "," * MOST_VALUES, **wat_document((image_link("/a.jpg", "a dog"),), status="404")}), True),
    ],
    ids=[
        "img",
        "image",
        "comment",
        "most",
        "other-names",
        "links-to-images",
        "no-links",
        "empty-links",
        "other-links",
        "commas",
    ],
)
def test_pages_of_more_images_or_values_than_pages_have(record: bytes, is_lost: bool) -> None:
    data = b"".join(archive_of([record]))
    check(data)
    outcome = extract_bytes(data)
    assert outcome.rejected["record.page_too_large"] == is_lost
    assert (outcome.archive["pages"], len(outcome.pairs) > 0) == (not is_lost, not is_lost)


PEAK = """
import resource, sys
from tests.support.archive_files import extract_bytes
from tests.unit.udfs.pairs.test_loop import RECORDS
from udfs.pairs.loop import KERNELS
KERNELS.load()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
assert extract_bytes(RECORDS[0]).pairs
before, data = peak(), sys.stdin.buffer.read()
print(dict(extract_bytes(data).rejected), peak() - before)
"""


def test_pages_of_very_many_images_take_no_memory_for_each() -> None:
    records = [many_tags(b"<img>", 16 << 17), many_links(b'{"path":"IMG@/src"},', 16 << 15)]
    command, data = [sys.executable, "-c", PEAK], b"".join(archive_of(records))
    told = subprocess.run(command, input=data, capture_output=True, check=True, cwd=CHECKOUT).stdout.decode()
    lost, grown = told.rsplit(" ", 1)
    assert lost == "{'record.page_too_large': 2}"
    assert int(grown) < 160, "MB: some copies of the 10 MB of a page, and no hundreds of bytes for each of its images"


def test_an_archive_of_odd_records_is_left_to_the_reference_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    run = loop.CompiledLoop._run
    monkeypatch.setattr(loop.CompiledLoop, "_run", lambda *given: taken.append(1) or run(*given))
    odd = wat_record(wat_document((image_link("/a.jpg", "a"),), base="base/"))
    data = b"".join(archive_of([odd] * 400))
    outcome = extract_bytes(data)
    assert (outcome.archive["pairs"], len(taken)) == (400, 1)
    monkeypatch.setattr(extract, "new_loop", lambda _: None)
    assert extract_bytes(data) == outcome


class BreakingStream(MemoryStream):
    """Fails behind some bytes, as a connection does."""

    def __init__(self, data: bytes, end: int) -> None:
        super().__init__(data)
        self.end = end

    def read(self, size: int = -1, /) -> bytes:
        data = super().read(size)
        if self.tell() > self.end:
            raise ArchiveReadError("reset by peer")
        return data


@pytest.mark.parametrize("end", [len(MEMBERS[0]), 300, sum(map(len, MEMBERS[:3])), 0])
def test_a_connection_that_breaks_fails_the_archive(end: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHUNK_BYTES", 10)
    data = b"".join(MEMBERS)
    outcome = extract_outcomes(["a"], ExtractOptions(), open_archive=lambda _: BreakingStream(data, end))[0]
    assert (outcome.status, outcome.rejected["archive.read_error"]) == ("failed", 1)


def test_a_second_attempt_takes_the_reference_reader_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = extract_bytes(b"".join(MEMBERS))
    monkeypatch.setattr(extract, "new_loop", lambda _: pytest.fail("a loop that nothing ends"))
    open_archive = {"a": b"".join(MEMBERS)}
    outcome = extract_outcomes(
        ["a"], ExtractOptions(), open_archive=lambda _: MemoryStream(open_archive["a"]), attempt=1
    )[0]
    assert [(pair["image_url"], pair["alt_text"]) for pair in outcome.pairs] == [
        (pair["image_url"], pair["alt_text"]) for pair in expected.pairs
    ]


def test_markup_that_is_searched_again_and_again_takes_no_longer() -> None:
    page = b"<html><script><!" + 50_000 * b"<scriptx" + b"</script><img src=/a.jpg alt='a dog'>"
    begun = time.process_time()
    assert extract_bytes(gzip.compress(warc_record(http_response(page)))).texts == ["a dog"]
    assert time.process_time() - begun < 2, "some milliseconds; seconds where it grows by the square"


def test_an_image_of_much_markup_is_read_within_the_time_limit_for_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    image = b'<img src="a&amp;b.jpg" alt="a dog" %b>' % b" ".join(b"a%d" % number for number in range(12_000))
    monkeypatch.setattr(loop, "decode_tag", lambda _: pytest.fail("it was read without a limit"))
    outcome = extract_bytes(gzip.compress(warc_record(http_response(b"<html>" + image))))
    assert [pair["image_url"] for pair in outcome.pairs] == ["http://example.org/a&b.jpg"]


def a_page(number: int) -> bytes:
    images = b"".join(b"<img src=/%d/%d.jpg alt='dog &amp; %d'>" % (number, image, image) for image in range(9))
    return warc_record(http_response(b"<html>" + b"<base href=/b/>" * (number % 3) + images))


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08 no member"])
@pytest.mark.parametrize("looks", [0, 1, 2, 9, 20, 35, 999])
@pytest.mark.parametrize("form", [archive_of, zstd_frames])
@pytest.mark.usefixtures("small_buffers")
def test_the_loop_goes_on_from_where_its_kernels_are_there(
    form: Callable[[list[bytes]], list[bytes]], looks: int, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = form([record for number in range(20) for record in (a_page(number), capture(number))])
    data = b"".join([*members[:25], damage, *members[25:]])
    expected = extract_bytes(data)
    left = iter([False] * looks)
    monkeypatch.setattr(loop, "_RECORDS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(loop.KERNELS, "load", lambda: next(left, True))
    outcome = extract_bytes(data)
    assert outcome == expected
    # The first two looks come before the first record.
    assert outcome.reference_records.get("not_compiled", 0) == min(max(looks - 2, 0), len(members))


@pytest.mark.parametrize(
    ("odd", "read_without"),
    [(RECORDS[0].replace(b"Content-Length:", b"content-length:"), 6), (RECORDS[0] + RECORDS[1], 7)],
)
def test_looks_for_kernels_behind_an_odd_member(odd: bytes, read_without: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is at the first record that begins a member, with as many records as there must be between looks before."""
    monkeypatch.setattr(loop, "_RECORDS_BETWEEN_LOOKS", 3)
    left = iter([False] * 4)
    monkeypatch.setattr(loop.KERNELS, "load", lambda: next(left, True))
    outcome = extract_bytes(b"".join([MEMBERS[0], *archive_of([odd] * 5), *MEMBERS]))
    assert outcome.reference_records["not_compiled"] == read_without


@pytest.mark.parametrize(
    "module", [SimpleNamespace(__file__="/nowhere/_deflate.so"), SimpleNamespace(__file__=None), None]
)
def test_a_library_without_the_functions(
    module: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find(_: str) -> object:
        if module is None:
            raise ImportError("no module")
        return module

    expected = extract_bytes(b"".join(MEMBERS))
    monkeypatch.setattr(one_shot.importlib, "import_module", find)
    one_shot._library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert [extract_bytes(b"".join(MEMBERS)) for _ in range(3)] == [expected] * 3
    finally:
        one_shot._library.cache_clear()
    assert len(caplog.records) == len(one_shot._FUNCTIONS)


def test_the_inputs_are_as_odd_as_they_say() -> None:
    member = loop_inputs.with_header(RECORDS[0], Random(0), EXTRA | NAME | COMMENT)
    assert gzip.decompress(member) == RECORDS[0]
    assert len(np.unique(np.frombuffer(member, np.uint8))) > 100
