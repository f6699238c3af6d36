"""Reads records over damage and on.

A reader ends at the end of a truncated archive and gives up at a corrupt member. So each run of records is followed by
a check of its last one, and by a search for the place where records begin again.
"""

import re
from collections.abc import Callable, Generator, Iterator
from typing import Any

from udfs.archives.members import find_next_start, inspect_member
from udfs.archives.record import ArchiveRecord, Damage
from udfs.archives.source import ArchiveReadError, ArchiveSource, FramingError, PartStream
from udfs.sources.codecs import CHUNK_BYTES, Codec, CorruptStreamError

_HEADER_BYTES = 65_536
_MAGIC_BYTES = 5
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\n")

ArchiveItems = Generator[ArchiveRecord | Damage, None, int | None]
"""Yields records and damage in the archive's order; returns where reading goes on, None at the end."""


OpenRecords = Callable[[PartStream, Codec | None], Iterator[tuple[int, Any]]]
"""Opens the records of a part of an archive, each with the offset in that part where it, or its member, begins."""


def iter_records_with_recovery(
    source: ArchiveSource,
    open_records: OpenRecords,
    take: Callable[[Any, int], ArchiveRecord],
    start: int | None = 0,
) -> Iterator[ArchiveRecord | Damage]:
    """Reads every complete record, before and after damage.

    Args:
        source: The archive.
        open_records: Opens records; raises `FramingError`, or an error of the codec, at damage.
        take: Reads an opened record that begins at an offset.
        start: Where reading begins; None reads nothing.

    Yields:
        Records and damaged parts in the archive's order.
    """
    while start is not None:
        start = yield from _read_run(source, start, open_records, take)


def _read_run(
    source: ArchiveSource, start: int, open_records: OpenRecords, take: Callable[[Any, int], ArchiveRecord]
) -> ArchiveItems:
    """Reads up to the next damage. A record is held back until the next one comes.

    Raises:
        ArchiveReadError: The bytes cannot be fetched.
    """
    offset, last, failed_at = start, None, None
    part = PartStream(source.stream, start)
    try:
        for position, opened in open_records(part, source.codec):
            if last is not None:
                yield last
            offset = max(start + position, last.offset + 1 if last else start)
            last = None
            last = take(opened, offset)
            if last.is_truncated:
                break
    except ArchiveReadError:
        raise
    except (FramingError, CorruptStreamError) as error:
        failed_at = start + error.position if isinstance(error, FramingError) else offset + 1
    if failed_at is not None or (last is not None and last.is_truncated):
        # What was only read ahead has not been looked at.
        source.effort.spend(offset, start + part.tell() - CHUNK_BYTES)
    return (yield from _finish_run(source, offset, last, failed_at))


def _finish_run(source: ArchiveSource, start: int, last: ArchiveRecord | None, failed_at: int | None) -> ArchiveItems:
    # `last` is the record not yet yielded; where there is none, `start` is where the unreadable record begins.
    if source.codec is not None:
        return (yield from _finish_members(source, start, last, failed_at))
    return (yield from _finish_plain(source, start, last, failed=failed_at is not None))


def _finish_members(
    source: ArchiveSource, start: int, last: ArchiveRecord | None, failed_at: int | None
) -> ArchiveItems:
    assert source.codec is not None
    if last is None:
        return (yield from _skip_damage(source, start, start if failed_at is None else start + 1))
    member = inspect_member(source.stream, source.codec, last.offset)
    if member.state == "complete" and failed_at is None and not last.is_truncated:
        yield last
        return None
    if member.state == "complete":
        if failed_at is None or failed_at > last.offset:
            yield last
        elif last.content_length < 0:
            yield last
            yield Damage("archive.corrupt", last.offset, member.end)
        else:
            # What follows the block in its member is the rest of it.
            yield last._replace(is_truncated=True)
        return (yield from _skip_damage(source, member.end, member.end))
    if not _starts_member(source, last.offset):
        yield last
        return None if failed_at is None else (yield from _skip_damage(source, last.offset + 1, last.offset + 1))
    if member.state == "truncated":
        yield last
    return (yield from _skip_damage(source, last.offset, last.offset + 1))


def _finish_plain(source: ArchiveSource, start: int, last: ArchiveRecord | None, *, failed: bool) -> ArchiveItems:
    if last is None:
        return (yield from _skip_damage(source, start, start + 1)) if failed else None
    if not failed and not last.is_truncated:
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
    if next_start is not None and not rest[: next_start - damage_start].strip():
        return next_start
    is_truncated = next_start is None and _is_cut_record(source, damage_start, rest)
    yield Damage("archive.truncated" if is_truncated else "archive.corrupt", damage_start, next_start)
    return next_start


def _is_cut_record(source: ArchiveSource, offset: int, rest: bytes) -> bool:
    """Tells whether the rest of an archive is the beginning of a record or member that the end cuts off."""
    if source.codec is None:
        start = rest.lstrip()[:_MAGIC_BYTES]
        return source.is_arc or start.upper() == b"WARC/"[: len(start)]
    is_magic = rest[: len(source.codec.magic)] == source.codec.magic[: len(rest)]
    return is_magic and inspect_member(source.stream, source.codec, offset).state == "truncated"


def _starts_member(source: ArchiveSource, offset: int) -> bool:
    assert source.codec is not None
    source.stream.seek(offset)
    return source.stream.read(len(source.codec.magic)) == source.codec.magic


def _block_end(source: ArchiveSource, record: ArchiveRecord) -> int:
    source.stream.seek(record.offset)
    header = source.stream.read(_HEADER_BYTES)
    end = (_LINE_END if source.is_arc else _HEADER_END).search(header)
    return record.offset + (end.end() if end else 0) + max(record.content_length, 0)
