"""Extraction in the worker: archives in, rows of `schemas.EXTRACTED` out, streamed.

Nothing that an archive holds may raise here: bad input becomes rows and counts.
"""

from collections.abc import Iterator

import pyarrow as pa

from udfs.archives import detect_format, read_source
from udfs.pages.isolation import IsolatedPages, page_reader
from udfs.pairs import ExtractOptions
from udfs.pairs.archive_batch import ArchiveRows, OpenArchive
from udfs.pairs.loop import KERNELS, CompiledLoop, new_loop
from udfs.pairs.records import RecordAdder
from udfs.sources import fetch


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
        attempt: The number of the task's attempt: from 1 on pages are parsed in a child process (`isolation`), and the
            reference reader alone reads.

    Yields:
        Batches of `schemas.EXTRACTED`: rows of kind pair and reject as they are found, then exactly one of kind
        archive, for each archive.
    """
    agents = options.preference_agents
    read_page = page_reader(attempt, options.max_page_bytes, options.page_timeout_seconds, agents)
    # Nothing ends a compiled loop that would not end; what a task did not survive is read where something does.
    loop = new_loop(options) if attempt == 0 else None
    try:
        for batch in batches:
            for row in batch.to_pylist():
                rows = ArchiveRows(row["archive"])
                with rows.failures_counted(), rows.opened(row["path"], open_archive) as stream:
                    for _ in _read_archive(stream, RecordAdder(rows, read_page), loop, options):
                        yield from rows.full_batches()
                yield from rows.closing_batches()
    finally:
        if isinstance(read_page, IsolatedPages):
            read_page.close()


def _read_archive(
    stream: fetch.ArchiveStream, adder: RecordAdder, loop: CompiledLoop | None, options: ExtractOptions
) -> Iterator[None]:
    """Adds what an archive holds; yields whenever batches may be full."""
    source = detect_format(stream, stream.size)
    if source is None:
        return
    KERNELS.prepare(stream.size)
    if loop is not None and loop.takes(source):
        yield from loop.read(source, adder)
        return
    for item in read_source(source, max_block_bytes=options.max_record_bytes):
        adder.add(item, "no_loop" if loop is None else "format")
        yield
