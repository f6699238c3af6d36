"""Complete records are read before and after damage, and the damage is named."""

import gzip
import io
import struct
from collections.abc import Iterator

import pytest

from tests.support.archive_files import extract_bytes, members, page_record
from tests.support.sample_archives import ARC_HEADER, ARCHIVE, MEMBERS, RECORDS, STARTS, arc_record, kept, replaced
from udfs.archives import ArchiveRecord, Damage, read_archive
from udfs.sources.codecs import StreamDecompressor


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


@pytest.mark.parametrize("parts", [MEMBERS, RECORDS])
def test_corrupt_first_record(parts: list[bytes]) -> None:
    outcome = extract_bytes(replaced(b"".join(parts), 0, b"XXXX"))
    assert (outcome.status, kept(outcome)) == ("damaged", [1, 2, 3, 4])
    assert outcome.reasons("archive") == [("archive.corrupt", f"skipped bytes 0-{len(parts[0])}")]


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


def test_re_gzipped_and_truncated() -> None:
    outcome = extract_bytes(gzip.compress(b"".join(RECORDS))[:-1500])
    assert outcome.status == "damaged"
    assert outcome.rejected["archive.truncated"] == 1
    assert kept(outcome) == list(range(len(kept(outcome))))
    assert 0 < len(kept(outcome)) < 5


def test_records_and_damage_come_in_the_order_of_their_offsets() -> None:
    data = replaced(ARCHIVE, STARTS[2] + 300, b"\xff" * 40) + b"garbage"
    items = list(read_archive(io.BytesIO(data), size=len(data), max_block_bytes=1 << 20))
    assert [item for item in items if isinstance(item, Damage)] == [
        Damage("archive.corrupt", STARTS[2], STARTS[3]),
        Damage("archive.corrupt", STARTS[5], None),
    ]
    offsets = [item.start if isinstance(item, Damage) else item.offset for item in items]
    assert offsets == STARTS


def test_a_block_above_the_cap_is_cut_short_and_the_next_record_read() -> None:
    data = b"".join(RECORDS[:2])
    items = list(read_archive(io.BytesIO(data), size=len(data), max_block_bytes=100))
    assert all(isinstance(item, ArchiveRecord) for item in items)
    assert [(item.is_cut_short, item.is_truncated, len(item.block)) for item in items] == [(True, False, 100)] * 2


def _chained(content: bytes, size: int = 1024) -> bytes:
    """The header of a member, and a stored block that ends where the next such header has one of its own."""
    stored = size - 15
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0" + struct.pack("<HH", stored + 10, (stored + 10) ^ 0xFFFF)
    return header + content + b"x" * (stored - len(content))


ENDLESS = b"WARC/1.0\r\nWARC-Type: request\r\nContent-Length: 99999999999\r\n\r\n"
HOSTILE = {
    "members that hold no record": (_chained(b""), members(RECORDS[:2])),
    "members that begin a record": (_chained(ENDLESS), members(RECORDS[:2])),
    "plain records without an end": (ENDLESS + b"x" * 900, RECORDS[:2]),
}


@pytest.mark.parametrize("form", HOSTILE)
def test_work_behind_damage_grows_as_the_archive(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unit, (first, last) = HOSTILE[form]
    monkeypatch.setattr("udfs.archives.source._BYTES_ALWAYS_READ_AGAIN", 0)
    parts = StreamDecompressor.parts
    read: list[int] = []

    def counted(self: StreamDecompressor, packed: bytes) -> Iterator[bytes]:
        for part in parts(self, packed):
            read.append(len(part))
            yield part

    class CountedStream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            read.append(len(data))
            return data

    monkeypatch.setattr(StreamDecompressor, "parts", counted)
    work = []
    for units in (300, 600):
        read.clear()
        data = first + b"garbage" + unit * units + last
        items = list(read_archive(CountedStream(data), size=len(data), max_block_bytes=1 << 20))
        assert [item.offset for item in items if isinstance(item, ArchiveRecord)][:1] == [0]
        work.append(sum(read))
    assert work[1] < 2.5 * work[0]


def test_what_stands_behind_many_odd_members_is_found() -> None:
    unit, (first, last) = HOSTILE["members that hold no record"]
    outcome = extract_bytes(first + b"garbage" + unit * 50 + last)
    assert (outcome.status, kept(outcome), outcome.rejected) == ("damaged", [0, 1], {"archive.corrupt": 1})
