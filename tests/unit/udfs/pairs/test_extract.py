"""Extraction over archives: damage, forms, statuses, sums and streaming."""

import gzip
import pickle
import random
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from tests.support.archive_files import (
    MemoryStream,
    Outcome,
    extract_bytes,
    extract_outcomes,
    http_response,
    image_link,
    members,
    page_record,
    warc_record,
    wat_document,
    wat_record,
)
from udfs.archives import Damage
from udfs.pairs import extract
from udfs.pairs.archive_batch import BATCH_ROWS
from udfs.pairs.extract import ExtractOptions, extract_batches
from udfs.pairs.text import pair_id
from udfs.schemas import ARCHIVE_PATHS
from udfs.sources import ArchiveStat, ArchiveStream

RECORDS = [page_record(number, padding=3000) for number in range(5)]
MEMBERS = members(RECORDS)
ARCHIVE = b"".join(MEMBERS)
STARTS = [sum(map(len, MEMBERS[:number])) for number in range(6)]
ARC_VERSION = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_HEADER = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain %d\n%s\n" % (len(ARC_VERSION), ARC_VERSION)


def kept(outcome: Outcome) -> list[int]:
    return [int(text.removeprefix("a dog ")) for text in outcome.texts]


def arc_record(number: int) -> bytes:
    block = http_response(b'<img src="/%d.jpg" alt="a dog %d">' % (number, number) + bytes(range(32, 127)) * 9)
    return b"http://example.org/%d 127.0.0.1 20100101000000 text/html %d\n" % (number, len(block)) + block + b"\n"


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_truncated_gzip_keeps_complete_records() -> None:
    outcome = extract_bytes(ARCHIVE[: STARTS[5] - 100])
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 2, 3])
    assert outcome.reasons("archive") == [("archive.truncated", f"skipped bytes {STARTS[4]}-end")]
    cut_header = extract_bytes(ARCHIVE[: STARTS[4] + 5])
    assert (cut_header.status, kept(cut_header)) == ("damaged", [0, 1, 2, 3])
    assert cut_header.reasons("archive") == outcome.reasons("archive")


def test_a_missing_gzip_trailer_is_damage_but_the_record_is_whole() -> None:
    outcome = extract_bytes(ARCHIVE[:-4])
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 2, 3, 4])
    assert outcome.rejected["archive.truncated"] == 1


def test_corrupt_member_loses_itself_only() -> None:
    outcome = extract_bytes(replaced(ARCHIVE, STARTS[2] + 300, b"\xff" * 40))
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 3, 4])
    assert outcome.reasons("archive") == [("archive.corrupt", f"skipped bytes {STARTS[2]}-{STARTS[3]}")]
    assert [pair["record_offset"] for pair in outcome.pairs] == [0, STARTS[1], STARTS[3], STARTS[4]]


def test_corrupt_members_larger_than_any_buffer() -> None:
    """The reader hands out such a record before it comes to the damage in its block."""
    parts = members([page_record(number, padding=400_000) for number in range(4)])
    starts = [sum(map(len, parts[:number])) for number in range(5)]
    assert len(parts[0]) > 1 << 16
    for number in (0, 2, 3):
        outcome = extract_bytes(replaced(b"".join(parts), starts[number + 1] - 5000, b"\xff" * 40))
        assert (outcome.status, kept(outcome)) == ("damaged", [n for n in range(4) if n != number])
        end = starts[number + 1] if number < 3 else "end"
        assert outcome.reasons("archive") == [("archive.corrupt", f"skipped bytes {starts[number]}-{end}")]


def test_two_corrupt_members() -> None:
    data = replaced(replaced(ARCHIVE, STARTS[1] + 300, b"\xff" * 40), STARTS[3], b"XXXX")
    outcome = extract_bytes(data)
    assert kept(outcome) == [0, 2, 4]
    assert [example for _, example in outcome.reasons("archive")] == [
        f"skipped bytes {STARTS[1]}-{STARTS[2]}",
        f"skipped bytes {STARTS[3]}-{STARTS[4]}",
    ]


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


