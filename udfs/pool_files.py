"""Pairs that were extracted before, from Parquet or JSONL files: one file is read as one archive is.

The archive is the file, record_offset the row or line number from 0, image_index 0, source "alt", and there is no page.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from udfs import fetch
from udfs.archive_rows import ArchiveRows, OpenArchive
from udfs.archive_source import ArchiveReadError
from udfs.page_pairs import LostRecordError, PagePairs

MAX_LINE_BYTES = 16 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ROWS_PER_BATCH = 8192

Row = tuple[int, object, object] | tuple[int, LostRecordError]
"""Row number with URL and text, or with why the row has none."""


def read_pool_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    url_column: str,
    text_column: str,
    open_archive: OpenArchive = fetch.open_archive,
) -> Iterator[pa.RecordBatch]:
    """Reads files with pairs into pairs, rejects and one closing row each.

    Args:
        batches: Rows of `schemas.ARCHIVE_PATHS`.
        url_column: The column, or JSON key, of the image's URL.
        text_column: The column, or JSON key, of the alternative text; it is cleaned as an archive's texts are.
        open_archive: Opens a path; an error of it fails that file only.

    Yields:
        Batches of `schemas.EXTRACTED`, as `udfs.extract.extract_batches`.
    """
    for batch in batches:
        for row in batch.to_pylist():
            rows = ArchiveRows(row["archive"])

            def items(stream: fetch.ArchiveStream, path: str = row["path"]) -> Iterator[Row]:
                read = _parquet_rows if path.endswith(".parquet") else _json_rows
                return read(stream, url_column, text_column)

            yield from rows.read(row["path"], open_archive, items, _add_row)


def _add_row(rows: ArchiveRows, row: Row) -> None:
    rows.numbers["records"] += 1
    try:
        rows.add_page(row[0], _page_of(row))
    except LostRecordError as lost:
        rows.lose_record(row[0], lost.reason, lost.example)


def _page_of(row: Row) -> PagePairs:
    if len(row) == 2:  # noqa: PLR2004 - the shorter form of a Row
        raise row[1]
    _, url, text = row
    page = PagePairs("")
    if url is not None and not isinstance(url, str):
        page.add_bad_image("image.not_a_string", str(url))
    else:
        page.add_image("", url, [] if text is None else [("alt", text)])
    return page


def _parquet_rows(stream: fetch.ArchiveStream, url_column: str, text_column: str) -> Iterator[Row]:
    number = 0
    with pq.ParquetFile(pa.PythonFile(stream, mode="r")) as file:
        for batch in file.iter_batches(_ROWS_PER_BATCH, columns=[url_column, text_column]):
            texts = batch.column(text_column).to_pylist()
            for url, text in zip(batch.column(url_column).to_pylist(), texts, strict=True):
                yield number, url, text
                number += 1


def _json_rows(stream: fetch.ArchiveStream, url_column: str, text_column: str) -> Iterator[Row]:
    try:
        for number, line in enumerate(_lines(_decompressed(stream))):
            content = line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line
            if content.strip():
                yield _json_row(number, content, url_column, text_column)
    except (EOFError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise ArchiveReadError(f"the compressed file breaks off or is corrupt: {error}") from None


def _json_row(number: int, line: bytes, url_column: str, text_column: str) -> Row:
    if len(line) > MAX_LINE_BYTES:
        return number, LostRecordError("record.line_too_long", f"line {number + 1} exceeds {MAX_LINE_BYTES} bytes")
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return number, LostRecordError("record.invalid_json", f"line {number + 1}: {error}")
    if not isinstance(value, dict):
        return number, LostRecordError("record.not_an_object", f"line {number + 1}: {line[:100]!r}")
    if url_column not in value:
        return number, LostRecordError("record.no_url_key", f"line {number + 1}: {sorted(value)}")
    return number, value[url_column], value.get(text_column)


def _decompressed(stream: fetch.ArchiveStream) -> BinaryIO:
    raw = cast(BinaryIO, stream)
    start = stream.read(4)
    stream.seek(0)
    if start[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if start == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Cuts a stream into lines; of one that is too long only the beginning is kept."""
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), 1 << 16)
    while line := buffered.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            while (rest := buffered.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield line
