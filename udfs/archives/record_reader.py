"""The reference reader: records one by one, by the standards' letter and what crawlers made of it.

Line ends of any kind, header names in any case, folded values. It never passes over bytes that belong to no record:
where something else follows a record, it raises.
"""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

from udfs.archives.member_reader import MemberReader
from udfs.archives.record import PAGE_TYPES, RECORD_TYPES, ArchiveRecord, has_typed_block
from udfs.archives.source import WARC_START, FramingError, PartStream
from udfs.sources.codecs import Codec

LINE_BYTES = 65_536
HEADER_BYTES = 65_536
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_VERSION = re.compile(rb"[^:]*WARC/\d", re.IGNORECASE)


class OpenedRecord(NamedTuple):
    """A record whose header has been read, see `ArchiveRecord`; the reader stands at its block, to be read.

    `member` is the offset of the member that begins with the record; None where none does.
    """

    record_type: str
    target_uri: str | None
    content_type: str | None
    payload_type: str | None
    content_length: int
    reader: MemberReader
    member: int | None = None


def open_warc_records(part: PartStream, codec: Codec | None) -> Iterator[tuple[int, OpenedRecord]]:
    """Reads the records of a WARC archive; see `open_records`."""
    return open_records(part, codec, WARC_START, _open_warc_record)


def take_record(opened: OpenedRecord, offset: int, *, max_block_bytes: int) -> ArchiveRecord:
    """Reads the block of a record that begins at an offset, as far as it can hold a page."""
    length = max(opened.content_length, 0)
    is_json = "json" in (opened.content_type or "").lower()
    is_read = opened.record_type in PAGE_TYPES or (opened.record_type == "metadata" and is_json)
    wanted = min(length, max_block_bytes) if is_read else 0
    block = opened.reader.read(wanted)
    # Behind a block that ends early another record stands.
    taken = len(block) + (opened.reader.skip(length - wanted) if len(block) == wanted else 0)
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
        begins_member=opened.member == offset,
    )


def read_whole_record(content: bytes, offset: int, *, max_block_bytes: int) -> ArchiveRecord:
    """Reads the one WARC record that decompressed bytes hold, and which begins at an offset of its archive.

    Raises:
        FramingError: There is none.
    """
    stream: Any = BytesIO(content)
    _, opened = next(open_warc_records(PartStream(stream, 0), None))
    return take_record(opened, offset, max_block_bytes=max_block_bytes)


def open_records(
    part: PartStream,
    codec: Codec | None,
    first_line: re.Pattern[bytes],
    open_record: Callable[[MemberReader, bytes], OpenedRecord],
) -> Iterator[tuple[int, OpenedRecord]]:
    """Reads the records of an archive.

    Args:
        part: The archive, or what of it is still to be read; a record or member begins it.
        codec: The compression of its members; None for a plain archive.
        first_line: Matches the first line of a record.
        open_record: Reads a record's header, of which it is given the first line.

    Yields:
        The offset of the record, or of the member that it is in, and the record.

    Raises:
        FramingError: What follows a record is neither white space nor a record.
        OSError: The bytes cannot be fetched.
        CorruptStreamError: A member is corrupt.
    """
    reader = MemberReader(part, codec, first_line)
    is_there = True
    while is_there:
        reader.skip_space()
        begins_member = codec is not None and reader.position == 0
        position = reader.start if codec else reader.position
        line = reader.read_line(LINE_BYTES)
        if not line:
            is_there = reader.next_member()
            continue
        if not first_line.match(line):
            raise FramingError(f"no record begins with {line[:100]!r}", position)
        try:
            opened = open_record(reader, line)
        except ValueError as error:
            raise FramingError(str(error), position) from None
        yield position, opened._replace(member=part.offset + position) if begins_member else opened
    if reader.is_cut_off:
        raise FramingError("a member is cut off", reader.start)


def _open_warc_record(reader: MemberReader, first_line: bytes) -> OpenedRecord:
    """Reads a WARC header.

    Raises:
        ValueError: It does not end, or another record begins inside it.
    """
    del first_line
    lines: list[bytes] = []
    left = HEADER_BYTES
    while (line := reader.read_line(LINE_BYTES, in_header=True)).strip(b"\r\n"):
        lines.append(line)
        left -= len(line)
        if left < 0:
            raise ValueError(f"a header is longer than {HEADER_BYTES} bytes")
        if _VERSION.match(line):
            raise ValueError("a header is cut off by another record")
    if not line:
        raise ValueError("a header is cut off")
    fields = _fields(lines)
    kind = (fields.get("warc-type") or "").lower()
    kind = kind if kind in RECORD_TYPES else "unknown"
    return OpenedRecord(
        record_type=kind,
        target_uri=fields.get("warc-target-uri"),
        content_type=fields.get("content-type") if has_typed_block(kind) else None,
        payload_type=fields.get("warc-identified-payload-type") if kind in PAGE_TYPES else None,
        content_length=length_of(fields.get("content-length", "")),
        reader=reader,
    )


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Gives the first value of each name, in lower case; folds of a value are joined by a blank."""
    fields: dict[bytes, list[bytes]] = {}
    parts: list[bytes] = []
    for line in lines:
        if line[:1] in {b" ", b"\t"}:
            parts.append(line.strip())
            continue
        name, _, value = line.partition(b":")
        parts = [value.strip()]
        fields.setdefault(name.strip().lower(), parts)
    values = {name: b" ".join(filter(None, parts)) for name, parts in fields.items()}
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in values.items()}


def length_of(stated: str) -> int:
    """Reads a Content-Length; -1 where it is no number."""
    return int(stated) if _LENGTH.fullmatch(stated) else -1