def test_re_gzipped_and_truncated() -> None:
    outcome = extract_bytes(gzip.compress(b"".join(RECORDS))[:-1500])
    assert outcome.status == "damaged"
    assert outcome.rejected["archive.truncated"] == 1
    assert kept(outcome) == list(range(len(kept(outcome))))
    assert 0 < len(kept(outcome)) < 5


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), gzip.compress(gzip.compress(b""))])
def test_empty_archive_is_ok(data: bytes) -> None:
    outcome = extract_bytes(data)
    assert (outcome.status, outcome.archive["records"], outcome.rejected) == ("ok", 0, {})


def test_archive_without_pages_is_ok() -> None:
    outcome = extract_bytes(gzip.compress(warc_record(b"software: x", None, "warcinfo", "application/warc-fields")))
    assert (outcome.status, outcome.archive["records"], outcome.rejected) == ("ok", 1, {"record.skipped_warcinfo": 1})


def test_missing_file_fails_alone(tmp_path: Path) -> None:
    good = tmp_path / "good.warc.gz"
    good.write_bytes(ARCHIVE)
    missing, read = extract_outcomes([str(tmp_path / "missing.warc.gz"), str(good)], ExtractOptions())
    assert (missing.status, missing.archive["size"]) == ("failed", 0)
    assert missing.reasons("archive")[0][0] == "archive.not_opened"
    assert "missing.warc.gz" in missing.reasons("archive")[0][1]
    assert (read.status, kept(read)) == ("ok", [0, 1, 2, 3, 4])
    assert read.archive["size"] == len(ARCHIVE) == read.archive["bytes_read"]


class BrokenStream(MemoryStream):
    """Fails after some bytes, as a connection does."""

    def read(self, size: int = -1, /) -> bytes:
        if self.tell() >= STARTS[3]:
            raise ConnectionError("reset by peer")
        return super().read(min(size, STARTS[3] - self.tell()) if size >= 0 else STARTS[3])


@pytest.mark.parametrize("wrap", [b"".join, lambda _: gzip.compress(b"".join(RECORDS))])
def test_error_while_reading_fails_the_archive(wrap: object) -> None:
    assert callable(wrap)
    outcome = extract_outcomes(["a"], ExtractOptions(), open_archive=lambda _: BrokenStream(wrap(MEMBERS)))[0]
    assert outcome.status == "failed"
    assert outcome.reasons("archive")[0][0] == "archive.read_error"
    assert "reset by peer" in outcome.reasons("archive")[0][1]


def test_a_surprise_in_a_reader_fails_its_archive_only(monkeypatch: pytest.MonkeyPatch) -> None:
    read_archive = extract.read_archive

    def records(stream: ArchiveStream, **options: int) -> Iterator[object]:
        yield next(iter(read_archive(stream, **options)))
        raise KeyError("surprise")

    monkeypatch.setattr(extract, "read_archive", records)
    for outcome in extract_outcomes(["a", "b"], ExtractOptions(), open_archive=lambda _: MemoryStream(ARCHIVE)):
        assert (outcome.status, outcome.archive["records"], kept(outcome)) == ("failed", 1, [0])
        assert outcome.rejected == {"archive.reader_error": 1}


@pytest.mark.parametrize("parts", [MEMBERS, RECORDS])
def test_garbage_between_records_is_skipped_and_named(parts: list[bytes]) -> None:
    outcome = extract_bytes(b"".join([*parts[:2], b"garbage!", *parts[2:], b"more"]))
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 2, 3, 4])
    assert outcome.rejected == {"archive.corrupt": 2}


