"""HTTP messages as archives keep them: heads, and bodies with the encodings that are really there."""

import bz2
import gzip
import random
import time
import tracemalloc
import zlib
from io import BytesIO

import pytest
import zstandard
from fastwarc.stream_io import BrotliWriter

from tests.support.archive_files import Outcome, extract_bytes, http_response, warc_record
from udfs.pages.http import decode_body, looks_like_html, remove_chunks
from udfs.pages.image_table import LostRecordError
from udfs.pairs import ExtractOptions

PAGE = b'<html><body><img src="/a.jpg" alt="a dog"></body></html>'


def extract(block: bytes, uri: str | bytes | None = "http://example.org/page", **record: object) -> Outcome:
    return extract_bytes(warc_record(block, uri, **record))  # type: ignore[arg-type]


def chunked(body: bytes, size: int = 10) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;note\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_chunked_body() -> None:
    assert extract(http_response(chunked(PAGE), "Transfer-Encoding: chunked")).texts == ["a dog"]
    packed = chunked(gzip.compress(PAGE))
    headers = ("Transfer-Encoding: chunked", "Content-Encoding: gzip")
    assert extract(http_response(packed, *headers)).texts == ["a dog"]


def brotli_compress(body: bytes) -> bytes:
    target = BytesIO()
    writer = BrotliWriter(target)
    writer.write(body)
    writer.close()
    return target.getvalue()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate (raw)": lambda body: zlib.compress(body, wbits=-15),
    "br": brotli_compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encoded_bodies(encoding: str) -> None:
    body = ENCODERS[encoding](PAGE)
    outcome = extract(http_response(body, f"Content-Encoding: {encoding.split(' ', maxsplit=1)[0]}"))
    assert (outcome.texts, outcome.rejected) == (["a dog"], {})


@pytest.mark.parametrize("encoding", ENCODERS)
def test_claimed_encoding_that_was_removed(encoding: str) -> None:
    headers = (f"Content-Encoding: {encoding.split(' ', maxsplit=1)[0]}", "Transfer-Encoding: chunked")
    assert extract(http_response(PAGE, *headers)).texts == ["a dog"]
    text_first = b"Hello, <p>this is no usual start" + PAGE
    assert extract(http_response(text_first, *headers)).texts == ["a dog"]


