"""Extraction in the worker: archives in, rows of `schemas.EXTRACTED` out, streamed.

Nothing that an archive holds may raise here: bad input becomes rows and counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from udfs.archives import ArchiveRecord, Damage, read_archive
from udfs.pages.image_table import Loss, PageImages
from udfs.pages.isolation import IsolatedPages, PageReader, ParserNotStartedError, page_reader
from udfs.pages.wat import NO_ENVELOPE, describes_capture
from udfs.pairs.archive_batch import ArchiveRows, OpenArchive
from udfs.sources import fetch


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
    try:
        for batch in batches:
            for row in batch.to_pylist():
                yield from _extract_archive(row["archive"], row["path"], read_page, options, open_archive)
    finally:
        if isinstance(read_page, IsolatedPages):
            read_page.close()


def _extract_archive(
    archive: str, path: str, read_page: PageReader, options: ExtractOptions, open_archive: OpenArchive
) -> Iterator[pa.RecordBatch]:
    rows, in_wat = ArchiveRows(archive), False
    with rows.failures_counted(), rows.opened(path, open_archive) as stream:
        for item in read_archive(stream, size=stream.size, max_block_bytes=options.max_record_bytes):
            if isinstance(item, Damage):
                end = "end" if item.end is None else item.end
                rows.damage(item.reason, f"skipped bytes {item.start}-{end}", item.start)
            else:
                in_wat = in_wat or describes_capture(item)
                rows.add_record(item.offset, _page_of(item, read_page, in_wat=in_wat))
                if item.is_truncated:
                    rows.status = "damaged"
            yield from rows.full_batches()
    yield from rows.closing_batches()


def _page_of(record: ArchiveRecord, read_page: PageReader, *, in_wat: bool) -> PageImages | Loss:
    """Reads a record's page; a parser's surprise costs the record, not the archive.

    Raises:
        ParserNotStartedError: The parser's process does not start.
    """
    try:
        page = read_page(record)
    except ParserNotStartedError:
        raise
    except Exception as error:  # what no parser foresees
        return Loss("record.parser_error", repr(error))
    if isinstance(page, Loss) and page.reason == NO_ENVELOPE and not in_wat:
        return Loss("record.skipped_metadata")
    return page
