"""How records are told apart: line ends, header names and folds of any kind, and bytes that belong to no record."""

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.archive_files import (
    Outcome,
    extract_bytes,
    extract_path,
    http_response,
    image_link,
    page_record,
    wat_document,
    wat_record,
)
from udfs import warc_records

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
    records = [page_record(number, padding=50_000) for number in range(9)]
    for form in ("plain", "members"):
        path = tmp_path / form
        path.write_bytes(FORMS[form](records))
        assert extract_path(path).archive["pages"] == 9


def test_a_header_without_end_costs_its_record_only() -> None:
    endless = b"WARC/1.0\r\nWARC-Type: response\r\n" + b"X: y\r\n" * 20_000
    outcome = extract_bytes(record(0) + endless + record(1))
    assert outcome.status == "damaged"
    assert outcome.texts == texts(0, 1)
