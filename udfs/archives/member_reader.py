"""Lines and blocks of the decompressed bytes of a file, member by member, in bounded memory."""

import re
from collections.abc import Iterator
from contextlib import suppress

from udfs.archives.source import PartStream
from udfs.sources.codecs import CHUNK_BYTES, Codec, CorruptStreamError, StreamDecompressor

_HEAD_BYTES = 2048


class MemberReader:
    """Reads one member after another; a plain stream counts as one member.

    Attributes:
        start: Offset of the member in the stream.
    """

    def __init__(self, stream: PartStream, codec: Codec | None, record_start: re.Pattern[bytes]) -> None:
        """Starts at the stream's next byte, which becomes offset 0; `record_start` matches a record's first bytes."""
        self.start = 0
        self._stream = stream
        self._codec = codec
        self._record_start = record_start
        self._member = StreamDecompressor(codec) if codec else None
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

    @property
    def is_cut_off(self) -> bool:
        """Whether the stream ended inside the present member."""
        return self._member is not None and not self._member.is_complete

    def next_member(self) -> bool:
        """Goes on to the member behind the present one, which must have been read to its end, if there is one."""
        if self._codec is None or self._member is None or not self._member.is_complete:
            return False
        packed = self._member.unused.lstrip(b"\0")
        while not packed:
            packed = self._read_packed()
            if not packed:
                return False
            packed = packed.lstrip(b"\0")
        self._packed, self.start = packed, self._packed_end - len(packed)
        self._member = StreamDecompressor(self._codec)
        self._parts, self._ready, self._at, self._taken = iter(()), b"", 0, 0
        return True

    def skip_space(self) -> None:
        """Passes over white space, up to the end of the member."""
        is_there = True
        while is_there and self._ready[self._at : self._at + 1].strip() == b"":
            self._at = len(self._ready) - len(self._ready[self._at :].lstrip())
            is_there = self._at < len(self._ready) or self._fill()

    def peek(self, size: int) -> bytes:
        """Shows the member's next bytes; fewer only where it ends, or is corrupt behind them."""
        with suppress(CorruptStreamError):
            while len(self._ready) - self._at < size and self._fill():
                pass
        return self._ready[self._at : self._at + size]

    def skip_rest(self, limit: int) -> bool:
        """Passes over the rest of the member; false, somewhere in it, where that is more than `limit` bytes."""
        while self._at < len(self._ready) or self._fill():
            step = min(limit, len(self._ready) - self._at)
            self._at += step
            limit -= step
            if self._at < len(self._ready):
                return False
        return True

    def read_line(self, limit: int, *, in_header: bool = False) -> bytes:
        """Reads up to and with the next LF, `limit` bytes at most; nothing at the end of the member.

        In a header a line belongs to what was read before it, and may go on in the next member.
        """
        line = self._line_in_member(limit)
        while (line or in_header) and not line.endswith(b"\n") and len(line) < limit:
            if not self._goes_on_in_next_member():
                break
            line += self._line_in_member(limit - len(line))
        return line

    def _line_in_member(self, limit: int) -> bytes:
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
        """Some writers cut members anywhere: tells whether the next one goes on with a record, or begins another."""
        while self.next_member():
            while len(self._ready) < _HEAD_BYTES and self._fill():
                pass
            if self._ready:
                return self._record_start.match(self._ready) is None
        return False

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
        packed = self._stream.read(CHUNK_BYTES)
        self._packed_end += len(packed)
        return packed
