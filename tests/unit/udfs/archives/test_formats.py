"""What an archive is, is detected by its content: plain, by members, as a whole, WARC or ARC, or none of these."""

import gzip
import io

import pytest
import zstandard

from tests.support.archive_files import (
    dictionary_frame,
    extract_bytes,
    members,
    page_record,
    skippable_frame,
    warc_record,
    zstd_dictionary,
)
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


FRAMES = list(map(zstandard.compress, RECORDS))
SKIPPABLE = skippable_frame(b"abcd" * 99)


@pytest.mark.parametrize(
    "parts",
    [[SKIPPABLE, *FRAMES], [SKIPPABLE, SKIPPABLE, *FRAMES, SKIPPABLE], [*FRAMES[:2], SKIPPABLE, *FRAMES[2:]]],
)
def test_zstd_frames_that_stand_for_nothing_are_passed_over(parts: list[bytes]) -> None:
    outcome = extract_bytes(b"".join(parts))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("ok", [0, 1, 2, 3, 4], {})
    assert extract_bytes(SKIPPABLE).archive["records"] == 0


DICTIONARY = zstd_dictionary([page_record(number, padding=99) for number in range(300)])
NEEDY_FRAMES = [zstandard.ZstdCompressor(dict_data=DICTIONARY).compress(record) for record in RECORDS]


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_zstd_archive_with_a_dictionary_is_read_with_it(is_packed: bool) -> None:
    start = dictionary_frame(DICTIONARY, is_packed=is_packed)
    outcome = extract_bytes(b"".join([start, *NEEDY_FRAMES]))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("ok", [0, 1, 2, 3, 4], {})
    damaged = extract_bytes(b"".join([start, *NEEDY_FRAMES[:2], b"garbage", *NEEDY_FRAMES[2:]]))
    assert (damaged.status, kept(damaged), damaged.rejected) == ("damaged", [0, 1, 2, 3, 4], {"archive.corrupt": 1})


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_dictionary_holds_no_records(is_packed: bool) -> None:
    assert b"WARC/1.0" in DICTIONARY.as_bytes()
    outcome = extract_bytes(dictionary_frame(DICTIONARY, is_packed=is_packed))
    assert (outcome.status, outcome.archive["records"], outcome.rejected) == ("ok", 0, {})


def _frame_of(content: bytes) -> bytes:
    return skippable_frame(content, magic=0x184D2A5D)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (_frame_of(b"no dictionary"), "does not begin with b'no dictionary'"),
        (_frame_of(DICTIONARY.as_bytes()[:8] + b"\xff" * 99), "is damaged"),
        (_frame_of(zstandard.compress(DICTIONARY.as_bytes())[:-9]), "is cut off"),
        (_frame_of(b"\x28\xb5\x2f\xfd" + b"\xff" * 99), "is damaged"),
        (_frame_of(zstandard.compress(b"a" * (20 << 20))), "larger than 16,777,216 bytes"),
        (b"\x5d\x2a\x4d\x18\xff\xff\xff\xff", "larger than 16,777,216 bytes"),
        (b"\x5d\x2a\x4d\x18\xff\xff\x0f\0", "ends inside its zstd dictionary"),
    ],
)
def test_a_dictionary_that_cannot_be_used_fails_the_archive(start: bytes, message: str) -> None:
    outcome = extract_bytes(start + b"".join(NEEDY_FRAMES))
    assert (outcome.status, outcome.archive["records"]) == ("failed", 0)
    assert [reason for reason, _ in outcome.reasons("archive")] == ["archive.zstd_dictionary"]
    assert message in outcome.reasons("archive")[0][1]


@pytest.mark.parametrize(
    "data",
    [b"".join(NEEDY_FRAMES), ARCHIVE[:20], gzip.compress(b"") + b"garbage" * 9],
    ids=["without its dictionary", "cut in its first header", "garbage behind nothing"],
)
def test_damage_without_any_record_fails_the_archive(data: bytes) -> None:
    outcome = extract_bytes(data)
    assert (outcome.status, outcome.archive["records"]) == ("failed", 0)
    assert outcome.reasons("archive")


BAD_MEMBER = MEMBERS[3][:-8] + bytes(8)
ODD_STARTS = {
    "empty": [gzip.compress(b""), *MEMBERS[:3]],
    "several that are empty, and padding": [gzip.compress(b"") * 9, bytes(600), *MEMBERS[:3]],
    "line ends": [gzip.compress(b"\r\n" * 99), *MEMBERS[:3]],
    "two records": [gzip.compress(RECORDS[0] + RECORDS[1]), MEMBERS[2]],
    "two records, then an empty one": [gzip.compress(RECORDS[0] + RECORDS[1]), gzip.compress(b""), MEMBERS[2]],
    "all records before the damage": [gzip.compress(b"".join(RECORDS[:3]))],
    "many line ends": [gzip.compress(RECORDS[0] + b"\r\n" * 99), *MEMBERS[1:3]],
}


@pytest.mark.parametrize("start", ODD_STARTS)
def test_an_odd_first_member_hides_no_others(start: str) -> None:
    whole = extract_bytes(b"".join([*ODD_STARTS[start], *MEMBERS[3:]]))
    assert (whole.status, kept(whole), whole.rejected) == ("ok", [0, 1, 2, 3, 4], {})
    damaged = extract_bytes(b"".join([*ODD_STARTS[start], BAD_MEMBER, MEMBERS[4]]))
    assert (damaged.status, kept(damaged), damaged.rejected) == ("damaged", [0, 1, 2, 4], {"archive.corrupt": 1})


def test_a_first_member_that_holds_no_record_costs_only_itself() -> None:
    outcome = extract_bytes(gzip.compress(b"a comment") + ARCHIVE)
    assert (outcome.status, kept(outcome), outcome.rejected) == ("damaged", [0, 1, 2, 3, 4], {"archive.corrupt": 1})
    two_records = gzip.compress(RECORDS[0] + RECORDS[1])[:-8] + bytes(8)
    assert kept(extract_bytes(two_records + b"".join(MEMBERS[2:])))[-3:] == [2, 3, 4]


@pytest.mark.parametrize("limit", [4000, 1 << 20])
def test_how_far_a_first_member_is_looked_into_is_limited(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("udfs.archives.formats._LARGEST_MEMBER_BYTES", limit)
    data = gzip.compress(b"".join(RECORDS[:4])) + MEMBERS[4]
    source = detect_format(io.BytesIO(data), len(data))
    assert source is not None
    assert bool(source.layers) == (limit == 4000)
    assert kept(extract_bytes(data)) == [0, 1, 2, 3, 4]


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
