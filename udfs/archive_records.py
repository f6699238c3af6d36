"""One record of an archive, and how records are read over damage and on, whichever library reads them.

The libraries end a truncated archive without a word and give up at a corrupt member. So each run of records is
followed by a check of its last one, and by a search for the place where records begin again.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

from udfs.archive_members import find_next_start, inspect_member
from udfs.archive_source import ArchiveReadError, ArchiveSource, ByteStream

_HEADER_BYTES = 65_536
_MAGIC_BYTES = 5
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\n")


class ArchiveRecord(NamedTuple):
    """One record, with what tells whether and where it holds a page.

    Attributes:
        offset: Byte offset of the record in the archive; within what is decompressed where the archive is compressed
            as a whole. Offsets grow from record to record.
        record_type: WARC-Type in lower case, "arc_header", or "unknown".
        target_uri: The target URI as written, or None; read only of records that can hold a page or are damaged.
        content_type: Content-Type of the block, or None; read only of records whose block it describes: resources and
            metadata.
        payload_type: WARC-Identified-Payload-Type, or None; read only of records that can hold a page.
        content_length: Bytes that the header promises; -1 where it does not say.
        block: The block, empty for types that hold neither page nor WAT.
        is_cut_short: True where the block is larger than the cap for a record, and only its start was read.
        is_truncated: True where the archive ends, or another record begins, inside the block.
    """

    offset: int
    record_type: str
    target_uri: str | None = None
    content_type: str | None = None
    payload_type: str | None = None
    content_length: int = 0
    block: bytes = b""
    is_cut_short: bool = False
    is_truncated: bool = False


class Damage(NamedTuple):
    """A part of an archive that holds no readable record.

    Attributes:
        reason: `archive.truncated` or `archive.corrupt`.
        start: Offset of its first byte.
        end: Offset of the byte after it; None for the rest of the archive.
    """

    reason: str
    start: int
    end: int | None


ArchiveItems = Generator[ArchiveRecord | Damage, None, int | None]
"""Yields records and damage in the archive's order; returns where reading goes on, None at the end."""


class PartStream:
    """Hands the part of a stream from an offset on to a reader as if it were the whole."""

    def __init__(self, stream: ByteStream, offset: int) -> None:
        """Moves the stream to the offset, which becomes 0."""
        self._stream = stream
        self._position = 0
        stream.seek(offset)

    def read(self, size: int = -1, /) -> bytes:
        """Reads as the stream below does."""
        data = self._stream.read(size)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """Returns the offset within the part."""
        return self._position


OpenRecords = Callable[[PartStream], Iterable[tuple[int, Any]]]
"""Reads a library's records, each with the offset where it begins in the stream given."""