@pytest.mark.parametrize("outer", [gzip.compress, zstandard.compress])
def test_double_compressed_body(outer: object) -> None:
    assert callable(outer)
    body = outer(gzip.compress(PAGE))
    assert extract(http_response(body, "Content-Encoding: gzip")).texts == ["a dog"]
    assert extract(http_response(body)).texts == ["a dog"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_decompression_bomb_is_capped_and_counted(encoding: str) -> None:
    body = ENCODERS[encoding](PAGE + b" " * 20_000_000)
    assert len(body) < 100_000
    block = warc_record(http_response(body, f"Content-Encoding: {encoding}"))
    outcome = extract_bytes(block, ExtractOptions(max_page_bytes=1_000_000))
    assert outcome.rejected == {"record.page_too_large": 1}
    assert extract_bytes(block).texts == ["a dog"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_not_unpacked_beyond_the_cap(encoding: str) -> None:
    body = ENCODERS[encoding](PAGE + b" " * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(LostRecordError, match="page_too_large"):
            decode_body(body, "", encoding, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_corrupt_or_cut_compressed_body() -> None:
    noise = random.Random(0).randbytes(5000).replace(b"<", b"")
    body = gzip.compress(PAGE + noise)
    corrupt = body[:200] + b"\xff" * 50 + body[250:]
    assert extract(http_response(corrupt, "Content-Encoding: gzip")).rejected == {"record.undecodable": 1}
    assert extract(http_response(body[:-300], "Content-Encoding: gzip")).texts == ["a dog"]


def test_no_http_header() -> None:
    outcome = extract(b"<html>" + PAGE)
    assert outcome.reasons("record")[0][0] == "record.bad_http_header"
    assert extract(b"").rejected == {"record.bad_http_header": 1}
    assert extract(b"HTTP/1.1 200 OK\r\nContent-Type: text/html").archive["pages"] == 1


def test_many_comments_are_sniffed_in_no_time() -> None:
    assert not looks_like_html(b"<!---->" * 300 + b"no")
    assert looks_like_html(b"<!-- a - b -- c ---->\n" * 20 + b"<p>")


def test_header_bytes_that_are_no_utf_8() -> None:
    outcome = extract(http_response(PAGE, "X-Name: \xff"), uri=b"http://example.org/\xff\xfe/page")
    assert outcome.texts == ["a dog"]
    assert outcome.pairs[0]["page_url"].startswith("http://example.org/")


def test_wrong_chunks_keep_their_bytes() -> None:
    assert remove_chunks(b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n") == b"helloabc"
    assert remove_chunks(b"5\r\nhello\r\nno chunk") == b"hellono chunk"
    assert remove_chunks(b"ffff\r\nhello") == b"hello"
    assert remove_chunks(b"<html>") == b"<html>"
    assert extract(http_response(chunked(PAGE)[:-9], "Transfer-Encoding: chunked")).archive["pages"] == 1


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "status_line",
    [
        b"HTTP 200 Document follows",
        b"http/1.1 200 OK",
        b"Http/1.0 200",
        b"HTTP/2 200",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 102 Processing\nX: y\n\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK",
    ],
)
def test_status_lines_as_servers_send_them(status_line: bytes, line_end: bytes) -> None:
    head = line_end.join([status_line, b"Content-Type: text/html", b"", b""])
    assert (extract(head + PAGE).texts, extract(head + PAGE).rejected) == (["a dog"], {})
    not_found = head.replace(b" 200", b" 404").replace(b"\t200", b"\t404")
    assert extract(not_found + PAGE).rejected == {"record.skipped_status": 1}


@pytest.mark.parametrize("status_line", [b"HTTP/1.1", b"HTTP/1.1 OK", b"HTTP/1.1 2000 OK", b"ICY 200 OK", b"SSH-2.0"])
def test_what_is_no_status_line_is_a_reject(status_line: bytes) -> None:
    assert extract(status_line + b"\r\n\r\n" + PAGE).rejected == {"record.bad_http_header": 1}


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("start", [b"", b"<!-- a -->", b"<!DOCTYPE html>", b"<?xml version='1.0'?>", b"Hello, ", b"  "])
def test_a_head_without_its_empty_line(start: bytes, line_end: bytes) -> None:
    """The page may hold empty lines of its own."""
    head = line_end.join([b"HTTP/1.0 200 OK", b"Content-Type: text/html", b"X-Folded: a", b"\tb", b""])
    outcome = extract(head + start + PAGE)
    assert (outcome.texts, outcome.rejected) == (["a dog"], {})
    if start != b"Hello, ":
        assert extract(head + start + PAGE + b"\r\n\r\n<img src=/b.jpg alt='a cat'>").texts == ["a dog", "a cat"]


def test_folded_http_headers() -> None:
    link = "Link:\r\n <https://example.org/a.css>; rel=preload"
    packed = gzip.compress(PAGE)
    assert extract(http_response(packed, link, "Content-Encoding:\r\n gzip")).texts == ["a dog"]
    folded = http_response(PAGE, "Content-Type: image/png;\r\n\tname=a", content_type=None)
    assert extract(folded).rejected == {"record.skipped_not_html": 1}
    # Blanks before a header's name are no fold.
    assert extract(http_response(packed, "X: y\r\n  Content-Encoding: gzip")).texts == ["a dog"]


CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli_compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("inner", CODINGS)
@pytest.mark.parametrize("outer", CODINGS)
def test_several_encodings_are_undone_in_order(inner: str, outer: str) -> None:
    body = CODINGS[outer](CODINGS[inner](PAGE))
    for header in (f"{inner}, {outer}", f"{inner.upper()} ,{outer}"):
        assert extract(http_response(body, f"Content-Encoding: {header}")).texts == ["a dog"]
    two = (f"Content-Encoding: {inner}", f"Content-Encoding: {outer}", "Transfer-Encoding: chunked")
    assert extract(http_response(chunked(body), *two)).texts == ["a dog"]
    transferred = (f"Content-Encoding: {inner}", f"Transfer-Encoding: {outer}, chunked")
    assert extract(http_response(chunked(body), *transferred)).texts == ["a dog"]


@pytest.mark.parametrize("coding", CODINGS)
def test_of_cut_and_corrupt_bodies_what_decodes_is_read(coding: str) -> None:
    noise = b"<!--" + random.Random(1).randbytes(300_000).hex().encode() + b"-->"
    images = b"".join(b'<img src="/%d.jpg" alt="a dog">' % number for number in range(3))
    packed = CODINGS[coding](images + noise + images)
    for place in (len(packed) // 2, len(packed) - 200):
        corrupt = packed[:place] + bytes(byte ^ 0xFF for byte in packed[place : place + 60]) + packed[place + 60 :]
        for body in (packed[:place], corrupt):
            outcome = extract(http_response(body, f"Content-Encoding: {coding}"))
            assert outcome.texts[:3] == ["a dog"] * 3
            assert outcome.rejected == {}


@pytest.mark.parametrize("coding", [*CODINGS, "compress", "bzip2", "x-unheard-of"])
def test_packed_bytes_are_never_parsed_as_html(coding: str) -> None:
    """Where nothing decodes, the record is a reject, though a page's markup shows through."""
    start = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh91AY&SY"}.get(coding, b"\x1f\x9d\x90")
    for body in (start + b"\xff" * 40 + PAGE, start):
        outcome = extract(http_response(body, f"Content-Encoding: {coding}"))
        assert (outcome.texts, outcome.rejected) == ([], {"record.undecodable": 1})
    unsure = http_response(start + b"\xff" * 40, f"Content-Encoding: {coding}", content_type=None)
    assert extract(unsure).rejected == {"record.skipped_not_html": 1}


def test_a_body_packed_too_often_is_a_reject() -> None:
    body = PAGE
    for _ in range(5):
        body = gzip.compress(body)
    assert extract(http_response(body, "Content-Encoding: gzip")).rejected == {"record.undecodable": 1}


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Powered: x\r\n <b>y</b>", "Content-Type: text/html"),
        ("Set-Cookie: a=\n<b>x</b>", "Content-Type: text/html"),
        ("Link:\r\n <link rel=x>", "Content-Type: text/html"),
    ],
)
def test_markup_in_a_header_is_no_page(headers: tuple[str, ...]) -> None:
    packed = gzip.compress(PAGE)
    assert extract(http_response(packed, *headers, "Content-Encoding: gzip", content_type=None)).texts == ["a dog"]


@pytest.mark.parametrize("start", [b"<section>", b"\xef\xbb\xbf<html>", b"<custom-tag a=b>", b"</p>"])
def test_a_head_without_its_empty_line_before_an_unusual_page(start: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    assert extract(head + start + PAGE + b"\r\n\r\n <p>x</p>").texts == ["a dog"]
    assert extract(head + b"Content-Encoding: gzip\r\n" + gzip.compress(PAGE, mtime=0)).texts == ["a dog"]


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.0 200 Connection established\r\n\r\n", b"HTTP/1.1 100\n\n"]
)
def test_the_answer_behind_another_one_is_read(before: bytes) -> None:
    assert extract(before + http_response(PAGE)).texts == ["a dog"]
    assert extract(before + http_response(PAGE, status="404 No")).rejected == {"record.skipped_status": 1}


@pytest.mark.parametrize("named", ["gzip", "x-deflate", "deflate"])
def test_codings_by_other_names(named: str) -> None:
    for body in (zlib.compress(PAGE), zlib.compress(PAGE, wbits=-15)):
        assert extract(http_response(body, f"Content-Encoding: {named}")).texts == ["a dog"]
    assert extract(http_response(brotli_compress(PAGE), "Content-Encoding: x-br")).texts == ["a dog"]


@pytest.mark.parametrize("header", [(), ("Content-Encoding: aes128gcm",), ("Content-Encoding: br",)])
def test_bytes_that_are_no_text_are_a_reject(header: tuple[str, ...]) -> None:
    noise = random.Random(3).randbytes(3000)
    for body in (noise, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + noise):
        assert extract(http_response(body, *header)).rejected == {"record.undecodable": 1}
    few = b"Hello \x0b, \x01" + b"text " * 99 + PAGE
    assert extract(http_response(few)).texts == ["a dog"]


def test_a_cut_zstd_frame_is_a_reject_and_what_follows_a_whole_one_is_nothing() -> None:
    packed = zstandard.compress(PAGE * 50)
    for size in (1, 4, 10, len(packed) // 2):
        body = packed[:size]
        outcome = extract(http_response(body, "Content-Encoding: zstd"))
        assert outcome.texts == []
        assert outcome.rejected == ({"record.undecodable": 1} if size >= 4 else {})
    for rest in (b"junk", bytes(9)):
        assert len(extract(http_response(packed + rest, "Content-Encoding: zstd")).texts) == 50


def test_zeros_behind_a_body_take_no_time() -> None:
    body = gzip.compress(PAGE) + bytes(4 << 20)
    begun = time.process_time()
    assert decode_body(body, "", "gzip", 1_000_000) == PAGE
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_what_follows_an_encoded_body_is_no_part_of_it(coding: str) -> None:
    packed = ENCODERS[coding](PAGE)
    for rest in (bytes(8) + packed, bz2.compress(PAGE), b"<p>"):
        assert decode_body(packed + rest, "", coding, 1_000_000) == PAGE
    if coding != "deflate":
        assert decode_body(packed + packed, "", coding, 1_000_000) == PAGE * 2
