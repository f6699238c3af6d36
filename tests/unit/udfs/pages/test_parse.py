"""Which records of WARC and ARC archives are pages."""

import gzip

import pytest

from tests.support.archive_files import Outcome, extract_bytes, http_response, warc_record
from udfs.pairs import ExtractOptions

PAGE = b'<html><body><img src="/a.jpg" alt="a dog"></body></html>'


def extract(block: bytes, uri: str | bytes | None = "http://example.org/page", **record: object) -> Outcome:
    return extract_bytes(warc_record(block, uri, **record))  # type: ignore[arg-type]


def test_missing_target_uri() -> None:
    outcome = extract(http_response(PAGE), uri=None)
    assert outcome.reasons("record") == [("record.no_target_uri", "")]
    assert extract(http_response(PAGE), uri="<>").rejected == {"record.no_target_uri": 1}


def test_brackets_and_spaces_around_the_uri() -> None:
    assert extract(http_response(PAGE), uri="<http://example.org/x/>").pairs[0]["page_url"] == "http://example.org/x/"
    spaced = extract(http_response(PAGE), uri="http://example.org/a b/c d")
    assert spaced.pairs[0]["page_url"] == "http://example.org/a b/c d"
    assert spaced.urls == ["http://example.org/a.jpg"]


def test_record_larger_than_the_cap() -> None:
    options = ExtractOptions(max_record_bytes=5000, max_page_bytes=5000)
    big = warc_record(http_response(PAGE + b" " * 10_000))
    video = warc_record(http_response(b"\0" * 10_000, content_type="video/mp4"))
    unknown = warc_record(http_response(b"\0" * 10_000, content_type="application/octet-stream"))
    tarball = warc_record(http_response(gzip.compress(b"\0" * 10_000), content_type="application/octet-stream"))
    outcome = extract_bytes(big + video + unknown + tarball + warc_record(http_response(PAGE)), options)
    assert outcome.texts == ["a dog"]
    assert outcome.rejected == {"record.page_too_large": 1, "record.skipped_not_html": 3}
    assert extract_bytes(big, ExtractOptions(max_page_bytes=5000)).rejected == {"record.page_too_large": 1}


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "application/json", "text/plain"])
def test_not_html(media_type: str) -> None:
    assert extract(http_response(PAGE, content_type=media_type)).rejected == {"record.skipped_not_html": 1}
    payload_type = b"WARC-Identified-Payload-Type: " + media_type.encode()
    assert extract(http_response(PAGE), extra=payload_type).rejected == {"record.skipped_not_html": 1}


def test_the_identified_type_wins_and_unknown_types_are_sniffed() -> None:
    identified = b"WARC-Identified-Payload-Type: text/html"
    assert extract(http_response(PAGE, content_type="text/plain"), extra=identified).texts == ["a dog"]
    for unknown in (None, "application/octet-stream", "", "html"):
        assert extract(http_response(PAGE, content_type=unknown)).texts == ["a dog"]
        assert extract(http_response(b"%PDF-1.4 <img src=a alt=b>", content_type=unknown)).archive["pages"] == 0


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved", "500 Oops", "100 Continue"])
def test_not_a_success(status: str) -> None:
    assert extract(http_response(PAGE, status=status)).rejected == {"record.skipped_status": 1}


def test_other_records_are_skipped_by_kind() -> None:
    kinds = ("request", "metadata", "revisit", "conversion", "continuation", "warcinfo", "strange")
    outcome = extract_bytes(b"".join(warc_record(http_response(PAGE), kind=kind) for kind in kinds))
    names = [f"record.skipped_{'unknown' if kind == 'strange' else kind}" for kind in kinds]
    assert outcome.rejected == dict.fromkeys(names, 1)
    dns = warc_record(b"20200101\nexample.org. IN A 127.0.0.1", "dns:example.org", content_type="text/dns")
    assert extract_bytes(dns).rejected == {"record.skipped_dns": 1}


def test_a_resource_is_a_page_without_http() -> None:
    assert extract(PAGE, kind="resource", content_type="text/html; charset=utf-8").texts == ["a dog"]
    assert extract(PAGE, kind="resource", content_type="image/png").rejected == {"record.skipped_not_html": 1}


def arc(content_type: str, block: bytes) -> Outcome:
    version = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
    header = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain %d\n%s\n" % (len(version), version)
    line = f"http://example.org/ 127.0.0.1 20100101000000 {content_type} {len(block)}\n".encode()
    return extract_bytes(header + line + block + b"\n" + line + block + b"\n")


def test_pages_of_arc_without_an_http_header() -> None:
    for content_type in ("text/html", "no-type", "application/octet-stream", "unknown"):
        outcome = arc(content_type, PAGE)
        assert (outcome.texts, outcome.rejected) == (["a dog", "a dog"], {"record.skipped_arc_header": 1})
    assert arc("text/html", b"Hello, " + PAGE).texts == ["a dog", "a dog"]
    for content_type, block in (("image/png", PAGE), ("no-type", b"Hello"), ("text/plain", b"\n")):
        assert arc(content_type, block).rejected == {"record.bad_http_header": 2, "record.skipped_arc_header": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html charset=utf-8",
        "text/html:charset=UTF-8",
        '"text/html"',
        "text/html/charset=utf-8",
        "text/html;;charset=UTF-8",
        "text/html; charset=none",
        "text /html",
        "text/html, text/html",
        "image/png, text/html",
        "text/html; charset=utf-8, text/plain",
        "html",
        ";charset=utf-8",
        "text/html;",
    ],
)
def test_types_that_cannot_be_parsed_or_stand_twice_are_left_to_the_body(content_type: str) -> None:
    assert extract(http_response(PAGE, content_type=content_type)).texts == ["a dog"]
    if "html;" not in content_type and content_type != "text/html, text/html":
        assert extract(http_response(b"%PDF-1.4 " + PAGE, content_type=content_type)).rejected == {
            "record.skipped_not_html": 1
        }
    payload_type = b"WARC-Identified-Payload-Type: " + content_type.encode()
    assert extract(http_response(PAGE, content_type=None), extra=payload_type).texts == ["a dog"]


def test_a_type_given_twice_by_two_headers_is_left_to_the_body() -> None:
    headers = "Content-Type: application/pdf"
    assert extract(http_response(PAGE, headers)).texts == ["a dog"]
    assert extract(http_response(b"%PDF-1.4", headers)).rejected == {"record.skipped_not_html": 1}
