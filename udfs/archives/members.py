"""Finds the place after damage where records begin again: the next whole member, or the next plain header."""

import io
import re
from typing import NamedTuple

from udfs.archives.source import ARC_START, WARC_START, ArchiveSource
from udfs.sources.codecs import CHUNK_BYTES, Codec, CorruptStreamError, StreamDecompressor

_HEAD_BYTES = 2048


class Landmark(NamedTuple):
    """What is looked for: a pattern whose first group is where records may begin again.

    Attributes:
        pattern: Begins with bytes that stand for themselves, which makes looking for it fast; matches at
            most `_HEAD_BYTES` bytes.
        is_lower_case: Whether it is looked for in the bytes' lower case.
        bytes_before: Bytes of a match before its first group.
    """

    pattern: re.Pattern[bytes]
    is_lower_case: bool = False
    bytes_before: int = 0


_PLAIN_WARC = Landmark(re.compile(rb"(warc/\d\.\d{1,9}\r?\n)(?=[a-z-]{1,99}[ \t]{0,9}:)"), is_lower_case=True)
_PLAIN_ARC = Landmark(
    re.compile(rb"\n([a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ \d+\r?\n)"), is_lower_case=True, bytes_before=1
)


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


def inspect_member(stream: io.RawIOBase, codec: Codec, offset: int) -> Member:
    """Decompresses the member at an offset to its end and forgets the content."""
    stream.seek(offset)
    member = StreamDecompressor(codec)
    head, read = b"", 0
    while not member.is_complete:
        data = stream.read(CHUNK_BYTES if read else _HEAD_BYTES)
        if not data:
            return Member("truncated", offset + read, head)
        read += len(data)
        try:
            for part in member.parts(data):
                head += part[: _HEAD_BYTES - len(head)]
        except CorruptStreamError:
            return Member("corrupt", offset, head)
    return Member("complete", offset + read - len(member.unused), head)


def find_next_start(source: ArchiveSource, offset: int) -> int | None:
    """Finds where records begin again at or after an offset; None where they do not.

    That is the first whole member that starts with a record or, in a plain stream, the first text that looks like a
    record's first line (it need not begin a line: the record before may be cut off).
    """
    if source.codec is None:
        return find_bytes(source.stream, offset, _PLAIN_ARC if source.is_arc else _PLAIN_WARC)
    magic = Landmark(re.compile(b"(%s)" % re.escape(source.codec.magic)))
    is_start = ARC_START if source.is_arc else WARC_START
    while (found := find_bytes(source.stream, offset, magic)) is not None:
        member = inspect_member(source.stream, source.codec, found)
        if member.state == "complete" and is_start.match(member.head):
            return found
        offset = found + 1
    return None


def find_bytes(stream: io.RawIOBase, offset: int, landmark: Landmark) -> int | None:
    """Finds the offset of a landmark's first group at or after an offset, in bounded memory."""
    start = offset - 1  # the byte before belongs to the window, since a pattern may ask for the start of a line
    stream.seek(max(start, 0))
    window = b"" if offset else b"\n"
    while data := stream.read(CHUNK_BYTES):
        window += data
        place = _place_in(window, landmark)
        if place is not None and len(window) - place >= _HEAD_BYTES:
            return start + place
        dropped = (len(window) - 2 * _HEAD_BYTES if place is None else place) - 1
        if dropped > 0:
            window, start = window[dropped:], start + dropped
    place = _place_in(window, landmark)
    return None if place is None else start + place


def _place_in(window: bytes, landmark: Landmark) -> int | None:
    text = window.lower() if landmark.is_lower_case else window
    found = landmark.pattern.search(text, 1 - landmark.bytes_before)
    return found.start(1) if found else None
