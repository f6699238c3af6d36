"""Reads the records of a WARC or WAT archive with FastWARC, over damage and on."""

import re
from collections.abc import Iterator
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from udfs.archive_records import ArchiveItems, ArchiveRecord, Damage, PartStream, finish_run
from udfs.archive_source import ArchiveReadError, ArchiveSource

_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
_NAMES = {int(getattr(WarcRecordType, name)): name for name in _TYPES}
_PAGE_TYPES = {"response", "resource"}
_NUMBER = re.compile(r"\s*\d{1,18}\s*", re.ASCII)
_ALL_BYTES = 1 << 62


def read_warc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: A WARC or WAT archive.
        max_block_bytes: Cap for the part of a block that is read into memory.

    Yields:
        Records and damaged parts in the archive's order.
    """
    start: int | None = 0
    while start is not None:
        start = yield from _read_run(source, start, max_block_bytes)


def _read_run(source: ArchiveSource, start: int, max_block_bytes: int) -> ArchiveItems:
    """Reads up to the next damage. A record is held back until the next one comes.

    Raises:
        ArchiveReadError: The bytes cannot be fetched.
    """
    offset, last, failed = start, None, False
    part: Any = PartStream(source.stream, start)
    try:
        for record in ArchiveIterator(part, record_types=WarcRecordType.any_type, parse_http=False):
            if last is not None:
                yield last
            offset = max(start + int(record.stream_pos), last.offset + 1 if last else start)
            last = None
            last = _take(record, offset, max_block_bytes)
            if last.is_truncated:
                break
    except ArchiveReadError:
        raise
    except OSError:
        failed = True
    return (yield from finish_run(source, offset, last, failed=failed))


def _take(record: Any, offset: int, max_block_bytes: int) -> ArchiveRecord:
    """Copies what is needed of a record, which the reader invalidates when it goes on."""
    headers, reader = record.headers, record.reader
    length = int(record.content_length)
    kind = _NAMES.get(int(record.record_type), "unknown")
    is_page = kind in _PAGE_TYPES
    # Looking a header up costs as much as the rest of this function.
    content_type = headers.get("Content-Type") if is_page or kind == "metadata" else None
    is_read = is_page or (content_type is not None and "json" in content_type.lower())
    block = reader.read(min(length, max_block_bytes)) if is_read and length else b""
    taken = len(block) + (reader.consume(_ALL_BYTES) if len(block) < length else 0)
    has_length = _NUMBER.fullmatch(headers.get("Content-Length") or "") is not None
    is_truncated = taken < length
    return ArchiveRecord(
        offset=offset,
        record_type=kind,
        target_uri=headers.get("WARC-Target-URI") if is_page or is_truncated or not has_length else None,
        content_type=content_type,
        payload_type=headers.get("WARC-Identified-Payload-Type") if is_page else None,
        content_length=length if has_length else -1,
        block=block,
        is_cut_short=is_read and length > max_block_bytes,
        is_truncated=is_truncated,
    )
