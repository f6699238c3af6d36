"""Reads the records of a WARC or WAT archive: with FastWARC while all is plain, over damage and on.

FastWARC is fast, but knows header names in one case only, and passes over bytes that belong to no record without a
word. So each record that it gives is accounted for; from the first one that is not plain on, `record_reader` reads.
"""

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from udfs.archives.members import inspect_member
from udfs.archives.record import PAGE_TYPES, RECORD_TYPES, ArchiveRecord, Damage, has_typed_block
from udfs.archives.record_reader import open_warc_records, take_record
from udfs.archives.recovery import ArchiveItems, iter_records_with_recovery
from udfs.archives.source import ArchiveReadError, ArchiveSource, PartStream
from udfs.sources.codecs import GZIP

_NAMES = {int(getattr(WarcRecordType, name)): name for name in RECORD_TYPES}
_TYPE, _LENGTH = b"\r\nWARC-Type: ", b"\r\nContent-Length: "
_TYPES = {name: b"%s%s\r\n" % (_TYPE, name.encode()) for name in RECORD_TYPES}
_URI, _CONTENT_TYPE = b"\r\nWARC-Target-URI: ", b"\r\nContent-Type: "
_PAYLOAD_TYPE, _OTHER_PAYLOAD_TYPE = b"\r\nWARC-Identified-Payload-Type: ", b"identified-payload-type"
_ALL_BYTES = 1 << 62
_NO_LENGTH = 10**18
_RECORD_END = b"\r\n\r\n"
_SIZE_BYTES = 4
_LINES_BESIDE_HEADERS = 2


class WarcReader:
    """Reads a WARC or WAT archive in one or several parts, with FastWARC as long as all records are plain."""

    def __init__(self, source: ArchiveSource, *, max_block_bytes: int) -> None:
        """Takes the archive and the cap for the part of a block that is read."""
        self._is_plain = source.codec in {None, GZIP}
        self._source = source
        self._max_block_bytes = max_block_bytes

    def read(self, start: int) -> Generator[ArchiveRecord | Damage, None, None]:
        """Reads the records from an offset on where one begins; see `read_archive`."""
        rest: int | None = start
        if self._is_plain:
            rest = yield from _read_plain_records(self._source, start, self._max_block_bytes)
            self._is_plain = rest is None
        take = partial(take_record, max_block_bytes=self._max_block_bytes)
        yield from iter_records_with_recovery(self._source, open_warc_records, take, rest)


def read_warc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads the records of a WARC or WAT archive; see `read_archive`."""
    return WarcReader(source, max_block_bytes=max_block_bytes).read(0)


def _read_plain_records(source: ArchiveSource, start: int, max_block_bytes: int) -> ArchiveItems:
    """Yields records while each is plain; returns the offset of the first that is not.

    Raises:
        ArchiveReadError: The bytes cannot be fetched.
    """
    part = PartStream(source.stream, start)
    # FastWARC asks for more of a stream than it uses.
    stream: Any = part
    last: ArchiveRecord | None = None
    header_bytes, offset = 0, start
    try:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False):
            position = start + int(record.stream_pos)
            if last is None:
                is_next = position == offset
            else:
                is_next = _is_accounted_for(source, part, last, header_bytes, position)
            if not is_next:
                return offset
            if last is not None:
                yield last
            offset = position
            headers = record.headers
            # As FastWARC would write it: as long as what it read only where that is plain.
            header: bytes = headers.__getstate__()[0]
            header_bytes = len(header)
            # Folded values, bare line feeds and lines that are no headers make more lines than headers.
            is_plain = header.count(b"\n") == len(headers) + _LINES_BESIDE_HEADERS
            taken = _take(record, header, offset, max_block_bytes) if is_plain else None
            if taken is None:
                return offset
            # What is accounted for is all that its member holds.
            last = taken._replace(begins_member=source.codec is GZIP)
    except ArchiveReadError:
        raise
    except OSError:
        return offset
    end = start + part.tell()
    if last is None or not _is_accounted_for(source, part, last, header_bytes, end):
        return offset
    # FastWARC ends before a member that it cannot read; its end may look like that of the last record.
    if source.codec is GZIP and inspect_member(source.stream, GZIP, offset).end != end:
        return offset
    yield last
    return None


def _is_accounted_for(
    source: ArchiveSource, part: PartStream, last: ArchiveRecord, header_bytes: int, end: int
) -> bool:
    """Tells whether a record's header, block and line ends are all that stands before an offset.

    A gzip member ends with the size of what it holds.
    """
    behind = end - part.offset
    size = header_bytes + last.content_length + len(_RECORD_END)
    if source.codec is GZIP:
        stated = int.from_bytes(part.recent(behind - _SIZE_BYTES, behind), "little")
        return last.offset < end and stated == size % (1 << 8 * _SIZE_BYTES)
    return last.offset + size == end and part.recent(behind - len(_RECORD_END), behind) == _RECORD_END


def _take(record: Any, header: bytes, offset: int, max_block_bytes: int) -> ArchiveRecord | None:
    """Copies what is needed of a record, which the reader invalidates when it goes on; None where it is not plain."""
    length = int(record.content_length)
    kind = _NAMES.get(int(record.record_type))
    # FastWARC's own look-up takes longer than one in the header's bytes.
    if kind is None or length >= _NO_LENGTH or header.find(_TYPE) != header.find(_TYPES[kind]):
        return None
    if not header.startswith(b"%d\r\n" % length, header.find(_LENGTH) + len(_LENGTH)):
        return None
    is_page = kind in PAGE_TYPES
    content_type = _value(header, _CONTENT_TYPE) if has_typed_block(kind) else None
    target_uri = _value(header, _URI) if is_page else None
    payload_type = _value(header, _PAYLOAD_TYPE) if is_page else None
    if is_page and (target_uri is None or (payload_type is None and _OTHER_PAYLOAD_TYPE in header.lower())):
        return None
    if content_type is None and has_typed_block(kind):
        return None
    is_read = is_page or (content_type is not None and "json" in content_type.lower())
    reader = record.reader
    block = reader.read(min(length, max_block_bytes)) if is_read and length else b""
    taken = len(block) + (reader.consume(_ALL_BYTES) if len(block) < length else 0)
    if taken < length:
        return None
    return ArchiveRecord(
        offset=offset,
        record_type=kind,
        target_uri=target_uri,
        content_type=content_type,
        payload_type=payload_type,
        content_length=length,
        block=block,
        is_cut_short=is_read and length > max_block_bytes,
    )


def _value(header: bytes, name: bytes) -> str | None:
    """Finds the first value of a name, which is given with the line end before it; names in another case differ."""
    start = header.find(name)
    if start < 0:
        return None
    start += len(name)
    return header[start : header.find(b"\r\n", start)].decode("utf-8", "replace").strip()
