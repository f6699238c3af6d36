"""Finds the place after damage where records begin again: the next whole member, or the next plain header."""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from udfs.archives.source import ARC_START, WARC_START, ArchiveSource
from udfs.sources.codecs import CHUNK_BYTES, Codec, CorruptStreamError, StreamDecompressor

_HEAD_BYTES = 2048
_FIRST_BYTES = 64


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
        read_end: Offset up to which it was decompressed, without the last bytes read if they are corrupt.
    """

    state: str
    end: int
    head: bytes
    read_end: int


def inspect_member(
    stream: io.RawIOBase, codec: Codec, offset: int, wanted_start: re.Pattern[bytes] | None = None
) -> Member:
    """Decompresses the member at an offset and forgets the content.

    Args:
        stream: The archive.
        codec: How the member is compressed.
        offset: Where it begins.
        wanted_start: Matches the first bytes of what is looked for: of a member that begins otherwise no more is
            decompressed than shows it, and it counts as corrupt.

    Returns:
        The member.
    """
    stream.seek(offset)
    member = StreamDecompressor(codec)
    head, read = b"", 0
    while not member.is_complete:
        # As much again as before, so that of a member that soon shows to be none little is read.
        data = stream.read(min(max(read, _FIRST_BYTES), CHUNK_BYTES))
        if not data:
            return Member("truncated", offset + read, head, offset + read)
        read += len(data)
        try:
            for part in member.parts(data):
                head += part[: _HEAD_BYTES - len(head)]
        except CorruptStreamError:
            return Member("corrupt", offset, head, offset + read - len(data))
        if wanted_start and len(head) >= _HEAD_BYTES and not wanted_start.match(head):
            return Member("corrupt", offset, head, offset + read)
    end = offset + read - len(member.unused)
    return Member("complete", end, head, end)


def find_next_start(source: ArchiveSource, offset: int) -> int | None:
    """Finds where records begin again at or after an offset; None where they do not.

    That is the first whole member that starts with a record or, in a plain stream, the first text that looks like a
    record's first line (it need not begin a line: the record before may be cut off).
    """
    offset = max(offset, source.effort.search_start)
    if source.codec is None:
        return find_bytes(source.stream, offset, _PLAIN_ARC if source.is_arc else _PLAIN_WARC)
    is_start = ARC_START if source.is_arc else WARC_START
    for found in _places(source.stream, offset, source.codec.magic):
        if found < source.effort.search_start:
            continue
        member = inspect_member(source.stream, source.codec, found, is_start)
        if member.state == "complete" and is_start.match(member.head):
            return found
        source.effort.spend(found, member.read_end)
    return None


def _places(stream: io.RawIOBase, offset: int, magic: bytes) -> Iterator[int]:
    """Finds where some bytes stand from an offset on; the stream may be moved meanwhile."""
    window = b""
    while True:
        stream.seek(offset + len(window))
        data = stream.read(CHUNK_BYTES)
        if not data:
            return
        window += data
        place = window.find(magic)
        while place >= 0:
            yield offset + place
            place = window.find(magic, place + 1)
        passed = max(len(window) - len(magic) + 1, 0)
        window, offset = window[passed:], offset + passed


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
