"""The byte streams of an archive: guarded against faults of transport, and unpacked where it was packed as a whole."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import zstandard

READ_BYTES = 1 << 16
WARC_START = re.compile(rb"\s*WARC/\d", re.IGNORECASE)
ARC_START = re.compile(rb"\s*(?:filedesc://|[a-z][a-z0-9+.-]*:[^\r\n]* \d{12,18} [^ \r\n]+ -?\d+\r?\n)", re.IGNORECASE)


class ByteStream(Protocol):
    """What archives are read from: `fetch.ArchiveStream` or one of the layers over it."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to `size` bytes; none only at the end."""
        ...

    def seek(self, offset: int, /) -> int:
        """Moves to an offset from the start."""
        ...


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


@dataclass(frozen=True)
class Codec:
    """A compression whose files are members one after another.

    Attributes:
        magic: The first bytes of every member.
        errors: What its decompressor raises for corrupt bytes.
        new_decompressor: Makes an object with `decompress`, `eof` and `unused_data` for one member.
        open_reader: Opens a stream of members as one stream of decompressed bytes.
        slice_bytes: Packed bytes that are decompressed at once: few megabytes at most come out of them.
    """

    magic: bytes
    errors: tuple[type[Exception], ...]
    new_decompressor: Callable[[], Any]
    open_reader: Callable[[Any], Any]
    slice_bytes: int


GZIP = Codec(
    b"\x1f\x8b\x08",
    (zlib.error, gzip.BadGzipFile),
    lambda: zlib.decompressobj(31),
    lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
    slice_bytes=4096,
)
ZSTD = Codec(
    b"\x28\xb5\x2f\xfd",
    (zstandard.ZstdError,),
    lambda: zstandard.ZstdDecompressor().decompressobj(),
    lambda stream: zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True, closefd=False),
    slice_bytes=256,
)


class MemberDecompressor:
    """Decompresses one member in parts of bounded size, however much its packed bytes stand for.

    Attributes:
        unused: Bytes given that lie behind the member's end.
    """

    def __init__(self, codec: Codec) -> None:
        """Starts a member."""
        self.unused = b""
        self._codec = codec
        self._decompressor = codec.new_decompressor()

    @property
    def is_complete(self) -> bool:
        """Whether the member's end has been reached."""
        return bool(self._decompressor.eof)

    def parts(self, packed: bytes) -> Iterator[bytes]:
        """Decompresses further bytes of the file.

        Args:
            packed: They follow those that were given before.

        Yields:
            Decompressed bytes, a few megabytes at most at a time.
        """
        size = self._codec.slice_bytes
        for start in range(0, len(packed), size):
            part = self._decompressor.decompress(packed[start : start + size])
            if part:
                yield part
            if self._decompressor.eof:
                self.unused = self._decompressor.unused_data + packed[start + size :]
                return


class GuardedStream:
    """Turns every error of the stream below into an `ArchiveReadError` and notices a stream that ends early."""

    def __init__(self, stream: ByteStream, size: int) -> None:
        """Takes the stream and the size that it should have."""
        self._stream = stream
        self._size = size
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads as the stream below does.

        Raises:
            ArchiveReadError: It fails, or ends before its size.
        """
        try:
            data = self._stream.read(size)
        except Exception as error:
            raise ArchiveReadError(f"reading failed at byte {self._position}: {error!r}") from error
        self._position += len(data)
        if not data and size != 0 and self._position < self._size:
            raise ArchiveReadError(f"the stream ended at byte {self._position} of {self._size}")
        return data

    def seek(self, offset: int, /) -> int:
        """Moves as the stream below does.

        Raises:
            ArchiveReadError: It fails.
        """
        try:
            self._position = self._stream.seek(offset)
        except Exception as error:
            raise ArchiveReadError(f"seeking to byte {offset} failed: {error!r}") from error
        return self._position


class UnpackedStream:
    """The decompressed bytes of a stream. Moving backwards decompresses from the start again.

    Attributes:
        damage: "truncated" or "corrupt" where decompression had to stop early, else None.
    """

    def __init__(self, stream: ByteStream, codec: Codec) -> None:
        """Starts at the first decompressed byte."""
        self.damage: str | None = None
        self._stream = stream
        self._codec = codec
        self._restart()

    def _restart(self) -> None:
        self._stream.seek(0)
        self._reader = self._codec.open_reader(self._stream)
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Reads decompressed bytes; the end of the stream is also where damage begins."""
        parts: list[bytes] = []
        wanted = size if size >= 0 else 1 << 62
        while wanted > 0 and (part := self._read_once(min(wanted, READ_BYTES))):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _read_once(self, size: int) -> bytes:
        try:
            part: bytes = self._reader.read1(size)
        except EOFError:
            self.damage = "truncated"
            return b""
        except self._codec.errors:
            self.damage = "corrupt"
            return b""
        self._position += len(part)
        return part

    def seek(self, offset: int, /) -> int:
        """Moves to an offset of the decompressed bytes, or to their end where that comes first."""
        if offset < self._position:
            self._restart()
        while self._position < offset and self._read_once(min(READ_BYTES, offset - self._position)):
            pass
        return self._position


@dataclass(frozen=True)
class ArchiveSource:
    """An archive whose format is known.

    Attributes:
        stream: The archive, without the layers that hold many records.
        is_arc: True for ARC, false for WARC and WAT.
        codec: The compression of single records; None for a plain stream of records.
        layers: The layers that were removed; each knows after reading whether it was damaged.
    """

    stream: ByteStream
    is_arc: bool
    codec: Codec | None
    layers: list[UnpackedStream] = field(default_factory=list)