@pytest.mark.parametrize("pack", [list, members])
def test_wrong_content_length_costs_one_record(pack: object) -> None:
    assert callable(pack)
    too_long = RECORDS[1].replace(b"Content-Length: ", b"Content-Length: 9", 1)
    none = RECORDS[3].replace(b"Content-Length: ", b"Content-Width: ", 1)
    outcome = extract_bytes(b"".join(pack([RECORDS[0], too_long, RECORDS[2], none, RECORDS[4]])))
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 2, 4])
    assert outcome.rejected["record.truncated"] + outcome.rejected["record.bad_content_length"] == 2


def test_a_length_that_ends_inside_the_block() -> None:
    """The rest of the block stands in a member of its own, so the record is known to be cut; plain, it is garbage."""
    short = RECORDS[1].replace(b"Content-Length: 4", b"Content-Length: ", 1)
    assert short != RECORDS[1]
    outcome = extract_bytes(b"".join(members([RECORDS[0], short, RECORDS[2]])))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("damaged", [0, 2], {"record.truncated": 1})
    plain = extract_bytes(RECORDS[0] + short + RECORDS[2])
    assert (plain.status, kept(plain), plain.rejected) == ("damaged", [0, 1, 2], {"archive.corrupt": 1})


@pytest.mark.parametrize("cut", [500, 3100, 3200])
def test_truncated_plain_warc(cut: int) -> None:
    outcome = extract_bytes(b"".join(RECORDS)[:-cut])
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 2, 3])
    assert outcome.rejected["archive.truncated"] == 1


@pytest.mark.parametrize("parts", [MEMBERS, RECORDS])
def test_truncated_archive_with_another_behind_it(parts: list[bytes]) -> None:
    outcome = extract_bytes(b"".join([*parts[:2], parts[2][:-400], *parts[3:]]))
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1, 3, 4])
    assert outcome.rejected["record.truncated"] + outcome.rejected["archive.corrupt"] == 1


@pytest.mark.parametrize("number", [1, 4])
def test_wrong_crc(number: int) -> None:
    outcome = extract_bytes(replaced(ARCHIVE, STARTS[number + 1] - 8, b"\0\0\0\0"))
    assert (outcome.status, kept(outcome)) == ("damaged", [n for n in range(5) if n != number])


def test_bytes_that_are_no_archive() -> None:
    outcome = extract_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    assert outcome.status == "failed"
    assert outcome.reasons("archive")[0][0] == "archive.not_an_archive"
    assert extract_bytes(gzip.compress(b"just a text")).status == "failed"


def test_stream_shorter_than_its_size() -> None:
    def short(_: str) -> ArchiveStream:
        return ArchiveStream("short", BytesIO(ARCHIVE[: STARTS[3]]), ArchiveStat(len(ARCHIVE), "tag"))

    outcome = extract_outcomes(["short"], ExtractOptions(), open_archive=short)[0]
    assert outcome.status == "failed"
    assert f"ended at byte {STARTS[3]} of {len(ARCHIVE)}" in outcome.reasons("archive")[0][1]


def test_a_reader_that_stops_early_does_not_go_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    read_archive = extract.read_archive
    monkeypatch.setattr(extract, "read_archive", lambda stream, **options: islice(read_archive(stream, **options), 2))
    large = gzip.compress(warc_record(random.Random(0).randbytes(1 << 20), None, "request", "application/http"))
    outcome = extract_bytes(ARCHIVE + large)
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1])
    assert outcome.reasons("archive")[0][0] == "archive.not_read_to_end"
    assert outcome.reasons("archive")[0][1].endswith(f" of {len(ARCHIVE) + len(large)} bytes")


def test_damage_behind_which_nothing_is_read_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "read_archive", lambda *_, **__: iter([Damage("archive.corrupt", 0, None)]))
    outcome = extract_bytes(ARCHIVE)
    assert (outcome.status, outcome.reasons("archive")) == ("damaged", [("archive.corrupt", "skipped bytes 0-end")])


@pytest.mark.parametrize("parts", [MEMBERS, RECORDS])
def test_corrupt_first_record(parts: list[bytes]) -> None:
    outcome = extract_bytes(replaced(b"".join(parts), 0, b"XXXX"))
    assert (outcome.status, kept(outcome)) == ("damaged", [1, 2, 3, 4])
    assert outcome.reasons("archive") == [("archive.corrupt", f"skipped bytes 0-{len(parts[0])}")]


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


