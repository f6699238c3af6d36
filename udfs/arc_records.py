"""Reads the records of an ARC archive (the form before WARC) with warcio, over damage and on."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from warcio.archiveiterator import ArchiveIterator

from udfs.archive_records import ArchiveRecord, Damage, PartStream, read_over_damage
from udfs.archive_source import ArchiveSource

_SKIP_BYTES = 1 << 16


def read_arc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: An ARC archive.
        max_block_bytes: Cap for the part of a block that is read into memory.

    Returns:
        Records and damaged parts in the archive's order.
    """
    take = partial(_take, max_block_bytes=max_block_bytes)
    # At damage warcio raises whatever its parser stumbles over.
    return read_over_damage(source, _open_records, take, reader_errors=Exception)


def _open_records(part: PartStream) -> Iterator[tuple[int, Any]]:
    records = ArchiveIterator(part, no_record_parse=True)
    for record in records:
        yield int(records.offset), record


def _take(record: Any, offset: int, *, max_block_bytes: int) -> ArchiveRecord:
    stated = record.rec_headers.get_header("length") or ""
    length = int(stated) if stated.isdecimal() and stated.isascii() else -1
    block = _read_block(record.raw_stream, min(length, max_block_bytes)) if length > 0 else b""
    # Of a file header warcio has read two lines already, which say nothing about pages.
    taken = length if record.rec_type == "arc_header" else len(block)
    while taken < length and (data := record.raw_stream.read(min(_SKIP_BYTES, length - taken))):
        taken += len(data)
    return ArchiveRecord(
        offset=offset,
        record_type=str(record.rec_type),
        target_uri=record.rec_headers.get_header("uri"),
        content_type=record.rec_headers.get_header("content-type"),
        content_length=length,
        block=block,
        is_cut_short=length > max_block_bytes,
        is_truncated=taken < length,
    )


def _read_block(stream: Any, size: int) -> bytes:
    """Reads a block whole; warcio's streams hand out one buffer at a time."""
    parts: list[bytes] = []
    while size > 0 and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
