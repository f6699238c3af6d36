"""The byte streams of an archive: guarded against faults of transport, decompressed, or a part of another."""

import io
import os
import re
from collections import deque
from dataclasses import dataclass, field

from udfs.sources.codecs import CHUNK_BYTES, Codec
from udfs.sources.compression import Fault, decompressed, read_chunks
from udfs.sources.stream import ByteStream

_RECENT_BYTES = 2 * 1024 * 1024
"""FastWARC decodes up to a MiB ahead of the record that it gives."""

WARC_START = re.compile(rb"\s*WARC/\d", re.IGNORECASE)
ARC_START = re.compile(rb"\s*(?:filedesc://|[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ -?\d+\r?\n)", re.IGNORECASE)


class ArchiveReadError(OSError):
    """The bytes of an archive could not be fetched: a fault of transport, not of the archive."""


class NotAnArchiveError(ValueError):
    """A file that holds no records.

    Attributes:
        reason: `archive.error_page` for XML or HTML, else `archive.not_an_archive`.
        example: Its first characters.
    """

    def __init__(self, reason: str, start: bytes) -> None:
        """Takes the reason and the file's first bytes."""
        self.reason = reason
        self.example = start[:200].decode("latin-1")
        super().__init__(f"{reason}: {self.example!r}")


class DictionaryError(ValueError):
    """The dictionary with which an archive is compressed cannot be used."""


class FramingError(OSError):
    """Bytes that belong to no record.

    Attributes:
        position: Where they begin, or the member that they are in.
    """

    def __init__(self, message: str, position: int) -> None:
        """Takes what was seen, and where."""
        super().__init__(message)
        self.position = position


class GuardedStream(ByteStream):
    """Turns every error of the stream below into an `ArchiveReadError` and notices a stream that ends early."""

    def __init__(self, stream: io.RawIOBase, size: int) -> None:
        """Takes the stream and the size that it should have."""
        self._stream = stream
        self._size = size
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """See `io.RawIOBase`."""
        try:
            data: bytes = self._stream.read(size)
        except Exception as error:
            raise ArchiveReadError(f"reading failed at byte {self._position}: {error!r}") from error
        self._position += len(data)
        if not data and size != 0 and self._position < self._size:
            raise ArchiveReadError(f"the stream ended at byte {self._position} of {self._size}")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `io.IOBase`."""
        try:
            self._position = self._stream.seek(offset, whence)
        except Exception as error:
            raise ArchiveReadError(f"seeking to byte {offset} failed: {error!r}") from error
        return self._position


class DecompressedStream(ByteStream):
    """The decoded bytes of a stream. Moving backwards decompresses from the start again.

    Attributes:
        damage: "truncated" or "corrupt" where decompression had to stop early, else None.
    """

    def __init__(self, stream: io.RawIOBase, codec: Codec) -> None:
        """Begins at the first decoded byte."""
        self.damage: str | None = None
        self._stream = stream
        self._codec = codec
        self._restart()

    def _restart(self) -> None:
        self._parts = decompressed(read_chunks(self._stream), self._codec)
        self._ready, self._at, self._position = b"", 0, 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads decoded bytes; the end of the stream is also where damage begins."""
        wanted = size if size >= 0 else 1 << 62
        parts: list[bytes] = []
        while wanted > 0 and (self._at < len(self._ready) or self._load()):
            part = self._ready[self._at : self._at + wanted]
            self._at += len(part)
            self._position += len(part)
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _load(self) -> bool:
        part = next(self._parts, b"")
        if isinstance(part, Fault):
            self.damage = "truncated" if part.reason == "truncated" else "corrupt"
            self._parts = iter(())
            part = b""
        self._ready, self._at = part, 0
        return bool(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves to an offset from the start of the decoded bytes, or to their end where that comes first."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only offsets from the start")
        if offset < self._position:
            self._restart()
        while self._position < offset and self.read(min(CHUNK_BYTES, offset - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._position


class PartStream(ByteStream):
    """Hands the part of a stream from an offset on to a reader as if it were the whole.

    Attributes:
        offset: The part's first byte in the stream.
    """

    def __init__(self, stream: io.RawIOBase, offset: int) -> None:
        """Moves the stream to the offset, which becomes 0."""
        self.offset = offset
        self._stream = stream
        self._position = 0
        self._recent: deque[bytes] = deque()
        self._recent_start = 0
        stream.seek(offset)

    def read(self, size: int = -1, /) -> bytes:
        """Reads as the stream below does."""
        data: bytes = self._stream.read(size)
        self._position += len(data)
        self._recent.append(data)
        while self._position - self._recent_start > _RECENT_BYTES + len(self._recent[0]):
            self._recent_start += len(self._recent.popleft())
        return data

    def recent(self, start: int, end: int) -> bytes:
        """Gives bytes that were read; none where they begin further back than `_RECENT_BYTES` before the last read."""
        if start < self._recent_start:
            return b""
        parts: list[bytes] = []
        first = self._position
        for data in reversed(self._recent):
            first -= len(data)
            parts.append(data[max(start - first, 0) : max(end - first, 0)])
            if first <= start:
                break
        return b"".join(reversed(parts))

    def tell(self) -> int:
        """Returns the offset within the part."""
        return self._position


_BYTES_ALWAYS_READ_AGAIN = 64 << 20
_TIMES_READ_AGAIN = 16


@dataclass
class Effort:
    """What was read of an archive in vain, so that work behind damage grows as the archive does, whatever it holds.

    Attributes:
        search_start: No place before it is looked at any more.
    """

    search_start: int = 0
    _read_in_vain: int = 0

    def spend(self, start: int, end: int) -> None:
        """Notes that reading from one offset to another was in vain; too much of that is passed over as a whole."""
        self._read_in_vain += max(end - start, 0)
        if self._read_in_vain > _BYTES_ALWAYS_READ_AGAIN + _TIMES_READ_AGAIN * start:
            self.search_start = max(self.search_start, end)


@dataclass(frozen=True)
class ArchiveSource:
    """An archive whose format is known.

    Attributes:
        stream: The archive, without the layers that hold many records.
        is_arc: True for ARC, false for WARC and WAT.
        codec: The compression of single records; None for a plain stream of records.
        layers: The layers that were removed; each knows after reading whether it was damaged.
        effort: What was read of it in vain.
    """

    stream: io.RawIOBase
    is_arc: bool
    codec: Codec | None
    layers: list[DecompressedStream] = field(default_factory=list)
    effort: Effort = field(default_factory=Effort)
