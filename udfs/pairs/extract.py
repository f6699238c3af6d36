"""Extraction in the worker: archives in, rows of `schemas.EXTRACTED` out, streamed.

Nothing that an archive holds may raise here: bad input becomes rows and counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from udfs.archives.reader import read_archive
from udfs.archives.recovery import ArchiveRecord, Damage
from udfs.pages.isolation import IsolatedPages, PageReader, ParserNotStartedError, page_reader
from udfs.pages.parse import is_json_metadata
from udfs.pages.wat import NO_ENVELOPE
from udfs.pairs.archive_batch import ArchiveRows, OpenArchive
from udfs.pairs.rules import LostRecordError
from udfs.sources import fetch

_ENVELOPE_BYTES = 4096


@dataclass(frozen=True)
class ExtractOptions:
    """Limits of extraction.

    Attributes:
        max_page_bytes: Cap for one page after its encodings are removed; a larger one is `record.page_too_large`.
        max_record_bytes: Cap for the part of a record's block that is read into memory.
        page_timeout_seconds: Longest time for one page; a longer one is `record.parser_timeout`.
    """

    max_page_bytes: int = 32 << 20
    max_record_bytes: int = 64 << 20
    page_timeout_seconds: float = 60.0


def extract_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    options: ExtractOptions,
    open_archive: OpenArchive = fetch.open_archive,
    attempt: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Reads archives into pairs, rejects and one closing row each.

    Args:
        batches: Rows of `schemas.ARCHIVE_PATHS`.
        options: The limits.
        open_archive: Opens a path; an error of it, or of the stream it returns, fails that archive only.
        attempt: The number of the task's attempt: from 1 on pages are parsed in a child process (`isolation`).

    Yields:
        Batches of `schemas.EXTRACTED`: rows of kind pair and reject as they are found, then exactly one of kind
        archive, for each archive.
    """
    read_page = page_reader(attempt, options.max_page_bytes, options.page_timeout_seconds)
    items = partial(_items, options=options)
    try:
        for batch in batches:
            for row in batch.to_pylist():
                rows = ArchiveRows(row["archive"])
                yield from rows.read(row["path"], open_archive, items, _RecordAdder(read_page))
    finally:
        if isinstance(read_page, IsolatedPages):
            read_page.close()


class _RecordAdder:
    """Adds records to the rows of one archive, and knows whether it is a WAT archive."""

    def __init__(self, read_page: PageReader) -> None:
        self._read_page = read_page
        self._in_wat = False

    def __call__(self, rows: ArchiveRows, item: ArchiveRecord | Damage) -> None:
        if isinstance(item, Damage):
            rows.status = "damaged"
            end = "end" if item.end is None else item.end
            rows.reject("archive", item.reason, f"skipped bytes {item.start}-{end}", item.start)
            return
        rows.numbers["records"] += 1
        self._in_wat = self._in_wat or (is_json_metadata(item) and b'"Envelope"' in item.block[:_ENVELOPE_BYTES])
        try:
            page = self._read_page(item)
        except LostRecordError as lost:
            is_other_json = lost.reason == NO_ENVELOPE and not self._in_wat
            rows.lose_record(item.offset, "record.skipped_metadata" if is_other_json else lost.reason, lost.example)
        except ParserNotStartedError:
            raise
        except Exception as error:  # a parser's surprise costs one record, not the archive
            rows.lose_record(item.offset, "record.parser_error", repr(error))
        else:
            rows.add_page(item.offset, page)
        if item.is_truncated:
            rows.status = "damaged"


def _items(stream: fetch.ArchiveStream, options: ExtractOptions) -> Iterator[ArchiveRecord | Damage]:
    return read_archive(stream, size=stream.size, max_block_bytes=options.max_record_bytes)
