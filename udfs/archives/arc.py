"""Reads the records of an ARC archive (the form before WARC), over damage and on."""

import re
from collections.abc import Iterator
from functools import partial

from udfs.archives.member_reader import MemberReader
from udfs.archives.record import ArchiveRecord, Damage
from udfs.archives.record_reader import LINE_BYTES, OpenedRecord, length_of, open_records, take_record
from udfs.archives.recovery import iter_records_with_recovery
from udfs.archives.source import ArchiveSource, PartStream
from udfs.sources.codecs import Codec

_ARC_LINE = re.compile(rb"\s*(?:filedesc:|[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} )", re.IGNORECASE)
_ARC_DATE = re.compile(r"\d{12,18}", re.ASCII)
_DESCRIPTION_LINES = 2


def read_arc_records(source: ArchiveSource, *, max_block_bytes: int) -> Iterator[ArchiveRecord | Damage]:
    """Reads the records of an ARC archive; see `read_archive`."""
    take = partial(take_record, max_block_bytes=max_block_bytes)
    return iter_records_with_recovery(source, _open_arc_records, take)


def _open_arc_records(part: PartStream, codec: Codec | None) -> Iterator[tuple[int, OpenedRecord]]:
    return open_records(part, codec, _ARC_LINE, _open_arc_record)


def _open_arc_record(reader: MemberReader, line: bytes) -> OpenedRecord:
    """Reads the line that is an ARC record's header; of the file's own header also the two lines behind it.

    Raises:
        ValueError: It has too few fields.
    """
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        text = line.decode("latin-1").strip()
    # URL, IP, date, type, length; version 2 has more fields before the length. URL and type may hold blanks.
    fields = text.split(" ")
    date = next((place for place, field in enumerate(fields) if place > 1 and _ARC_DATE.fullmatch(field)), None)
    if date is None or date + 1 >= len(fields):
        raise ValueError(f"an ARC header has URL, IP, date, type and length, not {text[:100]!r}")
    uri, length = " ".join(fields[: date - 1]), length_of(fields[-1])
    content_type = fields[date + 1] if date + 1 < len(fields) - 1 else ""
    if not uri.lower().startswith("filedesc:"):
        return OpenedRecord("response", uri, content_type, None, length, reader)
    # Writers do not agree on whether the length counts these lines.
    described = sum(len(reader.read_line(LINE_BYTES)) for _ in range(_DESCRIPTION_LINES))
    return OpenedRecord("arc_header", uri, content_type, None, max(length - described, 0), reader)
