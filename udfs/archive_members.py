"""Finds the place after damage where records begin again: the next whole member, or the next plain header."""

import re
from typing import NamedTuple

from udfs.archive_source import (
    ARC_START,
    READ_BYTES,
    WARC_START,
    ArchiveSource,
    ByteStream,
    Codec,
    MemberDecompressor,
)

_HEAD_BYTES = 2048
_PLAIN_WARC = re.compile(rb"WARC/\d\.\d{1,9}\r?\n(?=[A-Za-z-]{1,99}[ \t]{0,9}:)", re.IGNORECASE)
_PLAIN_ARC = re.compile(rb"(?<=\n)[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ \d+\r?\n", re.IGNORECASE)


class Member(NamedTuple):
    """One compressed member.

    Attributes:
        state: "complete", "truncated" (the file ends inside it) or "corrupt".
        end: Offset of the byte after it; the start of the member if it is corrupt.
        head: Its first decompressed bytes.
    """

    state: str
    end: int
    head: bytes


def inspect_member(stream: ByteStream, codec: Codec, offset: int) -> Member:
    """Decompresses one member to its end and forgets the content.

    Args:
        stream: A stream of members.
        codec: Their compression.
        offset: Where the member starts.

    Returns:
        Its state, end and first bytes.
    """
    stream.seek(offset)
    member = MemberDecompressor(codec)
    head, read = b"", 0
    while not member.is_complete:
        data = stream.read(READ_BYTES if read else _HEAD_BYTES)
        if not data:
            return Member("truncated", offset + read, head)
        read += len(data)
        try:
            for part in member.parts(data):
                head += part[: _HEAD_BYTES - len(head)]
        except codec.errors:
            return Member("corrupt", offset, head)
    return Member("complete", offset + read - len(member.unused), head)


def find_next_start(source: ArchiveSource, offset: int) -> int | None:
    """Finds where records begin again.

    Args:
        source: The archive.
        offset: Where the search begins.

    Returns:
        The offset of the first whole member that starts with a record or, in a plain stream, of the first text that
        looks like a record's first line (it need not begin a line: the record before may be cut off); None where
        there is none.
    """
    if source.codec is None:
        return find_bytes(source.stream, offset, _PLAIN_ARC if source.is_arc else _PLAIN_WARC)
    magic, is_start = re.compile(re.escape(source.codec.magic)), ARC_START if source.is_arc else WARC_START
    while (found := find_bytes(source.stream, offset, magic)) is not None:
        member = inspect_member(source.stream, source.codec, found)
        if member.state == "complete" and is_start.match(member.head):
            return found
        offset = found + 1
    return None


def find_bytes(stream: ByteStream, offset: int, pattern: re.Pattern[bytes]) -> int | None:
    """Finds the first match of a pattern at or after an offset, in bounded memory.

    Args:
        stream: Where to look.
        offset: Where to begin.
        pattern: Matches at most `_HEAD_BYTES` bytes.

    Returns:
        The offset of the match, or None.
    """
    start = offset - 1  # the byte before belongs to the window, since a pattern may ask for the start of a line
    stream.seek(max(start, 0))
    window = b"" if offset else b"\n"
    while data := stream.read(READ_BYTES):
        window += data
        found = pattern.search(window, 1)
        if found and len(window) - found.start() >= _HEAD_BYTES:
            return start + found.start()
        dropped = (found.start() if found else len(window) - 2 * _HEAD_BYTES) - 1
        if dropped > 0:
            window, start = window[dropped:], start + dropped
    found = pattern.search(window, 1)
    return start + found.start() if found else None
