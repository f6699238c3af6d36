"""How records are told apart: line ends, header names and folds of any kind, and bytes that belong to no record."""

import gzip
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.archive_files import (
    Outcome,
    extract_bytes,
    extract_path,
    http_response,
    image_link,
    page_record,
    wat_document,
    wat_record,
)
from udfs.archives import warc as warc_records

CRLF, LF = b"\r\n", b"\n"
FORMS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "members": lambda records: b"".join(map(gzip.compress, records)),
    "whole": lambda records: gzip.compress(b"".join(records)),
    "frames": lambda records: b"".join(map(zstandard.compress, records)),
}


def page(number: int) -> bytes:
    return http_response(b'<html><img src="/%d.jpg" alt="a dog %d">' % (number, number))


def record(number: int, line_ends: tuple[bytes, ...] = (CRLF,) * 5, end: bytes = CRLF + CRLF) -> bytes:
    block = page(number)
    uri = b"WARC-Target-URI: http://example.org/%d" % number
    lines = [b"WARC/1.0", b"WARC-Type: response", uri, b"Content-Length: %d" % len(block), b""]
    return b"".join(map(b"".join, zip(lines, line_ends, strict=True))) + block + end


def texts(*numbers: int) -> list[str]:
    return [f"a dog {number}" for number in numbers]


def result(outcome: Outcome) -> tuple[str, list[str], dict[str, int]]:
    return outcome.status, outcome.texts, dict(outcome.rejected)


@pytest.mark.parametrize("form", FORMS)
def test_any_mixture_of_line_ends(form: str) -> None:
    ends = itertools.cycle([CRLF + CRLF, LF + LF, LF, CRLF + LF, b""])
    for line_ends, end in zip(itertools.product([CRLF, LF], repeat=5), ends, strict=False):
        records = [record(0), record(1, line_ends, end), record(2), record(3, (LF,) * 5, LF + LF)]
        assert result(extract_bytes(FORMS[form](records))) == ("ok", texts(0, 1, 2, 3), {}), (line_ends, end)


def headed(*header: bytes, number: int = 0) -> bytes:
    block = page(number)
    return b"\r\n".join(header) % len(block) + b"\r\n\r\n" + block + b"\r\n\r\n"


