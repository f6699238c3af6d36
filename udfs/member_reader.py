"""Lines and blocks of the decompressed bytes of a file, member by member, in bounded memory."""

import re
from collections.abc import Iterator

from udfs.archive_records import PartStream
from udfs.archive_source import READ_BYTES, Codec, MemberDecompressor

_HEAD_BYTES = 2048


class MemberReader:
    """Reads one member after another; a plain stream counts as one member.

    Attributes:
        start: Offset of the member in the stream.
    """

    def __init__(self, stream: PartStream, codec: Codec | None, record_start: re.Pattern[bytes]) -> None:
        """Starts at the stream's next byte, which becomes offset 0, with the first member.

        Args:
            stream: The members.
            codec: Their compression; None for a plain stream.
            record_start: Matches the first bytes of a record.
        """
        self.start = 0
        self._stream = stream
        self._codec = codec
        self._record_start = record_start
        self._member = MemberDecompressor(codec) if codec else None
        self._packed = b""
        self._packed_end = 0
        self._parts: Iterator[bytes] = iter(())
        self._ready = b""
        self._at = 0
        self._taken = 0

    @property
    def position(self) -> int:
        """Offset of the next byte within the decompressed member."""
        return self._taken + self._at

    def next_member(self) -> bool:
        """Goes on to the member behind the present one, which must have been read to its end.

        Returns:
            False where there is none.
        """
        if self._codec is None or self._member is None or not self._member.is_complete:
            return False
        # What is no member, such as padding, is left to whoever looks at the end of an archive.
        self._packed = self._member.unused or self._read_packed()
        if not self._packed:
            return False
        self.start = self._packed_end - len(self._packed)
        self._member = MemberDecompressor(self._codec)
        self._parts, self._ready, self._at, self._taken = iter(()), b"", 0, 0
        return True

    def read_line(self, limit: int) -> bytes:
        """Reads up to and with the next LF.

        Args:
            limit: Bytes of the longest line; of a longer one this much is read.

        Returns:
            The line; empty at the end of the member.
        """
        searched = self._at
        while (end := self._ready.find(b"\n", searched, self._at + limit)) < 0 and len(self._ready) - self._at < limit:
            searched = len(self._ready) - self._at
            if not self._fill():
                break
        size = min(limit, (end + 1 if end >= 0 else len(self._ready)) - self._at)
        self._at += size
        return self._ready[self._at - size : self._at]

    def read(self, size: int) -> bytes:
        """Reads bytes of a record's block; fewer only where it is cut off, or another record begins with a member."""
        return b"".join(self._take(size))

    def skip(self, size: int) -> int:
        """Passes over what `read` would read; returns how many bytes there were."""
        return sum(map(len, self._take(size)))

    def _take(self, size: int) -> Iterator[bytes]:
        while size > 0 and (self._at < len(self._ready) or self._fill() or self._goes_on_in_next_member()):
            part = self._ready[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            yield part

    def _goes_on_in_next_member(self) -> bool:
        """Some writers cut members anywhere: tells whether the next one goes on with a block, not with a record."""
        if not self.next_member():
            return False
        while len(self._ready) < _HEAD_BYTES and self._fill():
            pass
        return bool(self._ready) and self._record_start.match(self._ready) is None

    def _fill(self) -> bool:
        """Adds decompressed bytes to those that are ready; tells whether there were any."""
        part = self._next_part()
        self._taken += self._at
        self._ready, self._at = self._ready[self._at :] + part, 0
        return bool(part)

    def _next_part(self) -> bytes:
        if self._member is None:
            return self._read_packed()
        while not (part := next(self._parts, b"")) and not self._member.is_complete:
            packed = self._packed or self._read_packed()
            self._packed = b""
            if not packed:
                break
            self._parts = self._member.parts(packed)
        return part

    def _read_packed(self) -> bytes:
        packed = self._stream.read(READ_BYTES)
        self._packed_end += len(packed)
        return packed
