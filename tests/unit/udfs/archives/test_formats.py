"""What an archive is, is detected by its content: plain, by members, as a whole, WARC or ARC, or none of these."""

import gzip
import io

import pytest
import zstandard

from tests.support.archive_files import extract_bytes, members, warc_record
from tests.support.sample_archives import ARC_HEADER, ARCHIVE, MEMBERS, RECORDS, arc_record, kept
from udfs.archives import ArchiveReadError, NotAnArchiveError
from udfs.archives.formats import detect_format
from udfs.sources.codecs import GZIP, ZSTD


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "page", [b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", b"<!DOCTYPE html><h1>403 Forbidden</h1>"]
)
def test_error_page_is_a_transport_failure(page: bytes, packed: bool) -> None:
    outcome = extract_bytes(gzip.compress(page) if packed else page)
    assert (outcome.status, outcome.archive["records"]) == ("failed", 0)
    assert outcome.reasons("archive") == [("archive.error_page", page.decode())]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("inner", [RECORDS, MEMBERS])
def test_re_gzipped_as_one_member(pack: object, inner: list[bytes]) -> None:
    assert callable(pack)
    outcome = extract_bytes(pack(b"".join(inner)))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("ok", [0, 1, 2, 3, 4], {})
    assert len({pair["record_offset"] for pair in outcome.pairs}) == 5


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), gzip.compress(gzip.compress(b""))])
def test_empty_archive_is_ok(data: bytes) -> None:
    outcome = extract_bytes(data)
    assert (outcome.status, outcome.archive["records"], outcome.rejected) == ("ok", 0, {})


def test_archive_without_pages_is_ok() -> None:
    outcome = extract_bytes(gzip.compress(warc_record(b"software: x", None, "warcinfo", "application/warc-fields")))
    assert (outcome.status, outcome.archive["records"], outcome.rejected) == ("ok", 1, {"record.skipped_warcinfo": 1})


def test_bytes_that_are_no_archive() -> None:
    outcome = extract_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    assert outcome.status == "failed"
    assert outcome.reasons("archive")[0][0] == "archive.not_an_archive"
    assert extract_bytes(gzip.compress(b"just a text")).status == "failed"


@pytest.mark.parametrize("pack", [list, members])
def test_arc_archives_are_read(pack: object) -> None:
    assert callable(pack)
    parts = pack([ARC_HEADER, *map(arc_record, range(3))])
    outcome = extract_bytes(b"".join(parts))
    assert (outcome.status, kept(outcome)) == ("ok", [0, 1, 2])
    assert outcome.rejected == {"record.skipped_arc_header": 1}
    assert [pair["record_offset"] for pair in outcome.pairs] == [
        sum(map(len, parts[: number + 1])) for number in range(3)
    ]
    assert kept(extract_bytes(gzip.compress(b"".join(parts)))) == [0, 1, 2]


def test_a_zstd_archive_is_read() -> None:
    outcome = extract_bytes(b"".join(map(zstandard.compress, RECORDS)))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("ok", [0, 1, 2, 3, 4], {})


FORMS = {
    "plain": (b"".join(RECORDS), False, None, 0),
    "members": (ARCHIVE, False, GZIP, 0),
    "frames": (b"".join(map(zstandard.compress, RECORDS)), False, ZSTD, 0),
    "as a whole": (gzip.compress(b"".join(RECORDS)), False, None, 1),
    "twice": (gzip.compress(ARCHIVE), False, GZIP, 1),
    "zstd over gzip": (zstandard.compress(ARCHIVE), False, GZIP, 1),
    "ARC": (ARC_HEADER + arc_record(0), True, None, 0),
    "ARC by members": (b"".join(members([ARC_HEADER, arc_record(0)])), True, GZIP, 0),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_detected(form: str) -> None:
    data, is_arc, codec, layers = FORMS[form]
    source = detect_format(io.BytesIO(data), len(data))
    assert source is not None
    assert (source.is_arc, source.codec, len(source.layers)) == (is_arc, codec, layers)
    source.stream.seek(0)
    assert source.stream.read(3) == (data if layers == 0 else ARCHIVE if codec else b"".join(RECORDS))[:3]


def test_nothing_is_no_archive_and_three_layers_are_too_many() -> None:
    assert detect_format(io.BytesIO(b""), 0) is None
    packed = gzip.compress(gzip.compress(gzip.compress(ARCHIVE)))
    with pytest.raises(NotAnArchiveError, match="compressed too often"):
        detect_format(io.BytesIO(packed), len(packed))


def test_a_stream_that_fails_is_a_fault_of_transport() -> None:
    stream = io.BytesIO(ARCHIVE)
    stream.close()
    with pytest.raises(ArchiveReadError, match="byte 0"):
        detect_format(stream, len(ARCHIVE))