def read_over_damage(
    source: ArchiveSource,
    open_records: OpenRecords,
    take: Callable[[Any, int], ArchiveRecord],
    *,
    reader_errors: type[Exception],
) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: The archive.
        open_records: Starts the library's reader.
        take: Copies what is needed of a library's record that begins at an offset, before the library goes on.
        reader_errors: What the library raises at damage.

    Yields:
        Records and damaged parts in the archive's order.
    """
    start: int | None = 0
    while start is not None:
        start = yield from _read_run(source, start, open_records, take, reader_errors)


def _read_run(
    source: ArchiveSource,
    start: int,
    open_records: OpenRecords,
    take: Callable[[Any, int], ArchiveRecord],
    reader_errors: type[Exception],
) -> ArchiveItems:
    """Reads up to the next damage. A record is held back until the next one comes.

    Raises:
        ArchiveReadError: The bytes cannot be fetched.
    """
    offset, last, failed = start, None, False
    try:
        for position, record in open_records(PartStream(source.stream, start)):
            if last is not None:
                yield last
            offset = max(start + position, last.offset + 1 if last else start)
            last = None
            last = take(record, offset)
            if last.is_truncated:
                break
    except ArchiveReadError:
        raise
    except reader_errors:
        failed = True
    return (yield from _finish_run(source, offset, last, failed=failed))


def _finish_run(source: ArchiveSource, start: int, last: ArchiveRecord | None, *, failed: bool) -> ArchiveItems:
    # `last` is the record not yet yielded; where there is none, `start` is where the unreadable record begins.
    if source.codec is not None:
        return (yield from _finish_members(source, start, last, failed=failed))
    return (yield from _finish_plain(source, start, last, failed=failed))


def _finish_members(source: ArchiveSource, start: int, last: ArchiveRecord | None, *, failed: bool) -> ArchiveItems:
    assert source.codec is not None
    if last is None:
        return (yield from _skip_damage(source, start, start if not failed else start + 1))
    member = inspect_member(source.stream, source.codec, last.offset)
    if member.state == "complete":
        next_start = find_next_start(source, member.end) if failed or last.is_truncated else None
        # The next member is good, so what could not be read stands in this one, after or instead of its block.
        is_wrong_length = next_start == member.end
        yield last._replace(is_truncated=True) if is_wrong_length else last
        return next_start if is_wrong_length else (yield from _skip_damage(source, member.end, member.end))
    if not _starts_member(source, last.offset):
        yield last
        return (yield from _skip_damage(source, last.offset + 1, last.offset + 1)) if failed else None
    if member.state == "truncated":
        yield last
    return (yield from _skip_damage(source, last.offset, last.offset + 1))


def _finish_plain(source: ArchiveSource, start: int, last: ArchiveRecord | None, *, failed: bool) -> ArchiveItems:
    if last is None:
        return (yield from _skip_damage(source, start, start + 1)) if failed else None
    if not failed and not last.is_truncated:
        if last.content_length < 0 and _is_header_cut(source, last.offset):
            return (yield from _skip_damage(source, last.offset, last.offset + 1))
        yield last
        return None
    end = _block_end(source, last)
    next_start = find_next_start(source, last.offset + 1)
    if next_start is not None and next_start < end:
        yield last._replace(is_truncated=True)
        return next_start
    yield last
    damage_start = last.offset if last.is_truncated else end
    return (yield from _skip_damage(source, damage_start, max(end, last.offset + 1)))


def _skip_damage(source: ArchiveSource, damage_start: int, search_start: int) -> ArchiveItems:
    """Yields the damage from an offset up to where records begin again; none where only white space is left."""
    source.stream.seek(damage_start)
    rest = source.stream.read(_HEADER_BYTES)
    if not rest.strip():
        return None
    next_start = find_next_start(source, search_start)
    if next_start == damage_start:
        return next_start
    is_truncated = next_start is None and _is_cut_record(source, damage_start, rest)
    yield Damage("archive.truncated" if is_truncated else "archive.corrupt", damage_start, next_start)
    return next_start


def _is_cut_record(source: ArchiveSource, offset: int, rest: bytes) -> bool:
    """Tells whether the rest of an archive is the beginning of a record or member that the end cuts off."""
    if source.codec is None:
        start = rest.lstrip()[:_MAGIC_BYTES]
        return source.is_arc or start == b"WARC/"[: len(start)]
    is_magic = rest[: len(source.codec.magic)] == source.codec.magic[: len(rest)]
    return is_magic and inspect_member(source.stream, source.codec, offset).state == "truncated"


def _is_header_cut(source: ArchiveSource, offset: int) -> bool:
    source.stream.seek(offset)
    return _HEADER_END.search(source.stream.read(_HEADER_BYTES)) is None


def _starts_member(source: ArchiveSource, offset: int) -> bool:
    assert source.codec is not None
    source.stream.seek(offset)
    return source.stream.read(len(source.codec.magic)) == source.codec.magic


def _block_end(source: ArchiveSource, record: ArchiveRecord) -> int:
    source.stream.seek(record.offset)
    header = source.stream.read(_HEADER_BYTES)
    end = (_LINE_END if source.is_arc else _HEADER_END).search(header)
    return record.offset + (end.end() if end else 0) + max(record.content_length, 0)
