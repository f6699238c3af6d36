"""The reference reader: WARC and ARC records one by one, by the standards' letter and what crawlers made of it.

Line ends of any kind, header names in any case, folded values. It never passes over bytes that belong to no record:
where something else follows a record, it raises.
"""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

from fastwarc.warc import HeaderMap

from udfs.archive_records import PAGE_TYPES, RECORD_TYPES, ArchiveRecord, FramingError, PartStream, has_typed_block
from udfs.archive_source import WARC_START, Codec
from udfs.member_reader import MemberReader

_LINE_BYTES = 65_536
_HEADER_BYTES = 65_536
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_ARC_LINE = re.compile(
    rb"\s*(?:filedesc:|[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ [^ \r\n]+[ \t]*\r?\n)", re.IGNORECASE
)
_ARC_FIELDS = 5
_ARC_DESCRIPTION_LINES = 2


class OpenedRecord(NamedTuple):
    """A record whose header has been read, see `ArchiveRecord`; the reader stands at its block, to be read."""

    record_type: str
    target_uri: str | None
    content_type: str | None
    payload_type: str | None
    content_length: int
    reader: MemberReader


def open_warc_records(part: PartStream, codec: Codec | None) -> Iterator[tuple[int, OpenedRecord]]:
    """Reads the records of a WARC archive. For arguments and errors see `open_arc_records`."""
    return _open_records(part, codec, WARC_START, _open_warc_record)


def open_arc_records(part: PartStream, codec: Codec | None) -> Iterator[tuple[int, OpenedRecord]]:
    """Reads the records of an ARC archive.

    Args:
        part: The archive, or what of it is still to be read; a record or member begins it.
        codec: The compression of its members; None for a plain archive.

    Yields:
        The offset of the record, or of the member that it is in, and the record.

    Raises:
        FramingError: What follows a record is neither white space nor a record.
        OSError: The bytes cannot be fetched; and what the codec raises for corrupt bytes.
    """
    return _open_records(part, codec, _ARC_LINE, _open_arc_record)


def take_record(opened: OpenedRecord, offset: int, *, max_block_bytes: int) -> ArchiveRecord:
    """Reads the block of a record, as far as it can hold a page.

    Args:
        opened: The record.
        offset: Where it begins in the archive.
        max_block_bytes: Cap for the part of its block that is read into memory.

    Returns:
        The record.
    """
    length = max(opened.content_length, 0)
    is_json = "json" in (opened.content_type or "").lower()
    is_read = opened.record_type in PAGE_TYPES or (opened.record_type == "metadata" and is_json)
    block = opened.reader.read(min(length, max_block_bytes)) if is_read else b""
    taken = len(block) + opened.reader.skip(length - len(block))
    return ArchiveRecord(
        offset=offset,
        record_type=opened.record_type,
        target_uri=opened.target_uri,
        content_type=opened.content_type,
        payload_type=opened.payload_type,
        content_length=opened.content_length,
        block=block,
        is_cut_short=is_read and length > max_block_bytes,
        is_truncated=taken < length,
    )


def _open_records(
    part: PartStream,
    codec: Codec | None,
    first_line: re.Pattern[bytes],
    open_record: Callable[[MemberReader, bytes], OpenedRecord],
) -> Iterator[tuple[int, OpenedRecord]]:
    reader = MemberReader(part, codec, first_line)
    is_there = True
    while is_there:
        while line := reader.read_line(_LINE_BYTES):
            if line.isspace():
                continue
            position = reader.start if codec else reader.position - len(line)
            if not first_line.match(line):
                raise FramingError(f"no record begins with {line[:100]!r}", position)
            try:
                opened = open_record(reader, line)
            except ValueError as error:
                raise FramingError(str(error), position) from None
            yield position, opened
        is_there = reader.next_member()


def _open_warc_record(reader: MemberReader, first_line: bytes) -> OpenedRecord:
    """Reads a WARC header.

    Raises:
        ValueError: It does not end.
    """
    lines = [first_line.strip()]
    left = _HEADER_BYTES
    while (line := reader.read_line(_LINE_BYTES)).strip(b"\r\n"):
        lines.append(line.rstrip(b"\r\n"))
        left -= len(line)
        if left < 0:
            raise ValueError(f"a header is longer than {_HEADER_BYTES} bytes")
    if not line:
        raise ValueError("a header is cut off")
    headers = HeaderMap()
    content: Any = BytesIO(b"\r\n".join(lines) + b"\r\n\r\n")
    headers.parse(content)

    def value(name: str) -> str | None:
        found = headers.get(name)
        return None if found is None else found.strip()

    kind = (value("WARC-Type") or "").lower()
    kind = kind if kind in RECORD_TYPES else "unknown"
    return OpenedRecord(
        record_type=kind,
        target_uri=value("WARC-Target-URI"),
        content_type=value("Content-Type") if has_typed_block(kind) else None,
        payload_type=value("WARC-Identified-Payload-Type") if kind in PAGE_TYPES else None,
        content_length=_length(value("Content-Length") or ""),
        reader=reader,
    )


def _open_arc_record(reader: MemberReader, line: bytes) -> OpenedRecord:
    """Reads the line that is an ARC record's header; of the file's own header also the two lines behind it.

    Raises:
        ValueError: It has too few fields.
    """
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        text = line.decode("latin-1").strip()
    # Only the URL may hold blanks.
    fields = text.rsplit(" ", _ARC_FIELDS - 1)
    if len(fields) != _ARC_FIELDS:
        raise ValueError(f"an ARC header has {_ARC_FIELDS} fields, not {text[:100]!r}")
    uri, _, _, content_type, stated = fields
    length = _length(stated)
    if not uri.lower().startswith("filedesc:"):
        return OpenedRecord("response", uri, content_type, None, length, reader)
    # Writers do not agree on whether the length counts these lines.
    described = sum(len(reader.read_line(_LINE_BYTES)) for _ in range(_ARC_DESCRIPTION_LINES))
    return OpenedRecord("arc_header", uri, content_type, None, max(length - described, 0), reader)


def _length(stated: str) -> int:
    return int(stated) if _LENGTH.fullmatch(stated) else -1