NAMES = {
    "as Go writes them": (
        b"WARC/1.0",
        b"Warc-Type: response",
        b"Warc-Target-Uri: http://example.org/",
        b"Content-Length: %d",
    ),
    "lower case": (b"WARC/1.1", b"warc-type: response", b"warc-target-uri: http://example.org/", b"content-length: %d"),
    "upper case": (b"WARC/1.0", b"WARC-TYPE: RESPONSE", b"WARC-TARGET-URI: http://example.org/", b"CONTENT-LENGTH: %d"),
    "length in lower case": (
        b"WARC/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI: http://example.org/",
        b"content-length: %d",
    ),
    "URI in lower case": (
        b"WARC/1.0",
        b"WARC-Type: response",
        b"warc-target-uri: http://example.org/",
        b"Content-Length: %d",
    ),
    "version line": (
        b"warc/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI: http://example.org/",
        b"Content-Length: %d",
    ),
    "blanks before colons": (
        b"WARC/1.0",
        b"WARC-Type : response",
        b"WARC-Target-URI : http://example.org/",
        b"Content-Length : %d",
    ),
    "no blanks": (b"WARC/1.0", b"WARC-Type:response", b"WARC-Target-URI:http://example.org/", b"Content-Length:%d"),
    "folded type": (
        b"WARC/1.0",
        b"WARC-Type:",
        b" response",
        b"WARC-Target-URI: http://example.org/",
        b"Content-Length: %d",
    ),
    "folded length": (
        b"WARC/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI: http://example.org/",
        b"Content-Length:",
        b"\t%d",
    ),
    "folded URI": (
        b"WARC/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI:",
        b"  http://example.org/",
        b"Content-Length: %d",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("names", NAMES)
def test_header_names_in_any_case_and_folded_values(names: str, form: str) -> None:
    odd = [headed(*NAMES[names], number=number) for number in range(3)]
    for records in (odd, [odd[0], record(1), odd[2]], [record(0), odd[1], record(2)]):
        outcome = extract_bytes(FORMS[form](records))
        assert result(outcome) == ("ok", texts(0, 1, 2), {})
        assert all(pair["page_url"].startswith("http://example.org/") for pair in outcome.pairs)


def test_the_payload_type_is_read_in_any_case() -> None:
    spoken = (b"WARC/1.0", b"WARC-Type: response", b"WARC-Target-URI: http://example.org/", b"Content-Length: %d")
    for name in (b"WARC-Identified-Payload-Type", b"warc-identified-payload-type"):
        outcome = extract_bytes(headed(*spoken, name + b": image/png"))
        assert outcome.rejected == {"record.skipped_not_html": 1}


def test_metadata_of_a_wat_archive_in_lower_case() -> None:
    plain = wat_record(wat_document((image_link("/a.jpg", "a dog"),)))
    lower = plain.replace(b"WARC-Type", b"warc-type", 1).replace(b"Content-Type", b"content-type", 1)
    assert lower != plain
    for form in FORMS.values():
        assert result(extract_bytes(form([plain, lower]))) == ("ok", ["a dog", "a dog"], {})


GARBAGE = st.binary(min_size=1, max_size=60).filter(lambda data: data.strip() and b"WARC/" not in data.upper())


@settings(max_examples=25, deadline=None)
@given(GARBAGE, st.integers(1, 3))
def test_no_archive_is_ok_with_bytes_that_belong_to_no_record(garbage: bytes, place: int) -> None:
    garbage = b"\n" + garbage + b"\n"
    records = [record(number) for number in range(3)]
    for form in ("plain", "members", "whole", "frames"):
        outcome = extract_bytes(FORMS[form]([*records[:place], garbage, *records[place:]]))
        assert result(outcome)[:2] == ("damaged", texts(0, 1, 2)), form
        assert sum(outcome.rejected.values()) == 1


@settings(max_examples=20, deadline=None)
@given(GARBAGE, st.integers(1, 2))
def test_no_member_is_ok_with_bytes_behind_its_record(garbage: bytes, place: int) -> None:
    """Nobody knows whether they are the rest of its block."""
    records = [record(number) for number in range(3)]
    records[place] += garbage.strip()
    for form in ("members", "frames"):
        outcome = extract_bytes(FORMS[form](records))
        kept = [number for number in range(3) if number != place]
        assert result(outcome) == ("damaged", texts(*kept), {"record.truncated": 1}), form


def test_members_that_hold_several_records_or_end_within_one() -> None:
    records = [record(number) for number in range(4)]
    several = gzip.compress(records[0]) + gzip.compress(records[1] + records[2]) + gzip.compress(records[3])
    outcome = extract_bytes(several)
    assert result(outcome) == ("ok", texts(0, 1, 2, 3), {})
    assert len({pair["record_offset"] for pair in outcome.pairs}) == 4
    for cut in (len(records[1]) - len(page(1)) + 5, len(records[1]) - 30):
        halves = [records[0], records[1][:cut], records[1][cut:], records[2]]
        assert result(extract_bytes(b"".join(map(gzip.compress, halves)))) == ("ok", texts(0, 1, 2), {})


def test_plain_archives_are_left_to_the_fast_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the reference reader was asked")

    monkeypatch.setattr(warc_records, "open_warc_records", refuse)
    # Pages of a crawl are that large, and FastWARC decodes up to a MiB ahead.
    records = [page_record(number, padding=number % 3 * 700_000) for number in range(12)]
    for form in ("plain", "members"):
        path = tmp_path / form
        path.write_bytes(FORMS[form](records))
        assert extract_path(path).archive["pages"] == 12


def test_a_header_without_end_costs_its_record_only() -> None:
    endless = b"WARC/1.0\r\nWARC-Type: response\r\n" + b"X: y\r\n" * 20_000
    outcome = extract_bytes(record(0) + endless + record(1))
    assert outcome.status == "damaged"
    assert outcome.texts == texts(0, 1)


def longer(number: int, by: int) -> bytes:
    return record(number).replace(
        b"Content-Length: %d" % len(page(number)), b"Content-Length: %d" % (len(page(number)) + by)
    )


@pytest.mark.parametrize("form", ["members", "frames"])
@pytest.mark.parametrize("by", [5, 30, 300, 5000])
def test_a_length_that_is_too_long_costs_its_record_and_not_the_next(by: int, form: str) -> None:
    outcome = extract_bytes(FORMS[form]([record(0), longer(1, by), record(2), record(3)]))
    assert result(outcome) == ("damaged", texts(0, 2, 3), {"record.truncated": 1})
    several = FORMS[form]([record(0), longer(1, by), record(2) + record(3)])
    assert extract_bytes(several).texts == texts(0, 2, 3)


def test_empty_members_and_padding_are_nothing() -> None:
    """The records have one size, so that the end of one member looks like that of another."""
    packed = [gzip.compress(record(number), mtime=0) for number in range(3)]
    empty = gzip.compress(b"", mtime=0)
    for parts in (
        [packed[0], empty, *packed[1:]],
        [*packed, empty],
        [*packed, bytes(600)],
        [*packed[:2], empty * 9, packed[2]],
    ):
        assert result(extract_bytes(b"".join(parts))) == ("ok", texts(0, 1, 2), {})
    frames = [zstandard.compress(record(number)) for number in range(3)]
    assert result(extract_bytes(b"".join([*frames, zstandard.compress(b"")]))) == ("ok", texts(0, 1, 2), {})
    whole = record(1)
    for cut in (20, 60, len(whole) - len(page(1)) + 5, len(whole) - 30):
        data = packed[0] + gzip.compress(whole[:cut]) + empty + gzip.compress(whole[cut:]) + packed[2]
        assert result(extract_bytes(data)) == ("ok", texts(0, 1, 2), {})


def test_a_member_that_cannot_be_read_is_no_end() -> None:
    packed = [gzip.compress(record(number), mtime=0) for number in range(2)]
    size = len(record(0)).to_bytes(4, "little")
    for rest in (packed[1][:3] + b"\x10" + packed[1][4:], gzip.compress(b"") + b"junk" + size, b"junk" + size):
        outcome = extract_bytes(packed[0] + rest)
        assert (outcome.status, outcome.texts) == ("damaged", texts(0))


@pytest.mark.parametrize("size", [100, 1000, 16_384])
def test_members_cut_anywhere(size: int) -> None:
    whole = b"".join(page_record(number, padding=3000) for number in range(12))
    for shift in (0, 37, size // 2):
        data = page_record(99, padding=17_000 + shift) + whole
        cut = b"".join(gzip.compress(data[at : at + size], 1) for at in range(0, len(data), size))
        assert result(extract_bytes(cut)) == ("ok", ["a dog 99", *texts(*range(12))], {})


def test_large_headers_are_read_and_cut_ones_end_where_a_record_begins() -> None:
    large = headed(*NAMES["upper case"], b"X: " + b"a" * 40_000)
    for form in FORMS.values():
        assert result(extract_bytes(form([record(1), large, record(2)]))) == ("ok", texts(1, 0, 2), {})
    for cut in (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://wrong.example/\r\n",
        b"WARC/1.0\r\nWARC-Ty",
    ):
        outcome = extract_bytes(record(0) + cut + record(1) + record(2))
        assert (outcome.status, outcome.texts) == ("damaged", texts(0, 1, 2))
        assert all(pair["page_url"].startswith("http://example.org/") for pair in outcome.pairs)


def test_the_first_of_repeated_headers_counts() -> None:
    twice = record(1).replace(b"WARC-Type: response", b"WARC-Type: response\r\nWARC-Type: request")
    for form in FORMS.values():
        assert result(extract_bytes(form([record(0), twice]))) == ("ok", texts(0, 1), {})


def test_blank_lines_cost_no_time_each() -> None:
    begun = time.process_time()
    blank = zstandard.compress(b"\n" * 30_000_000)
    assert extract_bytes(zstandard.compress(record(0)) + blank + zstandard.compress(record(1))).texts == texts(0, 1)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "fields", ["text/html; charset=utf-8 %d", " %d", "text/html 200 ABC - 123 file.arc %d", "text/html  %d"]
)
def test_lines_of_arc_as_crawlers_wrote_them(fields: str) -> None:
    header = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain 0\n1 0 T\nURL\n"
    line = f"http://example.org/a b 127.0.0.1 20100101000000 {fields % len(page(1))}\n".encode()
    for form in (bytes, gzip.compress):
        outcome = extract_bytes(form(header) + form(line + page(1) + b"\n"))
        assert result(outcome) == ("ok", texts(1), {"record.skipped_arc_header": 1})
        assert outcome.pairs[0]["page_url"] == "http://example.org/a b"