@pytest.mark.parametrize("pack", [list, members])
def test_arc_cut_off(pack: object) -> None:
    assert callable(pack)
    outcome = extract_bytes(b"".join(pack([ARC_HEADER, *map(arc_record, range(3))]))[:-50])
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1])
    assert outcome.rejected["archive.truncated"] == 1


def test_arc_with_a_corrupt_member() -> None:
    parts = members([ARC_HEADER, *map(arc_record, range(3))])
    start = len(parts[0]) + len(parts[1])
    outcome = extract_bytes(replaced(b"".join(parts), start + 40, b"\xff" * 30))
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 2])
    assert outcome.reasons("archive") == [("archive.corrupt", f"skipped bytes {start}-{start + len(parts[2])}")]


def test_a_zstd_archive_is_read() -> None:
    outcome = extract_bytes(b"".join(map(zstandard.compress, RECORDS)))
    assert (outcome.status, kept(outcome), outcome.rejected) == ("ok", [0, 1, 2, 3, 4], {})


def test_columns_of_a_pair() -> None:
    pair = extract_bytes(ARCHIVE).pairs[1]
    url = "http://example.org/1.jpg"
    expected = {
        "pair_id": pair_id(url, "a dog 1"),
        "image_url": url,
        "alt_text": "a dog 1",
        "source": "alt",
        "page_url": "http://example.org/1",
        "archive": "memory",
        "record_offset": STARTS[1],
        "image_index": 0,
    }
    assert {name: pair[name] for name in expected} == expected
    assert pair["status"] is None
    assert pair["reason"] is None


def test_one_archive_may_mix_pages_and_wat_records() -> None:
    wat = wat_record(wat_document((image_link("/w.jpg", "a dog 7"),)))
    assert kept(extract_bytes(RECORDS[0] + wat + RECORDS[1])) == [0, 7, 1]


def test_json_metadata_without_envelope_is_bad_only_in_a_wat() -> None:
    other = wat_record({"links": []})
    assert extract_bytes(RECORDS[0] + other).rejected == {"record.skipped_metadata": 1}
    assert extract_bytes(wat_record(wat_document()) + other).rejected == {"record.no_envelope": 1}


def test_rejects_of_images_are_few_but_all_are_counted() -> None:
    page = b"".join(b'<img src="data:image/png;base64,%s" alt=x>' % (b"A" * 1000) for _ in range(50))
    outcome = extract_bytes(warc_record(http_response(page)) * 2)
    assert outcome.rejected == {"image.data_url": 100}
    assert len(outcome.reasons("image")) == 5
    assert all(len(example) == 200 for _, example in outcome.reasons("image"))


def test_rows_are_streamed() -> None:
    record = warc_record(http_response(b"".join(b"<img src=%d alt=%d>" % (n, n) for n in range(5000))))
    served: list[int] = []

    class Watched(MemoryStream):
        def read(self, size: int = -1, /) -> bytes:
            served.append(self.tell())
            return super().read(size)

    batch = pa.RecordBatch.from_pylist([{"archive": "a", "path": "a"}], schema=ARCHIVE_PATHS)
    results: Iterator[pa.RecordBatch] = extract_batches(
        iter([batch]), options=ExtractOptions(), open_archive=lambda _: Watched(record * 20)
    )
    first = next(results)
    assert first.num_rows == BATCH_ROWS
    assert served[-1] < len(record) * 5
    rest = list(results)
    assert max(result.num_rows for result in rest) <= BATCH_ROWS
    assert first.num_rows + sum(result.num_rows for result in rest) == 20 * 5000 + 1


def test_options_can_be_pickled() -> None:
    options = ExtractOptions(max_page_bytes=5)
    assert pickle.loads(pickle.dumps(options)) == options
