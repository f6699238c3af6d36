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

from tests.support.archive_files import (
    MemoryStream,
    extract_bytes,
    extract_outcomes,
    http_response,
    image_link,
    warc_record,
    wat_document,
    wat_record,
)
from tests.support.sample_archives import ARCHIVE, MEMBERS, RECORDS, STARTS, kept
from udfs.archives import Damage
from udfs.archives.source import ArchiveSource
from udfs.pairs import ExtractOptions, extract
from udfs.pairs.archive_batch import BATCH_ROWS
from udfs.pairs.extract import extract_batches
from udfs.pairs.rules import pair_id
from udfs.schemas import ARCHIVE_PATHS
from udfs.sources import ArchiveStat, ArchiveStream


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
    read_source = extract.read_source

    def records(source: ArchiveSource, **options: int) -> Iterator[object]:
        yield next(iter(read_source(source, **options)))
        raise KeyError("surprise")

    monkeypatch.setattr(extract, "new_loop", lambda _: None)
    monkeypatch.setattr(extract, "read_source", records)
    for outcome in extract_outcomes(["a", "b"], ExtractOptions(), open_archive=lambda _: MemoryStream(ARCHIVE)):
        assert (outcome.status, outcome.archive["records"], kept(outcome)) == ("failed", 1, [0])
        assert outcome.rejected == {"archive.reader_error": 1}


def test_stream_shorter_than_its_size() -> None:
    def short(_: str) -> ArchiveStream:
        return ArchiveStream("short", BytesIO(ARCHIVE[: STARTS[3]]), ArchiveStat(len(ARCHIVE), "tag"))

    outcome = extract_outcomes(["short"], ExtractOptions(), open_archive=short)[0]
    assert outcome.status == "failed"
    assert f"ended at byte {STARTS[3]} of {len(ARCHIVE)}" in outcome.reasons("archive")[0][1]


def test_a_reader_that_stops_early_does_not_go_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    read_source = extract.read_source
    monkeypatch.setattr(extract, "new_loop", lambda _: None)
    monkeypatch.setattr(extract, "read_source", lambda source, **options: islice(read_source(source, **options), 2))
    large = gzip.compress(warc_record(random.Random(0).randbytes(1 << 20), None, "request", "application/http"))
    outcome = extract_bytes(ARCHIVE + large)
    assert (outcome.status, kept(outcome)) == ("damaged", [0, 1])
    assert outcome.reasons("archive")[0][0] == "archive.not_read_to_end"
    assert outcome.reasons("archive")[0][1].endswith(f" of {len(ARCHIVE) + len(large)} bytes")


def test_damage_behind_which_nothing_is_read_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "new_loop", lambda _: None)
    monkeypatch.setattr(extract, "read_source", lambda *_, **__: iter([Damage("archive.corrupt", 0, None)]))
    outcome = extract_bytes(ARCHIVE)
    assert (outcome.status, outcome.reasons("archive")) == ("failed", [("archive.corrupt", "skipped bytes 0-end")])


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


def test_a_consumer_that_stops_early_has_no_archive_read_for_its_tag() -> None:
    class Untagged(MemoryStream):
        @property
        def etag(self) -> str:
            raise AssertionError("the tag of a local file is made from its whole content")

    record = warc_record(http_response(b"".join(b"<img src=%d alt=%d>" % (n, n) for n in range(5000))))
    batch = pa.RecordBatch.from_pylist([{"archive": "a", "path": "a"}], schema=ARCHIVE_PATHS)
    results: Iterator[pa.RecordBatch] = extract_batches(
        iter([batch]), options=ExtractOptions(), open_archive=lambda _: Untagged(record * 2)
    )
    assert next(results).num_rows == BATCH_ROWS
    results.close()  # type: ignore[attr-defined]


def test_options_can_be_pickled() -> None:
    options = ExtractOptions(max_page_bytes=5)
    assert pickle.loads(pickle.dumps(options)) == options
