"""Reads the records of a WARC or WAT archive with FastWARC, over damage and on."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from udfs.archive_records import ArchiveRecord, Damage, read_over_damage
from udfs.archive_source import ArchiveSource

_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
_NAMES = {int(getattr(WarcRecordType, name)): name for name in _TYPES}
_PAGE_TYPES = {"response", "resource"}
_TYPES_WITH_TYPED_BLOCKS = {"resource", "metadata"}
_NUMBER = re.compile(r"\s*\d{1,18}\s*", re.ASCII)
_ALL_BYTES = 1 << 62
_NO_LENGTH = 10**18


def read_warc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: A WARC or WAT archive.
        max_block_bytes: Cap for the part of a block that is read into memory.

    Returns:
        Records and damaged parts in the archive's order.
    """
    take = partial(_take, max_block_bytes=max_block_bytes)
    return read_over_damage(source, _open_records, take, reader_errors=OSError)


def _open_records(part: Any) -> Iterator[tuple[int, Any]]:
    for record in ArchiveIterator(part, record_types=WarcRecordType.any_type, parse_http=False):
        yield int(record.stream_pos), record


def _take(record: Any, offset: int, *, max_block_bytes: int) -> ArchiveRecord:
    """Copies what is needed of a record, which the reader invalidates when it goes on."""
    headers, reader = record.headers, record.reader
    length = int(record.content_length)
    kind = _NAMES.get(int(record.record_type), "unknown")
    is_page = kind in _PAGE_TYPES
    # Looking a header up costs as much as the rest of this function.
    content_type = headers.get("Content-Type") if kind in _TYPES_WITH_TYPED_BLOCKS else None
    is_read = is_page or (content_type is not None and "json" in content_type.lower())
    block = reader.read(min(length, max_block_bytes)) if is_read and length else b""
    taken = len(block) + (reader.consume(_ALL_BYTES) if len(block) < length else 0)
    length_as_written = headers.get("Content-Length") or ""
    is_plain_length = length < _NO_LENGTH and length_as_written == str(length)
    has_length = is_plain_length or _NUMBER.fullmatch(length_as_written) is not None
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
